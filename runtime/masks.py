"""``assess --masks``: each picture's saliency map as a PNG of the picture's size."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from runtime.cover import saliency_input
from runtime.errors import ConfigError
from runtime.heads import Saliency
from runtime.manifest import Manifest
from runtime.map_field import picture_mask
from runtime.opencv import cv2
from runtime.pictures import Found
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
        spec = saliency_input(manifests)
        if spec is None:
            kinds = sorted(head.kind for manifest in manifests for head in manifest.heads)
            raise ConfigError(
                f"--masks {folder}: no engine given has a head 'saliency'; they have {kinds}: "
                "give one that has it, too (--engine)"
            )
        self._folder = folder
        self._input = spec

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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.tobytes())
        except OSError as error:
            raise ConfigError(f"--masks: {path}: cannot write it: {error.strerror}") from error


def mask_path(folder: Path, found: Found) -> Path:
    """Where a picture's mask goes."""
    return folder / found.name.with_suffix(".png")


def require_distinct_masks(folder: Path, pictures: Iterable[Found]) -> None:
    """Before any work: no mask replaces another one, nor a picture.

    Raises:
        ConfigError: one would; the text names both files.
    """
    pictures = list(pictures)
    owners: dict[Path, Path] = {}
    for found in pictures:
        path = mask_path(folder, found)
        if path in owners:
            raise ConfigError(
                f"--masks {folder}: the masks of {owners[path]} and {found.path} would both be {path}; "
                "rename one of them, or assess them into two folders"
            )
        owners[path] = found.path
    originals = {found.path.resolve() for found in pictures}
    for path, owner in owners.items():
        if path.resolve() in originals:
            raise ConfigError(f"--masks {folder}: the mask of {owner} would replace the picture {path}: another folder")
