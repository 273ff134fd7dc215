"""What each kind of damage does to a picture."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.errors import ConfigError
from runtime.opencv import cv2
from tests import pictures
from training.damage.apply import damaged, transmitted
from training.damage.blur import disc, line
from training.damage.codec import CODECS
from training.damage.damage import UNDAMAGED, Damage
from training.damage.kinds import KINDS
from training.damage.light import light_of, pixels_of
from training.damage.loss import GREY, MACROBLOCK
from training.damage.noise import READ_NOISE
from training.damage.tid import KINDS_OF_TID, between
from training.damage.tid import LADDERS as TID_LADDERS

Pixels = NDArray[np.uint8]

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
RANDOM = {
    "motion",
    "noise",
    "low_light",
    "loss",
    "chroma_noise",
    "correlated_noise",
    "masked_noise",
    "high_frequency_noise",
    "impulse",
    "multiplicative_noise",
    "comfort_noise",
    "denoise",
    "noisy_jpeg",
    "jpeg_errors",
    "jpeg2000_errors",
    "pattern_noise",
    "local_blocks",
}
LADDERS: dict[str, list[float]] = {  # mild to harsh, as far as pictures differ
    "jpeg": [100, 90, 60, 30, 15, 7, 3, 1],
    "webp": [100, 90, 60, 30, 15, 7, 1],
    "avif": [99, 90, 60, 40, 25, 12, 5],
    "blur": [0.8, 1.5, 3, 5, 8, 12, 20],
    "gaussian": [0.4, 0.7, 1.5, 3, 5, 8, 15],
    "motion": [2, 4, 8, 15, 25, 40],
    "noise": [1, 3, 8, 20, 40, 80, 160],
    "low_light": [10_000, 1000, 300, 60, 15, 4, 1],
    "dark": [0.9, 0.6, 0.3, 0.1, 0.03, 0.01, 0.001],
    "downscale": [1.2, 2, 3, 5, 8, 15, 30],
    "loss": [0.07, 0.2, 0.4, 0.6, 0.8, 1],
    "chroma_noise": [0.5, 2, 5, 10, 20, 50],
    "correlated_noise": [1, 3, 8, 20, 40, 80],
    "masked_noise": [1, 3, 8, 20, 40, 80],
    "high_frequency_noise": [1, 3, 8, 20, 40, 80],
    "impulse": [0.001, 0.01, 0.05, 0.2, 0.6],
    "multiplicative_noise": [0.01, 0.03, 0.1, 0.3, 0.8],
    "comfort_noise": [3, 10, 30, 100, 300],
    "quantisation": [4, 10, 25, 50, 100],
    "dither": [200, 64, 24, 8, 2],
    "denoise": [3, 8, 15, 30, 60],
    "noisy_jpeg": [2, 6, 12, 25, 40],
    "jpeg2000": [5, 15, 40, 100, 300],
    "jpeg_errors": [0.05, 0.3, 0.6, 1],
    "jpeg2000_errors": [0.002, 0.02, 0.1, 0.4],
    "pattern_noise": [20, 100, 400, 1500],
    "local_blocks": [10, 50, 150, 400],
    "brighter": [2, 8, 20, 50, 120],
    "darker": [2, 8, 20, 50, 120],
    "more_contrast": [1.05, 1.2, 1.5, 2.5, 5],
    "less_contrast": [1.05, 1.2, 1.6, 3, 10],
    "less_saturation": [0.1, 0.3, 0.6, 0.8, 1],
    "more_saturation": [0.1, 0.3, 0.6, 1, 2],
    "aberration": [0.3, 1, 2.5, 6, 14],
    "sparse": [0.3, 0.1, 0.03, 0.01, 0.004],
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    """Every demo photograph, 256 px high."""
    return [_small(simplejpeg.decode_jpeg(path.read_bytes())) for path in sorted(PHOTOS.glob("*.jpg"))]


def _small(photo: Pixels) -> Pixels:
    height, width = photo.shape[:2]
    size = round(width * 256 / height), 256
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def flat(value: int, side: int = 256) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def mean_error(pixels: NDArray[Any], others: NDArray[Any]) -> float:
    return float(np.abs(pixels.astype(np.int16) - others).mean())


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    low, high = kind.bounds
    strength = draw(st.integers(int(low), int(high)) if kind.whole else st.floats(low, high))
    return Damage(kind.name, float(strength), draw(st.integers(0, 2**63)))


@settings(deadline=None, max_examples=300)
@given(damages(), st.integers(1, 70), st.integers(1, 70), st.integers(0, 99))
def test_any_picture_keeps_its_shape_and_is_damaged_alike_each_time(
    damage: Damage, width: int, height: int, seed: int
) -> None:
    """From one pixel up, in all of the bounds: new contiguous uint8 of the same shape; the original is untouched."""
    pixels = pictures.noise(width, height, seed)
    kept = pixels.copy()

    after = damaged(pixels, damage)

    assert after.shape == pixels.shape
    assert after.dtype == np.uint8
    assert after.flags.c_contiguous
    assert not np.shares_memory(after, pixels)
    np.testing.assert_array_equal(pixels, kept)
    np.testing.assert_array_equal(damaged(pixels, damage), after)


def test_undamaged_is_the_picture_itself() -> None:
    """Nothing is copied."""
    pixels = pictures.scene(20, 10)

    assert damaged(pixels, UNDAMAGED) is pixels


@every_kind
def test_bounds_are_kept(kind: str) -> None:
    """Both bounds are allowed; what is beyond, or no number, is refused by name with what is allowed."""
    pixels = pictures.scene(20, 10)
    low, high = KINDS[kind].bounds

    damaged(pixels, Damage(kind, low))
    damaged(pixels, Damage(kind, high))
    for strength in (np.nextafter(low, 0), np.nextafter(high, np.inf), 0, -1, np.inf, np.nan):
        with pytest.raises(ConfigError, match=f"{kind} has no strength .*; allowed are .* {low:g} to {high:g}"):
            damaged(pixels, Damage(kind, float(strength)))


@pytest.mark.parametrize("kind", CODECS)
def test_a_quality_is_a_whole_number(kind: str) -> None:
    """Silent rounding would record a strength that was never applied."""
    with pytest.raises(ConfigError, match="whole numbers"):
        damaged(pictures.scene(20, 10), Damage(kind, 7.5))
    with pytest.raises(ConfigError, match="whole numbers"):
        transmitted(pictures.scene(20, 10), Damage(kind, 7.5))


def test_unknown_kinds_are_refused() -> None:
    """The error lists the kinds that there are."""
    with pytest.raises(ConfigError, match=r"no kind of damage 'fog'; there are jpeg, .*, loss, .*, sparse"):
        damaged(pictures.scene(20, 10), Damage("fog", 1))


@every_kind
def test_seed_settles_what_is_random_and_only_that(kind: str) -> None:
    """Another seed is another picture where the kind is random, and the same where it is not."""
    pixels = pictures.noise(64, 64)
    strength = LADDERS[kind][3]
    first, second = (damaged(pixels, Damage(kind, strength, seed)) for seed in (1, 2))

    assert (mean_error(first, second) > 0) == (kind in RANDOM)


def test_noise_stays_what_it_was() -> None:
    """Training makes the pictures again that were labelled, perhaps with a later numpy: one value may round apart."""
    noise = [158, 105, 151, 92, 113, 148, 109, 120, 127, 138, 122, 168]
    low_light = [138, 124, 139, 118, 122, 134, 87, 138, 119, 131, 153, 155]

    np.testing.assert_allclose(damaged(flat(128, 2), Damage("noise", 20, 7)).ravel(), noise, atol=1)
    np.testing.assert_allclose(damaged(flat(128, 2), Damage("low_light", 50, 7)).ravel(), low_light, atol=1)


@every_kind
def test_stronger_is_further_from_the_original(kind: str, photos: list[Pixels]) -> None:
    """Mean absolute error over photographs rises with each step, in the direction that the kind names."""
    ladder = LADDERS[kind]
    errors = [
        np.mean(
            [mean_error(damaged(photo, Damage(kind, strength, seed)), photo) for seed, photo in enumerate(photos[::2])]
        )
        for strength in ladder
    ]

    assert (ladder == sorted(ladder)) == (KINDS[kind].harsher == "higher")
    assert np.all(np.diff(errors) > 0), errors
    assert errors[0] < 0.5 * errors[-1]


@pytest.mark.parametrize(
    ("kind", "strength"),
    [("blur", 3.3), ("blur", 20), ("gaussian", 2.2), ("motion", 7.7), ("motion", 33), ("downscale", 3.7)],
)
def test_nothing_shifts_under_a_half_turn(kind: str, strength: float, photos: list[Pixels]) -> None:
    """The damaged picture, turned, is the turned picture, damaged: impossible with an off-centre kernel or grid."""
    for seed, photo in enumerate(photos[:4]):
        damage = Damage(kind, strength, seed)
        turned = np.ascontiguousarray(photo[::-1, ::-1])

        difference = damaged(turned, damage).astype(np.int16) - damaged(photo, damage)[::-1, ::-1]

        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif", "noise", "low_light", "dark"])
def test_nothing_shifts_in_any_corner(kind: str) -> None:
    """Phase correlation with the original finds less than a tenth of a pixel, in each corner: no rescaling either.

    (Blur turns phases about: the half turn above is the test for it.)
    """
    texture = np.asarray(cv2.GaussianBlur(pictures.noise(400, 256), (0, 0), 1.5), np.uint8)
    texture = np.clip((texture.astype(np.float32) - 128) * 3 + 128, 0, 255).astype(np.uint8)
    after = damaged(texture, Damage(kind, LADDERS[kind][2], 5))
    for corner in np.s_[:128, :200], np.s_[:128, -200:], np.s_[-128:, :200], np.s_[-128:, -200:]:
        window = cv2.createHanningWindow((200, 128), cv2.CV_32F)

        (right, down), _ = cv2.phaseCorrelate(_luma(texture[corner]), _luma(after[corner]), window)

        assert np.hypot(right, down) < 0.1, corner


def _luma(pixels: Pixels) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


@pytest.mark.parametrize("factor", [2, 3.7, 5])
def test_downscale_keeps_ramps(factor: float) -> None:
    """Away from the borders an even gradient stays that gradient: a wrong scale or origin would tilt or lift it."""
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (240, 240, 3)).copy()
    for pixels in (ramp, np.ascontiguousarray(ramp.transpose(1, 0, 2))):
        after = damaged(pixels, Damage("downscale", factor))

        inner = np.s_[12:-12, 12:-12]
        assert np.abs(after[inner].astype(np.int16) - pixels[inner]).max() <= 1


@settings(deadline=None)
@given(st.floats(0.6, 60))
def test_disc_is_a_disc(radius: float) -> None:
    """Sums to 1, centred, round, flat inside; each pixel's weight is the part of the disc that covers it."""
    kernel = disc(radius)
    whole = 1 / (np.pi * radius**2)
    rows, columns = np.indices(kernel.shape) - len(kernel) // 2
    farthest, nearest = (
        np.hypot(np.maximum(np.abs(rows) + half, 0), np.maximum(np.abs(columns) + half, 0)) for half in (0.5, -0.5)
    )

    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_allclose(kernel[farthest <= radius], whole, rtol=0.03)
    assert np.all(kernel <= whole * 1.03)
    assert np.all(kernel[nearest >= radius] == 0)


