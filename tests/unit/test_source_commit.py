"""What a commit does with the client's errors."""

from typing import Any

import pytest
from kafka.errors import CommitFailedError, KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from stream.errors import StreamError
from stream.record import Partition
from stream.source import Source


class Refusing:
    """A consumer whose commits fail with these errors, one after another, and then succeed."""

    def __init__(self, *errors: KafkaError) -> None:
        self.errors = list(errors)
        self.commits = 0

    def commit(self, offsets: Any, timeout_ms: float) -> None:
        assert timeout_ms > 0
        self.commits += 1
        if self.errors:
            raise self.errors.pop(0)


def source_of(consumer: Refusing, budget_s: float = 5) -> Source:
    source = Source.__new__(Source)
    source.topic, source._budget_s, source._consumer = "frames", budget_s, consumer
    return source


def test_a_refused_connection_is_tried_again() -> None:
    """kafka-python gives up a commit at once where the broker refuses the connection: an outage has only begun."""
    consumer = Refusing(KafkaConnectionError("111 ECONNREFUSED"), KafkaConnectionError("111 ECONNREFUSED"))

    assert source_of(consumer).commit({Partition("frames", 0): 1})
    assert consumer.commits == 3


def test_the_budget_ends_it() -> None:
    """A broker that never comes back is reported within the time."""
    consumer = Refusing(*[KafkaConnectionError("111 ECONNREFUSED")] * 1000)

    with pytest.raises(StreamError, match="cannot commit offsets of frames: KafkaConnectionError"):
        source_of(consumer).commit({Partition("frames", 0): 1}, timeout_s=0.3)


def test_a_refusal_is_not_tried_again() -> None:
    """What time does not heal is reported at once; a group that moved on is no error."""
    forbidden = Refusing(TopicAuthorizationFailedError())
    with pytest.raises(StreamError, match="TopicAuthorizationFailedError"):
        source_of(forbidden).commit({Partition("frames", 0): 1})

    assert not source_of(Refusing(CommitFailedError())).commit({Partition("frames", 0): 1})
    assert forbidden.commits == 1
