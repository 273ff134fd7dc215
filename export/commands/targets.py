"""The files that a command will write, held to what is there before the long work begins."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError

ONNX = (".onnx",)


def require_targets(targets: Mapping[str, Path | None], sources: Iterable[Path] = ()) -> None:
    """Hold the files that will be written to each other, to the files that are read, and to the folders.

    Args:
        targets: by the option that names them; None: not asked for.
        sources: what the command reads.

    Raises:
        ConfigError: two are the same file, one would be written over what is read, or one cannot be written.
    """
    taken = {path.resolve(): f"{path}, which is read" for path in sources}
    for option, path in targets.items():
        if path is None:
            continue
        if path.resolve() in taken:
            raise ConfigError(f"{option} {path} is the same file as {taken[path.resolve()]}; name another")
        taken[path.resolve()] = f"{option} {path}"
        _require_writable(option, path)


def require_suffix(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Hold a name to the suffixes that serving knows the engine by.

    Raises:
        ConfigError: it ends in another, or in none.
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{option} {path}: the name of such an engine ends in {' or '.join(suffixes)}")


def require_replaceable(option: str, path: Path | None, what: str, is_ours: Callable[[Any], bool]) -> None:
    """Refuse to write JSON over a file that is of another kind: a checkpoint's, for one.

    Args:
        option: what names the file.
        path: the file, which need not be there.
        what: the kind of file that may be replaced.
        is_ours: whether its JSON is of that kind.

    Raises:
        ConfigError: there is something else.
    """
    if path is None or not path.is_file():
        return
    try:
        ours = is_ours(json.loads(path.read_bytes()))
    except (ValueError, TypeError, LookupError):
        ours = False
    if not ours:
        raise ConfigError(f"{option}: {path} is there, and is not {what}; name another, or move it away")


def _require_writable(option: str, path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a folder; name a file")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise ConfigError(f"{option} {path}: {above} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {path}: {above} may not be written to")
