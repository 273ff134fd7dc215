"""``python -m export``: checkpoint to engine, manifests, and the proof that an engine is what was trained."""

import argparse
import importlib
import sys
from collections.abc import Callable

from runtime.errors import ConfigError, FramegateError

COMMANDS = ("baseline", "onnx", "fp16", "int8", "tensorrt", "verify", "manifest", "measure")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except FramegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"error: {options.name} needs the package {error.name!r}: {options.remedy}", file=sys.stderr)
        return ConfigError.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="name", metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"export.commands.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
