"""An open-loop load: frames leave on a schedule, whether or not the gateway keeps up.

Run as a process of its own: ``python -m benchmarks.load BROKERS TOPIC COUNT FPS``. FPS 0 sends as fast as it can.
Every frame carries the time at which it was due, so that a late sender counts against the gateway's latency
rather than hiding it. The client is librdkafka's: it shares the cores with what is measured, and takes the least.
"""

import sys
import time
from typing import Any

from confluent_kafka import Producer

from benchmarks.frames import load_frames

CAMERAS = 8
WINDOW = 64
"""Frames on their way at once at most, when there is no schedule."""


def publish(brokers: str, topic: str, count: int, fps: float) -> None:
    """Send ``count`` frames of eight cameras, spread evenly over the partitions; all acknowledged on return.

    Raises:
        RuntimeError: the broker refused a frame.
    """
    frames = load_frames()
    producer = Producer(
        {"bootstrap.servers": brokers, "acks": "all", "linger.ms": 0, "message.max.bytes": 1 << 24, "log_level": 3}
    )
    partitions = len(producer.list_topics(topic, timeout=30).topics[topic].partitions)
    began_s = time.time()
    for index in range(count):
        due_s = began_s + index / fps if fps else time.time()
        while (wait_s := due_s - time.time()) > 0:
            producer.poll(wait_s)
        while len(producer) > WINDOW and not fps:
            producer.poll(1)
        producer.produce(
            topic,
            key=f"cam-{index % CAMERAS}".encode(),
            value=frames[index % len(frames)],
            partition=index % CAMERAS % partitions,
            timestamp=int(due_s * 1000),
            headers=[("captured-at-ms", b"%d" % (due_s * 1000))],
            on_delivery=_acknowledged,
        )
    producer.flush()


def _acknowledged(error: Any, _message: Any) -> None:
    if error is not None:
        raise RuntimeError(f"a frame was not acknowledged: {error}")


if __name__ == "__main__":
    publish(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
