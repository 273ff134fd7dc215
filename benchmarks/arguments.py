"""Kinds of values on the benchmarks' command lines."""

import argparse
from pathlib import Path


def engine_file(text: str) -> Path:
    """The path of a file that is there."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return path
