"""Makers of pictures, plain and odd: every kind that ``docs/pictures.md`` names is made here, byte by byte.

Pixels are uint8 arrays (height, width, 3), RGB, upright, unless a name says otherwise.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6

# EXIF's own words: what the stored row 0 and the stored column 0 are in the upright picture.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}

FOREIGN = {
    "GIF": b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
    "WebP": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "BMP": b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00",
    "TIFF": b"II\x2a\x00\x08\x00\x00\x00",
    "AVIF": b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00",
    "HEIC": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
}


def scene(width: int, height: int, seed: int = 0) -> Pixels:
    """A smooth picture in which no two corners are alike: gradients, and one bright corner."""
    y, x = np.mgrid[:height, :width]
    phase = seed * 0.7
    red = 40 + 170 * x / max(1, width - 1)
    green = 40 + 170 * y / max(1, height - 1)
    blue = 128 + 80 * np.sin(x / 9 + phase) * np.cos(y / 7 - phase)
    pixels = np.stack([red, green, blue], axis=-1).astype(np.uint8)
    pixels[: (height + 3) // 4, : (width + 3) // 4] = (230, 220, 20)
    return pixels


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    """Every pixel random: the hardest picture for a resize."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The array a camera held that way stores: what EXIF's ``orientation`` turns into ``upright``."""
    first_row, first_column = ORIENTATIONS[orientation]
    if first_row in {"left", "right"}:
        upright = upright.swapaxes(0, 1)
    if first_row in {"bottom", "right"}:
        upright = upright[::-1]
    if first_column in {"bottom", "right"}:
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright)


def jpeg(pixels: Pixels, quality: int = 95, subsampling: str = "444") -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", subsampling))


def progressive_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def bmp(pixels: Pixels) -> bytes:
    return cv2.imencode(".bmp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def grey_jpeg(grey: NDArray[np.uint8], quality: int = 95) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(grey[..., None]), quality, "GRAY"))


def cmyk_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """Four components (YCCK), stored inverted as Adobe does: 255 is no ink."""
    white = pixels.max(axis=2, keepdims=True).astype(np.float64)
    inks = np.rint(255.0 * pixels / np.maximum(white, 1))
    cmyk = np.concatenate([inks, white], axis=2).astype(np.uint8)
    return bytes(simplejpeg.encode_jpeg(cmyk, quality, "CMYK", "444"))


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF block with that orientation and nothing else; ``order`` is ``<`` (II) or ``>`` (MM)."""
    mark = b"II" if order == "<" else b"MM"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "HIH", 42, 8, 1) + entry + struct.pack(order + "I", 0)


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_exif(value: bytes, orientation: int, order: str = "<") -> bytes:
    """That JPEG with an EXIF orientation, right after SOI."""
    return value[:2] + segment(0xE1, b"Exif\0\0" + exif(orientation, order)) + value[2:]


def patch_frame(value: bytes, offset: int, new: bytes) -> bytes:
    """That JPEG with bytes of its frame header changed: 0 precision, 1 height, 3 width, 5 components."""
    at = next(position for marker, position in segments(value) if marker in {0xC0, 0xC2}) + 4 + offset
    return value[:at] + new + value[at + len(new) :]


def with_frame_marker(value: bytes, marker: int) -> bytes:
    """That JPEG with another SOF marker: 0xC3 lossless, 0xC9 arithmetic, ..."""
    at = next(position for found, position in segments(value) if found in {0xC0, 0xC2}) + 1
    return value[:at] + bytes([marker]) + value[at + 1 :]


def segments(value: bytes) -> Iterator[tuple[int, int]]:
    """The markers before the scan with their places."""
    at = 2
    while value[at + 1] != 0xDA:
        yield value[at + 1], at
        at += 2 + int.from_bytes(value[at + 2 : at + 4], "big")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width: int, height: int, depth: int, colour: int, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def png(
    samples: NDArray[Any],
    depth: int = 8,
    colour: int = RGB,
    *,
    interlaced: bool = False,
    before_data: bytes = b"",
    after_data: bytes = b"",
) -> bytes:
    """A PNG of (height, width, channels) samples, each below 2**depth, with further chunks where wanted."""
    height, width = samples.shape[:2]
    passes = adam7(samples) if interlaced else iter([samples])
    data = zlib.compress(b"".join(scanlines(part, depth) for part in passes))
    header = ihdr(width, height, depth, colour, interlaced)
    return PNG_SIGNATURE + header + before_data + chunk(b"IDAT", data) + after_data + chunk(b"IEND", b"")


def scanlines(samples: NDArray[Any], depth: int) -> bytes:
    """Each row with filter type 0, its samples packed to ``depth`` bits."""
    height, width, channels = samples.shape
    if height == 0 or width == 0:
        return b""
    if depth == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        bits = np.unpackbits(samples.astype(np.uint8).reshape(height, width * channels, 1), axis=2)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def adam7(samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for y, x, step_y, step_x in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        yield samples[y::step_y, x::step_x]


def claiming_png(width: int, height: int) -> bytes:
    """A few dozen bytes that claim a picture of that size."""
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return PNG_SIGNATURE + ihdr(width, height, 8, RGB) + data + chunk(b"IEND", b"")


def apng(frames: list[Pixels]) -> bytes:
    """An animated PNG whose first frame is also the still picture."""
    height, width = frames[0].shape[:2]
    control = [struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)] * len(frames)
    body = chunk(b"fcTL", struct.pack(">I", 0) + control[0])
    body += chunk(b"IDAT", zlib.compress(scanlines(frames[0], 8)))
    for place, frame in enumerate(frames[1:]):
        body += chunk(b"fcTL", struct.pack(">I", 2 * place + 1) + control[place + 1])
        body += chunk(b"fdAT", struct.pack(">I", 2 * place + 2) + zlib.compress(scanlines(frame, 8)))
    head = ihdr(width, height, 8, RGB) + chunk(b"acTL", struct.pack(">II", len(frames), 0))
    return PNG_SIGNATURE + head + body + chunk(b"IEND", b"")
