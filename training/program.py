"""A program of commands: ``python -m PACKAGE COMMAND ...``, each command a module of ``PACKAGE.commands``."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from runtime.errors import ConfigError, FramegateError

INTERRUPTED = 130
"""As shells say it of a program that Ctrl-C ended."""


def parse(
    package: str, description: str | None, commands: Sequence[str], arguments: list[str] | None
) -> argparse.Namespace:
    """Read the command line; each command's module adds its own parser with ``add``.

    The description is a module's docstring: its command, a colon, and what it does.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=(description or "").partition(": ")[2])
    parsers = parser.add_subparsers(required=True, dest="name", metavar="COMMAND")
    for name in commands:
        importlib.import_module(f"{package}.commands.{name}").add(parsers)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, *, interrupted: str) -> int:
    """Run the chosen command; returns the exit code, after saying what went wrong.

    Args:
        options: with the command's ``command`` and ``remedy``.
        interrupted: what Ctrl-C means for what is finished.
    """
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except FramegateError as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        return _fail(f"{options.name} needs the package {error.name!r}: {options.remedy}", ConfigError.exit_code)
    except OSError as error:  # of a file that the user named
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", ConfigError.exit_code)
    except KeyboardInterrupt:
        return _fail(f"interrupted; {interrupted}", INTERRUPTED)
    return 0


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code
