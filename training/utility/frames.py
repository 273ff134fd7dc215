"""One source as the networks are shown it: undamaged, then under each of its damages."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.damage.apply import transmitted
from training.damage.damage import Damage
from training.data.picture import PictureError, decode_picture, shrink
from training.data.source import Box, Source
from training.data.split import split_of
from training.utility.header import TRUE_LABELS, Header, LeftOut
from training.utility.sources import LabelledSource


@dataclass(frozen=True, slots=True)
class Frames:
    """A source, and the pictures made of it; the first is the source itself."""

    source: LabelledSource
    damages: list[Damage]
    """``UNDAMAGED`` first."""
    pictures: list[Pixels]
    encoded_bytes: list[int]


DamagesOf = Callable[[str], list[Damage]]
"""From a file's SHA-256 to the damages its picture gets, ``UNDAMAGED`` first."""


def make_frames(picture: Source, header: Header, damages_of: DamagesOf) -> Frames | LeftOut:
    """Read a picture, and damage it; or the reason why it cannot be labelled."""
    fault = _unknown_truth(picture, header)
    if fault:
        return LeftOut(name=picture.name, why=fault)
    try:
        content = picture.path.read_bytes()
        stored = decode_picture(content, picture.path)
    except OSError as error:
        return LeftOut(name=picture.name, why=f"cannot be read: {error.strerror}")
    except PictureError as error:
        return LeftOut(name=picture.name, why=str(error).replace(f"{picture.path} ", "", 1))
    source, pixels = _labelled(picture, header, hashlib.sha256(content).hexdigest(), stored)
    damages = damages_of(source.sha256)
    try:
        made = [transmitted(pixels, damage) for damage in damages]
    except ConfigError as error:  # a side longer than a codec can hold
        return LeftOut(name=picture.name, why=str(error))
    return Frames(source, damages, [pixels for pixels, _ in made], [size for _, size in made])


def plan_seed(header: Header, sha256: str) -> str:
    """What settles a source's draws: the run's seed and the picture, not the others nor their order."""
    return f"{header.seed}:{sha256}"


def _unknown_truth(picture: Source, header: Header) -> str | None:
    if header.truth != TRUE_LABELS:
        return None
    if header.task == "classification":
        return "its true class is not known" if picture.class_index is None else None
    if picture.boxes is None:
        return "its true boxes are not known"
    return None if picture.boxes else "no object is marked in it: nothing is to be detected"


def _labelled(picture: Source, header: Header, sha256: str, stored: Pixels) -> tuple[LabelledSource, Pixels]:
    pixels = stored if header.side is None else shrink(stored, header.side)
    height, width = pixels.shape[:2]
    boxes = picture.boxes
    if boxes is not None:
        down, across = height / stored.shape[0], width / stored.shape[1]
        boxes = tuple(
            Box(box.label, box.left * across, box.top * down, box.right * across, box.bottom * down) for box in boxes
        )
    split = split_of(sha256, header.test_share)
    return LabelledSource(picture.name, sha256, split, height, width, picture.class_index, boxes), pixels
