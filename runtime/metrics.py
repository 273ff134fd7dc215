"""All metrics, as constants: the Prometheus registry is global too. README.md says what to do about each."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
AGES = (*SECONDS, 30, 60, 300, 1800, 7200)

FRAMES = Counter(
    "framegate_frames_total",
    "Frames done: replied to, acknowledged, offset committed.",
    ["outcome"],  # kept, dropped, dead-letter
)
DEAD_LETTERS = Counter("framegate_dead_letters_total", "Frames that could not be judged.", ["reason"])
DROPS = Counter("framegate_drops_total", "Thresholds missed by dropped frames.", ["reason"])
STAGE = Histogram(
    "framegate_stage_seconds",
    "Time in a stage: decode and preprocess per frame, gather, infer and deliver per batch.",
    ["stage"],
    buckets=SECONDS,
)
DECODED = Counter(
    "framegate_decoded_total",
    "Frames decoded, by the processor that did it.",
    ["by"],  # cpu, gpu
)
BATCH = Histogram("framegate_batch_frames", "Frames in a micro-batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
LAG = Gauge("framegate_consumer_lag", "Records that wait in an assigned partition.", ["partition"])
ASSIGNED = Gauge("framegate_assigned_partitions", "Partitions that this member reads.")
AGE = Histogram("framegate_frame_age_seconds", "Age of a frame when its decision is made.", buckets=AGES)
END_TO_END = Histogram(
    "framegate_end_to_end_seconds",
    "From a frame's arrival at the broker to its reply's delivery.",
    buckets=AGES,
)
GONE = Counter(
    "framegate_frames_gone_total", "Offsets of the input topic that its retention deleted before they were read."
)
REDELIVERED = Counter(
    "framegate_batches_given_up_total", "Batches that another member does again, because the group moved on."
)


def decoded(by: str) -> float:
    """How many frames the ``cpu`` or the ``gpu`` has decoded so far in this process."""
    return REGISTRY.get_sample_value("framegate_decoded_total", {"by": by}) or 0
