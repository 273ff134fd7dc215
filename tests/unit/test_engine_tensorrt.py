"""TensorRT plans: what is refused before the device sees it, and that each batch gets its own answers."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.engine import DeviceEngine, batch_sizes, warm_up
from runtime.engine_tensorrt import TensorrtEngine, open_tensorrt_engine
from runtime.errors import EngineError, InferenceError
from runtime.manifest import UtilityHead
from runtime.tensorrt_library import load_library
from tests.command import ROOT, run
from tests.engines import NORMALISED, OUTPUTS, PIXELS, brightness, fitting_manifest, opinions
from tests.fake_device import FakeDevice
from tests.fake_tensorrt import fake_tensorrt, make_plan

Open = Callable[..., TensorrtEngine]
UTILITY, QUALITY = OUTPUTS["utility"], OUTPUTS["quality"]
REBUILD = "python -m export tensorrt"


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeDevice], None]]:
    """Makes ``import tensorrt`` and ``import tensorrt_rtx`` work, on a device."""

    def put(device: FakeDevice) -> None:
        for name in ("tensorrt", "tensorrt_rtx"):
            monkeypatch.setitem(sys.modules, name, fake_tensorrt(device))
        load_library.cache_clear()

    yield put
    load_library.cache_clear()


@pytest.fixture
def opened(device: FakeDevice, install: Callable[[FakeDevice], None]) -> Iterator[Open]:
    """Opens plans on ``device``, or another one, and closes them; a device of None must not be looked for."""
    made: list[TensorrtEngine] = []

    def make(path: Path, *, max_batch: int = 8, in_flight: int = 2, on: FakeDevice | None = device) -> TensorrtEngine:
        def find() -> FakeDevice:
            return on if on is not None else pytest.fail("a device was looked for")

        install(on or device)
        made.append(open_tensorrt_engine(path, max_batch=max_batch, in_flight=in_flight, find_device=find))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def random_batch(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, *PIXELS.shape), dtype=np.uint8)


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_scores_are_those_of_the_graph(
    opened: Open, device: FakeDevice, tmp_path: Path, size: int, runtime: str, graphs: bool
) -> None:
    """Both heads answer per frame, whatever the batch is padded to, with graphs and without."""
    device.graphs = graphs
    engine = opened(make_plan(tmp_path / "both.plan", "utility", "quality", runtime=runtime), max_batch=7)
    batch = random_batch(size)

    outputs = engine.infer({"frames": batch})

    expected = [brightness(frame) for frame in batch]
    assert isinstance(engine, DeviceEngine)
    np.testing.assert_allclose(outputs[UTILITY], expected, atol=1e-6)
    np.testing.assert_allclose(outputs[QUALITY], [opinions(utility) for utility in expected], atol=1e-6)


@pytest.mark.parametrize("suffix", [".plan", ".engine"])
def test_a_float_input_in_nchw(opened: Open, tmp_path: Path, suffix: str) -> None:
    """The other kind of input, and both suffixes."""
    engine = opened(make_plan(tmp_path / f"f{suffix}", spec=NORMALISED))
    pixels = np.full((3, *NORMALISED.shape), 100, np.float32)
    assert NORMALISED.mean is not None
    assert NORMALISED.std is not None
    mean, std = (np.reshape(values, (1, 3, 1, 1)) for values in (NORMALISED.mean, NORMALISED.std))

    outputs = engine.infer({"frames": ((pixels - mean) / std).astype(np.float32)})

    np.testing.assert_allclose(outputs[UTILITY], 100 / 255, atol=1e-5)


def test_samples_that_the_device_wrote(opened: Open, device: FakeDevice, tmp_path: Path) -> None:
    """``infer_slot`` judges what lies in the slot, also what is only queued so far."""
    engine = opened(make_plan(tmp_path / "u.plan"))
    batch = random_batch(3)

    with engine.slots.take() as slot:
        device.upload(slot.inputs["frames"].pointer, batch, slot.stream)
        outputs = engine.infer_slot(slot, 3)

    np.testing.assert_allclose(outputs[UTILITY], [brightness(frame) for frame in batch], atol=1e-6)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=10),
    threads=st.integers(1, 5),
    in_flight=st.integers(1, 3),
    graphs=st.booleans(),
)
def test_any_number_of_threads_get_their_own_answers(
    opened: Open, device: FakeDevice, tmp_path: Path, sizes: list[int], threads: int, in_flight: int, graphs: bool
) -> None:
    """To the bit what each batch gets alone."""
    path = tmp_path / "u.plan"
    if not path.exists():
        make_plan(path)
    device.graphs = graphs
    engine = opened(path, in_flight=in_flight)
    batches = [random_batch(size, seed) for seed, size in enumerate(sizes)]
    alone = [engine.infer({"frames": batch})[UTILITY].tolist() for batch in batches]

    with ThreadPoolExecutor(threads) as pool:
        together = list(pool.map(lambda batch: engine.infer({"frames": batch})[UTILITY].tolist(), batches))

    assert together == alone
    np.testing.assert_allclose(np.concatenate(alone), [brightness(f) for batch in batches for f in batch], atol=1e-6)


def test_answers_belong_to_the_caller(opened: Open, tmp_path: Path) -> None:
    """The next batch does not change what the last one was answered."""
    engine = opened(make_plan(tmp_path / "u.plan"), in_flight=1)
    first = engine.infer({"frames": random_batch(2)})[UTILITY]
    kept = first.copy()

    engine.infer({"frames": 255 - random_batch(2)})

    assert first.tolist() == kept.tolist()


def test_warm_up(opened: Open, tmp_path: Path) -> None:
    """Every batch size in every slot."""
    warm_up(opened(make_plan(tmp_path / "u.plan", "utility", "quality")), 8)


def test_a_plan_with_a_least_batch(opened: Open, tmp_path: Path) -> None:
    """A smaller batch is padded up to it, also where serve's own largest is smaller still."""
    engine = opened(make_plan(tmp_path / "u.plan", batches=(4, 4, 8)), max_batch=2)
    batch = random_batch(1)

    outputs = engine.infer({"frames": batch})

    assert outputs[UTILITY].tolist() == pytest.approx([brightness(batch[0])])


