"""Which reader takes a folder of judged pictures."""

from collections.abc import Callable
from pathlib import Path

from runtime.errors import ConfigError
from training.quality.csiq import is_csiq, read_csiq
from training.quality.koniq import is_koniq, read_koniq
from training.quality.live import READERS, is_live
from training.quality.live_wild import is_live_wild, read_live_wild
from training.quality.proxy_set import HEADER, RATINGS, read_proxy
from training.quality.rated import RatedSet
from training.quality.tid import is_tid, read_tid

LAYOUTS: dict[str, Callable[[Path], RatedSet]] = {
    "koniq": read_koniq,
    **READERS,
    "live-wild": read_live_wild,
    "csiq": read_csiq,
    "tid": read_tid,
    "proxy": read_proxy,
}
"""By name."""


def _is_proxy(root: Path) -> bool:
    return (root / HEADER).is_file() and (root / RATINGS).is_file()


_SIGNS: dict[str, Callable[[Path], bool]] = {
    "koniq": is_koniq,
    "live": is_live,
    "live-wild": is_live_wild,
    "csiq": is_csiq,
    "tid": is_tid,
    "proxy": _is_proxy,
}


def read_rated(root: Path, layout: str | None = None) -> RatedSet:
    """Read a set in a layout; None: in the one that its files show.

    Args:
        root: the set's folder.
        layout: one of ``LAYOUTS``. LIVE's two tables of scores are two layouts; shown is ``live``.

    Raises:
        ConfigError: as the reader; or there is no such layout, or the folder shows none, or two.
    """
    if layout is None:
        shown = [name for name, sign in _SIGNS.items() if sign(root)]
        if len(shown) != 1:
            what = f"looks like {' and '.join(shown)}: say --layout" if shown else "has the files of none of them"
            raise ConfigError(f"{root}: sets of judged pictures are {', '.join(LAYOUTS)}; this folder {what}")
        layout = shown[0]
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout {layout}: there are {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](root)


def require_pictures(rated: RatedSet) -> None:
    """Make sure that every picture and reference is there, before long work.

    Raises:
        ConfigError: some are not; it counts them and names the first.
    """
    paths = sorted({path for one in rated.pictures for path in (one.path, one.reference) if path is not None})
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{rated.name}: {len(missing)} of {len(paths)} pictures are not there, {missing[0]} among them: "
            "give the folder of the whole set"
        )
