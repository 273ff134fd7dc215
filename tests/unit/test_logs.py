"""Logs for people and for machines, in a process of their own: the root logger is global."""

import json
import subprocess
import sys

import pytest

from tests.command import ROOT

PROGRAM = """
import logging
from runtime.logs import set_up_logging
set_up_logging({format!r}, {level!r})
for name in ("framegate", "framegate.stream", "kafka.conn"):
    logging.getLogger(name).debug("%s debug", name)
    logging.getLogger(name).info("%s info", name)
    logging.getLogger(name).warning("%s warning", name)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("framegate").exception("broken")
"""


def logged(log_format: str, level: str) -> str:
    program = PROGRAM.format(format=log_format, level=level)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""  # standard output is for results
    return done.stderr


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    ("level", "ours"), [("debug", ["debug", "info", "warning"]), ("info", ["info", "warning"]), ("error", [])]
)
def test_ours_by_level_and_others_from_warnings_up(log_format: str, level: str, ours: list[str]) -> None:
    """The level is that of framegate; its libraries speak up only where something is wrong."""
    said = logged(log_format, level)

    found = {word for word in ("debug", "info", "warning") if f"framegate {word}" in said}
    assert found == set(ours)
    assert {word for word in ("debug", "info", "warning") if f"framegate.stream {word}" in said} == set(ours)
    assert "kafka.conn warning" in said
    assert "kafka.conn info" not in said


def test_json_is_one_object_a_line() -> None:
    """Time, level, logger and message; a traceback stays in its line."""
    lines = [json.loads(line) for line in logged("json", "info").splitlines()]

    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    assert lines[0]["message"] == "framegate info"
    assert lines[0]["logger"] == "framegate"
    assert lines[0]["level"] == "INFO"
    assert lines[-1]["message"] == "broken"
    assert "ZeroDivisionError" in lines[-1]["exc_info"]


def test_text_is_for_people() -> None:
    """Time, level, logger, message in one line."""
    first = logged("text", "info").splitlines()[0]

    assert first.endswith("INFO    framegate: framegate info")
