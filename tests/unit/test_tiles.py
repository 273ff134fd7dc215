"""Tiles cover a picture, at its own resolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tiles import tile_corners, tile_starts

tiles = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(tiles, st.tuples(st.integers(0, 90), st.integers(0, 90)))
def test_every_pixel_is_in_a_tile(tile: tuple[int, int], more: tuple[int, int]) -> None:
    """None hangs over, none is there twice, and there are no more than it takes."""
    height, width = tile[0] + more[0], tile[1] + more[1]
    seen = np.zeros((height, width), int)
    corners = list(tile_corners((height, width), tile))
    for top, left in corners:
        assert top + tile[0] <= height
        assert left + tile[1] <= width
        seen[top : top + tile[0], left : left + tile[1]] += 1

    assert seen.min() >= 1
    assert len(set(corners)) == len(corners) == -(-height // tile[0]) * -(-width // tile[1])


@pytest.mark.parametrize(
    ("side", "starts"),
    [(128, [0]), (129, [0, 1]), (256, [0, 128]), (300, [0, 128, 172]), (720, [0, 128, 256, 384, 512, 592])],
)
def test_the_last_tile_is_moved_to_the_edge(side: int, starts: list[int]) -> None:
    """The others lie one after the other."""
    assert tile_starts(side, 128) == starts


def test_rows_come_first() -> None:
    """Row by row, from the top left corner."""
    assert list(tile_corners((4, 6), (2, 3))) == [(0, 0), (0, 3), (2, 0), (2, 3)]


def test_a_picture_that_is_smaller_than_a_tile_has_none() -> None:
    """It is for the caller to say whose fault that is."""
    with pytest.raises(ValueError, match="a side of 127 pixels has no tile of 128"):
        tile_corners((500, 127), (128, 128))