@settings(deadline=None)
@given(st.floats(2, 60))
def test_disc_has_the_spread_of_a_disc(radius: float) -> None:
    """Variance r^2 / 4 along each axis, and 1/12 for the pixel (Sheppard)."""
    covariance, centre = _moments(disc(radius))

    assert centre == pytest.approx([0, 0], abs=1e-5)
    assert covariance == pytest.approx(np.eye(2) * (radius**2 / 4 + 1 / 12), rel=0.01, abs=0.08)


@settings(deadline=None)
@given(st.floats(1, 100), st.floats(0, np.pi))
def test_line_is_a_line(length: float, angle: float) -> None:
    """Sums to 1, centred; variance l^2 / 12 along its direction; across it what sharing among four pixels adds."""
    kernel = line(length, angle)
    covariance, centre = _moments(kernel)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-np.sin(angle), np.cos(angle)])

    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert centre == pytest.approx([0, 0], abs=1e-4)
    assert length**2 / 12 * 0.98 <= along @ covariance @ along <= length**2 / 12 + 0.26
    assert 0 <= across @ covariance @ across <= 0.26


def _moments(kernel: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariance and mean, as (x, y), about the kernel's centre."""
    rows, columns = np.indices(kernel.shape) - (kernel.shape[0] - 1) / 2
    places, weights = np.stack([columns.ravel(), rows.ravel()]), kernel.ravel().astype(np.float64)
    return np.cov(places, aweights=weights, ddof=0), places @ weights


def test_motions_take_every_direction() -> None:
    """A point becomes a line; over seeds its directions fill the half circle: each of six sectors is met."""
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    sectors = set()
    for seed in range(60):
        covariance, _ = _moments(light_of(damaged(point, Damage("motion", 21, seed)))[..., 0])
        _, (x, y) = np.linalg.eigh(covariance)[1].T
        sectors.add(int(np.arctan2(y, x) % np.pi / (np.pi / 6)))

    assert sectors == set(range(6))


def test_light_is_srgb() -> None:
    """All 256 values come back; half the light is 188 (0.5 in IEC 61966-2-1's curve is 187.5)."""
    values = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)

    np.testing.assert_array_equal(pixels_of(light_of(values)), values)
    assert np.all(pixels_of(np.array([[[0.5, -1, 2]]])) == [188, 0, 255])


