"""A batch's way on the GPU: decoded, preprocessed and judged there; only JPEGs go up, only scores come down."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path

from runtime import metrics
from runtime.decode_cuda import Codec, CudaDecoder
from runtime.engine import DeviceEngine, Engine
from runtime.errors import ConfigError, FrameError
from runtime.prepare import Seen, Size, Value
from runtime.preprocess_cuda import CudaPreprocessor, DevicePicture
from runtime.slots import Slot


class DeviceWay:
    """Decode, preprocess and infer in the stream of one slot; several batches overlap through their slots.

    Args:
        engines: each sees every frame; all on one GPU.
        decoder: of that GPU; it has seen every slot's stream, so that the first frame does not pay for the start.
        max_batch: the most values in a batch.
    """

    def __init__(self, engines: Sequence[DeviceEngine], decoder: CudaDecoder, max_batch: int) -> None:
        self._engines = engines
        self._device = engines[0].device
        self._decoder = decoder
        self._preprocessors: list[dict[str, CudaPreprocessor]] = []
        try:
            for engine in engines:
                self._preprocessors.append({})
                for spec in engine.manifest.inputs:
                    self._preprocessors[-1][spec.name] = CudaPreprocessor(spec, self._device, max_batch)
            decoder.open_lanes([slot.stream for slot in engines[0].slots.all])
        except BaseException:
            self.close()
            raise

    def run(self, values: Sequence[Value]) -> Seen:
        """See ``Way``."""
        with ExitStack() as stack:
            # The first engine's slot is taken last: it goes back first, and that waits for its stream, which fills
            # the others' inputs. All threads take them in this order: no deadlock.
            slots = [stack.enter_context(engine.slots.take()) for engine in reversed(self._engines)][::-1]
            sizes = self._prepare(values, slots)
            count = sum(not isinstance(size, FrameError) for size in sizes)
            if count == 0:
                return Seen(sizes, [])
            with metrics.STAGE.labels("infer").time():
                # the first one's answer waits for its stream, where the others' inputs were filled too
                outputs = [engine.infer_slot(slot, count) for engine, slot in zip(self._engines, slots, strict=True)]
            return Seen(sizes, outputs)

    def close(self) -> None:
        """See ``Way``."""
        self._decoder.close()
        for each in self._preprocessors:
            for preprocessor in each.values():
                preprocessor.close()

    def _prepare(self, values: Sequence[Value], slots: Sequence[Slot]) -> list[Size | FrameError]:
        """Queue all up to the engines' inputs in the first slot's stream: the good frames, in order, without gaps."""
        sizes: list[Size | FrameError] = []
        filled, began = 0, time.perf_counter()
        for part in self._decoder.decode(values, slots[0].stream):
            decoded = time.perf_counter()
            pictures = [outcome for outcome in part if isinstance(outcome, DevicePicture)]
            if pictures:
                self._fill(pictures, slots, filled)
            filled += len(pictures)
            sizes += [
                (outcome.full_width, outcome.full_height) if isinstance(outcome, DevicePicture) else outcome
                for outcome in part
            ]
            _observe("decode", decoded - began, len(pictures))
            began = time.perf_counter()
            _observe("preprocess", began - decoded, len(pictures))
        return sizes

    def _fill(self, pictures: Sequence[DevicePicture], slots: Sequence[Slot], filled: int) -> None:
        for each, slot in zip(self._preprocessors, slots, strict=True):
            for name, preprocessor in each.items():
                preprocessor.fill(pictures, slot.inputs[name].pointer, slots[0].stream, filled)


def _observe(stage: str, elapsed_s: float, frames: int) -> None:
    """Each frame's share, so that the histogram means the same as on the host's way."""
    for _ in range(frames):
        metrics.STAGE.labels(stage).observe(elapsed_s / frames)


def open_device_way(
    paths: Sequence[Path],
    engines: Sequence[Engine],
    *,
    workers: Executor,
    threads: int,
    max_batch: int,
    max_pixels: int,
    open_codec: Callable[[], Codec] | None = None,
) -> DeviceWay:
    """The way through those engines, with a decoder on their GPU.

    Raises:
        ConfigError: an engine does not run on a GPU, or nothing decodes there.
    """
    on_device = _require_device_engines(paths, engines)
    device = on_device[0].device
    decoder = CudaDecoder(device, max_pixels, workers=workers, threads=threads, open_codec=open_codec)
    return DeviceWay(on_device, decoder, max_batch)


def _require_device_engines(paths: Sequence[Path], engines: Sequence[Engine]) -> list[DeviceEngine]:
    found = [engine for engine in engines if isinstance(engine, DeviceEngine)]
    if len(found) < len(engines):
        wrong = [str(path) for path, engine in zip(paths, engines, strict=True) if engine not in found]
        raise ConfigError(
            f"--decode gpu: {', '.join(wrong)} runs on the CPU, and the frames would have to come back from the GPU. "
            "Add --provider cuda (or tensorrt), give a .plan, or choose --decode cpu"
        )
    return found
