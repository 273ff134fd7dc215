"""From clarity and saliency to a cover: proportion, object, score."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.aspect import Aspect
from runtime.cover import NO_OBJECT, Cover, Covers, cover_score, presence
from runtime.cover_crop import Box, Point
from runtime.cover_object import LEAST_SHARE, SalientObject, find_object, object_proportion
from runtime.heads import Clarity, Result, Saliency
from runtime.manifest import Input, Resize
from runtime.map_field import map_field, picture_mask
from runtime.preprocess import place
from tests.cover_engine import WIDE, Kind, cover_manifest

WIDE_ASPECT = Aspect(16, 9)
SIZE = (1280, 720)
Map = NDArray[np.uint8]


def square(fit: str) -> Input:
    return Input(name="frames", height=256, width=256, resize=Resize.model_validate({"fit": fit}))


def blob(*boxes: tuple[int, int, int, int], height: int = 90, width: int = 160, level: int = 255) -> Map:
    """A map with rectangles: left, top, right, bottom in cells."""
    cells = np.zeros((height, width), np.uint8)
    for left, top, right, bottom in boxes:
        cells[top:bottom, left:right] = level
    return cells


def found(cells: Map, spec: Input = WIDE, size: tuple[int, int] = SIZE) -> SalientObject | None:
    return find_object(cells, map_field(spec, size, cells.shape))


def test_box_centre_and_share_by_hand() -> None:
    """A rectangle of cells is that rectangle of the picture; its centre is the middle; its share its area."""
    salient = found(blob((40, 30, 80, 60)))

    assert salient is not None
    assert salient.box == pytest.approx((0.25, 1 / 3, 0.5, 2 / 3))
    assert salient.centre == pytest.approx((0.375, 0.5))
    assert salient.share == pytest.approx(40 * 30 / (90 * 160))
    assert (salient.certainty, salient.cut) == (1, 0)


def test_the_centre_leans_to_what_is_surer() -> None:
    """Cells count by their probability: of two halves, 1.0 and 0.5, the centre is in the surer one."""
    cells = blob((40, 30, 60, 60))
    cells[30:60, 60:80] = 128
    salient = found(cells)

    assert salient is not None
    centre = (50 * 255 + 70 * 128) / (255 + 128)
    assert salient.centre.x == pytest.approx(centre / 160)
    assert salient.certainty == pytest.approx(2 * (255 + 128) / 2 / 255 - 1)


def test_specks_do_not_stretch_the_box() -> None:
    """A component below a tenth of the largest is no part of the object, but counts in the proportion."""
    cells = blob((40, 30, 80, 60), (0, 0, 4, 4), (150, 80, 158, 88))
    salient, alone = found(cells), found(blob((40, 30, 80, 60)))

    assert salient == alone
    assert object_proportion(cells, map_field(WIDE, SIZE, cells.shape)) == (1200 + 16 + 64) / 14400


def test_two_objects_are_one_cover() -> None:
    """Components of a like size stand together: the box holds both, the centre is between them."""
    salient = found(blob((20, 30, 40, 50), (100, 30, 120, 50)))

    assert salient is not None
    assert (salient.box.left, salient.box.right) == (20 / 160, 120 / 160)
    assert salient.centre.x == pytest.approx(70 / 160)


@pytest.mark.parametrize("cells", [blob(), blob((0, 0, 5, 5)), blob((0, 0, 160, 90), level=127)])
def test_no_object(cells: Map) -> None:
    """Nothing, a speck of 25 cells of 14400 (less than 0.2 %), or nowhere a probability of 0.5."""
    assert found(cells) is None


def test_half_is_the_object() -> None:
    """The paper's threshold: level 128 stands for the probabilities from 0.5 on."""
    assert found(blob((0, 0, 160, 90), level=128)) is not None


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1000),
    share=st.floats(0, 1),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    fit=st.sampled_from(["stretch", "crop", "pad"]),
)
def test_whatever_the_map_all_is_in_range(
    seed: int, share: float, height: int, width: int, size: tuple[int, int], fit: str
) -> None:
    """Random maps of any size, any fit, pictures from a pixel on: proportion, box, centre, crop and score in range."""
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random((height, width)) < share, 255, rng.integers(0, 200, (height, width))).astype(np.uint8)
    manifest = cover_manifest(spec=square(fit))
    results: dict[str, Result] = {"clarity": Clarity(5.0), "saliency": Saliency(cells)}

    cover = Covers([manifest], WIDE_ASPECT).of(results, size)

    assert cover is not None
    assert cover.score is not None
    assert 0 <= cover.score <= 1
    assert 0 <= (cover.object_proportion or 0) <= 1
    for left, top, right, bottom in filter(None, (cover.box, cover.crop)):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    if cover.box and cover.centre:
        assert cover.box.left <= cover.centre.x <= cover.box.right
        assert cover.box.top <= cover.centre.y <= cover.box.bottom
    assert cover == Covers([manifest], WIDE_ASPECT).of(results, size)


