"""Text files that a user gives."""

from pathlib import Path

from runtime.errors import ConfigError


def read_text(path: Path) -> str:
    """The whole file, UTF-8.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not a text file (UTF-8): byte {error.start} is {error.object[error.start]:#04x}"
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines, without white space around them; line k is element k - 1.

    Raises:
        ConfigError: as ``read_text``; there is no line; a line but the last ones is empty.
    """
    lines = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if not lines:
        raise ConfigError(f"{path} is empty")
    if "" in lines:
        raise ConfigError(f"{path}, line {lines.index('') + 1} is empty: take it out")
    return lines
