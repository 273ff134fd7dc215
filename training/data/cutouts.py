"""Plain folders of pictures: with alpha, which is the mask, or without masks."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from runtime.errors import ConfigError
from training.data.mask import MaskedSource
from training.data.picture import PictureError, find_pictures


def read_cutouts(root: Path) -> list[MaskedSource]:
    """Every picture below a folder, sorted by name; each is its own mask, by its alpha (kind ``alpha``).

    Raises:
        ConfigError: no such folder, no picture in it, or one without alpha, which is named.
    """
    sources = [MaskedSource(path.relative_to(root).as_posix(), path, path) for path in find_pictures(root)]
    opaque = [one.name for one in sources if not has_alpha(one.picture)]
    if opaque:
        raise ConfigError(
            f"{len(opaque)} of the {len(sources)} pictures in {root} have no alpha, such as {', '.join(opaque[:3])}: "
            "take them out, or give --layout pictures to go without masks"
        )
    return sources


def read_unmarked(root: Path) -> list[MaskedSource]:
    """Every picture below a folder, sorted by name, without masks.

    Raises:
        ConfigError: no such folder, or no picture in it.
    """
    return [MaskedSource(path.relative_to(root).as_posix(), path) for path in find_pictures(root)]


def has_alpha(path: Path) -> bool:
    """Whether a picture says that it has transparent places, by its header.

    Raises:
        PictureError: the file cannot be read, or is no picture.
    """
    try:
        with Image.open(path) as picture:
            return bool(picture.has_transparency_data)
    except UnidentifiedImageError as error:
        raise PictureError(f"{path} is no picture that can be read. Replace it, or take it out") from error
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}") from error
