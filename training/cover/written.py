"""A sample's picture and mask as files of their own, the blur and any halving done."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.cover.cover_set import CoverSet
from training.cover.manifest import CoverSample
from training.data.mask import encode_mask
from training.files import write_whole

PICTURES, MASKS = "pictures", "masks"
_QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True)
class Written:
    """A sample of the files that were written, and their SHA-256 by path below the folder."""

    sample: CoverSample
    sha256: dict[str, str]


def write_pictures(folder: Path, read: CoverSet, sample: CoverSample) -> Written:
    """Write ``pictures/NAME.LEVEL.png`` and, with level 0, ``masks/NAME.png``; ``read`` blurs on reading.

    The name keeps its ending: a.jpg and a.png are two pictures.
    """
    made = read.read(sample)
    image = f"{PICTURES}/{sample.source}.{sample.level}.png"
    mask = f"{MASKS}/{sample.source}.png" if made.mask is not None else None
    digests = {image: _write(folder / image, png_of(made.pixels))}
    if mask is not None and made.mask is not None and sample.level == 0:
        digests[mask] = _write(folder / mask, encode_mask(made.mask))
    return Written(dataclasses.replace(sample, image=image, mask=mask), digests)


def png_of(pixels: Pixels) -> bytes:
    """RGB pixels as a PNG, packed quickly rather than tightly."""
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _QUICK)
    return png.tobytes()


def _write(path: Path, content: bytes) -> str:
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()
