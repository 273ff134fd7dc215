"""The broker's sockets are read in large pieces, and nothing is lost or kept back by it."""

import socket
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from stream import transport
from stream.transport import READ_BYTES, read_in_large_pieces


class CountingSocket:
    """A real socket that counts its reads."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.reads = 0

    def recv(self, size: int) -> bytes:
        self.reads += 1
        return self.real.recv(size)


@pytest.mark.parametrize("size", [1, 4096, 131_072])
def test_what_waits_is_read_whole_in_few_calls(size: int) -> None:
    """One call returns all that waits in the socket, in a read or two."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(payload := bytes(range(256)) * (size // 256) + b"x" * (size % 256))
        counting = CountingSocket(ours)

        received, error = transport._read_all(SimpleNamespace(_sock=counting))

    assert (received, error) == (payload, None)
    assert counting.reads <= 2


def test_an_empty_socket_gives_nothing() -> None:
    """No bytes and no error where nothing has come yet."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)

        assert transport._read_all(SimpleNamespace(_sock=ours)) == (b"", None)


def test_a_closed_connection_is_an_error_after_its_last_bytes() -> None:
    """What came before the end is returned; the end itself is a connection error."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        theirs.sendall(b"last")
        theirs.close()
        first = transport._read_all(SimpleNamespace(_sock=ours))
        second, error = transport._read_all(SimpleNamespace(_sock=ours))

    assert first == (b"last", None)
    assert second == b""
    assert isinstance(error, KafkaConnectionError)


def test_plain_connections_are_changed_and_tls_is_not() -> None:
    """The method that is replaced is there in this version of kafka-python; TLS keeps its own."""
    own = KafkaSSLTransport.__dict__["_sock_recv"]

    read_in_large_pieces()
    read_in_large_pieces()

    assert KafkaTCPTransport._sock_recv is transport._read_all
    assert KafkaSSLTransport._sock_recv is own
    assert READ_BYTES > 131_072
