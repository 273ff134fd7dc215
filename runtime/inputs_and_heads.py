"""What holds of any network's inputs and heads, an engine's or a checkpoint's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the manifest is held to these
    from runtime.manifest import Head, HeadKind, Input


def check_inputs_and_heads(inputs: "Sequence[Input]", heads: "Sequence[Head]") -> None:
    """Hold them to the rules.

    Raises:
        ValueError: a name or kind that is there twice, two whole-picture inputs, a map of no whole picture, or tiles
            without a head ``quality_fr`` and its counterpart.
    """
    kinds, names = [head.kind for head in heads], [spec.name for spec in inputs]
    if len(set(kinds)) != len(kinds):
        raise ValueError(f"the heads {kinds} name a kind twice")
    if len(set(names)) != len(names):
        raise ValueError(f"the inputs {names} name one twice")
    if "quality_fr" in kinds:
        _check_comparison(inputs, kinds)
        return
    if any(spec.tiles for spec in inputs):
        raise ValueError(f"the inputs {names}: tiles are for a head 'quality_fr' alone; the heads are {kinds}")
    if sum(spec.patches is None for spec in inputs) > 1:
        raise ValueError(f"the inputs {names}: one at most shows the whole picture, the others need patches")
    if "saliency" in kinds and all(spec.patches for spec in inputs):
        raise ValueError("a saliency head needs an input that shows the whole picture: its map is of that")


def _check_comparison(inputs: "Sequence[Input]", kinds: "Sequence[HeadKind]") -> None:
    if len(kinds) > 1:
        raise ValueError(f"the heads {kinds}: a head 'quality_fr' judges tiles, and stands alone")
    if sorted(spec.of for spec in inputs) != ["frame", "reference"] or not all(spec.tiles for spec in inputs):
        found = ", ".join(f"{spec.name} (of the {spec.of}{', tiles' if spec.tiles else ''})" for spec in inputs)
        raise ValueError(
            f"a head 'quality_fr' has two inputs of tiles, one of the frame and one of the reference, not {found}"
        )
    frame, reference = inputs
    if (frame.height, frame.width) != (reference.height, reference.width):
        raise ValueError(
            f"tiles of {frame.height} x {frame.width} pixels ({frame.name}) are held against tiles of "
            f"{reference.height} x {reference.width} ({reference.name}): they must be of one size"
        )
