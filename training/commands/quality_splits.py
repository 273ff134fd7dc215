"""``--over-seeds`` and ``--own-splits`` of the evaluations of quality: medians over splits of a set."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.quality.evaluation import Said
    from training.quality.fr_gate import FullReferenceGate
    from training.quality.gate import QualityGate
    from training.quality.over_splits import OverSplits
    from training.quality.rated import RatedSet
    from training.quality.splits import SplitOfSeed


@dataclass(frozen=True)
class AskedSplits:
    """Over which splits of a set medians are told."""

    drawn: "list[SplitOfSeed]"
    """Every method over the same ones."""
    own: dict[str, dict[str, set[str]]]
    """By fit and gate: the contents that the gate did not learn from."""


def asked_splits(
    options: argparse.Namespace,
    whole: "RatedSet",
    judged: "RatedSet",
    gates: "Sequence[QualityGate | FullReferenceGate]",
) -> AskedSplits:
    """What ``--over-seeds`` and ``--own-splits`` ask for; nothing, where they are not given.

    Args:
        options: of the command.
        whole: a set as its folder has it.
        judged: what of it is judged.
        gates: by whom.

    Raises:
        ConfigError: the set has too few contents; or a gate tells of no split of the set, or pictures of its test side
            are not judged.
    """
    from training.quality.fits import columns_of
    from training.quality.splits import splits

    drawn = splits(judged, seeds=options.over_seeds) if options.over_seeds else []
    own: dict[str, dict[str, set[str]]] = {}
    if options.own_splits:
        columns = columns_of({gate.name: gate.fit for gate in gates})
        for gate in gates:
            own.setdefault(columns[gate.name], {})[gate.name] = _own_test(options, whole, judged, gate)
    return AskedSplits(drawn, own)


def _own_test(
    options: argparse.Namespace, whole: "RatedSet", judged: "RatedSet", gate: "QualityGate | FullReferenceGate"
) -> set[str]:
    from runtime.errors import ConfigError
    from training.quality.splits import as_learned, knows

    sides = None if options.split_seed is not None else as_learned(whole, gate.data)
    if sides is None:
        raise ConfigError(
            f"--own-splits, without --split-seed, takes gates of `train --split-seed` on {whole.name}; {gate.name} "
            f"learned from {gate.data}"
        )
    if knows(sides, gate.data, tested=True):
        raise ConfigError(
            f"--own-splits: {gate.name} has seen more of {whole.name} than one split of it (weights or a trunk that it "
            f"began with, or its calibration); it learned from {gate.data}"
        )
    test = {one.content for one in sides.pictures if one.split == "test"}
    if not test.issubset({one.content for one in judged.pictures}):
        raise ConfigError(f"--own-splits holds {gate.name} to pictures that are left out: say --split all, no --every")
    return test


def told_over_splits(
    options: argparse.Namespace, rated: "RatedSet", said: "list[Said]", asked: AskedSplits
) -> "tuple[OverSplits, ...]":
    """Each method over the splits that were drawn, which are written beside the report; or each fit over its own."""
    from training.quality.over_splits import over_own_splits, over_splits
    from training.quality.report import file_name
    from training.quality.splits import write_splits

    if asked.own:
        return tuple(over_own_splits(rated, said, asked.own))
    if not asked.drawn:
        return ()
    write_splits(options.output / file_name(rated.name, ".json", "splits-"), rated, asked.drawn)
    return tuple(over_splits(rated, said, asked.drawn))
