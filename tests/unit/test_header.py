"""The header parser: what it reads, what it refuses, and that no bytes can break it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import FrameError, Reason
from runtime.header import MAX_SEGMENTS, PNG_SIGNATURE, Header, read_header
from tests import pictures
from tests.pictures import chunk, exif, ihdr, jpeg, patch_frame, png, scene, segment, with_exif, with_frame_marker

PICTURE = scene(40, 24)
PLAIN = jpeg(PICTURE)


def refused(value: bytes) -> Reason:
    with pytest.raises(FrameError) as caught:
        read_header(value)
    return caught.value.reason


def test_reads_a_jpeg() -> None:
    """Size, components and precision come from the frame header."""
    header = read_header(jpeg(PICTURE, subsampling="420"))

    assert header == Header("jpeg", 40, 24, 3, 8, sampling=b"\x22\x11\x11", single_scan=True)


def test_reads_a_progressive_jpeg() -> None:
    """A progressive JPEG says so."""
    header = read_header(pictures.progressive_jpeg(PICTURE))

    assert (header.progressive, header.single_scan, header.width, header.height) == (True, False, 40, 24)


@pytest.mark.parametrize(
    ("depth", "colour", "components"),
    [(1, pictures.GREY, 1), (16, pictures.GREY, 1), (4, pictures.PALETTE, 1), (8, pictures.RGBA, 4)],
)
def test_reads_a_png(depth: int, colour: int, components: int) -> None:
    """Size, depth and samples per pixel come from IHDR; an interlaced picture counts as progressive."""
    value = PNG_SIGNATURE + ihdr(70_000, 3, depth, colour, interlaced=True)

    header = read_header(value)

    palette = colour == pictures.PALETTE
    assert header == Header("png", 70_000, 3, components, depth, progressive=True, palette=palette)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reads_the_orientation(orientation: int, order: str) -> None:
    """EXIF in either byte order, in a JPEG's APP1 and in a PNG's eXIf before or after the data."""
    block = chunk(b"eXIf", exif(orientation, order))

    assert read_header(with_exif(PLAIN, orientation, order)).orientation == orientation
    assert read_header(png(PICTURE, before_data=block)).orientation == orientation
    assert read_header(png(PICTURE, after_data=block)).orientation == orientation


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"XX*\0\x08\0\0\0",
        exif(0),
        exif(9),
        exif(6)[:-9],
        struct.pack("<2sHI", b"II", 42, 0xFFFFFFFF),
        exif(6)[:8] + b"\xff\xff" + b"\0" * 24,
    ],
    ids=["empty", "mark only", "no mark", "0", "9", "cut", "far away", "too many entries"],
)
def test_unreadable_exif_means_upright(block: bytes) -> None:
    """A damaged EXIF block costs no frame: the picture is taken as it is stored."""
    value = PLAIN[:2] + segment(0xE1, b"Exif\0\0" + block) + PLAIN[2:]

    assert read_header(value).orientation == 1


def test_the_first_exif_block_counts() -> None:
    """A second APP1 with another orientation is not looked at, and XMP in an APP1 is not EXIF."""
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")

    value = with_exif(with_exif(PLAIN, 3), 6)

    assert read_header(value[:2] + xmp + value[2:]).orientation == 6


@pytest.mark.parametrize("name", pictures.FOREIGN)
def test_names_other_formats(name: str) -> None:
    """A picture in another format is unsupported, and the text names the format."""
    with pytest.raises(FrameError, match=f"unsupported: a {name} picture"):
        read_header(pictures.FOREIGN[name] + b"\0" * 20)


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"BM is how this text begins", b"hello, world\n" * 50, b"\0" * 4096, b"%PDF-1.7"]
)
def test_anything_else_is_undecodable(value: bytes) -> None:
    """Bytes of no picture format are undecodable."""
    assert refused(value) == Reason.UNDECODABLE


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_other_jpeg_processes_are_unsupported(marker: int) -> None:
    """Lossless, hierarchical and arithmetic JPEGs are refused by their frame marker."""
    assert refused(with_frame_marker(PLAIN, marker)) == Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("offset", "new", "reason"),
    [
        (0, b"\x0c", Reason.UNSUPPORTED),  # 12 bits
        (1, b"\0\0", Reason.UNSUPPORTED),  # height by DNL
        (3, b"\0\0", Reason.UNDECODABLE),  # width 0
        (5, b"\x02", Reason.UNDECODABLE),  # 2 components in a header long enough for 3
    ],
)
def test_odd_frame_headers(offset: int, new: bytes, reason: Reason) -> None:
    """12 bits and a height told later are unsupported; contradictions are undecodable."""
    assert refused(patch_frame(PLAIN, offset, new)) == reason


def test_two_components_are_unsupported() -> None:
    """Colour of one, three or four components is known; two are not."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, 4, 4, 2) + b"\1\x11\0\2\x11\0")

    assert refused(b"\xff\xd8" + frame + segment(0xDA, b"")) == Reason.UNSUPPORTED