objects = st.builds(
    SalientObject,
    share=st.floats(LEAST_SHARE, 1),
    box=st.just(Box(0, 0, 1, 1)),
    centre=st.just(Point(0.5, 0.5)),
    certainty=st.floats(0, 1),
    cut=st.floats(0, 1),
)


@given(salient=st.none() | objects, first=st.floats(1, 10), second=st.floats(1, 10))
def test_the_score_rises_with_clarity(salient: SalientObject | None, first: float, second: float) -> None:
    """Strictly, whatever the picture shows; and it stays in 0..1."""
    low, high = sorted((first, second))

    assert 0 <= cover_score(low, salient) <= cover_score(high, salient) <= 1
    if high - low > 1e-9:
        assert cover_score(low, salient) < cover_score(high, salient)


def test_the_score_by_hand() -> None:
    """The documented values: best 1, no object a quarter, a filled picture 0.25 + 0.75 * 0.5 * 0.75."""
    best = SalientObject(0.2, Box(0, 0, 1, 1), Point(0.5, 0.5), 1, 0)
    filled = SalientObject(1.0, Box(0, 0, 1, 1), Point(0.5, 0.5), 1, 1)
    unsure = SalientObject(0.2, Box(0, 0, 1, 1), Point(0.5, 0.5), 0.2, 0)

    assert cover_score(10, best) == 1
    assert cover_score(1, best) == 0
    assert cover_score(5.5, None) == pytest.approx(0.5 * NO_OBJECT)
    assert cover_score(10, filled) == pytest.approx(0.25 + 0.75 * 0.5 * 0.75)
    assert cover_score(10, unsure) == pytest.approx(0.25 + 0.75 * 0.6)


def test_presence_is_continuous() -> None:
    """No step anywhere: an object that grows by a thousandth of a percent changes little; the corners by hand."""
    values = [presence(share) for share in np.linspace(0, 1, 100_001)]

    assert max(abs(after - before) for before, after in itertools.pairwise(values)) < 1e-3
    assert [presence(share) for share in (0.0, LEAST_SHARE, 0.02, 0.3, 0.6, 0.8, 1.0)] == pytest.approx(
        [0, 0, 1, 1, 1, 0.75, 0.5]
    )


def test_a_cut_object_is_worth_less() -> None:
    """Beside the border instead of on it: the same size, a better cover; on one side only a little better."""
    inside, outside = found(blob((40, 40, 80, 80))), found(blob((40, 50, 80, 90)))

    assert inside is not None
    assert outside is not None
    assert outside.cut == 0.25
    assert 0.93 < cover_score(8, outside) / cover_score(8, inside) < 1


@pytest.mark.parametrize(
    ("fit", "size", "cells", "box"),
    [
        # 2:1 in a square of 128 cells: rows 32 to 96 show the picture
        ("pad", (1000, 500), (32, 32, 64, 96), (0.25, 0, 0.5, 1)),
        # the middle square of a picture of 2:1
        ("crop", (1000, 500), (0, 0, 128, 64), (0.25, 0, 0.75, 0.5)),
        ("stretch", (1000, 500), (0, 0, 64, 64), (0, 0, 0.5, 0.5)),
        ("pad", (500, 1000), (32, 0, 96, 64), (0, 0, 1, 0.5)),
    ],
)
def test_the_map_is_of_what_the_input_shows(
    fit: str, size: tuple[int, int], cells: tuple[int, int, int, int], box: tuple[float, float, float, float]
) -> None:
    """Whatever the fit, the box is of the picture, and the share of its area."""
    salient = found(blob(cells, height=128, width=128), square(fit), size)

    assert salient is not None
    assert salient.box == pytest.approx(box)
    assert salient.share == pytest.approx((box[2] - box[0]) * (box[3] - box[1]))


def test_padding_is_no_part_of_the_picture() -> None:
    """An engine that finds its padding salient does not change the picture's proportion."""
    cells = np.full((128, 128), 255, np.uint8)
    cells[32:96] = 0

    assert object_proportion(cells, map_field(square("pad"), (1000, 500), cells.shape)) == 0
    assert found(cells, square("pad"), (1000, 500)) is None