def test_bright_points_outshine_their_surroundings_out_of_focus() -> None:
    """Defocus and motion mix light, not values: half black, half white is 188, not 128."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255

    assert abs(int(damaged(stripes, Damage("blur", 12))[32, 32, 0]) - 188) <= 3


def test_dark_leaves_a_share_of_the_light_and_fewer_levels() -> None:
    """Mean light scales by the share; 8 bits keep fewer levels the darker it is."""
    grey = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    levels = []
    for share in (0.5, 0.1, 0.02):
        after = damaged(grey, Damage("dark", share))
        levels.append(len(np.unique(after)))
        assert light_of(after).mean() == pytest.approx(share * light_of(grey).mean(), rel=0.01)

    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < 50


@pytest.mark.parametrize("sigma", [5, 20])
def test_noise_has_its_sigma(sigma: float) -> None:
    """Mean 0, the sigma asked for (and 1/12 of rounding), no likeness between channels or neighbours."""
    noise = damaged(flat(128), Damage("noise", sigma, 3)).astype(np.float64) - 128

    assert abs(noise.mean()) < 4 * sigma / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.01)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("value", [60, 128, 200])
@pytest.mark.parametrize("photons", [500, 2000])
def test_low_light_has_the_variance_of_photons(value: int, photons: int) -> None:
    """Mean light stays; its variance is (n + read noise^2) / N^2 with n photons of N at white: brighter, noisier."""
    light = float(light_of(flat(value, 1)).mean())
    seen = light_of(damaged(flat(value), Damage("low_light", photons, 3))).astype(np.float64)

    assert seen.mean() == pytest.approx(light, rel=0.01)
    assert seen.var() == pytest.approx((light * photons + READ_NOISE**2) / photons**2, rel=0.05)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_loss_takes_whole_slices_and_conceals_them_as_decoders_do(share: float) -> None:
    """The share's slices are lost; a lost row is grey, the last intact row, or a row of the same scene displaced."""
    pixels = pictures.noise(96, 320)
    slices = 320 // MACROBLOCK
    ways = set()
    for seed in range(30):
        after = damaged(pixels, Damage("loss", share, seed))
        changed = np.any(after != pixels, axis=(1, 2)).reshape(slices, MACROBLOCK)

        assert np.all(changed.any(axis=1) == changed.all(axis=1))
        assert changed.all(axis=1).sum() == round(share * slices)
        ways.add(_way(pixels, after, changed.ravel()))

    assert ways == {"grey", "line above", "frame before"}


