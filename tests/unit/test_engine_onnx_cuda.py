"""ONNX Runtime with IO binding: the slots' memory goes in and comes out, and no provider stands in for another.

ONNX Runtime is real here, with its CPU provider; the device is the fake one, whose memory the CPU can read. On a GPU
the two words "cpu" are "cuda": ``tests/gpu``.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime import engine_onnx_cuda
from runtime.engine import DeviceEngine, Provider, open_engine, warm_up
from runtime.engine_onnx import NO_FALLBACK, PROVIDERS, open_session
from runtime.engine_onnx_cuda import TF32_SWITCH, OnnxCudaEngine, open_onnx_cuda_engine, provider_options
from runtime.errors import EngineError, InferenceError
from tests.command import ROOT, run
from tests.engines import NORMALISED, OUTPUTS, PIXELS, brightness, make_engine, opinions
from tests.fake_device import FakeDevice

Open = Callable[..., OnnxCudaEngine]
UTILITY, QUALITY = OUTPUTS["utility"], OUTPUTS["quality"]


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice(graphs=False)


@pytest.fixture
def opened(device: FakeDevice) -> Iterator[Open]:
    """Opens engines on the fake device, and closes them."""
    made: list[OnnxCudaEngine] = []

    def make(path: Path, *, max_batch: int = 8, in_flight: int = 2) -> OnnxCudaEngine:
        made.append(
            OnnxCudaEngine(
                path, provider="cpu", device=device, memory_kind="cpu", max_batch=max_batch, in_flight=in_flight
            )
        )
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def random_batch(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, *PIXELS.shape), dtype=np.uint8)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_scores_are_those_of_the_graph(opened: Open, tmp_path: Path, size: int) -> None:
    """Both heads answer per frame, by way of the device's memory."""
    engine = opened(make_engine(tmp_path / "both.onnx", "utility", "quality"))
    batch = random_batch(size)

    outputs = engine.infer({"frames": batch})

    expected = [brightness(frame) for frame in batch]
    assert isinstance(engine, DeviceEngine)
    np.testing.assert_allclose(outputs[UTILITY], expected, atol=1e-6)
    np.testing.assert_allclose(outputs[QUALITY], [opinions(utility) for utility in expected], atol=1e-6)


def test_a_float_input_in_nchw(opened: Open, tmp_path: Path) -> None:
    """The other kind of input."""
    engine = opened(make_engine(tmp_path / "f.onnx", spec=NORMALISED))
    zeros = np.zeros((3, *NORMALISED.shape), np.float32)

    assert NORMALISED.mean is not None
    assert engine.infer({"frames": zeros})[UTILITY] == pytest.approx(np.mean(NORMALISED.mean) / 255, abs=1e-5)


def test_samples_that_the_device_wrote(opened: Open, device: FakeDevice, tmp_path: Path) -> None:
    """``infer_slot`` judges what lies in the slot, also what is only queued so far."""
    engine = opened(make_engine(tmp_path / "u.onnx"))
    batch = random_batch(3)

    with engine.slots.take() as slot:
        device.upload(slot.inputs["frames"].pointer, batch, slot.stream)
        outputs = engine.infer_slot(slot, 3)

    np.testing.assert_allclose(outputs[UTILITY], [brightness(frame) for frame in batch], atol=1e-6)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=10), threads=st.integers(1, 5), in_flight=st.integers(1, 3)
)
def test_any_number_of_threads_get_their_own_answers(
    opened: Open, tmp_path: Path, sizes: list[int], threads: int, in_flight: int
) -> None:
    """To the bit what each batch gets alone, from one session."""
    path = tmp_path / "u.onnx"
    if not path.exists():
        make_engine(path)
    engine = opened(path, in_flight=in_flight)
    batches = [random_batch(size, seed) for seed, size in enumerate(sizes)]
    alone = [engine.infer({"frames": batch})[UTILITY].tolist() for batch in batches]

    with ThreadPoolExecutor(threads) as pool:
        together = list(pool.map(lambda batch: engine.infer({"frames": batch})[UTILITY].tolist(), batches))

    assert together == alone
    np.testing.assert_allclose(np.concatenate(alone), [brightness(f) for batch in batches for f in batch], atol=1e-6)


