"""Large reads from the broker's sockets.

kafka-python 3.0 reads 4096 bytes at a time. A frame of 130 kB costs 32 system calls, and around each of them the
thread gives up the interpreter's lock and queues for it again behind those that decode and infer: measured,
a tenth of the whole gateway's throughput on two cores (``python -m benchmarks gateway``). There is no setting for
it, so its method is replaced. TLS is left as it is: there a read returns at most one record of 16 kB anyway.
"""

from typing import Any

from kafka.errors import KafkaConnectionError
from kafka.net.transport import KafkaTCPTransport

READ_BYTES = 1 << 18


def read_in_large_pieces() -> None:
    """Let every plain connection of this process read up to 256 KiB at a time. Calling it again changes nothing.

    Raises:
        AttributeError: this version of kafka-python reads in another way: look whether it still needs this.
    """
    if KafkaTCPTransport._sock_recv is not _read_all:
        KafkaTCPTransport._sock_recv = _read_all


def _read_all(self: Any) -> tuple[bytes, Exception | None]:
    """What waits in the socket, and the error that ended it: the contract of the method it replaces."""
    received: list[bytes] = []
    while True:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b"".join(received), None
        except OSError as error:
            return b"".join(received), KafkaConnectionError(error)
        if not data:
            return b"".join(received), KafkaConnectionError("socket disconnected")
        received.append(data)
        if len(data) < READ_BYTES:  # the socket is empty; should more come, the selector says so again
            return b"".join(received), None
