"""The fused preprocessing against the slow plain reference."""

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.decode import Decoder
from runtime.manifest import Input, Patches, Resize
from runtime.preprocess import Preprocessor, cut, place
from tests.pictures import jpeg, noise, scene
from tests.reference_preprocess import Rows, bilinear, halved, patch_start, reference

# OpenCV's portable arithmetic, which x86-64 runs to the bit; ARM wheels may put a vendor's in its place.
LEVELS = 0 if platform.machine() == "x86_64" else 1

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
FITS: tuple[Literal["stretch", "crop", "pad"], ...] = ("stretch", "crop", "pad")


def an_input(height: int, width: int, dtype: str = "uint8", layout: str = "NHWC", **rest: Any) -> Input:
    scale = {} if dtype == "uint8" else {"mean": MEAN, "std": STD}
    fields = {"name": "image", "dtype": dtype, "layout": layout, "height": height, "width": width}
    return Input.model_validate(fields | scale | rest)


def filled(pixels: NDArray[np.uint8], spec: Input, full: tuple[int, int] | None = None) -> NDArray[Any]:
    preprocessor = Preprocessor(spec)
    batch = preprocessor.batch(1)
    preprocessor.fill(pixels, batch[0], full)
    sample: NDArray[Any] = batch[0]
    return sample


def assert_equal(expected: NDArray[Any], actual: NDArray[Any], spec: Input) -> None:
    assert expected.dtype == actual.dtype
    assert expected.shape == actual.shape

    if LEVELS == 0:
        np.testing.assert_array_equal(expected, actual)
    else:
        tolerance = LEVELS / (1 if spec.std is None else min(spec.std)) * 1.001
        np.testing.assert_allclose(expected.astype(np.float64), actual.astype(np.float64), atol=tolerance, rtol=1e-3)


sides = st.one_of(st.integers(1, 9), st.integers(1, 70))
specs = st.builds(
    an_input,
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["uint8", "float32", "float16"]),
    st.sampled_from(["NHWC", "NCHW"]),
    color=st.sampled_from(["RGB", "BGR"]),
    resize=st.builds(Resize, fit=st.sampled_from(FITS), halve=st.booleans(), pad_value=st.integers(0, 255)),
)
patch_specs = st.builds(
    an_input,
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["uint8", "float32", "float16"]),
    st.sampled_from(["NHWC", "NCHW"]),
    color=st.sampled_from(["RGB", "BGR"]),
    patches=st.builds(Patches, rows=st.integers(1, 4), columns=st.integers(1, 4), least_side=st.integers(1, 40)),
)


@given(spec=patch_specs, height=sides, width=sides, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=250)
def test_patches_equal_the_reference(spec: Input, height: int, width: int, seed: int) -> None:
    """Any picture, smaller or larger than a patch, halved or not: every element of every patch is the rule's."""
    pixels = noise(width, height, seed)

    assert_equal(reference(pixels, spec), filled(pixels, spec), spec)


@given(spec=specs, height=sides, width=sides, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=250)
def test_equals_the_reference(spec: Input, height: int, width: int, seed: int) -> None:
    """Any picture, any input: every element is what the docstring's arithmetic gives."""
    pixels = noise(width, height, seed)

    assert_equal(reference(pixels, spec), filled(pixels, spec), spec)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("width", "height"), [(301, 203), (1, 300), (300, 1), (640, 31), (97, 256)])
def test_equals_the_reference_for_larger_pictures(width: int, height: int, fit: str) -> None:
    """A few hundred pixels a side, odd sizes and extreme aspect ratios are no exception."""
    spec = an_input(56, 48, "float32", "NCHW", color="BGR", resize={"fit": fit})
    pixels = noise(width, height)

    assert_equal(reference(pixels, spec), filled(pixels, spec), spec)


@pytest.mark.parametrize("size", [(65_535, 1), (1, 65_535)])
@pytest.mark.parametrize("fit", FITS)
def test_takes_the_longest_sides_there_are(size: tuple[int, int], fit: str) -> None:
    """A picture of 1 x 65535 of one colour stays of that colour wherever it lies in the input."""
    pixels = np.full((*size, 3), 77, np.uint8)

    sample = filled(pixels, an_input(32, 32, resize={"fit": fit, "pad_value": 77}))

    assert (sample == 77).all()


@pytest.mark.parametrize("value", [0, 255])
def test_extremes_stay(value: int) -> None:
    """Black stays 0 and white 255, up and down: the rounding neither wraps nor fades."""
    for side in (5, 33, 200):
        pixels = np.full((side, side + 3, 3), value, np.uint8)

        assert (filled(pixels, an_input(32, 31)) == value).all()


def test_normalisation_is_rounded_once() -> None:
    """Each float is the float32 nearest to (level - mean) / std, for all 256 levels."""
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    spec = an_input(1, 256, "float32", "NCHW")

    sample = filled(levels, spec)

    for channel in range(3):
        expected = [np.float32((level - MEAN[channel]) / STD[channel]) for level in range(256)]
        assert sample[channel, 0].tolist() == expected