def test_two_frame_headers_are_undecodable() -> None:
    """A second frame header could claim another size than the one that was checked."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, 4, 4, 1) + b"\1\x11\0")

    assert refused(b"\xff\xd8" + frame + frame + segment(0xDA, b"")) == Reason.UNDECODABLE


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xd8" + segment(0xDA, b""),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8junk" + PLAIN[2:],
        b"\xff\xd8\xff\xe0\0\1" + PLAIN[2:],
        b"\xff\xd8" + segment(0xFE, b"") * (MAX_SEGMENTS + 1) + PLAIN[2:],
    ],
    ids=["no frame", "no scan", "junk", "length 1", "too many segments"],
)
def test_broken_jpeg_headers_are_undecodable(value: bytes) -> None:
    """What no JPEG can begin with is undecodable, and a header of endless segments is not read on."""
    assert refused(value) == Reason.UNDECODABLE


def test_fill_bytes_and_bare_markers_are_skipped() -> None:
    """Any number of 0xFF may stand before a marker, and TEM and RST have no length."""
    value = PLAIN[:2] + b"\xff" * 999 + b"\xff\x01" + b"\xff\xd0" + PLAIN[2:]

    assert read_header(value) == read_header(PLAIN)


def test_every_cut_in_a_jpeg_header_is_truncated() -> None:
    """Wherever the bytes end before the scan, the reason is truncation."""
    scan = PLAIN.index(b"\xff\xda")

    assert {refused(PLAIN[:end]) for end in range(2, scan + 2)} == {Reason.TRUNCATED}


def test_every_cut_in_a_png_header_is_truncated() -> None:
    """Wherever the bytes end before IHDR does, the reason is truncation."""
    value = png(PICTURE)

    assert {refused(value[:end]) for end in range(2, 33)} == {Reason.TRUNCATED}


@pytest.mark.parametrize(
    "fields", [(0, 1, 8, 2), (1, 0, 8, 2), (1, 1, 4, 2), (1, 1, 16, 3), (1, 1, 8, 5), (1, 1, 3, 0)]
)
def test_impossible_png_headers_are_undecodable(fields: tuple[int, int, int, int]) -> None:
    """A side of 0 and depths or colour types that PNG does not know are undecodable."""
    assert refused(PNG_SIGNATURE + ihdr(*fields)) == Reason.UNDECODABLE


def test_a_png_must_begin_with_its_header() -> None:
    """Another first chunk than IHDR is undecodable (Apple's CgBI is one)."""
    assert refused(PNG_SIGNATURE + chunk(b"CgBI", b"\0" * 4) + png(PICTURE)[8:]) == Reason.UNDECODABLE


SEEDS = [
    with_exif(PLAIN, 6),
    pictures.progressive_jpeg(PICTURE),
    png(PICTURE, before_data=chunk(b"eXIf", exif(8))),
    *pictures.FOREIGN.values(),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with some bytes replaced, and cut."""
    value = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 8))):
        value[draw(st.integers(0, min(len(value), 700) - 1))] = draw(st.integers(0, 255))
    return bytes(value[: draw(st.integers(0, len(value)))])


@given(st.one_of(damaged(), st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"\xff\xd8\xff" + tail)))
@settings(deadline=None, max_examples=1500)
def test_no_bytes_break_it(value: bytes) -> None:
    """Any bytes give a header with positive sides or a FrameError, never another exception."""
    try:
        header = read_header(value)
    except FrameError:
        return

    assert header.width > 0
    assert header.height > 0
    assert 1 <= header.orientation <= 8