def test_no_live_batch_has_a_new_shape(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warmed up with 1, 2, 4, ... in each slot, padded up to them afterwards: cuDNN has seen them all."""
    engine = opened(make_engine(tmp_path / "u.onnx", "utility", "quality"), max_batch=7, in_flight=2)
    seen: list[tuple[int, int]] = []
    bound = engine._bound

    def spied(slot: Any, size: int) -> Any:
        seen.append((slot.index, size))
        return bound(slot, size)

    monkeypatch.setattr(engine, "_bound", spied)
    warm_up(engine, 7)
    warm = set(seen)
    for size in range(1, 8):
        assert engine.infer({"frames": random_batch(size)})[QUALITY].shape == (size, 5)

    assert warm == {(slot, size) for slot in range(2) for size in (1, 2, 4, 7)}
    assert set(seen) == warm


@pytest.mark.parametrize("room", range(6))
def test_too_little_memory(tmp_path: Path, room: int) -> None:
    """What there was is given back."""
    device = FakeDevice(room=room)
    path = make_engine(tmp_path / "u.onnx")

    with pytest.raises(InferenceError, match="OUT_OF_MEMORY"):
        OnnxCudaEngine(path, provider="cpu", device=device, memory_kind="cpu", max_batch=8, in_flight=3)

    assert device.pieces == {}


def test_a_failure_of_the_device_is_named(opened: Open, tmp_path: Path) -> None:
    """What ONNX Runtime raises becomes an InferenceError that names the file; the engine lives on."""
    engine = opened(make_engine(tmp_path / "broken.onnx", fault="fails on white"), in_flight=1)
    white = np.full((4, *PIXELS.shape), 255, np.uint8)

    with pytest.raises(InferenceError, match=r"broken\.onnx.*Reshape"):
        engine.infer({"frames": white})

    assert engine.infer({"frames": white // 2})[UTILITY].shape == (4,)


def test_an_output_of_another_dtype(opened: Open, tmp_path: Path) -> None:
    """The slots' memory is float32: half precision in it would be read as noise."""
    model = onnx.load(make_engine(tmp_path / "u.onnx"))
    output = model.graph.output[0]
    cast = onnx.helper.make_node("Cast", ["whole"], [output.name], to=onnx.TensorProto.FLOAT16)
    model.graph.node[-1].output[0] = "whole"
    model.graph.node.append(cast)
    output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")

    with pytest.raises(EngineError, match=rf"half\.onnx: output '{UTILITY}' is tensor\(float16\); .* float32"):
        opened(tmp_path / "half.onnx")


def test_closed(device: FakeDevice, tmp_path: Path) -> None:
    """All of the device's memory is given back."""
    engine = OnnxCudaEngine(
        make_engine(tmp_path / "u.onnx"), provider="cpu", device=device, memory_kind="cpu", max_batch=8, in_flight=3
    )
    held = len(device.pieces)

    engine.close()

    assert held == 6
    assert device.pieces == {}


def test_what_a_provider_is_told() -> None:
    """TensorRT's compiles for the whole range of batches at once; CUDA's keeps float32 whole."""
    assert provider_options("tensorrt", (PIXELS,), 16) == {
        "trt_profile_min_shapes": "frames:1x24x32x3",
        "trt_profile_opt_shapes": "frames:16x24x32x3",
        "trt_profile_max_shapes": "frames:16x24x32x3",
    }
    assert provider_options("cuda", (PIXELS,), 16) == {"use_tf32": "0"}


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_no_node_goes_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], provider: Provider
) -> None:
    """ONNX Runtime itself, with a provider that takes no node: refused with the remedy, nothing on standard output."""
    if "AzureExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no provider but the GPU's: its CPU package has one that takes nothing")
    monkeypatch.setitem(PROVIDERS, provider, "AzureExecutionProvider")

    with pytest.raises(EngineError, match=rf"u\.onnx: .*on the CPU beside --provider {provider}.*docs/gpu\.md"):
        open_session(make_engine(tmp_path / "u.onnx"), provider)
    assert capfd.readouterr().out == ""


