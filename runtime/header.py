"""What a picture says of itself before a pixel is decoded. Never reads outside the bytes.

JPEG: ITU-T T.81 annex B, EXIF 2.3 section 4.6; PNG: W3C PNG third edition, section 5.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from runtime.errors import FrameError, Reason

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SEGMENTS = 4096
"""A real JPEG has a dozen, with a large colour profile some 300; each costs this parser a microsecond."""

_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may stand before a marker
_SOS, _EOI, _APP1, _APP14 = 0xDA, 0xD9, 0xE1, 0xEE
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG, DAC
_DECODABLE_FRAMES = {0xC0, 0xC1, 0xC2}
_PROGRESSIVE = 0xC2
_ORIENTATION_TAG, _SHORT = 0x0112, 3

_FOREIGN = (
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("BMP", re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)),
    ("TIFF", re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]")),
    ("AVIF", re.compile(rb".{4}ftypavi[fs]", re.DOTALL)),
    ("HEIC", re.compile(rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL)),
    ("JPEG XL", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")),
    ("JPEG 2000", re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n")),
)

# PNG's allowed bit depths and the samples per pixel, by colour type.
_PNG_COLOURS = {0: ({1, 2, 4, 8, 16}, 1), 2: ({8, 16}, 3), 3: ({1, 2, 4, 8}, 1), 4: ({8, 16}, 2), 6: ({8, 16}, 4)}
PNG_PALETTE = 3


@dataclass(frozen=True, slots=True)
class Header:
    """Size in pixels as stored, before ``orientation`` (EXIF, 1..8; 5..8 swap the sides) is applied."""

    format: Literal["jpeg", "png"]
    width: int
    height: int
    components: int
    """Samples per pixel as stored; a palette's index is one."""
    precision: int
    """Bits per sample."""
    orientation: int = 1
    progressive: bool = False
    """Progressive JPEG, interlaced PNG."""
    sampling: bytes = b""
    """JPEG: a byte per component, horizontal factor in the high nibble, vertical in the low one."""
    single_scan: bool = False
    """JPEG: the first scan holds all components of a sequential picture, so no later one is read."""
    names_rgb: bool = False
    """JPEG: Adobe's marker or the components' names say red, green and blue, where YCbCr is usual."""
    palette: bool = False

    @property
    def sideways(self) -> bool:
        """Whether upright width and height are the stored height and width."""
        return self.orientation >= 5

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width once ``orientation`` is applied."""
        return (self.width, self.height) if self.sideways else (self.height, self.width)


def read_header(value: bytes) -> Header:
    """Read the header of a JPEG or PNG.

    Raises:
        FrameError: TRUNCATED if the bytes end inside the header; UNSUPPORTED for another picture format or a
            kind of JPEG that is not decoded here; UNDECODABLE for anything else.
    """
    if value.startswith(b"\xff\xd8"):
        return _jpeg_header(value)
    if value.startswith(PNG_SIGNATURE):
        return _png_header(value)
    if len(value) > 1 and PNG_SIGNATURE.startswith(value):
        raise _truncated("PNG", len(value))
    if (name := foreign_format(value)) is not None:
        raise FrameError(Reason.UNSUPPORTED, f"a {name} picture; send JPEG or PNG")
    raise FrameError(Reason.UNDECODABLE, f"neither JPEG nor PNG: {len(value)} bytes that begin with {value[:8]!r}")


def foreign_format(value: bytes) -> str | None:
    """The name of the picture format, where it is a known one other than JPEG and PNG."""
    return next((name for name, magic in _FOREIGN if magic.match(value)), None)


def _truncated(kind: str, size: int) -> FrameError:
    return FrameError(Reason.TRUNCATED, f"the {kind} ends inside its header, after {size} bytes")


def _undecodable(detail: str) -> FrameError:
    return FrameError(Reason.UNDECODABLE, detail)


def _jpeg_header(value: bytes) -> Header:
    frame: Header | None = None
    orientation: int | None = None
    rgb = False
    payload = b""
    for marker, payload in _segments(value):  # the last one is the scan's header
        if marker in _FRAMES:
            if frame is not None:
                raise _undecodable("the JPEG has two frame headers")
            frame = _jpeg_frame(marker, payload)
            rgb |= payload[6::3] == b"RGB"
        elif marker == _APP14 and payload.startswith(b"Adobe"):
            rgb |= payload[11:12] == b"\0"
        elif marker == _APP1 and orientation is None and payload.startswith(b"Exif\0"):
            orientation = _exif_orientation(payload[6:])
    if frame is None:
        raise _undecodable("the JPEG has a scan, but no frame header")
    single = not frame.progressive and payload[:1] == bytes([frame.components])
    rgb &= frame.components == 3
    return replace(frame, orientation=orientation or 1, single_scan=single, names_rgb=rgb)


def _segments(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with their payloads, as far as the first scan's header."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        marker, at = _next_marker(value, at)
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _EOI:
            raise _undecodable("the JPEG ends before any scan")
        payload = _payload(value, at)
        yield marker, payload
        if marker == _SOS:
            return
        at += 2 + len(payload)
    raise _undecodable(f"the JPEG has more than {MAX_SEGMENTS} segments before its scan")


def _next_marker(value: bytes, at: int) -> tuple[int, int]:
    """The marker at that place and where what belongs to it begins."""
    found = _MARKER.match(value, at)
    if found is not None:
        return found[1][0], found.end()
    if not value[at:].strip(b"\xff"):
        raise _truncated("JPEG", len(value))
    raise _undecodable(f"byte {at} of the JPEG is {value[at]:#04x} where a marker is due")


def _payload(value: bytes, at: int) -> bytes:
    length = int.from_bytes(value[at : at + 2], "big")
    if at + max(length, 2) > len(value):
        raise _truncated("JPEG", len(value))
    if length < 2:
        raise _undecodable(f"a segment of the JPEG, at byte {at}, claims a length of {length}")
    return value[at + 2 : at + length]


def _jpeg_frame(marker: int, payload: bytes) -> Header:
    if marker not in _DECODABLE_FRAMES:
        raise FrameError(Reason.UNSUPPORTED, f"a lossless, hierarchical or arithmetic JPEG (SOF{marker - 0xC0})")
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise _undecodable("the JPEG's frame header has the wrong length")
    precision, height, width, components = struct.unpack_from(">BHHB", payload)
    if precision != 8:
        raise FrameError(Reason.UNSUPPORTED, f"a JPEG of {precision} bits per sample; 8 are supported")
    if height == 0:
        raise FrameError(Reason.UNSUPPORTED, "a JPEG that tells its height after the scan (DNL)")
    if width == 0:
        raise _undecodable("the JPEG is 0 pixels wide")
    if components not in {1, 3, 4}:
        raise FrameError(Reason.UNSUPPORTED, f"a JPEG of {components} components; 1, 3 and 4 are supported")
    progressive = marker == _PROGRESSIVE
    return Header("jpeg", width, height, components, precision, 1, progressive, payload[7::3])


def _exif_orientation(tiff: bytes) -> int:
    """The first directory's orientation; 1 where there is none, or none that can be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(entries):
            tag, kind, _, found = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return found if kind == _SHORT and 1 <= found <= 8 else 1
    except struct.error:
        pass
    return 1


def png_chunks(value: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each whole chunk's kind, and where the chunk (length to CRC) begins and ends; stops after IEND."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(value):
        end = at + 12 + int.from_bytes(value[at : at + 4], "big")
        if end > len(value):
            return
        kind = value[at + 4 : at + 8]
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _png_header(value: bytes) -> Header:
    if value[12:16] != b"IHDR"[: len(value[12:16])]:
        raise _undecodable("the PNG does not begin with its header chunk, IHDR")
    if len(value) < 33:
        raise _truncated("PNG", len(value))
    length, _, width, height, depth, colour, compression, filters, interlace = struct.unpack_from(
        ">I4sIIBBBBB", value, len(PNG_SIGNATURE)
    )
    depths, components = _PNG_COLOURS.get(colour, (set[int](), 0))
    if length != 13 or depth not in depths or compression or filters or interlace > 1 or not width or not height:
        raise _undecodable("the PNG's header chunk has a value that PNG does not know")
    orientation = next(
        (_exif_orientation(value[at + 8 : end - 4]) for kind, at, end in png_chunks(value) if kind == b"eXIf"), 1
    )
    return Header("png", width, height, components, depth, orientation, bool(interlace), palette=colour == PNG_PALETTE)
