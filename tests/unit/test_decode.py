"""Decoding: the outcome of every odd picture in ``docs/pictures.md``."""

import resource
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.decode import MAX_PADDING, MAX_PIXELS, MAX_SCANS, Decoder
from runtime.errors import ConfigError, FrameError, Reason
from tests import pictures
from tests.pictures import Pixels, chunk, exif, jpeg, noise, patch_frame, png, scene, segment, stored, with_exif

PICTURE = scene(64, 48)
PLAIN = jpeg(PICTURE)
END = b"\xff\xd9"


def decoded(value: bytes, least: tuple[int, int] | None = None) -> Pixels:
    return Decoder().decode(value, least).pixels


def refused(value: bytes | None, max_pixels: int = MAX_PIXELS) -> Reason:
    with pytest.raises(FrameError) as caught:
        Decoder(max_pixels).decode(value)
    return caught.value.reason


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean distance in levels of 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


@pytest.fixture(autouse=True)
def _silence(capfd: pytest.CaptureFixture[str]) -> object:
    """No picture, good or bad, makes a library write to standard output or standard error."""
    yield
    assert capfd.readouterr() == ("", "")


class TestSize:
    @pytest.mark.parametrize("value", [None, b""])
    def test_nothing_is_empty(self, value: bytes | None) -> None:
        """A tombstone and a value of no bytes are empty."""
        assert refused(value) == Reason.EMPTY

    def test_the_limit_is_on_pixels(self) -> None:
        """A picture of just ``max_pixels`` passes, one pixel more is too large; both formats alike."""
        for value in (PLAIN, png(PICTURE)):
            assert Decoder(64 * 48).decode(value).pixels.shape == (48, 64, 3)
            assert refused(value, 64 * 48 - 1) == Reason.TOO_LARGE

    @pytest.mark.parametrize("size", [(20_000, 17_000), (2**31 - 1, 2**31 - 1), (70_000, 1), (1, 1_048_577)])
    def test_a_claim_costs_nothing(self, size: tuple[int, int]) -> None:
        """A PNG of 100 bytes that claims a gigabyte is refused within milliseconds, without memory for it."""
        value = pictures.claiming_png(*size)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

        assert refused(value) == Reason.TOO_LARGE
        assert time.monotonic() - start < 0.1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB

    def test_a_jpegs_claim_costs_nothing(self) -> None:
        """As for a PNG."""
        assert refused(patch_frame(PLAIN, 1, b"\xff\xff\xff\xff")) == Reason.TOO_LARGE

    @pytest.mark.parametrize("max_pixels", [0, -1, 2**30 + 1])
    def test_refuses_an_impossible_limit(self, max_pixels: int) -> None:
        """A limit that OpenCV would undercut, or of no pixels, is the operator's mistake."""
        with pytest.raises(ConfigError, match="max_pixels"):
            Decoder(max_pixels)

    def test_refuses_opencvs_own_limit_below_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """OpenCV's environment would turn good frames into undecodable ones: said at the start, not per frame."""
        monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "1000")

        with pytest.raises(ConfigError, match="OPENCV_IO_MAX_IMAGE_PIXELS=1000"):
            Decoder()


