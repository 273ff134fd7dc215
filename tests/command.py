"""The project's commands as a person starts them: real processes."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(
    module: str, *arguments: object, timeout_s: float = 60, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """``python -m module arguments``, to its end; whatever it says is in the result."""
    process = start(module, *arguments, **environment)
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{module} did not end within {timeout_s} s\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(module: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """``python -m module arguments``, in the background; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**_clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FRAMEGATE_")}
