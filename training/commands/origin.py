"""Where a trained network comes from: the weights that it began with, and what its checkpoint says of it."""

import argparse
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands import fitting

if TYPE_CHECKING:
    from runtime.manifest import Provenance

IMAGENET, RANDOM = "imagenet", "none"
"""What ``--weights`` can say instead of naming a file."""


def weights_sha256(weights: str | Path | None) -> str | None:
    """Of a file, or of the checkpoint of that stem; None where none is named.

    Raises:
        ConfigError: there is no such checkpoint.
    """
    if weights is None or str(weights) in (IMAGENET, RANDOM):
        return None
    from training.checkpoint import WEIGHTS, checkpoint_file

    path = Path(weights)
    read = path if path.is_file() else checkpoint_file(path, WEIGHTS)
    return hashlib.sha256(read.read_bytes()).hexdigest()


def begun_with(weights: str | Path | None) -> str:
    """What a run's data say of where it began; of a checkpoint, also what that learned from.

    So that pictures that an earlier fit was shown are found to be known.
    """
    from training.checkpoint import load_checkpoint

    if str(weights) == RANDOM:
        return "; WARNING: begun with random weights, not ImageNet's"
    if weights is None or str(weights) == IMAGENET or Path(weights).is_file():
        return ""
    before = load_checkpoint(Path(weights)).description.provenance
    return f"; begun with {Path(weights).name} (sha256:{weights_sha256(weights)}), which learned from: {before.data}"


def provenance(
    options: argparse.Namespace,
    learned: str,
    commits: Sequence[str],
    metrics: Mapping[str, float],
    *,
    licence: str,
    words: Sequence[str],
    begun: str | None = None,
) -> "Provenance":
    """What a checkpoint says of its run.

    Args:
        options: of the command.
        learned: which sets it learned from.
        commits: of the code, as the run's record has them.
        metrics: those that are no number are left out.
        licence: of the weights.
        words: of the command, before those that every fit has: the task, its data and its own options.
        begun: see ``begun_with``, which is asked of ``--weights`` unless this is given.
    """
    from runtime.manifest import Provenance

    begun = begun_with(options.weights) if begun is None else begun
    code = f"; code {', '.join(commits)}" if commits else ""
    return Provenance(
        data=f"{learned}{code}{begun}",
        metrics={name: value for name, value in metrics.items() if value == value},  # noqa: PLR0124 - NaN
        licence=licence,
        command=shlex.join(["python", "-m", "training", "train", *words, *fitting.command_words(options)]),
    )


def of_held_out(measures: Mapping[str, float]) -> dict[str, float]:
    """Measures of the last validation, named as what they are."""
    return {f"held_out_{name}": value for name, value in measures.items()}
