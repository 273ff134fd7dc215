"""``python -m runtime.serve`` as a process of its own: started, watched through its log and ports, ended."""

import functools
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[1]
SERVE = ("-m", "runtime.serve")
STOPPED = "stopped: everything polled is delivered and committed"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0


class GatewayProcess:
    """A gateway that really runs. Use it in a ``with`` statement: whatever happens, it is gone afterwards.

    Args:
        flags: of ``runtime.serve``; ``--metrics-port 0`` is added.
        log: the file that takes its standard error.
        program: what Python runs: ``-m runtime.serve``, or a script that ends in it.
        environment: variables on top of ours, from which every ``FRAMEGATE_...`` is taken away.
    """

    def __init__(
        self,
        flags: Sequence[str],
        log: Path,
        *,
        program: Sequence[str] = SERVE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        ours = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEGATE_")}
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, *program, "--metrics-port", "0", *flags],
                cwd=ROOT,
                env={**ours, **(environment or {})},
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for the tests
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace")

    @property
    def error(self) -> str:
        """The sentence that it ended with; nothing where there was none, or a traceback of its own instead."""
        said = [line for line in self.log.splitlines() if line.startswith("framegate: ")]
        return said[-1] if said and "runtime/serve.py" not in self.log else ""

    @property
    def url(self) -> str:
        """Where metrics and health are; waits for the log to say it."""
        self.wait_for_log("metrics and health at")
        found = re.search(r"metrics and health at (\S+)", self.log)
        assert found is not None
        return found[1]

    def ready(self) -> bool:
        """What ``/v2/health/ready`` says now."""
        return self.status("/v2/health/ready") == 200

    def status(self, path: str) -> int:
        """The HTTP status of a path."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def metric(self, name: str, **labels: str) -> float:
        """A sample of ``/metrics``; the sum of those that have these labels, 0 where there is none."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def frames_done(self) -> int:
        """Frames delivered and committed, of any outcome."""
        return int(self.metric("framegate_frames_total"))

    def wait_until_ready(self, limit_s: float = START_LIMIT_S) -> None:
        self._wait(self.ready, "ready", limit_s)

    def wait_until_done(self, frames: int, limit_s: float = START_LIMIT_S) -> None:
        """Wait until it counts at least so many frames as delivered and committed; the limit is for each of them."""
        done = 0
        while done < frames:
            self._wait(functools.partial(self._is_past, done), f"past {done} of {frames} frames", limit_s)
            done = self.frames_done()

    def wait_for_log(self, sentence: str, limit_s: float = START_LIMIT_S) -> None:
        self._wait(lambda: sentence in self.log, f"logging {sentence!r}", limit_s)

    def wait_for_exit(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Its exit code; the negative number of the signal that ended it."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {limit_s:g} s; its log:\n{self.log}") from None

    def output(self) -> bytes:
        """Its standard output, once it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read()

    def terminate(self) -> None:
        """SIGTERM: finish and go."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: nothing runs in it, its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def peak_rss_bytes(self) -> int:
        """The most memory that it has had resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"the log of gateway {self.pid}:\n{self.log}")
        self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _is_past(self, frames: int) -> bool:
        return self.frames_done() > frames

    def _wait(self, condition: Callable[[], bool], what: str, limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if not self.running:
                raise AssertionError(f"ended with {self._process.returncode}, not {what}; its log:\n{self.log}")
            if time.monotonic() > deadline_s:
                raise AssertionError(f"not {what} after {limit_s:g} s; its log:\n{self.log}")
            time.sleep(0.02)
