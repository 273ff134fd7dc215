"""``make demo`` as a person runs it, behind the install."""

import signal
import subprocess
import time
from pathlib import Path

import cv2
import psutil
import pytest

from tests.command import run, start


def test_every_frame_is_on_the_sheet(tmp_path: Path) -> None:
    """It ends well, accounts for every frame, and the sheet shows kept, dropped and dead-lettered ones."""
    done = run("demo", "--output", tmp_path, timeout_s=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 30 frames are accounted for" in done.stdout
    sheet = cv2.imread(str(tmp_path / "contact-sheet.png"))
    assert sheet is not None
    assert sheet.shape[0] > 1200
    assert sheet.shape[1] == 1688
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


def test_a_gateway_that_fails_is_told(tmp_path: Path) -> None:
    """Where the gateway does not start, the demo says why and fails."""
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no engine")

    done = run("demo", "--output", tmp_path, "--engine", broken, timeout_s=120)

    assert done.returncode == 1
    assert "the gateway ended with status 2" in done.stdout
    assert "broken.onnx" in done.stdout


def test_an_engine_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """Before a broker is started or a folder made."""
    done = run("demo", "--output", tmp_path / "out", "--engine", tmp_path / "no-such.onnx", timeout_s=60)

    assert done.returncode == 2
    assert "no-such.onnx: no such file" in done.stdout.replace("\n", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted while the gateway runs, it ends gateway and broker before itself."""
    process = start("demo", "--output", tmp_path)
    children = _children(process, 2)

    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, out + err
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def _children(process: "subprocess.Popen[str]", count: int) -> list[psutil.Process]:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        children = psutil.Process(process.pid).children(recursive=True)
        if len(children) == count:
            return children
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"the demo did not start {count} processes")
