"""The command that makes an engine anew, as its manifest tells it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def recipe(name: str, source: Path, flags: Mapping[str, Any]) -> str:
    """One line of shell.

    Files go by their names alone: where they lay is the business of the machine that made the engine. Of pictures,
    the folders are named, not each file.

    Args:
        name: of the command.
        source: what the engine is made of.
        flags: by name; None, False and empty lists are left out, True stands alone, a list gives several words.
    """
    words = ["python", "-m", "export", name, source.name]
    for flag, value in flags.items():
        if value is None or value is False or value == []:
            continue
        words.append(flag)
        if flag == "--pictures":
            words += dict.fromkeys(_folder(path) for path in value)
        elif value is not True:
            words += _words(value)
    return shlex.join(words)


def _words(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
        yield one.name if isinstance(one, Path) else str(one)


def _folder(path: Path) -> str:
    folder = path.resolve()
    return folder.name if path.is_dir() else folder.parent.name
