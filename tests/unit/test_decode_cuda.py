"""Decoding into device memory: each value's outcome is the CPU decoder's, by whichever of the two it was made."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import metrics
from runtime.codec_nvimgcodec import NvImageCodec
from runtime.decode import Decoder
from runtime.decode_cuda import Codec, CudaDecoder, suits
from runtime.errors import ConfigError, FrameError, Reason
from runtime.header import read_header
from runtime.preprocess_cuda import DevicePicture
from tests import pictures
from tests.fake_device import FakeDevice, FakeStream
from tests.host_codec import HostCodec, pixels_of
from tests.pictures import jpeg, noise, patch_frame, png, scene, segment, segments, with_exif

END = b"\xff\xd9"
MAX_PIXELS = 300 * 200
PLAIN = jpeg(scene(64, 48), 90, "420")


def without_jfif(pixels: pictures.Pixels, names: bytes) -> bytes:
    """A JPEG with other names for its components, and nothing else that says what they are."""
    value = bytearray(jpeg(pixels))
    places = dict(segments(bytes(value)))
    frame, scan = places[0xC0] + 10, value.index(b"\xff\xda") + 5
    for place, name in enumerate(names):
        value[frame + 3 * place] = value[scan + 2 * place] = name
    jfif = places[0xE0]
    return bytes(value[:jfif] + value[jfif + 18 :])


def with_adobe(value: bytes, transform: int) -> bytes:
    """That JPEG with Adobe's marker: 0 says that red, green and blue were stored as they are, 1 that as YCbCr."""
    return value[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) + value[2:]


SUITING: dict[str, bytes] = {
    "4:2:0": PLAIN,
    "4:2:2": jpeg(scene(65, 47), 90, "422"),
    "4:4:4": jpeg(noise(31, 33), 90, "444"),
    "4:4:0": jpeg(scene(64, 48), 90, "440"),
    "4:1:1": jpeg(scene(64, 48), 90, "411"),
    "grey": pictures.grey_jpeg(noise(40, 30)[..., 0]),
    "progressive": pictures.progressive_jpeg(scene(64, 48)),
    "upright by EXIF": with_exif(PLAIN, 1),
    "padded before its end": PLAIN[:-2] + bytes(100) + END,
    "Motion JPEG, without Huffman tables": PLAIN[: PLAIN.index(b"\xff\xc4")] + PLAIN[PLAIN.index(b"\xff\xda") :],
    "YCbCr by Adobe": with_adobe(PLAIN, 1),
    "MPO: two pictures": PLAIN + jpeg(noise(30, 20)),
    "one pixel": jpeg(scene(1, 1), 90, "420"),
}
UNSUITING: dict[str, bytes] = {
    "PNG": png(noise(33, 21)),
    "deep PNG": png(noise(9, 8).astype(np.uint16) * 257, 16),
    "CMYK": pictures.cmyk_jpeg(scene(33, 21)),
    "rotated": with_exif(PLAIN, 6),
    "mirrored": with_exif(jpeg(scene(50, 31)), 5),
    "RGB by names": without_jfif(scene(24, 16), b"RGB"),
    "RGB by Adobe": with_adobe(without_jfif(scene(24, 16), b"\1\2\3"), 0),
    "without end marker": PLAIN[:-2],
    "bytes after its end": PLAIN + b"\0\0\0",
}
BAD: dict[str, bytes | None] = {
    "tombstone": None,
    "empty": b"",
    "text": b"GIVE ME A FRAME",
    "GIF": pictures.FOREIGN["GIF"] + bytes(50),
    "truncated": PLAIN[: len(PLAIN) - 200],
    "truncated progressive": pictures.progressive_jpeg(scene(64, 48))[:-150],
    "truncated in its header": PLAIN[:300],
    "truncated PNG": png(noise(33, 21))[:-20],
    "damaged PNG": png(noise(33, 21)).replace(b"IDAT", b"IDAT\1", 1),
    "too large": png(noise(301, 200)),
    "claims much": pictures.claiming_png(2**31 - 1, 2**31 - 1),
    "12 bits": patch_frame(PLAIN, 0, b"\x0c"),
    "too many scans": pictures.progressive_jpeg(scene(64, 48))[:-2] + b"\xff\xda" * 70 + END,
}
ALL: dict[str, bytes | None] = {**SUITING, **UNSUITING, **BAD}


