"""From a record's bytes to upright RGB pixels. ``docs/pictures.md`` lists what becomes of each kind of picture."""

import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.errors import ConfigError, FrameError, Reason
from runtime.header import PNG_SIGNATURE, Header, png_chunks, read_header
from runtime.opencv import cv2
from runtime.scratch import Scratch

Pixels = NDArray[np.uint8]

MAX_PIXELS = 33_177_600
"""8K UHD, 7680 x 4320: 100 MB of RGB in each thread that decodes one."""
MAX_SIDE = 65_535
"""What a JPEG can say; a PNG can claim 2**31."""
MAX_SCANS = 64
"""A progressive JPEG has about ten; each is a pass over the whole picture, for as little as 20 bytes."""
MAX_PADDING = 4096
"""Bytes between the last pixel and the end marker: some cameras fill a buffer. More speaks of lost data."""

_OPENCV_PIXELS = 2**30
_OPENCV_LIMITS = {
    "OPENCV_IO_MAX_IMAGE_WIDTH": MAX_SIDE,
    "OPENCV_IO_MAX_IMAGE_HEIGHT": MAX_SIDE,
    "OPENCV_IO_MAX_IMAGE_PIXELS": _OPENCV_PIXELS,
}

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_SAMPLINGS = {b"\x11", b"\x22", *(bytes([luma, 0x11, 0x11]) for luma in (0x11, 0x21, 0x12, 0x22, 0x41, 0x14))}
# libjpeg-turbo's words, from simplejpeg's ValueError. It tells the first fault it meets, in the bytes' order.
_ENDS_EARLY = "Premature end of JPEG file"
_ODD_REVISION = "Warning: unknown JFIF revision"
_PADDING = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")