def test_the_inputs_own_size_passes_unchanged() -> None:
    """A picture of the input's size is copied, not interpolated."""
    pixels = noise(48, 40)

    np.testing.assert_array_equal(pixels, filled(pixels, an_input(40, 48)))


def test_crop_keeps_the_middle() -> None:
    """A red | green | blue picture three times as wide as the input shows green only."""
    pixels = np.zeros((32, 96, 3), np.uint8)
    for third in range(3):
        pixels[:, 32 * third : 32 * (third + 1), third] = 255

    assert (filled(pixels, an_input(32, 32, resize={"fit": "crop"})) == (0, 255, 0)).all()


def test_pad_surrounds_the_whole_picture() -> None:
    """A white picture twice as wide as high fills the middle half of a square; the rest is the pad value."""
    sample = filled(np.full((50, 100, 3), 255, np.uint8), an_input(32, 32, resize={"fit": "pad", "pad_value": 9}))

    assert (sample[8:24] == 255).all()
    assert (sample[:8] == 9).all()
    assert (sample[24:] == 9).all()


@given(
    fit=st.sampled_from(FITS),
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    wanted=st.tuples(st.integers(1, 600), st.integers(1, 600)),
)
@settings(deadline=None, max_examples=300)
def test_placement_lies_inside(fit: Any, height: int, width: int, wanted: tuple[int, int]) -> None:
    """What is taken lies in the picture and where it goes in the input, centred to within a pixel, never empty."""
    spot = place(Resize(fit=fit), (height, width), wanted)

    for start, length, whole in (
        (spot.top, spot.height, height),
        (spot.left, spot.width, width),
        (spot.inner_top, spot.inner_height, wanted[0]),
        (spot.inner_left, spot.inner_width, wanted[1]),
    ):
        assert length >= 1
        assert 0 <= (whole - length) - 2 * start <= 1


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_touches_no_other_slot(dtype: str, layout: str) -> None:
    """Writing slot 1 of 3 leaves the bytes of the others as they were."""
    preprocessor = Preprocessor(an_input(24, 20, dtype, layout, color="BGR", resize={"fit": "pad"}))
    batch = preprocessor.batch(3)
    batch.view(np.uint8)[...] = 0x5A
    before = batch.copy()

    preprocessor.fill(noise(91, 67), batch[1])

    assert before[[0, 2]].tobytes() == batch[[0, 2]].tobytes()
    assert (batch[1].view(np.uint8) != 0x5A).any()


def test_nothing_leaks_from_one_picture_to_the_next() -> None:
    """A small picture after a large one gives what it gives alone, in every size order."""
    sizes = [(400, 300), (33, 9), (1, 1), (200, 310), (64, 64), (31, 250)]
    for fit in FITS:
        spec = an_input(30, 28, "float32", "NCHW", resize={"fit": fit})
        preprocessor = Preprocessor(spec)
        batch = preprocessor.batch(1)
        for width, height in sizes + sizes[::-1]:
            pixels = scene(width, height)
            preprocessor.fill(pixels, batch[0])

            np.testing.assert_array_equal(filled(pixels, spec), batch[0])


def test_leaves_the_picture_as_it_is() -> None:
    """The decoded pixels are read, never written."""
    pixels = noise(150, 100)
    before = pixels.copy()

    filled(pixels, an_input(24, 24, "float32", "NCHW", color="BGR", resize={"fit": "pad"}))

    np.testing.assert_array_equal(before, pixels)


def test_eight_threads_share_one() -> None:
    """Eight threads filling slots of one batch at once give what one thread gives."""
    preprocessor = Preprocessor(an_input(56, 48, "float32", "NCHW", color="BGR"))
    pictures = [noise(90 + 37 * (seed % 11), 60 + 29 * (seed % 7), seed) for seed in range(64)]
    expected, actual = preprocessor.batch(64), preprocessor.batch(64)
    for place_, pixels in enumerate(pictures):
        preprocessor.fill(pixels, expected[place_])

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            actual[...] = 0
            list(pool.map(preprocessor.fill, pictures, actual))
            np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize("wrong", [(25, 24, 3), (24, 3, 24)])
def test_refuses_a_slot_of_another_shape(wrong: tuple[int, ...]) -> None:
    """A slot that does not fit is our mistake and raises: OpenCV would silently write elsewhere."""
    with pytest.raises(ValueError, match="a slot of"):
        Preprocessor(an_input(24, 24)).fill(noise(40, 40), np.zeros(wrong, np.uint8))


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_refuses_a_slot_of_another_type(dtype: str) -> None:
    """As for another shape."""
    with pytest.raises(ValueError, match="a slot of"):
        Preprocessor(an_input(24, 24, "float32")).fill(noise(40, 40), np.zeros((24, 24, 3), dtype))


