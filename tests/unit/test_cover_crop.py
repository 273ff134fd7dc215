"""The crop of a cover: inside the picture, of the wanted aspect, around the object."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.aspect import Aspect, parse_aspect
from runtime.cover_crop import (
    ENLARGED,
    Box,
    Point,
    Rectangle,
    centred_crop,
    largest_crop,
    object_crop,
    to_pixels,
)

WIDE = Aspect(16, 9)
sides = st.integers(1, 400) | st.integers(1, 65535)
sizes = st.tuples(sides, sides)
aspects = st.builds(Aspect, st.integers(1, 100), st.integers(1, 100))
shares = st.floats(0, 1)


@st.composite
def objects(draw: st.DrawFn) -> tuple[Box, Point]:
    """A box in the picture, also without any area, and a centre in it."""
    left, right = sorted((draw(shares), draw(shares)))
    top, bottom = sorted((draw(shares), draw(shares)))
    x, y = draw(shares), draw(shares)
    return Box(left, top, right, bottom), Point(left + x * (right - left), top + y * (bottom - top))


def width_of(crop: Rectangle) -> int:
    return crop.right - crop.left


def height_of(crop: Rectangle) -> int:
    return crop.bottom - crop.top


def has_aspect(width: int, height: int, aspect: Aspect) -> bool:
    """One side is the other's by the aspect, to a pixel; no side is less than a pixel."""
    ratio = Fraction(aspect.width, aspect.height)
    return abs(width - height * ratio) <= 1 or abs(height - width / ratio) <= 1


@settings(deadline=None, max_examples=400)
@given(size=sizes, aspect=aspects, salient=objects())
def test_inside_the_picture_and_of_the_aspect(
    size: tuple[int, int], aspect: Aspect, salient: tuple[Box, Point]
) -> None:
    """From one pixel on, whatever the object: no crop leaves the picture, each has the aspect to a pixel."""
    for crop in (object_crop(size, aspect, *salient), centred_crop(size, aspect)):
        assert 0 <= crop.left < crop.right <= size[0]
        assert 0 <= crop.top < crop.bottom <= size[1]
        assert has_aspect(width_of(crop), height_of(crop), aspect)


@settings(deadline=None, max_examples=400)
@given(size=sizes, aspect=aspects, salient=objects())
def test_the_whole_object_wherever_that_is_possible(
    size: tuple[int, int], aspect: Aspect, salient: tuple[Box, Point]
) -> None:
    """Along each side: if the largest crop of the aspect is as long as the box, the crop holds the box."""
    box, _ = salient
    crop, most = object_crop(size, aspect, *salient), largest_crop(size, aspect)

    for first, last, begin, end, whole, longest in (
        (box.left, box.right, crop.left, crop.right, size[0], most[0]),
        (box.top, box.bottom, crop.top, crop.bottom, size[1], most[1]),
    ):
        slack = 1e-6
        if (last - first) * whole + 2 <= longest:  # 2: its first and last pixel may be touched by a hair
            assert begin <= first * whole + slack
            assert end >= last * whole - slack


@settings(deadline=None, max_examples=200)
@given(size=sizes, aspect=aspects, salient=objects())
def test_no_cover_is_enlarged_more_than_twice(
    size: tuple[int, int], aspect: Aspect, salient: tuple[Box, Point]
) -> None:
    """Each side is at least half of the largest crop's: a speck makes no poster of forty pixels."""
    crop, most = object_crop(size, aspect, *salient), largest_crop(size, aspect)

    assert ENLARGED * width_of(crop) >= most[0]
    assert ENLARGED * height_of(crop) >= most[1]


@settings(deadline=None, max_examples=200)
@given(size=sizes, aspect=aspects, salient=objects())
def test_shares_are_pixels(size: tuple[int, int], aspect: Aspect, salient: tuple[Box, Point]) -> None:
    """The crop of a decision, rounded as it is there, gives back the pixels exactly."""
    crop = object_crop(size, aspect, *salient)

    assert to_pixels(Box(*(round(share, 6) for share in crop.shares(size))), size) == crop


