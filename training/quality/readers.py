"""Which reader takes a folder of judged pictures."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from runtime.errors import ConfigError
from training.data.picture import PictureError, picture_size
from training.quality.csiq import is_csiq, read_csiq
from training.quality.koniq import is_koniq, read_koniq
from training.quality.live import READERS as LIVE
from training.quality.live import is_live, is_only_realigned
from training.quality.live_wild import is_live_wild, read_live_wild
from training.quality.proxy_set import HEADER, RATINGS, read_proxy
from training.quality.rated import Rated, RatedSet
from training.quality.tid import READERS as TID
from training.quality.tid import TID2008, TID2013, may_be

Sizes = dict[Path, tuple[int, int]]
"""(height, width) in pixels, by file."""

LAYOUTS: dict[str, Callable[[Path], RatedSet]] = {
    "koniq": read_koniq,
    **LIVE,
    "live-wild": read_live_wild,
    "csiq": read_csiq,
    **TID,
    "proxy": read_proxy,
}
"""By name."""


def _is_proxy(root: Path) -> bool:
    return (root / HEADER).is_file() and (root / RATINGS).is_file()


_SIGNS: dict[str, Callable[[Path], bool]] = {
    "koniq": is_koniq,
    "live": is_live,
    "live-realigned": is_only_realigned,
    "live-wild": is_live_wild,
    "csiq": is_csiq,
    "tid2008": lambda root: may_be(root, TID2008),
    "tid2013": lambda root: may_be(root, TID2013),
    "proxy": _is_proxy,
}


def read_rated(root: Path, layout: str | None = None) -> RatedSet:
    """Read a set in a layout; None: in the one that its files show.

    Args:
        root: the set's folder.
        layout: one of ``LAYOUTS``. LIVE's two tables of scores are two layouts; with both there it shows ``live``.

    Raises:
        ConfigError: as the reader; there is no such layout, or the folder shows none, or two; or it has no picture,
            one twice, or a score that is no number.
    """
    if layout is None:
        shown = [name for name, sign in _SIGNS.items() if sign(root)]
        if len(shown) != 1:
            what = f"looks like {' and '.join(shown)}: say --layout" if shown else "has the files of none of them"
            raise ConfigError(f"{root}: sets of judged pictures are {', '.join(LAYOUTS)}; this folder {what}")
        layout = shown[0]
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout {layout}: there are {', '.join(LAYOUTS)}")
    return _sound(root, LAYOUTS[layout](root))


def require_pictures(rated: RatedSet) -> Sizes:
    """Make sure that every picture and reference is there and begins as a picture does, before long work.

    Returns:
        their sizes.

    Raises:
        ConfigError: some do not; it counts them and names the first.
    """
    paths = sorted({path for one in rated.pictures for path in (one.path, one.reference) if path is not None})
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{rated.name}: {len(missing)} of {len(paths)} pictures are not there, {missing[0]} among them: "
            "give the folder of the whole set"
        )
    sizes: Sizes = {}
    broken: list[str] = []
    for path in paths:
        try:
            sizes[path] = picture_size(path)
        except PictureError as error:
            broken.append(str(error))
    if broken:
        raise ConfigError(f"{rated.name}: {len(broken)} of {len(paths)} pictures are broken. {broken[0]}")
    return sizes


def _sound(root: Path, rated: RatedSet) -> RatedSet:
    if not len(rated):
        raise ConfigError(f"{root}: {rated.name} has scores of no picture: take the whole set")
    name, times = Counter(one.name for one in rated.pictures).most_common(1)[0]
    if times > 1:
        raise ConfigError(f"{root}: {rated.name} has {times} scores of {name}: take out all but one")
    odd = [one.name for one in rated.pictures if not math.isfinite(one.mos)]
    if odd:
        raise ConfigError(
            f"{root}: {rated.name} has {len(odd)} scores that are no numbers, that of {odd[0]} among them"
        )
    return rated


def require_references(rated: RatedSet) -> None:
    """Raises ConfigError where a picture has no reference, or its file is not there."""
    lacking = [one.name for one in rated.pictures if one.reference is None]
    if lacking:
        raise ConfigError(
            f"{rated.name}: {len(lacking)} of {len(rated)} pictures have no reference, such as {lacking[0]}; what "
            "compares with references needs a set that has them: TID, LIVE release 2, CSIQ, or one of `build quality`"
        )
    missing = sorted({str(one.reference) for one in rated.pictures if one.reference and not one.reference.is_file()})
    if missing:
        raise ConfigError(f"{rated.name}: {len(missing)} references are not there, {missing[0]} among them")


def require_sizes(rated: RatedSet, sizes: Sizes, least_px: int) -> None:
    """Make sure that each picture is as large as its reference, which it has, before long work.

    Args:
        rated: the pictures.
        sizes: of them and their references, as ``require_pictures`` found them.
        least_px: of each side.

    Raises:
        PictureError: one is not, or has a side of less.
    """
    for one in rated.pictures:
        assert one.reference is not None  # ``require_references``
        require_pair(one, sizes[one.path], sizes[one.reference], least_px)


def require_pair(picture: Rated, own: tuple[int, int], due: tuple[int, int], least_px: int) -> None:
    """Make sure that a picture is of its reference's size, (height, width), and holds a tile.

    Raises:
        PictureError: it is not, or does not.
    """
    if own != due:
        raise PictureError(
            f"{picture.path} is of {_told(own)} pixels and its reference {picture.reference} of {_told(due)}: they "
            "must be of one size"
        )
    if min(own) < least_px:
        raise PictureError(
            f"{picture.path} is of {_told(own)} pixels; the network sees tiles of {least_px} x {least_px}, and "
            "enlarged pictures are of another quality: leave it out"
        )


def _told(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width} x {height}"
