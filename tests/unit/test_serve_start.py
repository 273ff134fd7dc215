"""How ``python -m runtime.serve`` starts, and how it refuses to: as a real process, without a broker."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import run, start
from tests.engines import make_engine


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return make_engine(tmp_path / "gate.onnx")


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens: the port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def serve(*flags: object, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Whatever it is asked: no traceback, and nothing on standard output but results."""
    done = run("runtime.serve", *flags, timeout_s=60, **(environment or {}))
    assert "Traceback" not in done.stderr
    return done


def refusal(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one message that says why, in a line of its own that begins with our name."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    [_, text] = re.split(r"(?m)^framegate: ", done.stderr)
    return text


def test_help() -> None:
    """Exit 0, on standard output."""
    done = serve("--help")

    assert done.returncode == 0
    assert "--engine" in done.stdout
    assert done.stderr == ""


def test_no_engine() -> None:
    """Exit 2, with the flag."""
    assert "--engine" in refusal(serve(), 2)


def test_an_unknown_flag() -> None:
    """Exit 2; argparse's own words."""
    done = serve("--engin", "x.onnx")

    assert done.returncode == 2
    assert "--engin" in done.stderr


@pytest.mark.parametrize(("content", "text"), [("group = ", "not TOML"), ("grup = 'x'", "grup: no such setting")])
def test_a_bad_file(tmp_path: Path, engine: Path, content: str, text: str) -> None:
    """Exit 2; the file or the key is named."""
    path = tmp_path / "gateway.toml"
    path.write_text(content)

    assert text in refusal(serve("--engine", engine, "--config", path), 2)


def test_a_wrong_variable(engine: Path) -> None:
    """Exit 2; the setting and its value are named."""
    assert "max_batch" in refusal(serve("--engine", engine, environment={"FRAMEGATE_MAX_BATCH": "none"}), 2)


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    """Exit 2, before any broker is looked for."""
    assert "none.onnx: no such file" in refusal(serve("--engine", tmp_path / "none.onnx"), 2)


def test_an_engine_without_a_manifest(tmp_path: Path) -> None:
    """Exit 2, with the command that adds one."""
    bare = make_engine(tmp_path / "bare.onnx", manifest=None)

    assert "python -m export manifest" in refusal(serve("--engine", bare), 2)


def test_a_provider_that_is_not_there(engine: Path) -> None:
    """Exit 2, with what is there."""
    assert "CPUExecutionProvider" in refusal(serve("--engine", engine, "--provider", "tensorrt"), 2)


def test_two_engines_with_one_head(engine: Path) -> None:
    """Exit 2; the engines are named."""
    assert f"{engine} and {engine} both have a head 'utility'" in refusal(
        serve("--engine", engine, "--engine", engine), 2
    )


@pytest.mark.parametrize("option", ["acks=0", "sasl_plain_pasword=hunter2", "client_dns_lookup=never"])
def test_a_client_option_that_cannot_be(engine: Path, nobody: str, option: str) -> None:
    """Exit 2: ours, unknown, or refused by the client; named, and never with a secret's value."""
    text = refusal(serve("--engine", engine, "--brokers", nobody, "--kafka", option), 2)

    assert option.partition("=")[0] in text
    assert "hunter2" not in text


@pytest.mark.parametrize("mode", [[], ["--dry-run"], ["--delivery", "exactly-once", "--create-topics"]])
def test_no_broker(engine: Path, nobody: str, mode: list[str]) -> None:
    """Exit 1 once the time for the broker is up, with the address; no secret in the log on the way there."""
    began_s = time.monotonic()
    secret = {"FRAMEGATE_KAFKA__SASL_PLAIN_PASSWORD": "hunter2"}

    done = serve("--engine", engine, "--brokers", nobody, "--broker-timeout-s", 2, *mode, environment=secret)

    assert f"no broker answers at {nobody}" in refusal(done, 1)
    assert "hunter2" not in done.stderr
    assert time.monotonic() - began_s < 15


def test_an_engine_that_cannot_judge_grey(tmp_path: Path, nobody: str) -> None:
    """A dry run shows it: exit 2, not a frame's dead letter on standard output."""
    blind = make_engine(tmp_path / "blind.onnx", fault="nan for grey")

    text = refusal(serve("--engine", blind, "--brokers", nobody, "--dry-run", "--broker-timeout-s", 2), 2)
    assert "grey frame" in text
    assert "non-finite" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_looks_for_the_broker(engine: Path, nobody: str, number: signal.Signals) -> None:
    """It ends at once, without a traceback: nothing is in hand yet."""
    process = start("runtime.serve", "--engine", engine, "--brokers", nobody, "--broker-timeout-s", 60)
    assert process.stderr is not None
    first = process.stderr.readline()  # the client's first vain attempt
    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert "Connection failed" in first
    assert "Traceback" not in first + out + err
    assert process.returncode in {130, -number}
