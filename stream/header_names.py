"""Names of headers that are not UTF-8: a producer in C may send any bytes, and kafka-python 3.0.12 stops at them.

It would raise for the record, at each start anew, so that one record held up its partition for ever. Kafka says that
names are UTF-8 (KIP-82), so what is none is read as ``?``, as Java's client does with its own mark.
"""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

MARK = ord("?")


class LenientRecordBatch(DefaultRecordBatch):  # type: ignore[misc] # kafka-python is untyped
    """Reads any name."""

    _buffer: Any

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            self._buffer = _readable(self._buffer, self._pos)
            return super()._read_msg()


def install() -> None:
    """Let this process's consumers read so."""
    memory_records.DefaultRecordBatch = LenientRecordBatch


def _readable(buffer: bytes | bytearray, start: int) -> bytearray:
    """The batch, its record at ``start`` with names of ASCII alone; nothing else in it moves."""
    mended = bytearray(buffer)
    _, at = decode_varint(buffer, start)  # its length
    at += 1  # attributes
    for _ in range(2):  # differences of time and offset
        _, at = decode_varint(buffer, at)
    for _ in range(2):  # key and value
        length, at = decode_varint(buffer, at)
        at += max(length, 0)
    count, at = decode_varint(buffer, at)
    for _ in range(count):
        length, at = decode_varint(buffer, at)
        mended[at : at + length] = bytes(byte if byte < 0x80 else MARK for byte in mended[at : at + length])
        length, at = decode_varint(buffer, at + length)
        at += max(length, 0)
    return mended
