"""The GPU's way through the pipeline, end to end, on a device whose memory is the host's: as the host's way."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from runtime import assess, decode_cuda, engine_onnx_cuda
from runtime.codec_nvimgcodec import NvImageCodec
from runtime.cuda import ENTRY
from runtime.decode_cuda import Codec, CudaDecoder
from runtime.engine import DeviceEngine, open_engine
from runtime.engine_onnx_cuda import OnnxCudaEngine
from runtime.engine_tensorrt import open_tensorrt_engine
from runtime.errors import ConfigError, EngineError, FrameError, FramegateError, InferenceError, Reason
from runtime.heads import Utility
from runtime.manifest import Input, Resize
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import Policy, policy_for
from runtime.prepare import HostWay, Value
from runtime.prepare_cuda import DeviceWay, open_device_way
from runtime.service import dry_run
from runtime.settings import load_settings
from runtime.tensorrt_library import load_library
from tests.cuda_host import host_kernel
from tests.engines import NORMALISED, make_engine
from tests.fake_device import FakeDevice, HostKernel
from tests.fake_tensorrt import fake_tensorrt, make_plan
from tests.host_codec import HostCodec
from tests.pictures import jpeg, noise, png, scene
from tests.unit.test_decode_cuda import ALL, BAD, MAX_PIXELS, PLAIN

MAX_BATCH = 8
ODD = Input(name="frames", height=17, width=19, resize=Resize(fit="pad"), color="BGR")
"""Samples of 969 bytes: none but the first begins at an even address."""

OpenWay = Callable[..., Pipeline]


@pytest.fixture(scope="module")
def kernels() -> dict[str, HostKernel]:
    return {ENTRY: host_kernel()}


@pytest.fixture(scope="module", params=["host codec", "nvImageCodec"])
def open_codec(request: pytest.FixtureRequest) -> Callable[[], Codec]:
    if request.param == "host codec":
        return HostCodec
    pytest.importorskip(
        "nvidia.nvimgcodec",
        reason="nvImageCodec is missing, whose CPU backend needs no GPU: pip install 'framegate[cuda]'",
        exc_type=ImportError,
    )
    return lambda: NvImageCodec(1, keep_bytes=10**6, on_gpu=False)


@pytest.fixture(scope="module")
def opened(kernels: dict[str, HostKernel], open_codec: Callable[[], Codec]) -> Iterator[OpenWay]:
    """Opens pipelines that go the GPU's way with the engines named; closes them afterwards."""
    made: list[Pipeline] = []

    def make(*paths: Path, in_flight: int = 2, part_bytes: int = 2**28, device: FakeDevice | None = None) -> Pipeline:
        device = device or FakeDevice(kernels)
        engines = [on_device(path, device, in_flight) for path in paths]
        workers = ThreadPoolExecutor(2)
        decoder = CudaDecoder(
            device, MAX_PIXELS, workers=workers, threads=2, open_codec=open_codec, part_bytes=part_bytes
        )
        policy = policy_for([engine.manifest for engine in engines])
        way = DeviceWay(engines, decoder, MAX_BATCH)
        made.append(Pipeline(list(engines), policy, way, workers=workers, in_flight=in_flight))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


def on_device(path: Path, device: FakeDevice, in_flight: int = 2) -> OnnxCudaEngine:
    """That file on ONNX Runtime's CPU provider, reading and writing the device's memory as on a GPU."""
    return OnnxCudaEngine(
        path, provider="cpu", device=device, memory_kind="cpu", max_batch=MAX_BATCH, in_flight=in_flight
    )


@pytest.fixture(scope="module")
def on_host() -> Iterator[Callable[..., Pipeline]]:
    made: list[Pipeline] = []

    def make(*paths: Path) -> Pipeline:
        fields: dict[str, Any] = {"provider": "cpu", "threads": 2, "in_flight": 2, "max_pixels": MAX_PIXELS}
        made.append(open_pipeline(paths, max_batch=MAX_BATCH, **fields))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


def told(outcome: Outcome) -> Any:
    """What a decision or a dead letter says."""
    if isinstance(outcome, FrameError):
        return outcome.reason, outcome.detail
    return outcome.width, outcome.height, outcome.results, outcome.reasons


