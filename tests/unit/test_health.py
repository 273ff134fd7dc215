"""Metrics and health over real HTTP."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime import metrics
from runtime.errors import ConfigError
from runtime.health import HealthServer


class Lamp:
    """A probe that is switched by the test."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self) -> bool:
        return self.on


@pytest.fixture
def live() -> Lamp:
    return Lamp()


@pytest.fixture
def ready() -> Lamp:
    return Lamp()


@pytest.fixture
def server(live: Lamp, ready: Lamp) -> Iterator[HealthServer]:
    server = HealthServer("127.0.0.1", 0, live=live, ready=ready)
    yield server
    server.close()


def get(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_each_probe_has_its_own_path(server: HealthServer, live: Lamp, ready: Lamp) -> None:
    """200 or 503, as of the moment of the question: a gateway can be live and not ready."""
    assert get(server, "/v2/health/live")[0] == 503

    live.on = True
    assert get(server, "/v2/health/live") == (200, "ok\n")
    assert get(server, "/v2/health/ready") == (503, "not yet\n")

    ready.on = True
    assert get(server, "/v2/health/ready?verbose=1")[0] == 200
    ready.on = False
    assert get(server, "/v2/health/ready")[0] == 503


def test_another_path_is_told_what_there_is(server: HealthServer) -> None:
    """404, with the three paths."""
    for path in ("/", "/health", "/v2/health", "/metricsx"):
        status, body = get(server, path)

        assert status == 404
        assert body.split() == ["/metrics", "/v2/health/live", "/v2/health/ready"]


def test_metrics_are_prometheus_text(server: HealthServer) -> None:
    """A scraper reads every metric of the gateway, with the values of now."""
    metrics.FRAMES.labels("kept").inc()
    metrics.LAG.labels(7).set(42)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
        kind, text = answer.headers["Content-Type"], answer.read().decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert kind.startswith("text/plain; version=")
    assert {name for name in families if name.startswith("framegate_")} >= {
        "framegate_frames",
        "framegate_stage_seconds",
        "framegate_batch_frames",
        "framegate_consumer_lag",
        "framegate_frame_age_seconds",
        "framegate_end_to_end_seconds",
    }
    [lag] = [sample for sample in families["framegate_consumer_lag"].samples if sample.labels == {"partition": "7"}]
    assert lag.value == 42


def test_a_port_in_use_is_the_operators_to_change() -> None:
    """The flag, the address and the remedy; not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(ConfigError, match=rf"--metrics-port {port}: .*127\.0\.0\.1:{port} .*in use.*'?off") as said:
            HealthServer("127.0.0.1", port, live=Lamp(), ready=Lamp())

    assert said.value.exit_code == 2


def test_an_address_of_another_machine() -> None:
    """The host is named as a flag too."""
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1.*--metrics-host"):
        HealthServer("192.0.2.1", 0, live=Lamp(), ready=Lamp())


def test_close_frees_the_port_and_the_thread(live: Lamp, ready: Lamp) -> None:
    """A stopped gateway can be started again on the same port at once."""
    first = HealthServer("127.0.0.1", 0, live=live, ready=ready)
    first.close()
    second = HealthServer("127.0.0.1", first.port, live=live, ready=ready)

    assert get(second, "/v2/health/live")[0] == 503

    second.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "framegate-health" and thread.is_alive()]


def test_a_silent_client_holds_up_nobody(server: HealthServer) -> None:
    """A connection that never asks does not keep a probe waiting."""
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/v2/health/live")[0] == 503


def test_probes_write_no_log(server: HealthServer, capfd: pytest.CaptureFixture[str]) -> None:
    """A probe every second is no news."""
    get(server, "/v2/health/live")
    get(server, "/nothing")

    assert capfd.readouterr() == ("", "")