@pytest.mark.parametrize(
    ("least", "most", "sizes"),
    [(1, 1, [1]), (1, 8, [1, 2, 4, 8]), (1, 12, [1, 2, 4, 8, 12]), (3, 12, [3, 4, 8, 12]), (4, 4, [4])],
)
def test_batch_sizes(least: int, most: int, sizes: list[int]) -> None:
    """Powers of two within the range, and both its ends: every batch fits one, none is padded to twice its size."""
    assert list(batch_sizes(least, most, by_shape=True)) == sizes
    assert list(batch_sizes(least, most, by_shape=False)) == list(range(least, most + 1))


def test_a_failure_of_the_device_is_named(opened: Open, tmp_path: Path) -> None:
    """It is an InferenceError; the engine lives on, with all its slots."""
    engine = opened(make_plan(tmp_path / "u.plan", fault="fails on white"), in_flight=1)
    white = np.full((4, *PIXELS.shape), 255, np.uint8)

    with pytest.raises(InferenceError, match="LAUNCH_FAILED"):
        engine.infer({"frames": white})

    assert engine.infer({"frames": white // 2})[UTILITY].shape == (4,)


@pytest.mark.parametrize("room", range(9))
def test_too_little_memory(tmp_path: Path, install: Callable[[FakeDevice], None], room: int) -> None:
    """For inputs, outputs or scratch: what there was is given back."""
    device = FakeDevice(room=room)
    install(device)
    path = make_plan(tmp_path / "u.plan")

    with pytest.raises(InferenceError, match="OUT_OF_MEMORY"):
        open_tensorrt_engine(path, max_batch=8, in_flight=3, find_device=lambda: device)

    assert device.pieces == {}


def test_closed(device: FakeDevice, install: Callable[[FakeDevice], None], tmp_path: Path) -> None:
    """All of the device's memory is given back."""
    install(device)
    engine = open_tensorrt_engine(make_plan(tmp_path / "u.plan"), max_batch=8, in_flight=3, find_device=lambda: device)
    held = sum(piece.nbytes for piece in device.pieces.values())

    engine.close()

    assert held > 3 * 8 * np.prod(PIXELS.shape)
    assert device.pieces == {}


def edit(path: Path, **fields: Any) -> None:
    """Change the ``plan`` of a manifest beside a plan."""
    sidecar = path.with_suffix(".json")
    manifest = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**manifest, "plan": {**manifest["plan"], **fields}}))