@pytest.mark.parametrize("size", [(1000, 421), (421, 1000), (640, 360), (300, 290), (65_535, 3), (3, 65_535)])
def test_a_mask_and_the_box_agree(size: tuple[int, int]) -> None:
    """Padding that ends within a cell moves neither: the mask is white in the box, and only there, to half a cell."""
    spec = square("pad")
    for cells in (blob((16, 16, 48, 48), height=64, width=64), blob((24, 0, 64, 32), height=64, width=64)):
        salient = found(cells, spec, size)
        assert salient is not None
        rows, columns = np.nonzero(picture_mask(cells, spec, size) >= 128)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)

        for edge, share, side in zip(edges, salient.box, (*size, *size), strict=True):
            assert edge == pytest.approx(share * side, abs=1 + max(size) / 64 / 16)


def test_a_stretched_mask_is_opencvs_resize() -> None:
    """To the bit: bilinear, from the whole map to the whole picture."""
    cells = np.random.default_rng(1).integers(0, 256, (64, 48), dtype=np.uint8)

    mask = picture_mask(cells, square("stretch"), (333, 211))

    np.testing.assert_array_equal(cv2.resize(cells, (333, 211), interpolation=cv2.INTER_LINEAR), mask)


@pytest.mark.parametrize(("side", "cells", "cell"), [(256, 8, 3), (256, 7, 3), (255, 5, 2), (257, 4, 2)])
def test_a_narrow_picture_is_in_the_cell_of_its_middle(side: int, cells: int, cell: int) -> None:
    """A picture 2000 times as wide as high takes one row of the input: the map's cell there, not the next one."""
    spec = Input(name="frames", height=side, width=side, resize=Resize(fit="pad"))
    field = map_field(spec, (2000, 1), (cells, cells))
    shown = place(spec.resize, (1, 2000), (side, side))

    assert field.rows == slice(cell, cell + 1)
    assert cell <= (shown.inner_top + shown.inner_height / 2) * cells / side < cell + 1
    assert field.columns == slice(0, cells)


def test_the_edge_of_a_centre_crop_cuts_nothing() -> None:
    """An object may end where the engine's view does; only the picture's own border cuts it."""
    cells = blob((0, 0, 128, 128), height=128, width=128)
    wide, high = (found(cells, square("crop"), size) for size in ((1000, 500), (500, 1000)))
    whole = found(cells, square("crop"), (500, 500))

    assert wide is not None
    assert high is not None
    assert whole is not None
    assert (wide.cut, high.cut, whole.cut) == (0.5, 0.5, 1)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1000, 500), (33, 77), (1, 1)])
def test_a_mask_has_the_pictures_size(fit: str, size: tuple[int, int]) -> None:
    """Where the map is sure, the mask is; where a crop hides the picture, it is 0."""
    mask = picture_mask(np.full((64, 64), 255, np.uint8), square(fit), size)

    assert mask.shape == (size[1], size[0])
    assert set(np.unique(mask)) == ({0, 255} if fit == "crop" and size != (1, 1) else {255})


@pytest.mark.parametrize(
    ("kinds", "cover"),
    [
        (("clarity",), Cover(8.0)),
        (("saliency",), Cover(None, None, 0.0, None, None, Box(0, 0, 1, 1), WIDE_ASPECT)),
        (("clarity", "saliency"), Cover(8.0, 7 / 36, 0.0, None, None, Box(0, 0, 1, 1), WIDE_ASPECT)),
    ],
)
def test_each_head_gives_its_own_fields(kinds: tuple[Kind, ...], cover: Cover) -> None:
    """One head gives its fields, both the score; also where they are of two engines."""
    results: dict[str, Result] = {"clarity": Clarity(8.0), "saliency": Saliency(blob())}
    given_results: dict[str, Result] = {kind: results[kind] for kind in kinds}

    assert Covers([cover_manifest(kinds=kinds)], WIDE_ASPECT).of(given_results, SIZE) == cover
    views = {"clarity": square("crop"), "saliency": WIDE}  # the map is of the saliency engine's
    apart = [cover_manifest(kinds=(kind,), spec=views[kind]) for kind in kinds]
    assert Covers(apart, WIDE_ASPECT).of(given_results, SIZE) == cover


def test_no_head_no_cover() -> None:
    """Engines of other kinds have none."""
    assert Covers([], WIDE_ASPECT).of({}, SIZE) is None
