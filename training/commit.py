"""Which version of the code ran."""

import subprocess
from pathlib import Path

_TIMEOUT_S = 10


def current_commit() -> str | None:
    """Git's hash of the checked-out commit, ``-dirty`` after it where tracked files differ; None outside a checkout."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
