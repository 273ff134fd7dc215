"""Which reader takes a folder of pictures with masks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError
from training.data.composed import is_composed, read_composed
from training.data.cutouts import has_alpha, read_cutouts, read_unmarked
from training.data.layout_names import Layout
from training.data.mask import MaskedSource, MaskKind
from training.data.picture import find_pictures
from training.data.salient import has_parts, is_pair, read_salient
from training.data.voc import is_voc, read_voc


@dataclass(frozen=True)
class Found:
    """What a reader found."""

    layout: Layout
    masks: MaskKind | None
    """How the masks are stored; None: there are none."""
    sources: list[MaskedSource]


_READERS: dict[Layout, tuple[Callable[[Path], list[MaskedSource]], MaskKind | None]] = {
    "salient": (read_salient, "grey"),
    "voc": (read_voc, "palette"),
    "alpha": (read_cutouts, "alpha"),
    "pictures": (read_unmarked, None),
    "composed": (read_composed, "grey"),
}


def read_masked(root: Path, layout: Layout | None = None, subset: str | None = None) -> Found:
    """Read a folder in a layout; None: in the one that it shows, and the answer says which.

    Args:
        root: the folder.
        layout: the reader's name.
        subset: the list to take, where the layout has lists (voc).

    Raises:
        ConfigError: as the reader, or the folder shows no layout or two.
    """
    chosen = layout or _shown_layout(root)
    if subset is not None and chosen != "voc":
        raise ConfigError(f"--subset {subset} is for --layout voc; {root} is read as {chosen}")
    read, masks = _READERS[chosen]
    return Found(chosen, masks, read_voc(root, subset) if subset is not None else read(root))


def _shown_layout(root: Path) -> Layout:
    if not root.is_dir():
        raise ConfigError(f"{root} is not a folder: give the folder that holds the pictures")
    if is_composed(root):
        return "composed"
    if is_voc(root):
        return "voc"
    if is_pair(root) or has_parts(root):
        return "salient"
    with_alpha = [has_alpha(path) for path in find_pictures(root)]
    if any(with_alpha) and not all(with_alpha):
        raise ConfigError(
            f"{root}: {sum(with_alpha)} of {len(with_alpha)} pictures have alpha: say --layout alpha (and take out the "
            "others) or --layout pictures (and go without masks)"
        )
    return "alpha" if all(with_alpha) else "pictures"
