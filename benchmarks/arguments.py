"""Kinds of values on the benchmarks' command lines."""

from pathlib import Path

from runtime.errors import ConfigError


def engine_file(text: str) -> Path:
    """The path of a file.

    Raises:
        ConfigError: it is not there.
    """
    path = Path(text)
    if not path.is_file():
        raise ConfigError(f"{text}: no such file")
    return path