def utilities(outcomes: Sequence[Outcome]) -> list[float]:
    found = []
    for outcome in outcomes:
        assert isinstance(outcome, Judgement)
        utility = outcome.results["utility"]
        assert isinstance(utility, Utility)
        found.append(utility.score)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def both(opened: OpenWay, on_host: Callable[..., Pipeline], folder: Path) -> tuple[Pipeline, Pipeline]:
    """Two engines of different inputs, in batches of several parts; and the same on the host."""
    paths = [
        make_engine(folder / "normalised.onnx", spec=NORMALISED),
        make_engine(folder / "odd.onnx", "quality", spec=ODD),
    ]
    return opened(*paths, part_bytes=20_000), on_host(*paths)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(st.sampled_from(sorted(ALL)), max_size=MAX_BATCH))
def test_every_outcome_is_the_host_ways(both: tuple[Pipeline, Pipeline], names: list[str]) -> None:
    """For good and bad frames in any mix and order, through two engines: sizes, scores and reasons, exactly.

    Both codecs here decode as libjpeg-turbo does, so JPEGs are equal too; nvJPEG's differ by a few levels.
    """
    values = [ALL[name] for name in names]

    on_gpu, on_cpu = (pipeline.judge(values) for pipeline in both)

    assert [told(outcome) for outcome in on_gpu] == [told(outcome) for outcome in on_cpu]


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_every_kind_of_input(
    opened: OpenWay, on_host: Callable[..., Pipeline], folder: Path, dtype: Any, layout: Any
) -> None:
    """The kernel's arithmetic is the host's, so the scores are equal to the last bit."""
    norm = {"mean": None, "std": None} if dtype == "uint8" else {"mean": (120, 110, 100), "std": (60, 50, 40)}
    spec = Input(name="frames", dtype=dtype, layout=layout, height=24, width=32, **norm)
    engine = make_engine(folder / f"{dtype}-{layout}.onnx", spec=spec)
    values = [jpeg(scene(100 + 17 * seed, 70, seed)) for seed in range(3)] + [png(noise(40, 50))]

    assert utilities(opened(engine).judge(values)) == utilities(on_host(engine).judge(values))


def test_a_slots_last_content_is_never_judged(opened: OpenWay, folder: Path) -> None:
    """After full batches of white frames, a smaller one with gaps sees nothing of them."""
    pipeline = opened(make_engine(folder / "last.onnx"))
    grey = {level: png(np.full((24, 32, 3), level, np.uint8)) for level in (10, 20, 255)}
    for _ in range(3):
        pipeline.judge([grey[255]] * MAX_BATCH)

    first, gap, second = pipeline.judge([grey[10], b"", grey[20]])

    assert utilities([first, second]) == pytest.approx([10 / 255, 20 / 255], abs=1e-6)
    assert isinstance(gap, FrameError)


def test_batches_in_flight_do_not_mix(opened: OpenWay, folder: Path) -> None:
    """Many batches through a few slots, from threads that nobody activated the device in."""
    pipeline = opened(make_engine(folder / "flight.onnx"), in_flight=3, part_bytes=10_000)
    batches = [[(31 * number + 7 * frame) % 256 for frame in range(number % MAX_BATCH + 1)] for number in range(30)]
    pictures = {level: jpeg(np.full((48, 64, 3), level, np.uint8), 100) for each in batches for level in each}

    futures = [pipeline.submit([pictures[level] for level in levels]) for levels in batches]

    for future, levels in zip(futures, batches, strict=True):
        assert utilities(future.result(60)) == pytest.approx([level / 255 for level in levels], abs=1 / 255)