def test_the_true_cause_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the provider says at its start, instead of ONNX Runtime's second try on the CPU and what it prints of it."""
    session = ort.InferenceSession
    create = session._create_inference_session

    def fail_on_gpu(self: Any, providers: Any, *rest: Any) -> None:
        if providers != ["CPUExecutionProvider"]:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        create(self, providers, *rest)

    monkeypatch.setattr(session, "_create_inference_session", fail_on_gpu)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [PROVIDERS["cuda"]])

    with pytest.raises(EngineError, match=r"u\.onnx: .*with --provider cuda: CUDA failure 100.*docs/gpu\.md"):
        open_session(make_engine(tmp_path / "u.onnx"), "cuda")
    assert capfd.readouterr().out == ""


def test_the_cpu_may_be_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a GPU's provider is told to leave nothing to it."""
    told: list[str] = []
    plain = ort.SessionOptions.add_session_config_entry

    def spied(options: Any, name: str, value: str) -> None:
        told.append(name)
        plain(options, name, value)

    monkeypatch.setattr(ort.SessionOptions, "add_session_config_entry", spied)
    open_session(make_engine(tmp_path / "u.onnx"), "cpu")

    assert NO_FALLBACK not in told


@pytest.mark.parametrize(("found", "left"), [(None, "0"), ("1", "1")])
def test_tensorrt_keeps_float32_whole(monkeypatch: pytest.MonkeyPatch, found: str | None, left: str) -> None:
    """Its provider has no option for that: the process has, unless the operator chose; before any library loads."""
    monkeypatch.setattr(engine_onnx_cuda, "preload_libraries", lambda _: pytest.fail(os.environ[TF32_SWITCH]))
    monkeypatch.setenv(TF32_SWITCH, found or "")
    if found is None:
        monkeypatch.delenv(TF32_SWITCH)

    with pytest.raises(pytest.fail.Exception, match=left):
        open_onnx_cuda_engine(Path("u.onnx"), provider="tensorrt", max_batch=1, in_flight=1)


class _OnCpu:
    """What ONNX Runtime does where a provider cannot load: it says nothing and takes the CPU."""

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
    """ONNX Runtime's silence is broken: the provider must be the one that was asked for."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: [PROVIDERS[provider], "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: _OnCpu())

    with pytest.raises(EngineError, match=rf"--provider {provider}: ONNX Runtime fell back to \['CPUExec"):
        open_session(tmp_path / "u.onnx", provider)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there(tmp_path: Path, provider: Provider) -> None:
    """Said before a GPU is looked for, with what is there."""
    if PROVIDERS[provider] in ort.get_available_providers():
        pytest.skip(f"this machine's ONNX Runtime has {provider}")
    path = make_engine(tmp_path / "u.onnx")

    with (
        ThreadPoolExecutor(1) as workers,
        pytest.raises(EngineError, match=rf"--provider {provider} needs .* has .*CPU"),
    ):
        open_engine(path, provider=provider, workers=workers, threads=1)

    done = run("runtime.serve", "--engine", path, "--provider", provider, "--dry-run", timeout_s=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_cpu_loads_nothing_of_a_gpu(tmp_path: Path) -> None:
    """Serving on the CPU never imports the code of a device."""
    make_engine(tmp_path / "u.onnx")
    program = (
        "import sys; from pathlib import Path; from concurrent.futures import ThreadPoolExecutor\n"
        "from runtime.engine import open_engine\n"
        f"open_engine(Path({str(tmp_path / 'u.onnx')!r}), provider='cpu', workers=ThreadPoolExecutor(1), threads=1)\n"
        "print([name for name in sys.modules if name.startswith(('cuda', 'pycuda', 'tensorrt', 'runtime.device_'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
