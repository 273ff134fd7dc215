"""Which reader takes a folder of judged pictures."""

from collections.abc import Callable
from pathlib import Path

from runtime.errors import ConfigError
from training.quality.proxy_set import HEADER, RATINGS, read_proxy
from training.quality.rated import RatedSet

LAYOUTS: dict[str, Callable[[Path], RatedSet]] = {"proxy": read_proxy}
"""By name."""
_SIGNS: dict[str, Callable[[Path], bool]] = {
    "proxy": lambda root: (root / HEADER).exists() and (root / RATINGS).exists()
}


def read_rated(root: Path, layout: str | None = None) -> RatedSet:
    """Read a set in a layout; None: in the one that its files show.

    Raises:
        ConfigError: as the reader; or the folder shows no layout, or two.
    """
    if layout is None:
        shown = [name for name, sign in _SIGNS.items() if sign(root)]
        if len(shown) != 1:
            what = f"looks like {' and '.join(shown)}" if shown else "looks like none of them"
            raise ConfigError(
                f"{root}: sets of judged pictures are {', '.join(LAYOUTS)}; this folder {what}: say --layout"
            )
        layout = shown[0]
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