class Meeting(HostCodec):
    """Waits, inside a batch, until another batch has come as far."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self._barrier = barrier

    def decode(self, values: Sequence[bytes], stream: Any) -> Any:
        if self.seen:  # not while it is opened
            self._barrier.wait(20)
        return super().decode(values, stream)


def test_batches_overlap(kernels: dict[str, HostKernel], folder: Path) -> None:
    """Two batches are on their way at once, each in its slot: in turn, they would wait for each other in vain."""
    barrier = threading.Barrier(2)
    engine = on_device(make_engine(folder / "overlap.onnx"), FakeDevice(kernels))
    workers = ThreadPoolExecutor(2)
    fields: dict[str, Any] = {"workers": workers, "threads": 2, "max_batch": MAX_BATCH, "max_pixels": MAX_PIXELS}
    way = open_device_way([Path("overlap")], [engine], open_codec=lambda: Meeting(barrier), **fields)
    pipeline = Pipeline([engine], policy_for([engine.manifest]), way, workers=workers, in_flight=2)

    futures = [pipeline.submit([PLAIN] * 3) for _ in range(4)]

    scores = [utilities(future.result(60)) for future in futures]
    assert all(each == scores[0] for each in scores)
    pipeline.close()


def test_no_good_frame_at_all(opened: OpenWay, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is not asked, and the slot is free again."""
    pipeline = opened(make_engine(folder / "none.onnx"))
    engine: Any = pipeline.engines[0]
    asked: list[int] = []
    infer_slot = engine.infer_slot

    def spied(slot: Any, size: int) -> Any:
        asked.append(size)
        return infer_slot(slot, size)

    monkeypatch.setattr(engine, "infer_slot", spied)

    for _ in range(5):
        outcomes = pipeline.judge(list(BAD.values())[:MAX_BATCH])
        assert all(isinstance(outcome, FrameError) for outcome in outcomes)
    assert pipeline.judge([]) == []
    assert asked == []
    assert len(utilities(pipeline.judge([PLAIN, None, PLAIN])[::2])) == 2
    assert asked == [2]


def test_a_failure_of_the_device_leaves_the_pipeline_whole(opened: OpenWay, folder: Path) -> None:
    """InferenceError for that batch, more often than there are slots; the next batch is judged as ever."""
    pipeline = opened(make_engine(folder / "fails.onnx", fault="fails on white"))
    white, dark = (png(np.full((24, 32, 3), level, np.uint8)) for level in (255, 51))

    for _ in range(5):
        with pytest.raises(InferenceError, match=r"fails\.onnx"):
            pipeline.submit([dark, white]).result(10)

    assert utilities(pipeline.submit([dark]).result(10)) == pytest.approx([0.2], abs=1e-6)


def test_a_fault_in_the_second_engine_is_the_frames(opened: OpenWay, folder: Path) -> None:
    """NaN from one of two engines is that frame's dead letter, and no other's."""
    fine = make_engine(folder / "fine.onnx")
    nan = make_engine(folder / "nan.onnx", "quality", fault="infinity for black")
    black, white = (png(np.full((24, 32, 3), level, np.uint8)) for level in (0, 255))

    first, second = opened(fine, nan).judge([black, white])

    assert isinstance(first, FrameError)
    assert first.reason is Reason.NON_FINITE
    assert isinstance(second, Judgement)


def test_memory_is_that_of_the_slots(opened: OpenWay, kernels: dict[str, HostKernel], folder: Path) -> None:
    """The device's memory does not grow with what has gone through: large pictures come in parts."""
    device = FakeDevice(kernels)
    pipeline = opened(make_engine(folder / "memory.onnx"), part_bytes=100_000, device=device)
    before = sum(piece.nbytes for piece in device.pieces.values())

    for turn in range(12):
        values: list[Value] = [png(scene(180, 100 + turn, seed)) for seed in range(MAX_BATCH)]
        for future in [pipeline.submit(values) for _ in range(4)]:
            utilities(future.result(30))

    assert sum(piece.nbytes for piece in device.pieces.values()) - before <= 2 * (100_000 + 256)


def test_an_engine_on_the_cpu_is_refused(folder: Path) -> None:
    """``--decode gpu`` beside an engine on the CPU: the error names the engine and the remedies."""
    engine = make_engine(folder / "cpu.onnx")
    fields: dict[str, Any] = {"threads": 1, "max_batch": 2, "in_flight": 1, "max_pixels": 100}

    with pytest.raises(ConfigError, match=r"--decode gpu.*cpu\.onnx.*--provider cuda.*\.plan.*--decode cpu"):
        open_pipeline([engine], provider="cpu", decode="gpu", **fields)


