"""Metrics and health over HTTP: ``/metrics``, ``/v2/health/live``, ``/v2/health/ready`` (KServe's names)."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.errors import ConfigError

Probe = Callable[[], bool]


class HealthServer:
    """A small server in a thread of its own.

    Args:
        host: where to listen; loopback unless the operator says otherwise.
        port: 0 takes any free one; ``port`` tells which.
        live: whether the loop turns.
        ready: whether frames are being judged: engines warm, partitions assigned.

    Raises:
        ConfigError: the port cannot be had.
    """

    def __init__(self, host: str, port: int, *, live: Probe, ready: Probe) -> None:
        probes = {"/v2/health/live": live, "/v2/health/ready": ready}
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(probes))
        except OSError as error:
            raise ConfigError(
                f"--metrics-port {port}: cannot listen on {host}:{port} ({error.strerror}); choose another port or "
                "--metrics-host, or --metrics-port off"
            ) from error
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="framegate-health", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(probes: dict[str, Probe]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif path in probes:
                fine = probes[path]()
                self._answer(200 if fine else 503, b"ok\n" if fine else b"not yet\n", "text/plain")
            else:
                self._answer(404, b"/metrics /v2/health/live /v2/health/ready\n", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: a probe every second is no news."""

    return Handler
