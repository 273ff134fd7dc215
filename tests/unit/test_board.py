"""Whatever a record holds, a person can read it."""

import io
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from stream.board import Board, read_row
from stream.record import Headers, Record
from tests.records import DECISION


def record(value: bytes | None, key: bytes | None = b"cam-7", headers: Headers = ()) -> Record:
    return Record("decisions", 0, 5, 0, key, value, headers)


def test_a_decision_in_one_line() -> None:
    """A decision's line has its camera, its frame's place, verdict, scores and reasons."""
    row = read_row(record(json.dumps(DECISION).encode()))

    assert str(row) == "cam-7 3/91 drop utility=0.123 mos=2.35 age_ms=41 latency_ms=9.3 utility-below-threshold"


def test_a_cover_in_one_line() -> None:
    """A cover's score stands beside the others; a cover without one, of a single head, shows none."""
    scored, unscored = (
        read_row(record(json.dumps({**DECISION, "cover": cover}).encode()))
        for cover in ({"score": 0.71234, "clarity": 8.2}, {"clarity": 8.2})
    )

    assert " mos=2.35 cover=0.712 age_ms=41 " in str(scored)
    assert "cover=" not in str(unscored)


def test_a_dead_letter_in_one_line() -> None:
    """A dead letter's line has the place of the frame that it was, and the reason."""
    headers = (
        ("framegate-source-partition", b"2"),
        ("framegate-source-offset", b"17"),
        ("framegate-reason", b"truncated"),
    )

    row = read_row(record(b"\xff\xd8", headers=headers))

    assert str(row) == "cam-7 2/17 dead-letter truncated"


@settings(deadline=None, max_examples=200)
@given(
    value=st.none()
    | st.binary(max_size=50)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*DECISION, "x"]), inner, max_size=5)
            | st.builds(lambda changes: {**DECISION, **changes}, st.dictionaries(st.sampled_from([*DECISION]), inner))
        ),
        max_leaves=8,
    ).map(lambda document: json.dumps(document).encode()),
    key=st.none() | st.binary(max_size=20),
)
def test_no_record_stops_the_board(value: bytes | None, key: bytes | None) -> None:
    """Any bytes and any JSON make a row that can be printed, and nothing in it steers the terminal."""
    board = Board(5)
    row = read_row(record(value, key))
    board.add(row)
    terminal = Console(file=io.StringIO(), width=200)

    terminal.print(board)

    assert str(row).isprintable()
    assert board.totals[row.stream].frames == 1


def test_json_too_deep_or_too_large_is_no_decision() -> None:
    """Nesting beyond the parser's depth and numbers beyond a float are not decisions, and no crash either."""
    huge = json.dumps({**DECISION, "age_ms": 10**400}).encode()

    assert read_row(record(b"[" * 100_000)).verdict == "not a decision"
    assert read_row(record(huge)).verdict == "not a decision"


def test_totals_are_kept_for_each_stream() -> None:
    """Totals count every row of a stream, also those that have left the table, with the mean of its scores."""
    board = Board(2)
    for score, verdict in ((0.2, "drop"), (0.8, "keep"), (0.8, "keep")):
        board.add(read_row(record(json.dumps({**DECISION, "verdict": verdict, "utility": {"score": score}}).encode())))
    board.add(read_row(record(b"", b"cam-8")))

    assert board.totals["cam-7"].cells() == ["3", "2", "1", "", "", "0.600"]
    assert board.totals["cam-8"].by_verdict["not a decision"] == 1
