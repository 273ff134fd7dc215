"""An open-loop load: frames leave on a schedule, whether or not the gateway keeps up.

Run as a process of its own: ``python -m benchmarks.load BROKERS TOPIC COUNT FPS``. FPS 0 sends as fast as it can.
Every frame carries the time at which it was due, so that a late sender counts against the gateway's latency
rather than hiding it.
"""

import sys
import time

from kafka import KafkaProducer

from benchmarks.frames import load_frames

CAMERAS = 8
WINDOW = 64
"""Frames on their way at once at most, when there is no schedule."""


def publish(brokers: str, topic: str, count: int, fps: float) -> None:
    """Send ``count`` frames of eight cameras, spread evenly over the partitions; all acknowledged on return."""
    frames = load_frames()
    producer = KafkaProducer(
        bootstrap_servers=brokers, acks="all", linger_ms=0, batch_size=1 << 20, max_request_size=1 << 24
    )
    partitions = len(producer.partitions_for(topic))
    began_s = time.time()
    sent = []
    for index in range(count):
        due_s = began_s + index / fps if fps else time.time()
        if (wait_s := due_s - time.time()) > 0:
            time.sleep(wait_s)
        camera = index % CAMERAS
        sent.append(
            producer.send(
                topic,
                key=f"cam-{camera}".encode(),
                value=frames[index % len(frames)],
                partition=camera % partitions,
                timestamp_ms=int(due_s * 1000),
                headers=[("captured-at-ms", b"%d" % (due_s * 1000))],
            )
        )
        if not fps and len(sent) > WINDOW:
            sent[-WINDOW].get(60)
    for future in sent:
        future.get(60)
    producer.close()


if __name__ == "__main__":
    publish(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
