"""``python -m export``: checkpoint to engine, manifests, and the proof that an engine is what was trained."""

import sys

from training.program import parse, run

COMMANDS = ("baseline", "onnx", "fp16", "int8", "tensorrt", "verify", "manifest", "measure")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run(parse("export", __doc__, COMMANDS, arguments), interrupted="nothing more is written")


if __name__ == "__main__":
    sys.exit(main())