def _way(pixels: Pixels, after: Pixels, lost: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(lost)
    if np.all(after[rows] == GREY):
        return "grey"
    intact = [np.flatnonzero(~lost[:row]) for row in rows]
    if all(np.all(after[row] == (pixels[up[-1]] if up.size else GREY)) for row, up in zip(rows, intact, strict=True)):
        return "line above"
    middle = pixels[:, 40:56]
    for right in range(-16, 17):
        for down in range(-16, 17):
            came_from = np.clip(rows - down, 0, len(pixels) - 1)
            if np.array_equal(after[rows][:, 40 + right : 56 + right], middle[came_from]):
                return "frame before"
    return "unknown"


def test_a_larger_loss_contains_the_smaller() -> None:
    """With one seed: a ladder of shares shows one stream that gets worse."""
    pixels = pictures.noise(64, 320)
    for seed in range(10):
        lost = [np.any(damaged(pixels, Damage("loss", share, seed)) != pixels, axis=(1, 2)) for share in (0.2, 0.5)]
        assert np.all(lost[1][lost[0]])


@pytest.mark.parametrize(
    ("kind", "signature"),
    [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF....WEBPVP8 "), ("avif", b"....ftypavif")],
)
def test_codecs_are_real(kind: str, signature: bytes, photos: list[Pixels]) -> None:
    """The bytes are the format's, fewer at a lower quality; what is transmitted is what ``damaged`` shows."""
    pattern = np.frombuffer(signature, np.uint8)
    sizes = []
    for quality in (60, 20, 4):
        encoded = CODECS[kind].encode(photos[0], quality)
        start = np.frombuffer(encoded[: pattern.size], np.uint8)
        after, size = transmitted(photos[0], Damage(kind, quality))

        assert np.all((start == pattern) | (pattern == ord(".")))
        assert size == len(encoded)
        np.testing.assert_array_equal(after, damaged(photos[0], Damage(kind, quality)))
        sizes.append(size)

    assert sizes == sorted(sizes, reverse=True)


def test_jpeg_is_what_cameras_write(photos: list[Pixels]) -> None:
    """Chroma at half resolution each way, and the gateway's own decoder reads the same picture, within rounding."""
    encoded = CODECS["jpeg"].encode(photos[0], 20)

    assert simplejpeg.decode_jpeg_header(encoded)[2:] == ("YCbCr", "420")
    assert np.abs(simplejpeg.decode_jpeg(encoded).astype(np.int16) - CODECS["jpeg"].decode(encoded)).max() <= 2


def test_other_frames_travel_as_jpeg_of_quality_95(photos: list[Pixels]) -> None:
    """Size of the frame as a camera would send it: noise makes it larger, blur smaller."""
    plain, noisy, blurred = (
        transmitted(photos[0], damage)[1] for damage in (UNDAMAGED, Damage("noise", 20), Damage("blur", 3))
    )

    assert plain == len(CODECS["jpeg"].encode(photos[0], 95))
    assert blurred < plain < noisy


@pytest.mark.parametrize("kind", CODECS)
def test_sides_that_a_codec_cannot_hold_are_refused(kind: str) -> None:
    """The longest side passes; one pixel more is an error that names codec, size and limit."""
    longest = CODECS[kind].longest_side

    assert damaged(np.zeros((2, longest, 3), np.uint8), Damage(kind, 30)).shape == (2, longest, 3)
    with pytest.raises(ConfigError, match=f"cannot hold a picture of {longest + 1} x 2 px; a side may have {longest}"):
        damaged(np.zeros((2, longest + 1, 3), np.uint8), Damage(kind, 30))


# --- TID2013's kinds


def test_every_kind_of_tid_has_a_ladder() -> None:
    """24 numbers, and each name once."""
    names = [name for kinds in KINDS_OF_TID.values() for name in kinds]
    assert list(KINDS_OF_TID) == list(range(1, 25))
    assert sorted(names) == sorted(set(names)) == sorted(TID_LADDERS)


@pytest.mark.parametrize("kind", TID_LADDERS)
def test_levels_of_tid_fall_in_psnr(kind: str, photos: list[Pixels]) -> None:
    """Level by level the median over photographs falls, from a mild level to a harsh one."""
    median = _psnr_of_levels(kind, photos)
    # Photographs this small have the same few large blocks, or rows of blocks, at two levels.
    assert np.all(np.diff(median) < (1e-9 if kind in {"local_blocks", "jpeg_errors"} else 0)), median
    assert median[-1] < median[0]
    assert 25 < median[0] < 41
    assert 14 < median[-1] < 29


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("noise", (33, 30, 27, 24, 21)),
        ("chroma_noise", (33, 30, 27, 24, 21)),
        ("correlated_noise", (33, 30, 27, 24, 21)),
        ("masked_noise", (33, 30, 27, 24, 21)),
        ("high_frequency_noise", (33, 30, 25, 20.4, 15.6)),
        ("impulse", (31.5, 28.5, 25.4, 22.3, 19.4)),
        ("quantisation", (33, 31, 27, 24, 21)),
        ("brighter", (28.1, 18.6)),
        ("darker", (32.6, 22.1, 16.5)),
    ],
)
def test_levels_have_the_psnr_of_tid(kind: str, levels: tuple[float, ...], photos: list[Pixels]) -> None:
    """Where the strength settles the PSNR whatever is in the picture, the median is TID2013's within half a decibel."""
    np.testing.assert_allclose(_psnr_of_levels(kind, photos), levels, atol=0.5)


