"""WebP and BMP: what files may be besides JPEG and PNG. ``assess`` and training read them, the gateway does not.

WebP: RFC 9649 sections 2.5 to 2.7, RFC 6386 section 9.1; BMP: the headers BITMAPCOREHEADER and BITMAPINFOHEADER.
"""

import struct
from typing import NamedTuple

import numpy as np

from runtime.decode import MAX_PIXELS, Pixels, require_size
from runtime.errors import FrameError, Reason
from runtime.header import foreign_format
from runtime.opencv import cv2

FORMATS = ("WebP", "BMP")

_CORE_HEADER_BYTES = 12
"""Of BMP's oldest header, whose sides are of 16 bits."""


class Readable(NamedTuple):
    """A file's picture as the gateway could be sent it; or why it cannot be, and the file's own bytes."""

    value: bytes
    fault: FrameError | None


def is_foreign(value: bytes) -> bool:
    """Whether the bytes begin as a WebP or BMP does."""
    return foreign_format(value) in FORMATS


def readable(value: bytes, max_pixels: int) -> Readable:
    """As ``as_frame``, with the fault beside."""
    try:
        return Readable(as_frame(value, max_pixels), None)
    except FrameError as error:
        return Readable(value, error)


def as_frame(value: bytes, max_pixels: int) -> bytes:
    """The picture as the gateway could be sent it: of a WebP or BMP a PNG with its pixels, all else as it is.

    Raises:
        FrameError: as ``decode_foreign``.
    """
    return encode_png(decode_foreign(value, max_pixels)) if is_foreign(value) else value


def decode_foreign(value: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of a WebP or BMP: (height, width, 3) uint8 RGB, C-contiguous, upright, the caller's own.

    Transparency is dropped, and of an animation all but its first picture.

    Raises:
        FrameError: TOO_LARGE (known before a pixel is decoded), TRUNCATED, UNDECODABLE.
    """
    name = foreign_format(value)
    size = _webp_size if name == "WebP" else _bmp_size
    try:
        require_size(*size(value), max_pixels)
    except struct.error:
        raise FrameError(Reason.TRUNCATED, f"the {name} ends inside its header, after {len(value)} bytes") from None
    claimed = _claimed_bytes(value)
    if len(value) < claimed:  # OpenCV would fill up what is missing
        raise FrameError(Reason.TRUNCATED, f"the {name} ends after {len(value)} of {claimed} bytes")
    try:
        pixels = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise FrameError(Reason.UNDECODABLE, f"the {name} is corrupt: {error.err}") from error
    if pixels is None:
        raise FrameError(Reason.UNDECODABLE, f"the {name} is corrupt, or of a kind that OpenCV does not read")
    return np.ascontiguousarray(pixels, np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """RGB pixels as a PNG: quickly, and without loss."""
    _, value = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return value.tobytes()


def _claimed_bytes(value: bytes) -> int:
    """How long the file says it is."""
    if value.startswith(b"RIFF"):
        return int.from_bytes(value[4:8], "little") + 8
    return int.from_bytes(value[2:6], "little")


def _bmp_size(value: bytes) -> tuple[int, int]:
    """Width and height in pixels; a negative height says that the uppermost row comes first."""
    (header_bytes,) = struct.unpack_from("<I", value, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == _CORE_HEADER_BYTES else "<ii", value, 18)
    return abs(width), abs(height)


def _webp_size(value: bytes) -> tuple[int, int]:
    """Width and height in pixels, of an animation's canvas."""
    kind = value[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", value, 24)
        return 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", value, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", value, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise FrameError(Reason.UNDECODABLE, f"the WebP begins with a chunk {kind!r}, which none begins with")