@pytest.fixture(scope="module")
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module", params=["host codec", "nvImageCodec"])
def open_codec(request: pytest.FixtureRequest) -> Callable[[], Codec]:
    """A JPEG decoder in host memory: one with nvJPEG's manners, and the library itself with its CPU backend."""
    if request.param == "host codec":
        return HostCodec
    pytest.importorskip(
        "nvidia.nvimgcodec",
        reason="nvImageCodec is missing, whose CPU backend needs no GPU: pip install 'framegate[cuda]'",
        exc_type=ImportError,
    )
    return lambda: NvImageCodec(1, keep_bytes=10**6, on_gpu=False)


Open = Callable[..., tuple[CudaDecoder, FakeDevice]]


@pytest.fixture(scope="module")
def opened(workers: ThreadPoolExecutor, open_codec: Callable[[], Codec]) -> Open:
    def make(**other: Any) -> tuple[CudaDecoder, FakeDevice]:
        device = FakeDevice()
        fields = {"workers": workers, "threads": 2, "open_codec": open_codec}
        return CudaDecoder(device, MAX_PIXELS, **{**fields, **other}), device

    return make


def decode(decoder: CudaDecoder, values: Sequence[bytes | None], stream: FakeStream) -> list[Any]:
    """Each value's pixels or FrameError, read from the device as soon as its part is there."""
    outcomes: list[Any] = []
    for part in decoder.decode(values, stream):
        stream.synchronize()
        outcomes += [pixels_of(each) if isinstance(each, DevicePicture) else each for each in part]
    return outcomes


def on_cpu(value: bytes | None) -> Any:
    try:
        return Decoder(MAX_PIXELS).decode(value).pixels.copy()
    except FrameError as error:
        return error


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(st.sampled_from(sorted(ALL)), max_size=12), part_bytes=st.sampled_from([1, 20_000, 10**9]))
def test_every_outcome_is_the_cpu_decoders(opened: Open, names: list[str], part_bytes: int) -> None:
    """For good and bad frames in any mix and order, in parts of any size: the same reason, the same picture."""
    decoder, device = opened(part_bytes=part_bytes)

    outcomes = decode(decoder, [ALL[name] for name in names], device.stream())

    assert len(outcomes) == len(names)
    for name, outcome in zip(names, outcomes, strict=True):
        expected = on_cpu(ALL[name])
        assert isinstance(expected, FrameError) == (name in BAD)
        if isinstance(expected, FrameError):
            assert isinstance(outcome, FrameError), name
            assert (outcome.reason, outcome.detail) == (expected.reason, expected.detail)
        else:
            np.testing.assert_array_equal(outcome, expected, err_msg=name)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.binary(max_size=100) | st.binary(max_size=60).map(lambda tail: PLAIN[:-300] + tail + END))
def test_no_bytes_disturb_their_neighbours(opened: Open, value: bytes) -> None:
    """Whatever a value holds, it has an outcome, and those beside it keep theirs."""
    decoder, device = opened()

    before, outcome, after = decode(decoder, [PLAIN, value, UNSUITING["PNG"]], device.stream())

    assert isinstance(outcome, FrameError | np.ndarray)
    np.testing.assert_array_equal(before, on_cpu(PLAIN))
    np.testing.assert_array_equal(after, on_cpu(UNSUITING["PNG"]))


def test_who_decodes_what(workers: ThreadPoolExecutor) -> None:
    """nvJPEG is given the plain kinds; nothing whose header is bad, no truncated or unusual one comes near it."""
    for name, value in SUITING.items():
        assert suits(value, read_header(value)), name
    for name, value in UNSUITING.items():
        assert not suits(value, read_header(value)), name

    device, codec = FakeDevice(), HostCodec()
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=lambda: codec)
    stream = device.stream()
    decoder.open_lanes([stream])
    codec.seen.clear()
    decode(decoder, list(ALL.values()), stream)

    assert set(codec.seen) == set(SUITING.values())


def test_who_decoded_is_counted(opened: Open) -> None:
    """Each frame once, by the one whose picture it is; a bad one by neither."""
    decoder, device = opened()
    stream = device.stream()
    decoder.open_lanes([stream])
    before = metrics.decoded("gpu"), metrics.decoded("cpu")

    decode(decoder, list(ALL.values()), stream)

    assert metrics.decoded("gpu") - before[0] == len(SUITING)
    assert metrics.decoded("cpu") - before[1] == len(UNSUITING)


