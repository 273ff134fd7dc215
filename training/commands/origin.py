"""Where a trained network comes from: the weights that it began with, and what its checkpoint says of it."""

import argparse
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from training.commands import fitting

if TYPE_CHECKING:
    from runtime.manifest import Provenance

IMAGENET, RANDOM = "imagenet", "none"
"""What ``--weights`` can say instead of naming a file."""


def weights_sha256(weights: str | Path | None) -> str | None:
    """Of a file, or of the checkpoint of that stem; None where none is named.

    Raises:
        ConfigError: there is neither.
    """
    if weights is None or str(weights) in (IMAGENET, RANDOM):
        return None
    from training.checkpoint import WEIGHTS, checkpoint_file

    stem, path = checkpoint_stem(weights), Path(weights)
    read = checkpoint_file(stem, WEIGHTS) if stem else path
    try:
        return hashlib.sha256(read.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"{path} is neither a file of weights nor the STEM of a checkpoint ({error.strerror})"
        ) from error


def checkpoint_stem(weights: str | Path) -> Path | None:
    """The checkpoint's stem, if that is what is named, by its stem or by either of its files."""
    from training.checkpoint import DESCRIPTION, WEIGHTS, checkpoint_file

    path = Path(weights)
    bare = path.with_name(path.name.removesuffix(WEIGHTS).removesuffix(DESCRIPTION) or path.name)
    return bare if checkpoint_file(bare, DESCRIPTION).is_file() else None


def begun_with(weights: str | Path | None) -> str:
    """What a run's data say of where it began; of a checkpoint or an engine, also what that learned from.

    So that pictures that an earlier fit was shown are found to be known.
    """
    if str(weights) == RANDOM:
        return "; WARNING: begun with random weights, not ImageNet's"
    if weights is None or str(weights) == IMAGENET:
        return ""
    from training.begun import ENGINE, learned_before

    begun = f"; begun with {Path(weights).name} (sha256:{weights_sha256(weights)})"
    stem = checkpoint_stem(weights)
    if stem is None and Path(weights).suffix != ENGINE:
        return begun
    return f"{begun}, which learned from: {learned_before(stem or Path(weights))}"


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