@pytest.mark.parametrize(
    ("size", "aspect", "crop"),
    [
        ((1280, 720), Aspect(16, 9), (0, 0, 1280, 720)),
        ((1280, 720), Aspect(1, 1), (280, 0, 1000, 720)),
        ((720, 1280), Aspect(16, 9), (0, 437, 720, 842)),
        ((1, 1), Aspect(16, 9), (0, 0, 1, 1)),
        ((1, 100), Aspect(16, 9), (0, 49, 1, 50)),
        ((3, 1000), Aspect(1, 1000), (1, 0, 2, 1000)),
    ],
)
def test_without_an_object(size: tuple[int, int], aspect: Aspect, crop: tuple[int, int, int, int]) -> None:
    """The largest crop that the picture has, in its middle; computed by hand."""
    assert centred_crop(size, aspect) == crop


@pytest.mark.parametrize(
    ("box", "crop"),
    [
        # a fifth of the width, on the left: half the picture's sides, its middle (0.3) on the left third
        ((0.2, 0.4, 0.4, 0.6), (171, 180, 811, 540)),
        # the same on the right: on the right third
        ((0.6, 0.4, 0.8, 0.6), (469, 180, 1109, 540)),
        # 640 x 360 in the middle: 3 times its area, and as it is wider than half the crop, in the middle
        ((0.25, 0.25, 0.75, 0.75), (85, 48, 1195, 673)),
        # so far in the corner that thirds are out of reach: the corner's crop
        ((0.0, 0.0, 0.1, 0.1), (0, 0, 640, 360)),
        # the whole picture
        ((0.0, 0.0, 1.0, 1.0), (0, 0, 1280, 720)),
    ],
)
def test_by_hand(box: tuple[float, float, float, float], crop: tuple[int, int, int, int]) -> None:
    """Thirds, middle, corner and whole, in a picture of 1280 x 720."""
    left, top, right, bottom = box
    found = object_crop((1280, 720), WIDE, Box(*box), Point((left + right) / 2, (top + bottom) / 2))

    assert found == pytest.approx(crop, abs=1)


def test_the_wider_room_is_on_the_other_side() -> None:
    """A narrow object's centre is on the third line of its own side, to a pixel."""
    crop = object_crop((1920, 1080), WIDE, Box(0.55, 0.4, 0.65, 0.6), Point(0.6, 0.5))

    assert (0.6 * 1920 - crop.left) / width_of(crop) == pytest.approx(2 / 3, abs=1 / 960)


def test_a_margin_where_the_picture_has_it() -> None:
    """A tenth of the box's sides on each side; at the picture's border less, and nowhere more than there is."""
    size = (1000, 1000)
    inner = object_crop(size, Aspect(1, 1), Box(0.1, 0.45, 0.9, 0.55), Point(0.5, 0.5))
    border = object_crop(size, Aspect(1, 1), Box(0.0, 0.45, 0.8, 0.55), Point(0.4, 0.5))

    assert (inner.left, inner.right) == (20, 980)
    assert (border.left, border.right) == (0, 880)


def test_what_cannot_be_whole_is_centred() -> None:
    """An upright cover of a wide object: the largest one, around the object's centre, not around its box's."""
    crop = object_crop((1600, 900), Aspect(9, 16), Box(0.1, 0.4, 0.9, 0.6), Point(0.7, 0.5))

    assert height_of(crop) == 900
    assert (crop.left + crop.right) / 2 == pytest.approx(0.7 * 1600, abs=1)


@pytest.mark.parametrize("text", ["", "16", "16:", ":9", "16/9", "0:9", "16:0", "-16:9", "1.85:1", "10001:1", "16:9:1"])
def test_an_aspect_is_two_whole_numbers(text: str) -> None:
    """Anything else is refused, with what is due."""
    with pytest.raises(ValueError, match=r"W:H, two whole numbers from 1 to 10000 such as 16:9"):
        parse_aspect(text)


def test_an_aspect_as_it_is_given() -> None:
    """It is not reduced: what was asked for is what decisions say."""
    assert parse_aspect(" 32:18 ") == Aspect(32, 18)
    assert str(Aspect(32, 18)) == "32:18"
