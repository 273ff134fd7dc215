"""Examples with masks: which are chosen, and what is drawn."""

import numpy as np
import pytest

from training.cover.manifest import CoverSample
from training.cover.panels import OPACITY, Example, choose, overlaid


def samples(sources: int, levels: int) -> list[CoverSample]:
    return [
        CoverSample(f"{source}.png", "mask.png", f"{source}", level, float(level), 10 - level, "test")
        for source in range(sources)
        for level in range(levels)
    ]


def test_examples_are_spread_over_levels_and_sources() -> None:
    """Sharpest first, each of another source; seeded."""
    taken = choose(samples(9, 8), 4, seed=1)

    assert [one.level for one in taken] == [0, 2, 4, 6]
    assert len({one.source for one in taken}) == 4
    assert choose(samples(9, 8), 4, seed=1) == taken
    assert choose(samples(9, 8), 4, seed=2) != taken


def test_few_samples_are_taken_once_each() -> None:
    """Two sources of two levels give four examples, however many are asked for."""
    taken = choose(samples(2, 2), 10, seed=0)

    assert sorted((one.source, one.level) for one in taken) == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]
    assert choose([], 3, seed=0) == []


def test_a_mask_tints_its_pixels_and_outlines_them() -> None:
    """Outside the outline nothing changes; the picture that was given stays as it is."""
    pixels = np.full((60, 80, 3), 100, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:50] = True

    drawn = overlaid(pixels, mask, (200, 0, 50))

    assert (pixels == 100).all()
    assert drawn[30, 35].tolist() == [
        round((1 - OPACITY) * 100 + OPACITY * 200),
        round((1 - OPACITY) * 100),
        round((1 - OPACITY) * 100 + OPACITY * 50),
    ]
    assert drawn[20, 35].tolist() == pytest.approx([200, 0, 50], abs=15)  # the line's edge is smooth
    assert (drawn[:18] == 100).all()
    assert (drawn[:, 53:] == 100).all()


@pytest.mark.parametrize(
    ("clarity", "said"),
    [
        (8.2036, "clarity 8.20 (9.00)     IoU 0.500     object 8.3 % (16.7 %)"),
        (None, "IoU 0.500     object 8.3 % (16.7 %)"),
    ],
)
def test_the_caption_has_what_the_papers_figure_has(clarity: float | None, said: str) -> None:
    """Predicted (true) score, IoU, and the object's proportion; what is ignored counts nowhere."""
    label = np.array([[1, 1, 0, 0, 0, 0, 255], [0, 0, 0, 0, 0, 0, 255]], np.uint8)
    predicted = np.array([[1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]], bool)

    example = Example(samples(1, 2)[1], np.zeros((2, 7, 3), np.uint8), label, predicted, clarity)

    assert example.caption == said