def break_file(path: Path, how: str) -> None:
    sidecar, plan = path.with_suffix(".json"), path.read_bytes()
    manifest = json.loads(sidecar.read_text())
    changes: dict[str, Callable[[], Any]] = {
        "truncated": lambda: path.write_bytes(plan[: len(plan) // 2]),
        "empty": lambda: path.write_bytes(b""),
        "one bit": lambda: path.write_bytes(bytes([plan[0] ^ 1]) + plan[1:]),
        "no sidecar": sidecar.unlink,
        "sidecar of an ONNX file": lambda: sidecar.write_text(json.dumps({**manifest, "plan": None})),
        "sidecar that is no JSON": lambda: sidecar.write_text("{"),
        "sidecar that is no text": lambda: sidecar.write_bytes(b"\xff\xfe"),
        "other version": lambda: edit(path, version="10.9.0.34"),
        "newer version": lambda: edit(path, version="11.4.0.106", version_compatible=True),
        "unknown library": lambda: edit(path, runtime="openvino"),
        "batches out of order": lambda: edit(path, min_batch=9),
    }
    changes[how]()


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("truncated", rf"--engine \S+u\.plan: truncated, or not the plan of u\.json.*Copy both files again.*{REBUILD}"),
        ("empty", r"its 0 bytes"),
        ("one bit", r"truncated, or not the plan of u\.json"),
        ("no sidecar", rf"manifest \S+u\.json is not there.*{REBUILD}"),
        ("sidecar of an ONNX file", rf"says nothing of a plan.*{REBUILD}"),
        ("sidecar that is no JSON", r"u\.json: the manifest does not follow"),
        ("sidecar that is no text", r"u\.json: the manifest is not text"),
        ("other version", rf"built with tensorrt 10\.9\.0\.34, here is 10\.16\.1\.11; install that.*{REBUILD}"),
        ("newer version", r"built with tensorrt 11\.4\.0\.106, here is 10\.16\.1\.11; install that version"),
        ("unknown library", r"u\.json: the manifest does not follow.*plan\.runtime"),
        ("batches out of order", r"min <= opt <= max"),
    ],
)
def test_a_broken_pair(opened: Open, tmp_path: Path, how: str, text: str) -> None:
    """Refused by what the files say, before a device is looked for."""
    path = make_plan(tmp_path / "u.plan")
    break_file(path, how)

    with pytest.raises(EngineError, match=text):
        opened(path, on=None)


def test_a_version_compatible_plan_of_an_older_version(opened: Open, tmp_path: Path) -> None:
    """Accepted, as the library promises it."""
    engine = opened(make_plan(tmp_path / "u.plan", version="10.9.0.34", version_compatible=True))

    assert engine.infer({"frames": random_batch(1)})[UTILITY].shape == (1,)


def test_a_batch_that_the_plan_does_not_take(opened: Open, tmp_path: Path) -> None:
    """Both remedies are named."""
    path = make_plan(tmp_path / "u.plan", batches=(1, 4, 8))

    with pytest.raises(EngineError, match=rf"--max-batch 32: .*u\.plan takes at most 8; .*--max-batch 8, .*{REBUILD}"):
        opened(path, max_batch=32, on=None)


@pytest.mark.parametrize(
    ("compatibility", "name", "capability", "fits"),
    [
        ("none", "Fake GPU", (9, 0), True),
        ("none", "Fake GPU 2", (9, 0), False),
        ("none", "Fake GPU", (8, 9), False),
        ("same-compute-capability", "Fake GPU 2", (9, 0), True),
        ("same-compute-capability", "Fake GPU 2", (10, 0), False),
        ("ampere-plus", "Fake GPU 2", (8, 6), True),
        ("ampere-plus", "Fake GPU 2", (7, 5), False),
    ],
)
def test_another_gpu(
    opened: Open,
    tmp_path: Path,
    compatibility: str,
    name: str,
    capability: tuple[int, int],
    fits: bool,
) -> None:
    """A plan runs on the kind of GPU that it was built for, and on those that it was built to be compatible with."""
    path = make_plan(tmp_path / "u.plan", hardware_compatibility=compatibility)
    other = FakeDevice(name=name, compute_capability=capability)

    if fits:
        opened(path, on=other)
    else:
        number = "{}.{}".format(*capability)
        with pytest.raises(EngineError, match=rf"built for Fake GPU .*9\.0.* here is {name} .*{number}.*{REBUILD}"):
            opened(path, on=other)


def test_an_unknown_compatibility(opened: Open, tmp_path: Path) -> None:
    """A word that we do not know could mean anything."""
    path = make_plan(tmp_path / "u.plan", hardware_compatibility="all")

    with pytest.raises(EngineError, match=r"u\.json: hardware_compatibility 'all' is not one of none, "):
        opened(path)


def test_a_plan_for_any_device(opened: Open, tmp_path: Path) -> None:
    """TensorRT-RTX's: built without a device, it names none."""
    path = make_plan(tmp_path / "u.plan", runtime="tensorrt-rtx", gpu=None, compute_capability=None)

    assert opened(path).infer({"frames": random_batch(1)})[UTILITY].shape == (1,)


