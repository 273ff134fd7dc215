"""Records and the offsets that follow from them."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from stream.record import Batch, Partition, Record, next_offsets
from stream.source import _record as from_kafka

Place = tuple[str, int, int]

partitions = st.dictionaries(
    st.tuples(st.sampled_from(["frames", "cam"]), st.integers(0, 3)),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=6, unique=True).map(sorted),
    max_size=5,
)


def record(topic: str = "frames", partition: int = 0, offset: int = 0, **other: object) -> Record:
    fields: dict[str, object] = {"timestamp_ms": 0, "key": None, "value": b"", **other}
    return Record(topic, partition, offset, **fields)  # type: ignore[arg-type]


@given(partitions, st.randoms(use_true_random=False))
def test_next_offsets_is_one_past_the_last(offsets: dict[tuple[str, int], list[int]], random: object) -> None:
    """Per partition the offset after its last record, gaps or not, however the partitions are interleaved."""
    records = [record(*where, offset) for where, each in offsets.items() for offset in each]
    random.shuffle(records)  # type: ignore[attr-defined]

    expected = {Partition(*where): each[-1] + 1 for where, each in offsets.items()}
    assert next_offsets(records) == expected
    assert Batch(tuple(records)).offsets == expected


def test_no_records_no_offsets() -> None:
    """An empty batch commits nothing: not offset 0."""
    assert next_offsets([]) == {}


def test_the_last_header_of_a_name_wins() -> None:
    """A producer that adds a header again means the last one; names are taken to the letter."""
    headed = record(headers=(("frame-id", b"1"), ("Frame-Id", b"x"), ("frame-id", b"2"), ("other", b"3")))

    assert headed.header("frame-id") == b"2"
    assert headed.header("traceparent") is None


def test_a_header_without_a_value_can_be_sent_on() -> None:
    """Kafka allows null there; kafka-python reads it and refuses to send it: it becomes an empty one."""
    raw = SimpleNamespace(
        topic="frames",
        partition=1,
        offset=2,
        timestamp=3,
        key=None,
        value=None,
        headers=[("x", None), ("frame-id", b"f")],
    )

    assert from_kafka(raw) == Record("frames", 1, 2, 3, None, None, (("x", b""), ("frame-id", b"f")))
