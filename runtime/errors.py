"""Whose fault decides what happens.

A frame's way: bytes -> header -> pixels -> input -> engine -> heads -> decision. An error on that way is

============== ============= ============================================== ====
class          fault         what happens                                   exit
============== ============= ============================================== ====
FrameError     the frame     dead letter, the offset advances               --
ConfigError    the operator  refuses to start                               2
EngineError    the operator  refuses to start                               2
InferenceError the device    nothing committed, stop                        1
StreamError    the broker    retried within a budget, then stop             1
anything else  us            traceback, nothing committed, stop             1
============== ============= ============================================== ====

``StreamError`` lives in ``stream.errors``: ``stream`` imports nothing of ours.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a frame became a dead letter. The value is what the ``framegate-reason`` header says."""

    EMPTY = "empty"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported"
    NON_FINITE = "non-finite"
    OUT_OF_RANGE = "out-of-range"
    UNMATCHED = "unmatched"
    BAD_REFERENCE = "bad-reference"
    SIZE_MISMATCH = "size-mismatch"
    TOO_SMALL = "too-small"


class FrameError(Exception):
    """This frame cannot be judged: its bytes are at fault, and no other frame is touched."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FramegateError(Exception):
    """Root of the errors that end the process; ``exit_code`` says how."""

    exit_code = 1


class ConfigError(FramegateError):
    """A setting is wrong. The text names the key, the value and the remedy."""

    exit_code = 2


class EngineError(FramegateError):
    """An engine cannot be opened or does not fit its manifest. The text names the file and the remedy."""

    exit_code = 2


class InferenceError(FramegateError):
    """The device failed while it judged a batch: nothing of the batch is committed."""