@pytest.mark.parametrize(
    "value",
    [PLAIN[:-300] + END, PLAIN[:-2] + bytes(5000) + END],
    ids=["its end in the middle", "too many bytes left over"],
)
def test_what_the_codec_does_not_see(opened: Open, value: bytes) -> None:
    """These are decoded where the CPU decoder calls them undecodable: ``docs/pictures.md`` says so."""
    decoder, device = opened()

    [outcome] = decode(decoder, [value], device.stream())

    assert on_cpu(value).reason is Reason.UNDECODABLE
    assert outcome.shape == (48, 64, 3)


def test_sizes_are_told(opened: Open) -> None:
    """A device picture says its size and that of the upright picture, and has the strides of its own layout."""
    decoder, device = opened()

    [part] = decoder.decode([PLAIN, UNSUITING["rotated"]], device.stream())

    for picture, (width, height) in zip(part, [(64, 48), (48, 64)], strict=True):
        assert isinstance(picture, DevicePicture)
        assert (picture.width, picture.height, picture.full_width, picture.full_height) == (width, height) * 2
        assert (picture.row_stride, picture.pixel_stride, picture.channel_stride) == (3 * width, 3, 1)


def test_a_part_lives_until_the_next_is_asked_for(opened: Open) -> None:
    """What reads a part is only queued; the next part, in the same memory, waits until that is done."""
    decoder, device = opened(part_bytes=2 * 64 * 48 * 3)
    values = [jpeg(scene(64, 48, seed)) if seed % 3 else png(scene(64, 48, seed)) for seed in range(9)]
    stream = device.stream()
    read: list[Any] = []

    parts = []
    for part in decoder.decode(values, stream):
        parts.append(len(part))
        for picture in part:
            assert isinstance(picture, DevicePicture)
            stream.queue(lambda picture=picture: read.append(pixels_of(picture)))  # type: ignore[misc]
    for part in decoder.decode([jpeg(noise(64, 48))] * 2, stream):  # the next batch of this stream waits too
        assert len(part) == 2

    assert parts == [2, 2, 2, 2, 1]
    assert len(read) == 9
    for value, pixels in zip(values, read, strict=True):
        np.testing.assert_array_equal(pixels, on_cpu(value))


def test_a_picture_larger_than_a_part_comes_alone(opened: Open) -> None:
    """The bound on a part never refuses a picture that ``max_pixels`` lets pass."""
    decoder, device = opened(part_bytes=64 * 48 * 3)
    large = jpeg(scene(128, 96))

    parts = [len(part) for part in decoder.decode([PLAIN, None, large, b"", PLAIN], device.stream())]

    assert parts == [2, 1, 2]


def test_memory_does_not_grow_with_the_batches(opened: Open) -> None:
    """A stream's memory for uploaded pictures is that of its largest part."""
    decoder, device = opened(part_bytes=100_000)
    stream = device.stream()
    decoder.open_lanes([stream])
    before = sum(piece.nbytes for piece in device.pieces.values())

    for batch in range(20):
        decode(decoder, [png(scene(100 + batch, 50 + seed, seed)) for seed in range(1 + batch % 8)], stream)

    assert sum(piece.nbytes for piece in device.pieces.values()) - before <= 100_000 + 8 * 256


def test_streams_do_not_mix(opened: Open) -> None:
    """Threads decode side by side, each in its own stream, again and again; each sees its own pictures."""
    decoder, device = opened()

    def work(thread: int) -> None:
        device.activate()
        stream = device.stream()
        for turn in range(5):
            values = [jpeg(noise(40, 30, 100 * thread + turn)), png(noise(20, 30, 100 * thread + turn))]
            for outcome, value in zip(decode(decoder, values, stream), values, strict=True):
                np.testing.assert_array_equal(outcome, on_cpu(value))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))


class BrokenCodec(HostCodec):
    """Decodes the first picture, as it must to be opened, and nothing more."""

    def decode(self, values: Sequence[bytes], stream: Any) -> list[DevicePicture | None]:
        if self.seen:
            raise RuntimeError("NVJPEG_STATUS_EXECUTION_FAILED")
        return super().decode(values, stream)


def test_a_codec_that_fails_whole(workers: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture) -> None:
    """One picture may make it fail for the batch: the CPU decodes all of it, and the log says so."""
    device = FakeDevice()
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=BrokenCodec)

    before = metrics.decoded("cpu")
    with caplog.at_level(logging.WARNING):
        outcomes = decode(decoder, [PLAIN, BAD["truncated"], SUITING["grey"]], device.stream())

    np.testing.assert_array_equal(outcomes[0], on_cpu(PLAIN))
    assert outcomes[1].reason is Reason.TRUNCATED
    np.testing.assert_array_equal(outcomes[2], on_cpu(SUITING["grey"]))
    assert "NVJPEG_STATUS_EXECUTION_FAILED" in caplog.text
    assert metrics.decoded("cpu") - before == 2