def test_both_commands_refuse_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--decode gpu`` reaches the pipeline from both commands, before the broker is asked for anything."""
    engine = str(make_engine(folder / "refused.onnx"))
    picture = tmp_path / "plain.jpg"
    picture.write_bytes(PLAIN)

    assert assess.main(["--engine", engine, "--decode", "gpu", str(picture)]) == 2
    assert "--decode gpu" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="--decode gpu"):
        dry_run(load_settings(["--engine", engine, "--decode", "gpu", "--brokers", "localhost:1"]))


Opening = Callable[..., Pipeline]


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch, open_codec: Callable[[], Codec]) -> Opening:
    """``open_pipeline`` as on a GPU: ``--provider cuda`` is ONNX Runtime on the device given."""

    def make(device: FakeDevice, *paths: Path, **other: Any) -> Pipeline:
        def open_on(path: Path, *, max_batch: int, in_flight: int, **_: Any) -> OnnxCudaEngine:
            fields: dict[str, Any] = {"provider": "cpu", "device": device, "memory_kind": "cpu"}
            return OnnxCudaEngine(path, max_batch=max_batch, in_flight=in_flight, **fields)

        monkeypatch.setattr(engine_onnx_cuda, "open_onnx_cuda_engine", open_on)
        monkeypatch.setattr(decode_cuda, "NvImageCodec", lambda *_, **__: open_codec())
        fields = {"provider": "cuda", "threads": 2, "max_batch": MAX_BATCH, "in_flight": 2, "max_pixels": MAX_PIXELS}
        return open_pipeline(paths, decode="gpu", **{**fields, **other})

    return make


def test_closed(opening: Opening, kernels: dict[str, HostKernel], folder: Path) -> None:
    """All of the device's memory is given back: the slots', the kernel's tables, the uploads'."""
    device = FakeDevice(kernels)
    paths = [make_engine(folder / "closed.onnx", spec=NORMALISED), make_engine(folder / "too.onnx", "quality")]
    pipeline = opening(device, *paths)
    utilities(pipeline.submit([PLAIN, png(scene(40, 30))]).result(30))
    held = len(device.pieces)

    pipeline.close()

    assert held > 8
    assert device.pieces == {}


@pytest.mark.parametrize("room", range(0, 17, 2))
def test_too_little_memory(opening: Opening, kernels: dict[str, HostKernel], folder: Path, room: int) -> None:
    """The operator's to change: the engine and the settings that take less are named; what there was is given back."""
    device = FakeDevice(kernels, room=room)
    paths = [make_engine(folder / "little.onnx", spec=NORMALISED), make_engine(folder / "room.onnx", "quality")]
    threads = threading.active_count()

    with pytest.raises(EngineError, match=r"\.onnx: the GPU's memory .*--max-batch 8 and --in-flight 2.*OUT_OF_MEM"):
        opening(device, *paths).close()

    assert device.pieces == {}
    assert threading.active_count() == threads


def test_enough_memory(opening: Opening, kernels: dict[str, HostKernel], folder: Path) -> None:
    """The test above stops short of it."""
    device = FakeDevice(kernels, room=17)
    paths = [make_engine(folder / "enough.onnx", spec=NORMALISED), make_engine(folder / "all.onnx", "quality")]
    pipeline = opening(device, *paths)

    assert utilities(pipeline.judge([PLAIN]))
    pipeline.close()


@pytest.mark.parametrize(
    ("first", "second", "other", "text"),
    [
        ({}, {"manifest": None}, {}, "no manifest"),
        ({}, {"kinds": ("utility",)}, {}, "both have a head"),
        ({"kinds": ("quality",)}, None, {"asked": Policy(0.5)}, "--min-utility"),
        ({"squeeze": False}, {}, {}, r"first\.onnx"),
    ],
    ids=["second engine", "heads", "policy", "warm-up"],
)
def test_what_was_opened_is_closed_where_a_later_part_fails(
    opening: Opening, kernels: dict[str, HostKernel], tmp_path: Path, first: Any, second: Any, other: Any, text: str
) -> None:
    """No memory and no thread is left of a pipeline that never was."""
    device = FakeDevice(kernels)
    paths = [
        make_engine(
            tmp_path / f"{name}.onnx",
            *fields.get("kinds", kinds),
            **{key: value for key, value in fields.items() if key != "kinds"},
        )
        for name, kinds, fields in [("first", ("utility",), first), ("second", ("quality",), second)]
        if fields is not None
    ]
    threads = threading.active_count()

    with pytest.raises(FramegateError, match=text):
        opening(device, *paths, **other)

    assert device.pieces == {}
    assert threading.active_count() == threads


