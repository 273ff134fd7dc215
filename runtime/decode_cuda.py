"""JPEG decoding on the GPU: nvJPEG, through nvImageCodec. ``docs/pictures.md`` says which pictures go that way.

The others, and those that nvJPEG fails on, are decoded by ``runtime.decode`` and uploaded.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime import metrics
from runtime.codec_nvimgcodec import NvImageCodec, device_picture
from runtime.decode import Decoder
from runtime.device import Device, Memory, Stream, free_all
from runtime.errors import ConfigError, FrameError
from runtime.header import Header
from runtime.preprocess_cuda import DevicePicture

PART_BYTES: Final = 256 * 2**20
"""Decoded pixels in device memory at a time, per batch in flight: 42 frames of 1920x1080, 10 of 3840x2160. A
larger batch is decoded in parts."""

log = logging.getLogger("framegate")

_END = b"\xff\xd9"
_GREY = b"\x11"
_SAMPLINGS = {bytes([luma, 0x11, 0x11]) for luma in (0x11, 0x21, 0x12, 0x22, 0x41)}  # 4:4:4, 4:2:2, 4:4:0, 4:2:0, 4:1:1
_ALIGNMENT = 256


Frame = tuple[bytes, Header | FrameError]
"""A value and what its header says."""


class Codec(Protocol):
    """A JPEG decoder on the device, used by one thread at a time."""

    def decode(self, values: Sequence[bytes], stream: Stream) -> list[DevicePicture | None]:
        """Decode a batch, behind what is queued in ``stream``; None for a picture it cannot decode.

        The pictures' memory is used again by the next call, which may write before ``stream`` comes to it.
        """
        ...


@dataclass(slots=True)
class _Lane:
    """What belongs to one stream: its codec, and room for the pictures that come from the CPU."""

    codec: Codec
    host: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    memory: Memory | None = None

    def room(self, device: Device, nbytes: int) -> tuple[NDArray[np.uint8], Memory]:
        """Pinned host memory and device memory of at least that size; the last ones must not be in use."""
        if self.memory is None or self.memory.nbytes < nbytes:
            if self.memory is not None:
                self.memory.free()
            self.memory, self.host = device.memory(nbytes), device.pinned(nbytes)
        return self.host[:nbytes], self.memory


class CudaDecoder:
    """Decodes batches of encoded pictures into device memory.

    Several threads may call it, each with a stream of its own. A stream keeps the memory of its largest part:
    at most three times ``part_bytes`` on the device and once that much pinned (a single picture may be larger
    than a part), besides what nvJPEG takes for its work.

    Args:
        device: active in the calling thread.
        max_pixels: the largest picture that is decoded.
        workers: decode on the CPU what is decoded there.
        threads: how many of them there are.
        open_codec: another JPEG decoder; one is opened for each stream.
        part_bytes: the most decoded pixels in device memory, per stream.
    """

    def __init__(
        self,
        device: Device,
        max_pixels: int,
        *,
        workers: Executor,
        threads: int,
        open_codec: Callable[[], Codec] | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._device = device
        self._workers = workers
        self._decoder = Decoder(max_pixels)
        self._open_codec = open_codec or (lambda: NvImageCodec(threads, keep_bytes=part_bytes))
        self._part_bytes = part_bytes
        self._lanes: dict[int, _Lane] = {}
        self._lock = threading.Lock()

    def open_lanes(self, streams: Iterable[Stream]) -> None:
        """Open what belongs to these streams now, so that their first frames do not pay for it.

        Raises:
            ConfigError: nvImageCodec is missing, or does not decode on this device.
        """
        for stream in streams:
            self._lane(stream)

    def decode(self, values: Sequence[bytes | None], stream: Stream) -> Iterator[list[DevicePicture | FrameError]]:
        """Decode in parts: consecutive values' pictures in full size, or why there is none.

        Each part is queued in ``stream``, and lives until the next one is asked for: that waits until the stream
        has passed what was queued to read it. Outcomes are those of ``Decoder.decode``, but for the corruption
        inside a JPEG's data that nvJPEG does not see (``docs/pictures.md``).

        Raises:
            InferenceError: the device failed.
        """
        lane = self._lane(stream)
        frames = [(value or b"", self._header(value)) for value in values]
        for part in _parts(frames, self._part_bytes):
            # nvJPEG's hardware engines write without regard to what is queued before them (pytorch/vision#9606)
            stream.synchronize()
            yield self._part(part, lane, stream)

    def close(self) -> None:
        """Give the device's memory back. No stream may be in use."""
        free_all(self._device, [lane.memory for lane in self._lanes.values() if lane.memory is not None])
        self._lanes.clear()

    def _header(self, value: bytes | None) -> Header | FrameError:
        try:
            return self._decoder.header(value)
        except FrameError as error:
            return error

    def _part(self, frames: Sequence[Frame], lane: _Lane, stream: Stream) -> list[DevicePicture | FrameError]:
        outcomes: list[Any] = [None if isinstance(header, Header) else header for _, header in frames]
        theirs = [place for place, frame in enumerate(frames) if suits(*frame)]
        for place, picture in zip(theirs, _by(lane.codec, [frames[each][0] for each in theirs], stream), strict=True):
            if picture is not None and _fits(picture, frames[place][1]):
                outcomes[place] = picture
                metrics.DECODED.labels("gpu").inc()
        ours = [place for place, outcome in enumerate(outcomes) if outcome is None]
        for place, outcome in zip(ours, self._uploaded([frames[each] for each in ours], lane, stream), strict=True):
            outcomes[place] = outcome
        return outcomes

    def _uploaded(
        self, frames: Sequence[tuple[bytes, Any]], lane: _Lane, stream: Stream
    ) -> list[DevicePicture | FrameError]:
        """Decoded by the workers, side by side in one piece of pinned memory, uploaded in one copy."""
        if not frames:
            return []
        sizes = [-(-_nbytes(header) // _ALIGNMENT) * _ALIGNMENT for _, header in frames]
        *starts, total = itertools.accumulate(sizes, initial=0)
        host, memory = lane.room(self._device, total)

        def decoded(value: bytes, start: int) -> DevicePicture | FrameError:
            try:
                picture = self._decoder.decode(value)
            except FrameError as error:
                return error
            pixels = picture.pixels
            host[start : start + pixels.size] = pixels.reshape(-1)
            metrics.DECODED.labels("cpu").inc()
            return device_picture(memory.pointer + start, pixels.shape, pixels.strides, memory)

        spread = self._workers.map if len(frames) > 1 else map  # a single one need not change threads
        outcomes = list(spread(decoded, [value for value, _ in frames], starts))
        self._device.upload(memory.pointer, host, stream)
        return outcomes

    def _lane(self, stream: Stream) -> _Lane:
        with self._lock:
            lane = self._lanes.get(stream.handle)
            if lane is None:
                lane = _Lane(self._open_codec())
                self._prove(lane.codec, stream)
                self._lanes[stream.handle] = lane
            return lane

    def _prove(self, codec: Codec, stream: Stream) -> None:
        """A library that finds no nvJPEG still opens; and the first picture is slow."""
        plain = simplejpeg.encode_jpeg(np.full((256, 256, 3), 114, np.uint8), colorsubsampling="420")
        [picture] = codec.decode([plain], stream)
        stream.synchronize()
        if picture is None:
            raise ConfigError(
                f"--decode gpu: nvImageCodec cannot decode a plain JPEG on {self._device.name}. It needs nvJPEG for "
                "the driver's CUDA version (pip install nvidia-nvjpeg); PYNVIMGCODEC_VERBOSITY=3 in the environment "
                "makes it say what it misses. --decode cpu does without both"
            )


def suits(value: bytes, header: Header | FrameError) -> bool:
    """Whether nvJPEG is given this picture: a kind that it decodes as libjpeg does, whose end is there.

    nvJPEG decodes what there is of a truncated picture, and says nothing.
    """
    return (
        isinstance(header, Header)
        and header.format == "jpeg"
        and header.orientation == 1
        and not header.names_rgb
        and (header.sampling == _GREY or header.sampling in _SAMPLINGS)
        and (header.single_scan or header.progressive)
        and value.endswith(_END)
    )


def _fits(picture: DevicePicture, header: Header | FrameError) -> bool:
    """Two parsers may read two sizes out of a header that was made to."""
    return isinstance(header, Header) and (picture.height, picture.width) == (header.height, header.width)


def _by(codec: Codec, values: Sequence[bytes], stream: Stream) -> Sequence[DevicePicture | None]:
    if not values:
        return []
    try:
        return codec.decode(values, stream)
    except Exception as error:  # the library's, of any kind; where the device is broken, the next call tells
        log.warning("nvImageCodec failed on %d pictures, decoding them on the CPU: %s", len(values), error)
        return [None] * len(values)


def _parts(frames: Sequence[Frame], most_bytes: int) -> Iterator[list[Frame]]:
    part: list[Frame] = []
    total = 0
    for frame in frames:
        nbytes = _nbytes(frame[1]) if isinstance(frame[1], Header) else 0
        if part and total + nbytes > most_bytes:
            yield part
            part, total = [], 0
        part.append(frame)
        total += nbytes
    if part:
        yield part


def _nbytes(header: Header) -> int:
    return header.width * header.height * 3
