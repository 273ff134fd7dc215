"""``python -m benchmarks gpu``: JPEG decoding, preprocessing, the engine, and all of them overlapped, on a GPU.

Runs what this machine has the parts for, and says what it leaves out and why.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.frames import PHOTOS, load_frames
from benchmarks.report import print_table, write_json
from runtime import metrics
from runtime.codec_nvimgcodec import NvImageCodec
from runtime.cpus import usable_cpus
from runtime.decode import MAX_PIXELS
from runtime.decode_cuda import PART_BYTES, Codec, CudaDecoder, suits
from runtime.device import Device, Memory, Stream, free_all
from runtime.engine import DeviceEngine, open_engine, warm_up
from runtime.errors import FramegateError, InferenceError
from runtime.header import read_header
from runtime.heads import Utility
from runtime.manifest import Input, Resize
from runtime.open_device import open_device
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import policy_for
from runtime.prepare_cuda import open_device_way
from runtime.preprocess_cuda import CudaPreprocessor, DevicePicture

PACKAGES = ("nvidia-nvimgcodec-cu13", "nvidia-nvjpeg", "onnxruntime-gpu", "torch", "torchvision", "cuda-core", "pycuda")
SPEC = Input(name="frames", height=224, width=224, resize=Resize(fit="crop"))
"""What is preprocessed to where no engine opens: the shipped engine's input."""


class TorchvisionCodec:
    """torchvision's nvJPEG, where nvImageCodec is not installed: to measure with, not to serve with."""

    def __init__(self) -> None:
        import torch  # noqa: PLC0415 - where it is what there is
        from torchvision.io import ImageReadMode, decode_jpeg  # noqa: PLC0415

        self._torch, self._decode, self._mode = torch, decode_jpeg, ImageReadMode.RGB

    def decode(self, values: Sequence[bytes], stream: Stream) -> list[DevicePicture | None]:
        """See ``Codec``."""
        torch = self._torch
        encoded = [torch.frombuffer(bytearray(value), dtype=torch.uint8) for value in values]
        with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
            return [self._picture(planes) for planes in self._decode(encoded, mode=self._mode, device="cuda")]

    def _picture(self, planes: Any) -> DevicePicture:
        _, height, width = planes.shape
        channel, row, pixel = planes.stride()
        return DevicePicture(planes.data_ptr(), height, width, row, pixel, channel, height, width, planes)


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked.

    Returns:
        0 where anything was measured, 2 where nothing could be.
    """
    arguments = _parser().parse_args(argv)
    left_out: dict[str, str] = {}
    results: dict[str, float] = {}
    agreement: dict[str, float] = {}
    with _saying(left_out, "all of it"):
        bench = Bench(arguments, open_device())
        with _saying(left_out, "decoding"):
            results["decode"] = bench.decode_fps()
            results["decode + preprocess"] = bench.prepare_fps()
        with _saying(left_out, "the engine"):
            results["engine"] = bench.engine_fps()
        with _saying(left_out, "the whole way"):
            results["whole, --decode cpu"], on_cpu = bench.whole_fps("cpu")
            results["whole, --decode gpu"], on_gpu = bench.whole_fps("gpu")
            limit = min(results["engine"], results["decode"])
            agreement["whole, --decode gpu, as a share of min(engine, decode)"] = results["whole, --decode gpu"] / limit
            agreement["largest difference of a score between the two"] = max(
                abs(a - b) for a, b in zip(on_cpu, on_gpu, strict=True)
            )
        print_table(bench.what(), ["", "frames/s"], [[name, value] for name, value in results.items()])
        for name, value in agreement.items():
            print(f"{name}: {value:.4g}")
    for part, reason in left_out.items():
        print(f"not measured: {part}: {reason}")
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    write_json(
        arguments.json,
        {
            "command": "python -m benchmarks gpu",
            "gpu_packages": versions,
            "fps": results,
            "agreement": agreement,
            "left_out": left_out,
        },
    )
    return 0 if results else 2


class Bench:
    """One GPU and one set of frames, measured with as many threads and streams as batches in flight."""

    def __init__(self, arguments: argparse.Namespace, device: Device) -> None:
        self._arguments = arguments
        self._device = device
        self._open_codec = _codec(arguments.codec)
        self._threads = usable_cpus()
        self._workers = ThreadPoolExecutor(self._threads)
        self._batch = list(islice(cycle(load_frames(arguments.pictures)), arguments.batch))
        self._rounds = max(1, arguments.frames // arguments.batch // arguments.in_flight)

    def what(self) -> str:
        """What the numbers belong to."""
        arguments = self._arguments
        return (
            f"{self._device.name}, {arguments.codec}, {arguments.engine.name} on {arguments.provider}, "
            f"batches of {arguments.batch}, {arguments.in_flight} in flight, {self._threads} CPUs"
        )

    def decode_fps(self) -> float:
        """Decoding alone, with its part on the host."""
        decoder = self._decoder()

        def work(stream: Stream) -> None:
            for part in decoder.decode(self._batch, stream):
                _require_pictures(part)

        try:
            with self._decoded_on_gpu():
                work(self._device.stream())
            return self._fps(work)
        finally:
            decoder.close()

    def prepare_fps(self) -> float:
        """With the kernel behind it."""
        decoder, arguments = self._decoder(), self._arguments
        preprocessor = CudaPreprocessor(SPEC, self._device, arguments.batch)
        nbytes = SPEC.height * SPEC.width * 3
        targets: dict[int, Memory] = {}

        def work(stream: Stream) -> None:
            if stream.handle not in targets:
                targets[stream.handle] = self._device.memory(nbytes * arguments.batch)
            target = targets[stream.handle]
            filled = 0
            for part in decoder.decode(self._batch, stream):
                pictures = _require_pictures(part)
                preprocessor.fill(pictures, target.pointer, stream, filled)
                filled += len(pictures)

        try:
            return self._fps(work)
        finally:
            decoder.close()
            preprocessor.close()
            free_all(self._device, targets.values())

    def engine_fps(self) -> float:
        """Inference and its outputs' download, of what happens to lie in the slots."""
        engine = self._engine()

        def work(_stream: Stream) -> None:
            with engine.slots.take() as slot:
                engine.infer_slot(slot, self._arguments.batch)

        try:
            return self._fps(work)
        finally:
            engine.close()

    def whole_fps(self, decode: str) -> tuple[float, list[float]]:
        """From JPEGs in memory to judgements, and the scores of one batch."""
        pipeline = self._pipeline(decode)
        try:
            with self._decoded_on_gpu() if decode == "gpu" else nullcontext():
                scores = [_utility(outcome) for outcome in pipeline.judge(self._batch)]
            count = self._rounds * self._arguments.in_flight
            began_s = time.perf_counter()
            for future in [pipeline.submit(self._batch) for _ in range(count)]:
                future.result()
            return count * len(self._batch) / (time.perf_counter() - began_s), scores
        finally:
            pipeline.close()

    def _pipeline(self, decode: str) -> Pipeline:
        arguments = self._arguments
        if decode == "cpu":
            return open_pipeline(
                [arguments.engine],
                provider=arguments.provider,
                threads=self._threads,
                max_batch=arguments.batch,
                in_flight=arguments.in_flight,
                max_pixels=MAX_PIXELS,
            )
        engine = self._engine()
        workers = ThreadPoolExecutor(self._threads)  # the pipeline stops them with itself
        way = open_device_way(
            [arguments.engine],
            [engine],
            workers=workers,
            threads=self._threads,
            max_batch=arguments.batch,
            max_pixels=MAX_PIXELS,
            open_codec=self._open_codec,
        )
        policy = policy_for([engine.manifest])
        return Pipeline([engine], policy, way, workers=workers, in_flight=arguments.in_flight)

    def _engine(self) -> DeviceEngine:
        arguments = self._arguments
        engine = open_engine(
            arguments.engine,
            provider=arguments.provider,
            workers=self._workers,
            threads=self._threads,
            max_batch=arguments.batch,
            in_flight=arguments.in_flight,
        )
        assert isinstance(engine, DeviceEngine), "both providers are a GPU's"
        warm_up(engine, arguments.batch)
        return engine

    def _decoder(self) -> CudaDecoder:
        return CudaDecoder(
            self._device, MAX_PIXELS, workers=self._workers, threads=self._threads, open_codec=self._open_codec
        )

    @contextmanager
    def _decoded_on_gpu(self) -> Iterator[None]:
        """One batch: what suits nvJPEG must go through it, else the figures would be the CPU decoder's.

        Raises:
            InferenceError: it did not.
        """
        due = sum(suits(frame, read_header(frame)) for frame in self._batch)
        before = metrics.decoded("gpu")
        yield
        done = metrics.decoded("gpu") - before
        if done < due:
            raise InferenceError(f"the GPU decoded {done:g} of the {due} frames that suit it; see the log")

    def _fps(self, work: Callable[[Stream], None]) -> float:
        """Frames a second of ``work``, a batch each time, in its own thread and stream per batch in flight."""

        def run(stream: Stream, rounds: int) -> None:
            self._device.activate()
            for _ in range(rounds):
                work(stream)
            stream.synchronize()

        streams = [self._device.stream() for _ in range(self._arguments.in_flight)]
        with ThreadPoolExecutor(len(streams)) as pool:
            list(pool.map(run, streams, [2] * len(streams)))
            began_s = time.perf_counter()
            list(pool.map(run, streams, [self._rounds] * len(streams)))
            elapsed_s = time.perf_counter() - began_s
        return float(self._rounds * len(streams) * len(self._batch) / elapsed_s)


