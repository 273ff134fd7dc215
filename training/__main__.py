"""``python -m training``: label pictures, train networks, evaluate them."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable

from runtime.errors import ConfigError, FramegateError

COMMANDS = ("label", "train", "evaluate")
INTERRUPTED = 130
"""As shells say it of a program that Ctrl-C ended."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    # Read when a command imports torch. By default OpenMP's threads spin while they wait for each other: where other
    # programs want the cores, that made a step of two threads ten times as slow as of one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
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
        return _fail("interrupted; the same command (train: with --resume) goes on after what is finished", INTERRUPTED)
    return 0


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="name", metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"training.commands.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
