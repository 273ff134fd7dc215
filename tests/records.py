"""What the gateway publishes, to test its readers with."""

from typing import Any, Final

DECISION: Final[dict[str, Any]] = {
    "schema": "framegate/decision/1",
    "stream": "cam-7",
    "source": {"topic": "frames", "partition": 3, "offset": 91, "timestamp_ms": 0},
    "verdict": "drop",
    "reasons": ["utility-below-threshold"],
    "utility": {"score": 0.123456, "threshold": 0.5},
    "quality": {"mos": 2.345},
    "age_ms": 41,
    "latency_ms": 9.31,
}
