"""``assess --masks``: each picture's saliency map as a PNG of the picture's size."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from runtime.cover import require_saliency
from runtime.errors import ConfigError
from runtime.heads import Saliency
from runtime.manifest import Manifest
from runtime.map_field import picture_mask
from runtime.opencv import cv2
from runtime.pictures import Found, write_bytes
from runtime.pipeline import Judgement


class Masks:
    """Writes masks into a folder: 8 bits, 0 to 255 for the probabilities 0 to 1, under each picture's name.

    Names below a searched folder keep their path; the suffix becomes ``.png``.

    Args:
        folder: where; made if it is not there.
        manifests: of the engines.

    Raises:
        ConfigError: no engine has a head ``saliency``.
    """

    def __init__(self, folder: Path, manifests: Sequence[Manifest]) -> None:
        self._folder = folder
        self._input = require_saliency(manifests, f"--masks {folder}")

    def write(self, found: Found, judgement: Judgement) -> None:
        """Write one picture's mask.

        Raises:
            ConfigError: the file cannot be written.
        """
        saliency = judgement.results["saliency"]
        assert isinstance(saliency, Saliency)
        mask = picture_mask(saliency.map, self._input, (judgement.width, judgement.height))
        path = mask_path(self._folder, found)
        _, encoded = cv2.imencode(".png", mask)
        write_bytes(path, encoded.tobytes(), "--masks")


def mask_path(folder: Path, found: Found) -> Path:
    """Where a picture's mask goes."""
    return folder / found.name.with_suffix(".png")


def require_distinct_masks(folder: Path, pictures: Iterable[Found]) -> None:
    """Before any work: no mask replaces another one, nor a picture.

    A folder of masks may be written again. One that is a folder of the pictures, or holds one, may not: what has a
    mask's name there may be a picture that is not assessed.

    Raises:
        ConfigError: the folder is the pictures', or two masks would be one file; the text names the files.
    """
    pictures = list(pictures)
    for found in pictures:
        if found.path.parent.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"--masks {folder}: the picture {found.path} lies there, and a mask might replace one: "
                "give a folder for masks alone"
            )
    owners: dict[Path, Path] = {}
    for found in pictures:
        path = mask_path(folder, found)
        if path in owners:
            raise ConfigError(
                f"--masks {folder}: the masks of {owners[path]} and {found.path} would both be {path}; "
                "rename one of them, or assess them into two folders"
            )
        owners[path] = found.path
