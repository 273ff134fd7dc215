"""``python -m stream.tail`` against a real broker."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.command import ROOT, run, start
from tests.conftest import Broker, Clients, Topics
from tests.records import DECISION

pytestmark = pytest.mark.kafka


def decision(**changes: Any) -> bytes:
    return json.dumps({**DECISION, **changes}).encode()


def test_lines_from_the_beginning(broker: Broker, topic: Topics, producer: Clients) -> None:
    """Away from a terminal every decision is a line, oldest first; --count ends it; rubbish is shown as such."""
    decisions = topic()
    client = producer()
    for value in (decision(), b"\x00 rubbish", decision(verdict="keep", reasons=[])):
        client.send(decisions, key=b"cam-7", value=value)
    client.flush()

    flags = ["--brokers", broker.bootstrap, "--topic", decisions, "--from-beginning", "--count", 3]
    done = run("stream.tail", *flags)

    assert done.returncode == 0, done.stderr
    assert [line.split()[1:3] for line in done.stdout.splitlines()] == [
        ["3/91", "drop"],
        ["0/1", "not-a-decision"],
        ["3/91", "keep"],
    ]


def test_json_is_one_document_a_line(broker: Broker, topic: Topics, producer: Clients) -> None:
    """--json prints the decisions as they are and dead letters with their reason; rubbish goes to stderr."""
    decisions, dead = topic(), topic()
    client = producer()
    client.send(decisions, key=b"cam-7", value=json.dumps(DECISION, indent=2).encode())
    client.send(decisions, value=b"rubbish")
    headers = [
        ("framegate-source-topic", b"frames"),
        ("framegate-source-partition", b"2"),
        ("framegate-source-offset", b"17"),
        ("framegate-reason", b"truncated"),
    ]
    client.send(dead, key=b"cam-8", value=b"\xff\xd8", headers=headers)
    client.flush()

    flags = ["--topic", decisions, "--dead-letter-topic", dead, "--from-beginning", "--count", 3, "--json"]
    done = run("stream.tail", "--brokers", broker.bootstrap, *flags)

    documents = [json.loads(line) for line in done.stdout.splitlines()]
    letter = {
        "schema": "framegate/dead-letter/1",
        "stream": "cam-8",
        "source": {"topic": "frames", "partition": 2, "offset": 17},
        "reason": "truncated",
    }
    assert DECISION in documents
    assert letter in documents
    assert len(documents) == 2
    assert "not a decision" in done.stderr


def test_only_what_comes_after_the_start(broker: Broker, topic: Topics, producer: Clients) -> None:
    """Without --from-beginning older decisions are not shown, those of all partitions that follow are."""
    decisions = topic(partitions=3)
    client = producer()
    client.send(decisions, value=decision(stream="old")).get(timeout=10)
    process = start("stream.tail", "--brokers", broker.bootstrap, "--topic", decisions, "--count", 3)
    try:
        sent = 0
        while process.poll() is None and sent < 300:  # it takes a moment until it watches
            client.send(decisions, value=decision(stream="new"), partition=sent % 3)
            client.flush()
            sent += 1
            time.sleep(0.1)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()

    assert process.returncode == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["new"] * 3


def test_aborted_decisions_are_not_shown(broker: Broker, topic: Topics, producer: Clients) -> None:
    """A reader of exactly-once decisions sees those of committed transactions only."""
    decisions = topic()
    client = producer(transactional_id=decisions)
    client.init_transactions()
    client.begin_transaction()
    client.send(decisions, value=decision(stream="aborted"))
    client.flush()
    client.abort_transaction()
    client.begin_transaction()
    client.send(decisions, value=decision(stream="committed"))
    client.commit_transaction()

    flags = ["--brokers", broker.bootstrap, "--topic", decisions, "--from-beginning", "--count", 1]
    done = run("stream.tail", *flags)

    assert done.stdout.startswith("committed ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_table_on_a_terminal(broker: Broker, topic: Topics, producer: Clients, number: signal.Signals) -> None:
    """On a terminal it is a live table with totals; Ctrl-C and SIGTERM leave it with exit 0."""
    decisions = topic()
    client = producer()
    for _ in range(3):
        client.send(decisions, value=decision())
    client.flush()

    code, shown = _on_terminal(
        ["stream.tail", "--brokers", broker.bootstrap, "--topic", decisions, "--from-beginning"], number
    )

    assert code == 0, shown
    assert "utility-below-threshold" in shown
    assert "mean utility" in shown


def test_ctrl_c_while_it_looks_for_a_broker() -> None:
    """Exit 0 and not a word, as later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command = [sys.executable, "-m", "stream.tail", "--brokers", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            silent.accept()  # it is looking
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
            assert process.wait(timeout=30) == 0


def test_a_closed_pipe_ends_it_quietly(broker: Broker, topic: Topics, producer: Clients) -> None:
    """``| head -1`` is not an error."""
    decisions = topic()
    client = producer()
    for _ in range(5):
        client.send(decisions, value=decision())
    client.flush()
    process = start("stream.tail", "--brokers", broker.bootstrap, "--topic", decisions, "--from-beginning")
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.readline()
    process.stdout.close()
    for _ in range(5):
        client.send(decisions, value=decision()).get(timeout=10)
        time.sleep(0.3)

    try:
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.stderr.close()


def test_a_missing_topic_is_an_error_with_its_remedy(broker: Broker) -> None:
    """A missing topic ends it with the command that creates it."""
    done = run("stream.tail", "--brokers", broker.bootstrap, "--topic", "test-nobody-made-this")

    assert done.returncode == 2
    assert "--create --topic test-nobody-made-this" in done.stderr


def _on_terminal(command: list[str], number: signal.Signals) -> tuple[int, str]:
    """Run it on a pseudo-terminal; send the signal once the totals are drawn."""
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160", "LINES": "40", "TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown, signalled = "", False
    try:
        while chunk := _read(ours):
            shown += chunk
            if not signalled and "mean utility" in shown and "cam-7" in shown:
                process.send_signal(number)
                signalled = True
        return process.wait(timeout=10), shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(terminal: int) -> str:
    try:
        ready, _, _ = select.select([terminal], [], [], 20)
        return os.read(terminal, 65536).decode(errors="replace") if ready else ""
    except OSError:  # the other end is closed
        return ""