class TestJpeg:
    def test_plain(self) -> None:
        """Pixels are RGB, contiguous, and near to what was encoded."""
        pixels = decoded(PLAIN)

        assert pixels.flags.c_contiguous
        assert distance(PICTURE, pixels) < 2

    @pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
    def test_samplings(self, sampling: str) -> None:
        """Every usual chroma subsampling decodes."""
        assert distance(PICTURE, decoded(jpeg(PICTURE, 95, sampling))) < 5

    def test_progressive(self) -> None:
        """A progressive JPEG is a JPEG like another."""
        assert distance(PICTURE, decoded(pictures.progressive_jpeg(PICTURE))) < 5

    def test_grey(self) -> None:
        """Greyscale comes out as three equal channels."""
        pixels = decoded(pictures.grey_jpeg(PICTURE[..., 0]))

        assert distance(np.repeat(PICTURE[..., :1], 3, axis=2), pixels) < 2

    def test_cmyk(self) -> None:
        """Adobe's inverted CMYK comes out in its own colours, not in their negative."""
        assert distance(PICTURE, decoded(pictures.cmyk_jpeg(PICTURE))) < 3

    def test_cmyk_is_rounded(self) -> None:
        """Each colour is C * K / 255 rounded to the nearest level."""
        value = pictures.cmyk_jpeg(noise(64, 48))
        inks = simplejpeg.decode_jpeg(value, "CMYK").astype(float)

        np.testing.assert_array_equal(np.rint(inks[..., :3] * inks[..., 3:] / 255), decoded(value))

    @pytest.mark.parametrize("side", range(1, 9))
    def test_tiny(self, side: int) -> None:
        """A picture of a few pixels comes whole: at 1/8 it would have the same size and other pixels."""
        value = jpeg(noise(side, side), 100)

        np.testing.assert_array_equal(simplejpeg.decode_jpeg(value, "RGB"), decoded(value))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, orientation: int) -> None:
        """However the camera was held, the picture comes out upright, and its size is the upright one."""
        upright = scene(56, 40)
        picture = Decoder().decode(with_exif(jpeg(stored(upright, orientation), 100), orientation))

        assert (picture.width, picture.height) == (56, 40)
        assert picture.pixels.flags.c_contiguous
        assert distance(upright, picture.pixels) < 2

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("size", [(96, 64), (97, 66), (98, 65), (101, 68), (103, 71)])
    def test_a_scaled_decode_begins_where_the_picture_does(self, size: tuple[int, int], orientation: int) -> None:
        """Turned or not, whatever the sides leave over: pixel 0 is of the upright picture's first block."""
        upright = scene(*size)
        value = with_exif(jpeg(stored(upright, orientation), 100), orientation)

        pixels = decoded(value, (8, 8)).astype(np.float64)

        factor = -(-size[0] // pixels.shape[1])
        rows, columns = size[1] // factor, size[0] // factor
        blocks = upright[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
        assert np.abs(pixels[:rows, :columns] - blocks.mean(axis=(1, 3))).mean() < 1

    @pytest.mark.parametrize(
        ("orientation", "size", "factor"),
        [(1, (97, 65), 8), (5, (97, 65), 8), (2, (97, 64), 1), (2, (96, 65), 8), (6, (98, 64), 8), (6, (96, 68), 4)],
    )
    def test_only_a_side_that_is_turned_must_divide(self, orientation: int, size: tuple[int, int], factor: int) -> None:
        """The strongest factor that leaves nothing over where the stored end comes first; ``size`` is as stored."""
        picture = Decoder().decode(with_exif(jpeg(noise(*size)), orientation), (8, 8))

        assert picture.pixels.shape[0] == -(-picture.height // factor)

    @pytest.mark.parametrize("end", [0.3, 0.5, 0.9])
    @pytest.mark.parametrize("make", [jpeg, pictures.progressive_jpeg, pictures.cmyk_jpeg])
    def test_cut_off(self, make: object, end: float) -> None:
        """A JPEG that ends in its picture is truncated: never half a picture."""
        value = make(noise(64, 48))  # type: ignore[operator]

        assert refused(value[: int(len(value) * end)]) == Reason.TRUNCATED

    @pytest.mark.parametrize("value", [PLAIN[:-2], PLAIN[:-1], PLAIN[:-2] + b"\0" * 7, PLAIN + b"\0" * 100])
    def test_the_whole_picture_without_its_end(self, value: bytes) -> None:
        """Only the end marker is missing, or bytes follow it: the picture is whole and is taken."""
        np.testing.assert_array_equal(decoded(PLAIN).copy(), decoded(value))

    @pytest.mark.parametrize("make", [jpeg, pictures.progressive_jpeg])
    @pytest.mark.parametrize("size", [1, 7, 512, MAX_PADDING])
    def test_padding_before_the_end(self, make: object, size: int) -> None:
        """Bytes between the last pixel and the end marker are what cameras send, and change nothing."""
        value = make(PICTURE)  # type: ignore[operator]

        np.testing.assert_array_equal(decoded(value).copy(), decoded(value[:-2] + b"\0" * size + END))

    def test_too_much_padding_is_lost_data(self) -> None:
        """A decoder that finished far too early has lost its way."""
        assert refused(PLAIN[:-2] + b"\x55" * (MAX_PADDING + 100) + END) == Reason.UNDECODABLE

    def test_ended_in_the_middle(self) -> None:
        """An end marker in the middle of the picture: the bytes are all there, so it is corrupt, not truncated."""
        assert refused(PLAIN[: len(PLAIN) // 2] + END) == Reason.UNDECODABLE

    def test_an_odd_jfif_revision_is_harmless(self) -> None:
        """Some encoders write JFIF 2.01; the picture is good, and a cut in it is still found."""
        value = PLAIN.replace(b"JFIF\0\x01", b"JFIF\0\x02")

        assert value != PLAIN
        np.testing.assert_array_equal(decoded(PLAIN).copy(), decoded(value))
        assert refused(value[: len(value) * 2 // 3]) == Reason.TRUNCATED

    def test_unusual_sampling_is_unsupported(self) -> None:
        """A sampling that the decoder does not know is named, and is not called corruption."""
        assert refused(patch_frame(PLAIN, 7, b"\x31")) == Reason.UNSUPPORTED

    def test_corrupt_tables_are_undecodable(self) -> None:
        """A Huffman table that cannot be."""
        at = next(place for marker, place in pictures.segments(PLAIN) if marker == 0xC4)

        assert refused(PLAIN[: at + 5] + b"\xff" + PLAIN[at + 6 :]) == Reason.UNDECODABLE

    def test_many_scans_are_refused(self) -> None:
        """A scan of a few bytes costs a pass over the whole picture: a picture of hundreds is no camera's."""
        value = pictures.progressive_jpeg(PICTURE)
        last = value[value.rindex(b"\xff\xda") : -2]

        assert refused(value[:-2] + last * MAX_SCANS + END) == Reason.UNSUPPORTED

    def test_scan_markers_in_a_plain_jpeg_are_not_counted(self) -> None:
        """A comment full of scan markers does not make a one-scan picture suspicious."""
        value = PLAIN[:2] + segment(0xFE, b"\xff\xda" * 500) + PLAIN[2:]

        np.testing.assert_array_equal(decoded(PLAIN).copy(), decoded(value))


class TestScaledDecode:
    @pytest.mark.parametrize(
        ("least", "shape"),
        [
            ((48, 64), (48, 64)),
            ((25, 20), (48, 64)),
            ((24, 32), (24, 32)),
            ((13, 5), (24, 32)),
            ((12, 16), (12, 16)),
            ((6, 8), (6, 8)),
            ((1, 1), (6, 8)),
            ((100, 100), (48, 64)),
        ],
    )
    def test_shrinks_while_both_sides_suffice(self, least: tuple[int, int], shape: tuple[int, int]) -> None:
        """1/2, 1/4 or 1/8, the strongest that keeps both sides; the size told stays the full one."""
        picture = Decoder().decode(PLAIN, least)

        assert picture.pixels.shape == (*shape, 3)
        assert (picture.width, picture.height) == (64, 48)

    @given(
        width=st.integers(1, 80),
        height=st.integers(1, 80),
        least=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        orientation=st.sampled_from([1, 3, 6, 8]),
    )
    @settings(deadline=None, max_examples=150)
    def test_keeps_what_is_asked_for(self, width: int, height: int, least: tuple[int, int], orientation: int) -> None:
        """Upright, at any size: the sides are those of one factor, rounded up, and never below ``least`` or full."""
        value = with_exif(jpeg(stored(scene(width, height), orientation)), orientation)

        shape = decoded(value, least).shape[:2]

        assert any(shape == (-(-height // factor), -(-width // factor)) for factor in (1, 2, 4, 8))
        assert shape[0] >= min(least[0], height)
        assert shape[1] >= min(least[1], width)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_least_is_upright(self, orientation: int) -> None:
        """``least`` speaks of the upright picture, also where it is stored lying down."""
        upright = scene(64, 48)
        value = with_exif(jpeg(stored(upright, orientation)), orientation)

        assert decoded(value, (24, 30)).shape == (24, 32, 3)
        assert decoded(value, (30, 24)).shape == (48, 64, 3)

    def test_looks_like_the_halved_picture(self) -> None:
        """The decoder's half is near the mean of 2x2 pixels of its whole."""
        whole = decoded(PLAIN).astype(int)
        mean = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2] + 2) // 4

        assert distance(mean.astype(np.uint8), decoded(PLAIN, (24, 32))) < 4

    def test_colours_of_a_scaled_cmyk(self) -> None:
        """Four components shrink as three do."""
        assert distance(PICTURE[1::2, 1::2], decoded(pictures.cmyk_jpeg(PICTURE), (24, 32))) < 8

    def test_a_png_comes_whole(self) -> None:
        """A PNG has no such transform: ``least`` changes nothing."""
        assert decoded(png(PICTURE), (6, 8)).shape == (48, 64, 3)


PALETTE = noise(16, 16, seed=5).reshape(256, 3)
PLTE = chunk(b"PLTE", PALETTE.tobytes())
ALPHA = noise(64, 48, seed=6)[..., :1]
GREY = PICTURE[..., :1]
DEEP = np.random.default_rng(1).integers(0, 65_536, (48, 64, 3)).astype(np.uint16)


class TestPng:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (png(PICTURE), PICTURE),
            (png(PICTURE, interlaced=True), PICTURE),
            (png(DEEP, 16), (DEEP >> 8).astype(np.uint8)),
            (png(GREY, 8, pictures.GREY), GREY),
            (png(GREY >> 7, 1, pictures.GREY), GREY // 128 * 255),
            (png(GREY >> 4, 4, pictures.GREY, interlaced=True), GREY // 16 * 17),
            (png(DEEP[..., :1], 16, pictures.GREY), (DEEP[..., :1] >> 8).astype(np.uint8)),
            (png(GREY, 8, pictures.PALETTE, before_data=PLTE), PALETTE[GREY[..., 0]]),
            (png(np.concatenate([PICTURE, ALPHA], 2), 8, pictures.RGBA), PICTURE),
            (png(np.concatenate([GREY, ALPHA], 2), 8, pictures.GREY_ALPHA), GREY),
            (png(PICTURE, before_data=chunk(b"tRNS", b"\0\x30" * 3)), PICTURE),
            (pictures.apng([PICTURE, noise(64, 48)]), PICTURE),
        ],
        ids=[
            "rgb",
            "interlaced",
            "16 bit",
            "grey",
            "1 bit",
            "4 bit interlaced",
            "grey 16 bit",
            "palette",
            "alpha",
            "grey alpha",
            "transparent colour",
            "animated",
        ],
    )
    def test_kinds(self, value: bytes, expected: NDArray[np.uint8]) -> None:
        """Each kind comes out as its 8-bit colours: 16 bits cut to the upper 8, alpha dropped, first image."""
        np.testing.assert_array_equal(np.broadcast_to(expected, (48, 64, 3)), decoded(value))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, orientation: int) -> None:
        """PNG's eXIf chunk turns the picture as a JPEG's EXIF does, before or after the data."""
        block = chunk(b"eXIf", exif(orientation))
        lying = stored(PICTURE, orientation)

        np.testing.assert_array_equal(PICTURE, decoded(png(lying, before_data=block)))
        np.testing.assert_array_equal(PICTURE, decoded(png(lying, after_data=block)))

    def test_every_cut_is_truncated(self) -> None:
        """Wherever a PNG ends early, also in its last chunk, it is truncated: never half a picture."""
        value = png(noise(20, 10))

        assert {refused(value[:end]) for end in range(33, len(value))} == {Reason.TRUNCATED}

    def test_a_chunk_that_claims_too_much_is_truncated(self) -> None:
        """A chunk longer than what is left: its end is not there."""
        value = png(PICTURE)
        at = value.index(b"IDAT") - 4

        assert refused(value[:at] + b"\x7f" + value[at + 1 :]) == Reason.TRUNCATED

    def test_every_damaged_byte_of_the_data_is_found(self) -> None:
        """The chunks' checksums are held to: a flipped bit in the data is corruption."""
        value = png(noise(20, 10))
        at = value.index(b"IDAT")
        for place in range(at + 4, len(value) - 12):
            damaged = bytearray(value)
            damaged[place] ^= 0x10

            assert refused(bytes(damaged)) == Reason.UNDECODABLE

    def test_comments_do_not_matter(self) -> None:
        """Text, a nonsense profile or a comment with a wrong checksum neither changes a pixel nor prints."""
        junk = chunk(b"iCCP", b"x\0\0nonsense") + chunk(b"gAMA", b"\0\0\0\1") + chunk(b"tEXt", b"a\0b")[:-1] + b"!"

        np.testing.assert_array_equal(PICTURE, decoded(png(PICTURE, before_data=junk)))

    def test_an_unknown_critical_chunk_is_unsupported(self) -> None:
        """PNG says that a decoder which does not know a critical chunk must not guess."""
        assert refused(png(PICTURE, before_data=chunk(b"CgBI", b"\0\0\0\0"))) == Reason.UNSUPPORTED

    def test_a_missing_palette_is_undecodable(self) -> None:
        """A picture of palette indices without the palette."""
        assert refused(png(GREY, 8, pictures.PALETTE)) == Reason.UNDECODABLE


def test_a_wrong_stream_with_right_checksums(capfd: pytest.CaptureFixture[str]) -> None:
    """Only a PNG made wrong on purpose gets past the checks; it is undecodable, and libpng prints one line."""
    head = pictures.PNG_SIGNATURE + pictures.ihdr(64, 48, 8, pictures.RGB)
    for data in (zlib.compress(b"\0" * 100), b"no zlib stream", zlib.compress(b"\7" * (193 * 48))):
        value = head + chunk(b"IDAT", data) + chunk(b"IEND", b"")

        assert refused(value) == Reason.UNDECODABLE
        assert capfd.readouterr().err.count("\n") <= 1


class TestAnything:
    @given(
        value=st.sampled_from([PLAIN, pictures.progressive_jpeg(PICTURE), with_exif(PLAIN, 6)]),
        data=st.data(),
    )
    @settings(deadline=None, max_examples=400)
    def test_damaged_jpegs(self, value: bytes, data: st.DataObject) -> None:
        """Whatever is done to a JPEG's bytes: a picture of the header's size, or a FrameError."""
        damaged = bytearray(value)
        for _ in range(data.draw(st.integers(1, 6))):
            damaged[data.draw(st.integers(2, len(value) - 1))] = data.draw(st.integers(0, 255))
        try:
            picture = Decoder(1_000_000).decode(bytes(damaged))
        except FrameError:
            return

        assert picture.pixels.shape == (picture.height, picture.width, 3)

    @pytest.mark.parametrize("name", pictures.FOREIGN)
    def test_other_formats(self, name: str) -> None:
        """OpenCV could decode some of them; the input is JPEG and PNG, and the reason says so."""
        assert refused(pictures.FOREIGN[name] + b"\0" * 50) == Reason.UNSUPPORTED

    def test_text(self) -> None:
        """A text file is undecodable."""
        assert refused(b"timestamp,camera\n1,2\n") == Reason.UNDECODABLE


def test_scratch_does_not_leak() -> None:
    """One decoder, pictures of all kinds and sizes in turn: each comes out as from a decoder of its own."""
    decoder = Decoder()
    values = [
        jpeg(noise(200, 120)),
        pictures.cmyk_jpeg(scene(33, 21)),
        with_exif(jpeg(scene(50, 90)), 6),
        pictures.grey_jpeg(noise(9, 7)[..., 0]),
        png(scene(31, 11)),
    ]
    for value in values + values[::-1]:
        np.testing.assert_array_equal(decoded(value), decoder.decode(value).pixels)


def test_threads_share_a_decoder() -> None:
    """Eight threads decode different pictures at once; each sees its own."""
    decoder = Decoder()
    values = [jpeg(noise(80 + seed % 13, 60 + seed % 7, seed)) for seed in range(64)]
    expected = [simplejpeg.decode_jpeg(value, "RGB") for value in values]

    with ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(lambda value: decoder.decode(value).pixels.copy(), values * 4))

    for place, pixels in enumerate(actual):
        np.testing.assert_array_equal(expected[place % len(values)], pixels)


def test_reuses_its_buffer() -> None:
    """Pixels are valid until the same thread's next decode: the second picture lies where the first one did."""
    decoder = Decoder()

    first, second = (decoder.decode(jpeg(noise(64, 48, seed))).pixels for seed in (1, 2))

    assert np.shares_memory(first, second)


def test_dnl_and_twelve_bits() -> None:
    """Refused by their header, with a reason of their own."""
    assert refused(patch_frame(PLAIN, 1, struct.pack(">H", 0))) == Reason.UNSUPPORTED
    assert refused(patch_frame(PLAIN, 0, b"\x0c")) == Reason.UNSUPPORTED
