"""Tiles of a picture at its own resolution, which together cover it: what a full-reference network is shown."""

from collections.abc import Iterator

Size = tuple[int, int]
"""Height and width in pixels."""


def tile_starts(side: int, tile: int) -> list[int]:
    """Where the tiles along one side begin, in pixels.

    One after the other; where the side is no multiple of the tile's, the last one is moved to the edge and overlaps
    the one before it.

    Raises:
        ValueError: the side is shorter than the tile.
    """
    if side < tile:
        raise ValueError(f"a side of {side} pixels has no tile of {tile}")
    starts = list(range(0, side - tile + 1, tile))
    return starts if side % tile == 0 else [*starts, side - tile]


def tile_corners(picture: Size, tile: Size) -> Iterator[tuple[int, int]]:
    """Top and left of each tile, row by row.

    Raises:
        ValueError: a side of the picture is shorter than the tile's.
    """
    tops, lefts = (tile_starts(side, own) for side, own in zip(picture, tile, strict=True))
    return ((top, left) for top in tops for left in lefts)
