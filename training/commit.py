"""Which version of the code ran."""

import subprocess
from pathlib import Path

_TIMEOUT_S = 10


def current_commit(file: Path = Path(__file__)) -> str | None:
    """Git's hash of the checked-out commit, ``-dirty`` after it where tracked files differ.

    None where ``file``, of the code, is in no checkout, or in one of another project: installed in its environment.
    """
    try:
        _git(file, "ls-files", "--error-unmatch", file.name)
        return _git(file, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(file: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=file.parent, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
    )
    return done.stdout.strip()
