"""Kafka only: records, offsets, time. Knows nothing of pictures or models."""