def test_least_is_told_only_where_the_manifest_allows() -> None:
    """The decoder may shrink only if the engine's maker said so, and only in place of a halving."""
    assert Preprocessor(an_input(24, 32)).least is None
    assert Preprocessor(an_input(24, 32, resize={"scaled_decode": True})).least == (24, 32)


def test_patches_let_the_decoder_halve_no_more_than_they_do() -> None:
    """The least side of the halved picture is what the decoder keeps, whatever a patch's own size."""
    for allowed, least in ((False, None), (True, (90, 90))):
        spec = an_input(16, 24, patches={"rows": 2, "columns": 3, "least_side": 90}, resize={"scaled_decode": allowed})

        assert Preprocessor(spec).least == least


def test_patches_are_native_pixels() -> None:
    """A 720p frame's patches are its own pixels, a 1080p one's too; those of larger ones are of half of them."""
    spec = an_input(64, 64, patches={"rows": 4, "columns": 5})
    for (height, width), halvings in (((720, 1280), 0), ((1080, 1920), 0), ((1440, 2560), 1), ((2160, 3840), 1)):
        pixels = scene(width, height)
        sample = filled(pixels, spec)

        for index in range(20):
            top = patch_start(index // 5, 4, height >> halvings, 64) << halvings
            left = patch_start(index % 5, 5, width >> halvings, 64) << halvings
            part: Any = pixels[top : top + (64 << halvings), left : left + (64 << halvings)]
            np.testing.assert_array_equal(np.array(halved(part.tolist()) if halvings else part), sample[index])


@given(
    full=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    wanted=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    patches=st.builds(Patches, rows=st.integers(1, 9), columns=st.integers(1, 9), least_side=st.integers(1, 900)),
)
@settings(deadline=None, max_examples=300)
def test_patches_lie_inside_whatever_was_decoded(full: tuple[int, int], wanted: tuple[int, int], patches: Any) -> None:
    """At every scale that the decoder may choose, the same parts of the picture are shown, and lie in what it gives."""
    whole = cut(patches, full, full, wanted)

    for halvings in range(whole[0].halvings + 1):
        size = (-(-full[0] >> halvings), -(-full[1] >> halvings))
        spots = cut(patches, size, full, wanted)
        assert len(spots) == patches.count
        for spot, first in zip(spots, whole, strict=True):
            assert spot.halvings == first.halvings - halvings
            assert (spot.top << halvings, spot.left << halvings) == (first.top, first.left)
            assert (spot.height << halvings, spot.width << halvings) == (first.height, first.width)
            assert spot.top + spot.height <= size[0]
            assert spot.left + spot.width <= size[1]


def test_patches_of_a_picture_that_the_decoder_halved() -> None:
    """Halved before or here, once or twice, is the same; the row and column that a decoder rounds up are left out."""
    spec = an_input(16, 24, "float32", "NCHW", patches={"rows": 3, "columns": 3, "least_side": 40})
    pixels = noise(251, 163)
    once, twice = halved(pixels.tolist()), halved(halved(pixels.tolist()))

    for decoded in (once, twice):
        rounded_up = np.pad(np.array(decoded, np.uint8), ((0, 1), (0, 1), (0, 0)), constant_values=255)

        np.testing.assert_array_equal(filled(pixels, spec), filled(rounded_up, spec, (163, 251)))


def test_patches_of_a_jpeg_decoded_at_a_half() -> None:
    """The decoder's halving shows each patch the same part of the picture, a fraction of a level off in the mean."""
    encoded = jpeg(scene(643, 483), 95)
    whole = an_input(32, 32, patches={"rows": 3, "columns": 4, "least_side": 100})
    scaled = whole.model_copy(update={"resize": Resize(scaled_decode=True)})
    shown = []

    for spec in (whole, scaled):
        picture = Decoder().decode(encoded, Preprocessor(spec).least)
        shown.append(filled(picture.pixels, spec, (picture.height, picture.width)).astype(np.float64))

    assert picture.pixels.shape == (121, 161, 3)
    assert 0 < np.abs(shown[0] - shown[1]).mean() < 1


@pytest.mark.parametrize("size", [(50, 75), (99, 150), (101, 150), (100, 75)])
def test_patches_refuse_pixels_that_are_too_few(size: tuple[int, int]) -> None:
    """A picture that was shrunk more than its patches allow, or to another shape, would show other parts."""
    spec = an_input(8, 8, patches={"rows": 2, "columns": 2, "least_side": 60})

    with pytest.raises(ValueError, match="halved 0 times, no more"):
        filled(np.zeros((*size, 3), np.uint8), spec, (100, 150))


def test_the_reference_interpolates() -> None:
    """The reference itself, by hand: 0 and 100 doubled with half-pixel centres give 0, 25, 75, 100."""
    rows: Rows = [[(0, 0, 0), (100, 100, 100)]]

    assert [pixel[0] for pixel in bilinear(rows, 1, 4)[0]] == [0, 25, 75, 100]
