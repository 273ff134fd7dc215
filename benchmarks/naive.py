"""The loop that a user would write on a first afternoon: one frame at a time, one library call after another.

Run as a process of its own by ``python -m benchmarks gateway``; it uses none of framegate's code.
"""

import json
import sys
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from kafka import KafkaConsumer, KafkaProducer


def main(engine: str, brokers: str, input_topic: str, output_topic: str, group: str, frames: str) -> None:
    """Judge ``frames`` frames of ``input_topic``, a decision for each in ``output_topic``."""
    session = ort.InferenceSession(engine, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    consumer = KafkaConsumer(
        input_topic,
        bootstrap_servers=brokers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    )
    producer = KafkaProducer(bootstrap_servers=brokers)
    left = int(frames)
    while left:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                producer.send(output_topic, key=record.key, value=decide(session, spec, record))
                consumer.commit()
                left -= 1
    producer.flush()
    consumer.close()


def decide(session: ort.InferenceSession, spec: ort.NodeArg, record: Any) -> bytes:
    """Decode, crop the centre, resize, normalise (where the engine wants floats), infer."""
    picture: Any = cv2.imdecode(np.frombuffer(record.value, np.uint8), cv2.IMREAD_COLOR)
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = cv2.resize(picture[top : top + side, left : left + side], (224, 224))
    if spec.type == "tensor(float)":
        picture = (picture.astype(np.float32) - 127) / 128
        picture = picture.transpose(2, 0, 1)
    score = float(session.run(None, {spec.name: picture[np.newaxis]})[0][0])
    return json.dumps({"partition": record.partition, "offset": record.offset, "score": score}).encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