class LyingCodec(HostCodec):
    """Reads another size out of the header than we do."""

    def decode(self, values: Sequence[bytes], stream: Any) -> list[DevicePicture | None]:
        return [each and replace(each, width=each.width - 8) for each in super().decode(values, stream)]


def test_a_codec_that_sees_another_size(workers: ThreadPoolExecutor) -> None:
    """What the decision says of a frame's size is what was judged: the CPU decoder has the last word."""
    device = FakeDevice()
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=LyingCodec)

    [outcome] = decode(decoder, [PLAIN], device.stream())

    np.testing.assert_array_equal(outcome, on_cpu(PLAIN))


class BlindCodec:
    """What nvImageCodec is without nvJPEG."""

    def decode(self, values: Sequence[bytes], stream: Any) -> list[DevicePicture | None]:
        return [None] * len(values)


def test_a_codec_that_decodes_nothing_is_refused(workers: ThreadPoolExecutor) -> None:
    """Before the first frame; otherwise all would be decoded on the CPU in silence."""
    device = FakeDevice(name="NVIDIA Test")
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=BlindCodec)

    stream = device.stream()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"--decode gpu.*NVIDIA Test.*nvidia-nvjpeg.*--decode cpu"):
            decoder.open_lanes([stream])


def test_the_library_is_missing(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what to install and how to do without."""
    monkeypatch.setitem(sys.modules, "nvidia", None)
    device = FakeDevice()
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2)

    with pytest.raises(ConfigError, match=r"framegate\[cuda\].*--decode cpu"):
        decoder.open_lanes([device.stream()])


def test_the_library_keeps_its_memory_and_gives_back_what_is_too_much() -> None:
    """Pictures of the next batch lie where the last ones did; memory over ``keep_bytes`` is not kept."""
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is missing: pip install 'framegate[cuda]'")
    stream: Any = FakeDevice().stream()
    batch = [jpeg(noise(64, 48, seed)) for seed in range(4)]
    keeping, forgetting = NvImageCodec(1, keep_bytes=10**6, on_gpu=False), NvImageCodec(1, keep_bytes=100, on_gpu=False)

    first, second = ([each and each.owner for each in keeping.decode(batch, stream)] for _ in range(2))
    assert all(one is other for one, other in zip(first, second, strict=True))
    first, second = ([each and each.owner for each in forgetting.decode(batch, stream)] for _ in range(2))
    assert not any(one is other for one, other in zip(first, second, strict=True))


def test_a_picture_that_fails_costs_the_others_nothing() -> None:
    """One bad camera in every batch, wherever it stands: the other places keep their memory."""
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is missing: pip install 'framegate[cuda]'")
    stream: Any = FakeDevice().stream()
    codec = NvImageCodec(1, keep_bytes=10**6, on_gpu=False)
    good, bad = jpeg(noise(64, 48)), PLAIN[: PLAIN.index(b"\xff\xda")] + END

    first = codec.decode([good, bad, good], stream)
    codec.decode([good, good, good], stream)
    second = codec.decode([bad, good, good], stream)
    third = codec.decode([good, good, bad], stream)

    assert [each is not None for each in (*first, *second, *third)] == [1, 0, 1, 0, 1, 1, 1, 1, 0]
    assert owner(first[2]) is owner(second[2])
    assert owner(first[0]) is owner(third[0])
    assert owner(second[1]) is owner(third[1])


def test_what_is_too_much_is_given_back_alone() -> None:
    """One large picture is not kept; the memory of the small ones beside it is."""
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is missing: pip install 'framegate[cuda]'")
    stream: Any = FakeDevice().stream()
    codec = NvImageCodec(1, keep_bytes=2 * 64 * 48 * 3, on_gpu=False)
    small, large = jpeg(noise(64, 48)), jpeg(noise(256, 192))

    first = codec.decode([small, large, small], stream)
    second = codec.decode([small, small, small], stream)

    assert [owner(one) is owner(other) for one, other in zip(first, second, strict=True)] == [True, False, True]


def owner(picture: DevicePicture | None) -> object:
    return picture and picture.owner