@pytest.fixture(scope="module")
def of_two_kinds(
    kernels: dict[str, HostKernel],
    open_codec: Callable[[], Codec],
    on_host: Callable[..., Pipeline],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Pipeline, Pipeline]]:
    """A plan and an ONNX file on one device, with graphs; and their graphs on the host."""
    folder = tmp_path_factory.mktemp("kinds")
    device = FakeDevice(kernels)
    plan = make_plan(folder / "plan.plan", "quality", spec=ODD)
    onnx = make_engine(folder / "onnx.onnx", spec=NORMALISED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", fake_tensorrt(device))
        load_library.cache_clear()
        compiled = open_tensorrt_engine(plan, max_batch=MAX_BATCH, in_flight=2, find_device=lambda: device)
    load_library.cache_clear()
    engines: list[DeviceEngine] = [compiled, on_device(onnx, device)]
    workers = ThreadPoolExecutor(2)
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=open_codec, part_bytes=20_000)
    policy = policy_for([engine.manifest for engine in engines])
    way = DeviceWay(engines, decoder, MAX_BATCH)
    pipeline = Pipeline(list(engines), policy, way, workers=workers, in_flight=2)
    yield pipeline, on_host(plan.with_suffix(".onnx"), onnx)
    pipeline.close()
    assert device.pieces == {}


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(st.sampled_from(sorted(ALL)), max_size=MAX_BATCH), min_size=1, max_size=6))
def test_two_kinds_of_engine_on_one_device(of_two_kinds: tuple[Pipeline, Pipeline], batches: list[list[str]]) -> None:
    """TensorRT and ONNX Runtime see the same frames, several batches in flight: outcomes are the host's way's."""
    on_gpu, on_cpu = of_two_kinds
    values = [[ALL[name] for name in names] for names in batches]

    futures = [on_gpu.submit(each) for each in values]

    for future, each in zip(futures, values, strict=True):
        assert [told(outcome) for outcome in future.result(60)] == [told(outcome) for outcome in on_cpu.judge(each)]


def seconds_of(stage: str) -> tuple[float, float]:
    """How many were observed, and their sum."""
    found = [
        REGISTRY.get_sample_value(f"framegate_stage_seconds_{what}", {"stage": stage}) for what in ("count", "sum")
    ]
    return found[0] or 0, found[1] or 0


def test_stages_are_measured_per_frame(opened: OpenWay, folder: Path) -> None:
    """One observation a frame on either way, whatever the parts: shares that add up to the time that went by."""
    pipeline = opened(make_engine(folder / "stages.onnx"), part_bytes=20_000)
    before = {stage: seconds_of(stage) for stage in ("decode", "preprocess")}
    began = time.perf_counter()

    pipeline.judge([PLAIN, None, PLAIN, png(scene(40, 30)), b"no picture", PLAIN])

    elapsed_s = time.perf_counter() - began
    for stage, (count, total_s) in before.items():
        assert seconds_of(stage)[0] - count == 4
        assert 0 < seconds_of(stage)[1] - total_s < elapsed_s


def test_a_device_engine_goes_the_hosts_way_too(
    kernels: dict[str, HostKernel], on_host: Callable[..., Pipeline], folder: Path
) -> None:
    """``--decode cpu`` with an engine on the GPU: decoded and preprocessed here, judged there, the same scores."""
    path = make_engine(folder / "mixed.onnx", spec=NORMALISED)
    engine = on_device(path, FakeDevice(kernels))
    workers = ThreadPoolExecutor(2)
    fields: dict[str, Any] = {"max_batch": MAX_BATCH, "in_flight": 2, "max_pixels": MAX_PIXELS}
    way = HostWay([engine], workers=workers, threads=2, **fields)
    pipeline = Pipeline([engine], policy_for([engine.manifest]), way, workers=workers, in_flight=2)
    names = [name for name in ALL if name not in BAD]

    for start in range(0, len(names), MAX_BATCH):
        batch = [ALL[name] for name in names[start : start + MAX_BATCH]]
        assert utilities(pipeline.submit(batch).result(30)) == utilities(on_host(path).judge(batch))
    pipeline.close()


def test_what_a_device_engine_is(kernels: dict[str, HostKernel], folder: Path) -> None:
    """The pipeline tells the two kinds apart by what they can do, not by their names."""
    path = make_engine(folder / "kind.onnx")
    with ThreadPoolExecutor(1) as workers:
        on_cpu = open_engine(path, provider="cpu", workers=workers, threads=1)
    engine = on_device(path, FakeDevice(kernels))

    assert isinstance(engine, DeviceEngine)
    assert not isinstance(on_cpu, DeviceEngine)
    engine.close()
    on_cpu.close()
