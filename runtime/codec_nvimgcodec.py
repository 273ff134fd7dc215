"""nvImageCodec: NVIDIA's library that decodes JPEGs with nvJPEG, in batches, into device memory."""

import os
from collections.abc import Sequence
from typing import Any

from runtime.device import Stream
from runtime.errors import ConfigError
from runtime.preprocess_cuda import DevicePicture


class NvImageCodec:
    """nvImageCodec with nvJPEG: the GPU's JPEG engines where it has some, else its cores.

    Args:
        threads: of the host, for its part of the work.
        keep_bytes: of device memory kept for the next batch; what is over is given back.
        on_gpu: False decodes in host memory, for a device whose memory that is.

    Raises:
        ConfigError: the library is not installed.
    """

    def __init__(self, threads: int, *, keep_bytes: int, on_gpu: bool = True) -> None:
        self._library = library = _nvimgcodec()
        kinds = library.BackendKind
        # never its own decoders on the CPU: ours knows the reason why a picture is bad
        backends = [kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU] if on_gpu else [kinds.CPU_ONLY]
        self._decoder = library.Decoder(
            device_id=library.NVIMGCODEC_DEVICE_CURRENT if on_gpu else library.NVIMGCODEC_DEVICE_CPU_ONLY,
            max_num_cpu_threads=threads,
            backends=[library.Backend(kind) for kind in backends],
            options=":fancy_upsampling=1",  # smooth colour between samples, as libjpeg does
        )
        self._parameters = library.DecodeParams(
            apply_exif_orientation=False,
            color_spec=library.ColorSpec.SRGB,
            sample_format=library.SampleFormat.I_RGB,
        )
        self._interface = "__cuda_array_interface__" if on_gpu else "__array_interface__"
        self._keep_bytes = keep_bytes
        self._images: list[Any] = []  # by place in the batch; None where none was ever decoded

    def decode(self, values: Sequence[bytes], stream: Stream) -> list[DevicePicture | None]:
        """See ``runtime.decode_cuda.Codec``."""
        self._give_back()
        self._images += [None] * (len(values) - len(self._images))
        images = self._decoder.decode(
            [self._library.CodeStream(value) for value in values],
            images=self._images[: len(values)],  # None: a new one
            params=self._parameters,
            cuda_stream=stream.handle,
        )
        for place, image in enumerate(images):
            if image is not None:  # what could not be decoded leaves its place's memory to the next batch
                self._images[place] = image
        return [None if image is None else self._picture(image) for image in images]

    def _give_back(self) -> None:
        """The largest first, until no more than ``keep_bytes`` are kept."""
        kept_bytes = sum(image.capacity for image in self._images if image is not None)
        by_size = sorted((each for each in enumerate(self._images) if each[1] is not None), key=_capacity)
        while kept_bytes > self._keep_bytes:
            place, image = by_size.pop()
            kept_bytes -= image.capacity
            self._images[place] = None

    def _picture(self, image: Any) -> DevicePicture:
        pointer = getattr(image, self._interface)["data"][0]
        return device_picture(pointer, image.shape, image.strides, image)


def device_picture(pointer: int, shape: Sequence[int], strides: Sequence[int], owner: object) -> DevicePicture:
    """A full-size picture of that shape (height, width, 3) and those strides, in bytes."""
    (height, width, _), (row, pixel, channel) = shape, strides
    return DevicePicture(pointer, height, width, row, pixel, channel, height, width, owner)


def _capacity(placed: tuple[int, Any]) -> int:
    return int(placed[1].capacity)


def _nvimgcodec() -> Any:
    os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")  # else it writes of every bad frame to standard error
    try:
        from nvidia import nvimgcodec  # noqa: PLC0415 - where --decode gpu is asked for only
    except ImportError as error:
        raise ConfigError(
            f"--decode gpu: nvImageCodec is not installed ({error}). pip install 'framegate[cuda]' brings it; "
            "--decode cpu does without"
        ) from error
    return nvimgcodec