def _psnr_of_levels(kind: str, photos: list[Pixels]) -> list[float]:
    """Medians over seven photographs at each level."""
    return [
        float(
            np.median(
                [
                    _psnr(damaged(photo, Damage(kind, between(kind, TID_LADDERS[kind], level), seed)), photo)
                    for seed, photo in enumerate(photos[:7])
                ]
            )
        )
        for level in TID_LADDERS[kind]
    ]


def test_shifts_and_contrast_go_both_ways_as_in_tid() -> None:
    """Of its five levels each belongs to one direction; every other kind has all five."""
    for one, other in (("brighter", "darker"), ("less_contrast", "more_contrast")):
        assert sorted([*TID_LADDERS[one], *TID_LADDERS[other]]) == [1, 2, 3, 4, 5]
    alone = TID_LADDERS.keys() - {"brighter", "darker", "less_contrast", "more_contrast"}
    assert all(list(TID_LADDERS[kind]) == [1, 2, 3, 4, 5] for kind in alone)


@pytest.mark.parametrize("kind", TID_LADDERS)
def test_between_levels_lie_strengths_between_and_none_out_of_bounds(kind: str) -> None:
    """A whole level is the ladder's own strength; half-way is the geometric mean; far beyond, the kind's bound."""
    ladder, known = TID_LADDERS[kind], KINDS[kind]
    rounding = 0.5 if known.whole else 0
    for level, strength in ladder.items():
        assert between(kind, ladder, level) == strength
    for (below, low), (above, high) in pairwise(ladder.items()):
        middle = between(kind, ladder, (below + above) / 2)
        assert middle == pytest.approx(np.sqrt(low * high), rel=1e-3, abs=rounding)
    for beyond in (-40, 0.4, 5.5, 60):
        known.check(between(kind, ladder, beyond))
    assert between(kind, ladder, 60) == known.bounds[known.harsher == "higher"]


