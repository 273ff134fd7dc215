"""``python -m training``: build data sets, label pictures, train networks, calibrate and evaluate them."""

import os
import sys

from training.program import parse, run

COMMANDS = ("build", "label", "train", "calibrate", "evaluate")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parse("training", __doc__, COMMANDS, arguments)
    # Read when a command imports torch. By default OpenMP's threads spin while they wait for each other: where other
    # programs want the cores, that made a step of two threads ten times as slow as of one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return run(options, interrupted="the same command (train: with --resume) goes on after what is finished")


if __name__ == "__main__":
    sys.exit(main())