@contextmanager
def _saying(left_out: dict[str, str], part: str) -> Iterator[None]:
    """What cannot be measured here is told, and the rest goes on."""
    try:
        yield
    except (FramegateError, ImportError) as error:
        left_out[part] = str(error)
    except KeyError as error:
        left_out[part] = f"it needs the figure of {error}"


def _codec(name: str) -> Callable[[], Codec]:
    return TorchvisionCodec if name == "torchvision" else lambda: NvImageCodec(usable_cpus(), keep_bytes=PART_BYTES)


def _require_pictures(part: Sequence[Any]) -> list[DevicePicture]:
    pictures = [outcome for outcome in part if isinstance(outcome, DevicePicture)]
    assert len(pictures) == len(part), "the benchmark's frames are all good"
    return pictures


def _utility(outcome: Outcome) -> float:
    assert isinstance(outcome, Judgement)
    utility = outcome.results["utility"]
    assert isinstance(utility, Utility)
    return utility.score


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu")
    add = parser.add_argument
    add("--engine", type=Path, default=Path("models/utility-baseline.onnx"))
    add("--provider", choices=["cuda", "tensorrt"], default="cuda")
    add("--codec", choices=["nvimgcodec", "torchvision"], default="nvimgcodec", help="what decodes JPEGs")
    add("--pictures", type=Path, default=PHOTOS)
    add("--batch", type=int, default=32)
    add("--in-flight", type=int, default=3)
    add("--frames", type=int, default=9600)
    add("--json", type=Path)
    return parser
