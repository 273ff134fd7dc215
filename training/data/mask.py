"""Masks of a picture's subject: 0 background, 1 foreground, 255 where nobody may judge."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.data.picture import PictureError
from training.data.split import Split

Mask = NDArray[np.uint8]
"""(height, width)."""
MaskKind = Literal["grey", "palette", "alpha"]
"""How a file says it: a grey picture, foreground from 128 up; a palette's indices, foreground from 1 up and 255 for
neither (PASCAL VOC); the picture's own alpha, foreground from 128 up."""

BACKGROUND, FOREGROUND, IGNORE = 0, 1, 255
GREY = 114
"""What a cut-out is laid on where a whole picture is wanted."""
_HALF = 128


@dataclass(frozen=True, slots=True)
class MaskedSource:
    """An undamaged picture and the file of its mask; None where nobody has marked its subject."""

    name: str
    """The picture's path below the data set's folder, with ``/``: unique in it."""
    picture: Path
    mask: Path | None = None
    """The picture itself where its alpha is the mask."""
    split: Split | None = None
    """The side its data set puts it on, where that has a say."""


def decode_mask(content: bytes, kind: MaskKind, path: Path) -> Mask:
    """The mask in a file's bytes, upright as the picture is; ``path`` is what errors name.

    Raises:
        PictureError: the bytes are no picture, a palette is asked for and there is none, or a grey mask has levels
            above 0 and none of the foreground's.
    """
    if kind == "alpha":
        return (decode_cutout(content, path)[1] >= _HALF).astype(np.uint8)
    if kind == "palette":
        return _palette_mask(content, path)
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    if grey is None:
        raise PictureError(f"{path} is no mask: it cannot be decoded. Replace it, or take it out with its picture")
    brightest = int(grey.max())
    if 0 < brightest < _HALF:
        raise PictureError(
            f"{path}: nothing in this grey mask reaches {_HALF}, from where on it is foreground; its brightest pixel "
            f"is {brightest}. Write the subject as 255 (a mask of 0 and 1: times 255), or all as 0 where there is none"
        )
    return np.asarray(grey >= _HALF, np.uint8)


def encode_mask(mask: Mask) -> bytes:
    """The mask as a PNG of the kind ``palette``: black, white for the foreground, and grey where to ignore."""
    palette = np.zeros((256, 3), np.uint8)
    palette[FOREGROUND], palette[IGNORE] = 255, _HALF
    picture = Image.frombytes("P", (mask.shape[1], mask.shape[0]), np.ascontiguousarray(mask).tobytes())
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def decode_cutout(content: bytes, path: Path) -> tuple[Pixels, Mask]:
    """A picture with alpha: (height, width, 3) uint8 RGB as stored, not multiplied, and (height, width) alpha, 0..255.

    Raises:
        PictureError: the bytes are no picture, or one without alpha.
    """
    with _opened(content, path) as picture:
        if not picture.has_transparency_data:
            raise PictureError(f"{path} has no alpha: a cut-out says by it what belongs to the subject")
        rgba = np.asarray(picture.convert("RGBA"))
    return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])


def flattened(pixels: Pixels, alpha: Mask) -> Pixels:
    """A cut-out laid on the grey 114: (height, width, 3) uint8."""
    share = alpha[..., None].astype(np.float32) / 255
    return np.rint(pixels * share + GREY * (1 - share)).astype(np.uint8)


def _palette_mask(content: bytes, path: Path) -> Mask:
    with _opened(content, path) as picture:
        if picture.mode not in {"P", "L"}:
            raise PictureError(
                f"{path} has no palette: PASCAL VOC's masks hold the index of a class in each pixel, not colours"
            )
        indices = np.asarray(picture)
    return np.where(indices == IGNORE, IGNORE, indices > 0).astype(np.uint8)


def _opened(content: bytes, path: Path) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise PictureError(f"{path} cannot be decoded: {error}. Replace it, or take it out") from error
    return picture
