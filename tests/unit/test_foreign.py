"""WebP and BMP in files: their pixels, and what is no whole picture, before memory is taken for it."""

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.decode import Decoder
from runtime.errors import FrameError, Reason
from runtime.foreign import as_frame, decode_foreign, encode_png, is_foreign, readable
from tests import pictures

SCENE = pictures.scene(90, 60)
MAX_PIXELS = 90 * 60


def encoded(ending: str, pixels: pictures.Pixels = SCENE, *flags: int) -> bytes:
    return cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def core_bmp(pixels: pictures.Pixels) -> bytes:
    """A BMP with the oldest header, rows from below, each a multiple of four bytes."""
    height, width = pixels.shape[:2]
    rows = b"".join(row[:, ::-1].tobytes().ljust(-(-3 * width // 4) * 4, b"\0") for row in pixels[::-1])
    return struct.pack("<2sIIIIHHHH", b"BM", 26 + len(rows), 0, 26, 12, width, height, 1, 24) + rows


def from_above(value: bytes, pixels: pictures.Pixels) -> bytes:
    """That BMP with its uppermost row first: a negative height."""
    flipped = pictures.bmp(np.ascontiguousarray(pixels[::-1]))
    return flipped[:22] + struct.pack("<i", -len(pixels)) + value[26:54] + flipped[54:]


def extended_webp(width: int, height: int) -> bytes:
    """A WebP's container that claims a size, and nothing in it."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + sides


QUALITY = cv2.IMWRITE_WEBP_QUALITY
BMP, LOSSLESS, LOSSY = pictures.bmp(SCENE), encoded(".webp", SCENE, QUALITY, 101), encoded(".webp", SCENE, QUALITY, 90)
WHOLE = {
    "bmp": BMP,
    "bmp, core header": core_bmp(SCENE),
    "bmp from above": from_above(BMP, SCENE),
    "lossless webp": LOSSLESS,
}


@pytest.mark.parametrize("kind", WHOLE)
def test_pixels_are_the_files_own(kind: str) -> None:
    """Exactly; also through the PNG that an engine's way is given; in a limit that is just large enough."""
    value = WHOLE[kind]
    assert is_foreign(value)
    pixels = decode_foreign(value, MAX_PIXELS)

    np.testing.assert_array_equal(pixels, SCENE)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(Decoder().decode(as_frame(value, MAX_PIXELS)).pixels, SCENE)


def test_a_lossy_webp_is_near_its_picture() -> None:
    """Its own header tells its size."""
    pixels = decode_foreign(LOSSY, MAX_PIXELS)

    assert pixels.shape == SCENE.shape
    assert np.abs(pixels.astype(int) - SCENE).mean() < 4


def test_a_turned_animated_or_transparent_webp() -> None:
    """Upright by its EXIF; its first picture; without its transparency: as a PNG is decoded."""
    image = pytest.importorskip("PIL.Image", reason="makes WebP with metadata (pip install pillow)")
    exif, turned, moving, clear = image.Exif(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    exif[0x112] = 6
    image.fromarray(pictures.stored(SCENE, 6)).save(turned, "WEBP", lossless=True, exif=exif)
    others = [image.fromarray(255 - SCENE)]
    image.fromarray(SCENE).save(moving, "WEBP", lossless=True, save_all=True, append_images=others)
    alpha = np.zeros(SCENE.shape[:2], np.uint8)
    image.fromarray(np.dstack([SCENE, alpha])).save(clear, "WEBP", lossless=True, exact=True)

    for file in (turned, moving, clear):
        np.testing.assert_array_equal(decode_foreign(file.getvalue(), MAX_PIXELS), SCENE)


@pytest.mark.parametrize("value", [pictures.jpeg(SCENE), pictures.png(SCENE), pictures.FOREIGN["GIF"], b"none", b""])
def test_all_else_is_left_as_it_is(value: bytes) -> None:
    """What becomes of it, the decoder says."""
    assert not is_foreign(value)
    assert readable(value, 1) == (value, None)


@pytest.mark.parametrize(
    ("value", "reason", "text"),
    [
        (BMP[:-3000], Reason.TRUNCATED, rf"BMP ends after {len(BMP) - 3000} of {len(BMP)} bytes"),
        (BMP[:20], Reason.TRUNCATED, "BMP ends inside its header, after 20 bytes"),
        (LOSSLESS[:-30], Reason.TRUNCATED, "WebP ends after"),
        (LOSSY[:28], Reason.TRUNCATED, "WebP ends inside its header"),
        (LOSSLESS[:14], Reason.UNDECODABLE, "WebP begins with a chunk b'VP'"),
        (LOSSLESS[:40] + bytes(len(LOSSLESS) - 40), Reason.UNDECODABLE, "WebP is corrupt"),
        (BMP[:28] + b"\x07" + BMP[29:], Reason.UNDECODABLE, "BMP is corrupt"),  # 7 bits a pixel
        (BMP[:18] + struct.pack("<ii", 8000, -8000), Reason.TOO_LARGE, "8000 x 8000 pixels; at most 5400"),
        (extended_webp(2**24, 16), Reason.TOO_LARGE, "16777216 x 16 pixels"),
        (pictures.bmp(pictures.scene(91, 60)), Reason.TOO_LARGE, "91 x 60 pixels"),
        (encoded(".webp", pictures.scene(91, 60), QUALITY, 90), Reason.TOO_LARGE, "91 x 60 pixels"),
        (encoded(".webp", pictures.scene(91, 60), QUALITY, 101), Reason.TOO_LARGE, "91 x 60 pixels"),
    ],
)
def test_what_is_no_whole_picture_has_its_reason(value: bytes, reason: Reason, text: str) -> None:
    """A file that is cut, corrupt or too large; its bytes come back beside the reason."""
    found = readable(value, MAX_PIXELS)

    assert found.value == value
    assert found.fault is not None
    assert found.fault.reason is reason
    with pytest.raises(FrameError, match=text):
        raise found.fault


@given(st.sampled_from([BMP, LOSSLESS, LOSSY]), st.data())
def test_damage_is_a_fault_or_a_picture(value: bytes, data: st.DataObject) -> None:
    """Whatever bytes of the header are wrong: never another error, never more than the limit."""
    damaged = bytearray(value)
    for _ in range(3):
        damaged[data.draw(st.integers(10, 60))] = data.draw(st.integers(0, 255))
    if not is_foreign(bytes(damaged)):
        return
    try:
        pixels = decode_foreign(bytes(damaged), MAX_PIXELS)
    except FrameError:
        return
    assert pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS


def test_a_png_keeps_every_pixel() -> None:
    """It stands for the picture: also of pixels that lie otherwise in memory."""
    pixels = pictures.noise(41, 30)[:, ::-1]

    np.testing.assert_array_equal(Decoder().decode(encode_png(pixels)).pixels, pixels)