_PNG_KNOWN = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels (height, width, 3), uint8 RGB, C-contiguous, upright; ``width`` and ``height`` at full size.

    The pixels lie in the decoding thread's scratch: valid until that thread decodes again.
    """

    pixels: Pixels
    width: int
    height: int


class Decoder:
    """Decodes JPEG and PNG of at most ``max_pixels`` pixels. Any number of threads may share one.

    Raises:
        ConfigError: ``max_pixels``, or a limit of OpenCV's own in the environment, contradicts the other.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        _check_limits(max_pixels)
        self._max_pixels = max_pixels
        self._scratch = Scratch()

    def decode(self, value: bytes | None, least: tuple[int, int] | None = None) -> Picture:
        """Decode a record's value.

        Args:
            value: the encoded picture.
            least: height and width, upright, that the decoded picture must keep; a JPEG may then be decoded at
                1/2, 1/4 or 1/8 (each side rounded up; a side that its EXIF orientation turns round is divided
                without a remainder or not at all). None: full size.

        Raises:
            FrameError: EMPTY, TOO_LARGE (known before a pixel is decoded), UNSUPPORTED, TRUNCATED, UNDECODABLE.
        """
        header = self.header(value)
        assert value
        pixels = self._jpeg(value, header, least) if header.format == "jpeg" else _png(value, header)
        height, width = header.upright_size
        return Picture(self._upright(pixels, header), width, height)

    def header(self, value: bytes | None) -> Header:
        """The header of a picture that may be decoded: all that is known before a pixel is.

        Raises:
            FrameError: as ``decode``, wherever the header tells.
        """
        if not value:
            raise FrameError(Reason.EMPTY, "a tombstone or a value of no bytes")
        header = read_header(value)
        require_size(header.width, header.height, self._max_pixels)
        if header.format == "jpeg" and not header.single_scan and value.count(_SCAN) > MAX_SCANS:
            raise FrameError(Reason.UNSUPPORTED, f"a JPEG of more than {MAX_SCANS} scans")
        return header

    def _jpeg(self, value: bytes, header: Header, least: tuple[int, int] | None) -> Pixels:
        factor = _shrink_factor(header, least)
        shape = (-(-header.height // factor), -(-header.width // factor), 4 if header.components == 4 else 3)
        pixels, shrunk = self._scratch.array("decoded", shape), factor > 1
        fault = _decode_jpeg(value, pixels, shrunk)
        if fault.startswith(_ODD_REVISION):  # harmless, but it hides what comes after it
            fault = _decode_jpeg(re.sub(rb"JFIF\0.", b"JFIF\0\1", value, count=1, flags=re.DOTALL), pixels, shrunk)
        if fault.startswith(_ENDS_EARLY):
            fault = _decode_jpeg(value + _END, pixels, shrunk) and fault
        if fault:
            raise _jpeg_error(fault, header)
        return pixels if shape[2] == 3 else self._without_ink(pixels)

    def _without_ink(self, inverted: Pixels) -> Pixels:
        """CMYK as Adobe stores it, 255 for no ink, to RGB."""
        rgb = self._scratch.array("rgb", (*inverted.shape[:2], 3))
        light = inverted[..., :3].astype(np.uint16) * inverted[..., 3:]
        np.copyto(rgb, (light + np.uint16(127)) // np.uint16(255), casting="unsafe")
        return rgb

    def _upright(self, pixels: Pixels, header: Header) -> Pixels:
        if header.orientation == 1:
            return pixels
        height, width = pixels.shape[:2]
        upright = self._scratch.array("upright", (width, height, 3) if header.sideways else pixels.shape)
        _TURNS[header.orientation](pixels, upright)
        return upright


def require_size(width: int, height: int, max_pixels: int) -> None:
    """What a header claims, before memory is taken for it.

    Raises:
        FrameError: TOO_LARGE.
    """
    if width * height > max_pixels:
        raise FrameError(Reason.TOO_LARGE, f"{width} x {height} pixels; at most {max_pixels} in all are allowed")
    if max(width, height) > MAX_SIDE:
        raise FrameError(Reason.TOO_LARGE, f"{width} x {height} pixels; a side may have {MAX_SIDE}")


def _transverse(stored: Pixels, upright: Pixels) -> None:
    cv2.transpose(stored, dst=upright)
    cv2.flip(upright, -1, dst=upright)


_TURNS: dict[int, Callable[[Pixels, Pixels], object]] = {
    2: lambda stored, upright: cv2.flip(stored, 1, dst=upright),
    3: lambda stored, upright: cv2.rotate(stored, cv2.ROTATE_180, dst=upright),
    4: lambda stored, upright: cv2.flip(stored, 0, dst=upright),
    5: lambda stored, upright: cv2.transpose(stored, dst=upright),
    6: lambda stored, upright: cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE, dst=upright),
    7: _transverse,
    8: lambda stored, upright: cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE, dst=upright),
}

_ROWS_TURNED, _COLUMNS_TURNED = {3, 4, 6, 7}, {2, 3, 7, 8}
"""Orientations in which the stored last row, or column, comes first along its side of the upright picture."""


def _check_limits(max_pixels: int) -> None:
    if not 0 < max_pixels <= _OPENCV_PIXELS:
        raise ConfigError(f"max_pixels is {max_pixels}; it must lie in 1..{_OPENCV_PIXELS}")
    for name, most in _OPENCV_LIMITS.items():
        text = os.environ.get(name, "")
        if text and not (text.isdecimal() and int(text) >= min(max_pixels, most)):
            raise ConfigError(f"the environment's {name}={text} is below max_pixels={max_pixels}: unset it")


def _shrink_factor(header: Header, least: tuple[int, int] | None) -> int:
    """The strongest of 8, 4, 2 whose halvings (odd rows and columns left out) keep both sides >= ``least``.

    What is left over of a side, less than a block, the decoder makes a pixel at the stored end. Halving leaves it out
    there; on a side that is turned round it would stand at the beginning and move the picture, so none may be left.
    """
    if least is None:
        return 1
    height, width = header.upright_size
    turned = [header.height] * (header.orientation in _ROWS_TURNED)
    turned += [header.width] * (header.orientation in _COLUMNS_TURNED)
    return next(
        (
            factor
            for factor in (8, 4, 2)
            if height // factor >= least[0] and width // factor >= least[1] and not any(s % factor for s in turned)
        ),
        1,
    )


def _decode_jpeg(value: bytes, pixels: Pixels, shrunk: bool) -> str:
    """Decode to the size of ``pixels``; returns libjpeg's complaint, or nothing. The pixels are complete either way."""
    height, width, components = pixels.shape
    try:
        simplejpeg.decode_jpeg(
            value,
            colorspace="RGB" if components == 3 else "CMYK",
            min_height=height if shrunk else 0,  # 0 is full size; a tiny picture is as large at 1/8 as whole
            min_width=width if shrunk else 0,
            buffer=pixels,
        )
    except ValueError as error:
        padding = _PADDING.match(str(error))
        return "" if padding and int(padding[1]) <= MAX_PADDING else str(error)
    return ""


def _jpeg_error(fault: str, header: Header) -> FrameError:
    if fault.startswith(_ENDS_EARLY):
        return FrameError(Reason.TRUNCATED, "the JPEG ends before its picture does")
    if "subsampling" in fault and header.sampling not in _SAMPLINGS:
        return FrameError(Reason.UNSUPPORTED, f"a JPEG of the unusual sampling {header.sampling.hex()}")
    return FrameError(Reason.UNDECODABLE, f"the JPEG is corrupt: {fault}")


def _png(value: bytes, header: Header) -> Pixels:
    essence = np.frombuffer(_png_essence(value, header), np.uint8)
    try:
        pixels = cv2.imdecode(essence, cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise FrameError(Reason.UNDECODABLE, f"the PNG is corrupt: {error.err}") from error
    if pixels is None or pixels.shape != (header.height, header.width, 3):
        raise FrameError(Reason.UNDECODABLE, "the PNG is corrupt: its data do not give the picture it claims")
    return np.ascontiguousarray(pixels, np.uint8)


def _png_essence(value: bytes, header: Header) -> bytes:
    """The PNG without what its pixels do not depend on: comments, profiles, transparency, animation.

    libpng prints its opinion of such chunks to standard error, where nobody can stop it.
    """
    kept, kinds = [PNG_SIGNATURE], set()
    for kind, start, end in png_chunks(value):
        critical = not kind[0] & 0x20
        if critical and kind not in _PNG_KNOWN:
            raise FrameError(Reason.UNSUPPORTED, f"a PNG with the critical chunk {kind!r}")
        if critical:
            kept.append(_checked(value[start:end], kind))
            kinds.add(kind)
    if b"IEND" not in kinds:
        raise FrameError(Reason.TRUNCATED, f"the PNG ends after {len(value)} bytes, without its end chunk")
    if b"IDAT" not in kinds or (header.palette and b"PLTE" not in kinds):
        raise FrameError(Reason.UNDECODABLE, "the PNG lacks its data or its palette")
    return b"".join(kept)


def _checked(chunk: bytes, kind: bytes) -> bytes:
    if zlib.crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise FrameError(Reason.UNDECODABLE, f"the PNG is corrupt: the checksum of a chunk {kind!r} is wrong")
    return chunk