def test_a_file_that_is_no_plan(opened: Open, tmp_path: Path) -> None:
    """The SHA-256 fits, the library refuses: its own last words are in the text, in one line."""
    path = make_plan(tmp_path / "u.plan", content=b"not a plan")

    with pytest.raises(
        EngineError, match=rf"u\.plan: tensorrt .* cannot load it: .*kMAGIC_TAG failed.*{REBUILD}"
    ) as told:
        opened(path)

    assert "\n" not in str(told.value)


MANIFESTS = {
    "input": fitting_manifest("u", spec=PIXELS.model_copy(update={"name": "images"})),
    "size": fitting_manifest("u", spec=PIXELS.model_copy(update={"height": 32})),
    "dtype": fitting_manifest("u", spec=NORMALISED.model_copy(update={"layout": "NHWC"})),
    "output": fitting_manifest("u", heads=(UtilityHead(output="score", threshold=0.5),)),
    "head": fitting_manifest("u", kinds=("utility", "quality")),
}


@pytest.mark.parametrize(
    ("which", "text"),
    [
        ("input", r"its inputs: \['frames'\], but its manifest u\.json says \['images'\]"),
        ("size", r"its tensor 'frames': \('UINT8', -1, 24, 32, 3\), .* says \('UINT8', -1, 32, 32, 3\)"),
        ("dtype", r"its tensor 'frames': \('UINT8', .* says \('FLOAT', "),
        ("output", rf"its outputs: \['{UTILITY}'\], .* says \['score'\]"),
        ("head", rf"its outputs: \['{UTILITY}'\], .* says \['{QUALITY}', '{UTILITY}'\]"),
    ],
)
def test_a_manifest_that_disagrees(opened: Open, tmp_path: Path, which: str, text: str) -> None:
    """What the plan has and what its manifest says must be the same; the text holds both."""
    path = make_plan(tmp_path / "u.plan", manifest=MANIFESTS[which])

    with pytest.raises(EngineError, match=text):
        opened(path)


def test_a_manifest_of_other_batches(opened: Open, tmp_path: Path) -> None:
    """The profile is the plan's, not what somebody wrote."""
    path = make_plan(tmp_path / "u.plan", batches=(1, 4, 8), max_batch=64)

    with pytest.raises(EngineError, match=r"its batches of 'frames': \[1, 4, 8\], .* says \[1, 4, 64\]"):
        opened(path)


@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt-rtx"])
def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    """The extra that brings it is named."""
    for name in ("tensorrt", "tensorrt_bindings", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    load_library.cache_clear()
    path = make_plan(tmp_path / "u.plan", runtime=runtime)

    with pytest.raises(
        EngineError, match=rf"u\.plan: {runtime} is not installed.*pip install 'framegate\[{runtime}\]'"
    ):
        open_tensorrt_engine(path, max_batch=8, in_flight=1)


@pytest.mark.parametrize(
    ("how", "text"),
    [("truncated", "truncated, or not the plan"), ("no sidecar", "is not there"), ("", "not installed")],
)
def test_serve_refuses(tmp_path: Path, how: str, text: str) -> None:
    """Exit 2 and one line on standard error, before any broker is looked for."""
    if not how and (importlib.util.find_spec("tensorrt") or importlib.util.find_spec("tensorrt_bindings")):
        pytest.skip("TensorRT is installed here")
    path = make_plan(tmp_path / "u.plan", batches=(1, 8, 32))
    if how:
        break_file(path, how)

    done = run("runtime.serve", "--engine", path, "--dry-run", timeout_s=60)

    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if line.startswith("framegate: ")] == done.stderr.splitlines()
    assert text in done.stderr


PROGRAM = """
import sys
from pathlib import Path
from runtime.engine_tensorrt import deserialize
from runtime.errors import EngineError
from runtime.plan_file import PlanFile
from runtime.tensorrt_library import load_library
file = PlanFile.read(Path(sys.argv[1]))
try:
    deserialize(load_library("tensorrt-rtx"), file)
except EngineError as error:
    print(error)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None and importlib.util.find_spec("tensorrt_rtx") is None,
    reason="the extra tensorrt-rtx is not installed",
)
def test_the_real_library_refuses(tmp_path: Path) -> None:
    """TensorRT-RTX itself, with our logger: what it says reaches the operator. A process of its own: it may crash."""
    path = make_plan(tmp_path / "u.plan", runtime="tensorrt-rtx", content=b"no plan at all" * 100)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "cannot load it: IRuntime::deserializeCudaEngine" in done.stdout
    assert "kEXPECTED_MAGIC_TAG" in done.stdout
    assert len(done.stdout.splitlines()) == 1
