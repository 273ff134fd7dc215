"""What can go wrong between this process and the broker, and how the process ends then."""


class StreamError(Exception):
    """The broker failed us for longer than the budget allows: nothing more is committed."""

    exit_code = 1


class FencedError(StreamError):
    """Another member of the group owns our partitions now: what we had in hand is not committed."""


class StuckError(StreamError):
    """What is in hand does not come to its end: who waits for it as the process closes, waits for ever."""


class ClientOptionError(StreamError):
    """A Kafka client option is unknown, or is one that framegate sets itself: the operator's fault."""

    exit_code = 2


class TopicError(StreamError):
    """A topic is missing or cannot take what it would be sent: the operator's fault."""

    exit_code = 2