def test_bit_errors_stay_in_their_row_of_blocks(photos: list[Pixels]) -> None:
    """Restart markers end them; some row is as the intact JPEG has it, and some is not."""
    photo = photos[0]
    intact = simplejpeg.decode_jpeg(
        cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()
    )
    after = damaged(photo, Damage("jpeg_errors", 0.3, 4))
    changed = (np.abs(after.astype(int) - intact).max(axis=(1, 2)) > 0).reshape(-1, 16).any(axis=1)
    assert 0 < changed.sum() < len(changed) * 0.8  # chroma is interpolated over a row's border


def test_bit_errors_are_seen_and_a_larger_share_holds_the_smaller(photos: list[Pixels]) -> None:
    """With one seed, rows that show it at one share do at each larger one; every row that is hit does."""
    for seed, photo in enumerate(photos[:6]):
        intact = damaged(photo, Damage("jpeg", 75)).astype(np.int16)
        hit: set[int] = set()
        for share in (0.1, 0.3, 0.6):
            after = damaged(photo, Damage("jpeg_errors", share, seed))
            change = np.abs(after - intact)[: len(photo) // 16 * 16].reshape(-1, 16, photo.shape[1] * 3)[:, 2:-2]
            rows = {int(row) for row in np.flatnonzero(change.mean(axis=(1, 2)) > 2)}
            assert rows >= hit
            assert len(rows) == round(share * 16)  # rows of which no bit is seen come last
            hit = rows


@pytest.mark.parametrize(("density", "reach"), [(102, 2), (204, 4), (305, 8), (407, 12), (509, 16)])
def test_patterns_lie_as_far_off_as_in_tid(density: float, reach: int) -> None:
    """The changed share is that of the patches at most; each patch comes from as far as its density says at most."""
    rows, columns = np.indices((384, 512))
    places = np.stack([rows // 2, columns // 2, (rows % 2) * 2 + columns % 2], axis=2).astype(np.uint8)
    after = damaged(places, Damage("pattern_noise", density, 3))

    moved = np.abs(2 * after[..., 0].astype(int) + after[..., 2] // 2 - rows)
    assert 0.8 * reach <= moved.max() <= reach
    assert 0 < (after != places).any(axis=2).mean() <= density * 15 * 15 / 1e6


def _psnr(pixels: Pixels, others: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((pixels.astype(np.float64) - others) ** 2)))
