"""ONNX Runtime behind the engine interface: what is refused, what is answered."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.engine import Engine, open_engine, require_distinct_heads, warm_up
from runtime.engine_onnx import PROVIDERS, OnnxEngine
from runtime.errors import ConfigError, EngineError, InferenceError
from runtime.manifest import Input, UtilityHead
from tests.command import ROOT
from tests.engines import NORMALISED, OUTPUTS, PIXELS, brightness, fitting_manifest, make_engine, opinions

Open = Callable[..., Engine]
SHIPPED = ROOT / "models" / "utility-baseline.onnx"
UTILITY, QUALITY = OUTPUTS["utility"], OUTPUTS["quality"]


@pytest.fixture(scope="module")
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def opened(workers: ThreadPoolExecutor) -> Iterator[Open]:
    """Opens engines as the pipeline does, and closes them."""
    made: list[Engine] = []

    def make(path: Path, *, threads: int = 2, provider: Any = "cpu") -> Engine:
        made.append(open_engine(path, provider=provider, workers=workers, threads=threads))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def random_batch(size: int, spec: Input = PIXELS, seed: int = 0) -> NDArray[np.uint8]:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, *spec.shape), dtype=np.uint8)
    shade = np.linspace(0.1, 1, size).reshape(-1, 1, 1, 1)  # so that no two frames score alike
    return (pixels * shade).astype(np.uint8)


def test_scores_are_those_of_the_graph(opened: Open, tmp_path: Path) -> None:
    """Both heads of one engine answer per frame, under the names of the graph's outputs."""
    engine = opened(make_engine(tmp_path / "both.onnx", "utility", "quality"))
    batch = random_batch(5)

    outputs = engine.infer({"frames": batch})

    expected = [brightness(frame) for frame in batch]
    assert set(outputs) == {UTILITY, QUALITY}
    np.testing.assert_allclose(outputs[UTILITY], expected, atol=1e-6)
    np.testing.assert_allclose(outputs[QUALITY], [opinions(utility) for utility in expected], atol=1e-6)


@pytest.fixture(scope="module")
def shipped(workers: ThreadPoolExecutor) -> dict[int, OnnxEngine]:
    """The engine that ships, by its number of threads."""
    return {threads: OnnxEngine(SHIPPED, workers=workers, threads=threads) for threads in (1, 2, 4)}


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(7)), cuts=st.sets(st.integers(1, 6)), threads=st.sampled_from([1, 2, 4]))
def test_a_score_depends_on_its_own_frame_only(
    shipped: dict[int, OnnxEngine], order: list[int], cuts: set[int], threads: int
) -> None:
    """To the bit, whatever the batch's order, its split and the number of threads: by the engine that ships."""
    [spec], [head] = shipped[1].manifest.inputs, shipped[1].manifest.heads
    batch = random_batch(7, spec)
    alone = np.concatenate([shipped[1].infer({spec.name: batch[i : i + 1]})[head.output] for i in range(7)])

    parts = [
        shipped[threads].infer({spec.name: batch[part]})[head.output]
        for part in np.split(np.array(order), sorted(cuts))
    ]

    assert np.concatenate(parts).tolist() == alone[order].tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_frame_of_a_batch_is_answered_once(opened: Open, tmp_path: Path, size: int, threads: int) -> None:
    """However a batch is spread over the workers, row i is frame i's."""
    engine = opened(make_engine(tmp_path / "u.onnx", "utility", "quality"), threads=threads)
    batch = random_batch(size)

    outputs = engine.infer({"frames": batch})

    assert outputs[QUALITY].shape == (size, 5)
    np.testing.assert_allclose(outputs[UTILITY], [brightness(frame) for frame in batch], atol=1e-6)


def test_answers_belong_to_the_caller(opened: Open, tmp_path: Path) -> None:
    """The next batch does not change what the last one was answered."""
    engine = opened(make_engine(tmp_path / "u.onnx"), threads=1)
    first = engine.infer({"frames": random_batch(2)})[UTILITY]
    kept = first.copy()

    engine.infer({"frames": 255 - random_batch(2)})

    assert first.tolist() == kept.tolist()


def test_a_float_input_in_nchw(opened: Open, tmp_path: Path) -> None:
    """The other kind of input: float32, planes, normalised by mean and std."""
    engine = opened(make_engine(tmp_path / "f.onnx", spec=NORMALISED))
    pixels = random_batch(3).transpose(0, 3, 1, 2).astype(np.float32)
    assert NORMALISED.mean is not None
    assert NORMALISED.std is not None
    mean, std = (np.reshape(values, (1, 3, 1, 1)) for values in (NORMALISED.mean, NORMALISED.std))

    outputs = engine.infer({"frames": ((pixels - mean) / std).astype(np.float32)})

    np.testing.assert_allclose(outputs[UTILITY], pixels.mean(axis=(1, 2, 3)) / 255, atol=1e-5)


def test_a_failure_of_the_device_is_named(opened: Open, tmp_path: Path) -> None:
    """What ONNX Runtime raises becomes an InferenceError that names the file; the engine lives on."""
    engine = opened(make_engine(tmp_path / "broken.onnx", fault="fails on white"))
    white = np.full((4, *PIXELS.shape), 255, np.uint8)

    with pytest.raises(InferenceError, match=r"broken\.onnx.*Reshape"):
        engine.infer({"frames": white})

    assert engine.infer({"frames": white // 2})[UTILITY].shape == (4,)


def test_a_file_that_is_not_there(opened: Open, tmp_path: Path) -> None:
    """The flag and the path are named."""
    with pytest.raises(EngineError, match=r"--engine .*none\.onnx: no such file"):
        opened(tmp_path / "none.onnx")
    with pytest.raises(EngineError, match=r"--engine .*: a folder; give the \.onnx, \.plan or \.engine file in it"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["engine.pt", "engine", "engine.plan.txt"])
def test_a_suffix_that_names_no_backend(opened: Open, tmp_path: Path, name: str) -> None:
    """The suffix decides what runs an engine; another one is refused, with what there is."""
    (tmp_path / name).write_bytes(b"weights")

    with pytest.raises(EngineError, match=r"unknown kind .*\.onnx"):
        opened(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not an engine", b"\x08\x0a", SHIPPED.read_bytes()[:100_000]])
def test_a_file_that_is_no_onnx(
    opened: Open, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's refusal is an EngineError that names the file and the remedy; standard output is for results."""
    (tmp_path / "broken.onnx").write_bytes(content)

    with pytest.raises(EngineError, match=r"--engine .*broken\.onnx: .*Copy the file again, or export it anew"):
        opened(tmp_path / "broken.onnx")
    assert capfd.readouterr().out == ""


def test_no_manifest(opened: Open, tmp_path: Path) -> None:
    """The remedy is a command, with the path in it."""
    path = make_engine(tmp_path / "bare.onnx", manifest=None)

    with pytest.raises(EngineError, match=rf"no manifest.*python -m export manifest {path} "):
        opened(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}'])
def test_a_broken_manifest(opened: Open, tmp_path: Path, text: str) -> None:
    """What is no manifest is refused with the file's name."""
    with pytest.raises(EngineError, match=r"b\.onnx: the manifest does not follow"):
        opened(make_engine(tmp_path / "b.onnx", manifest=text))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (PIXELS.model_copy(update={"name": "images"}), r"names the inputs \['images'\], the graph has \['frames'\]"),
        (PIXELS.model_copy(update={"height": 32}), r"'frames' is uint8 .*32, 32, 3.*uint8.*24, 32, 3"),
        (PIXELS.model_copy(update={"layout": "NCHW"}), r"3, 24, 32.*24, 32, 3"),
        (NORMALISED.model_copy(update={"layout": "NHWC"}), r"float32.*tensor\(uint8\)"),
    ],
    ids=["name", "size", "layout", "dtype"],
)
def test_a_manifest_that_says_another_input(opened: Open, tmp_path: Path, said: Input, text: str) -> None:
    """What the manifest says and what the graph takes must be the same; the text holds both."""
    with pytest.raises(EngineError, match=text):
        opened(make_engine(tmp_path / "u.onnx", manifest=fitting_manifest("u", spec=said)))


def test_a_head_without_its_output(opened: Open, tmp_path: Path) -> None:
    """A head that the graph does not answer is refused; the outputs there are listed."""
    said = fitting_manifest("u", heads=(UtilityHead(output="score", threshold=0.5),))

    with pytest.raises(EngineError, match=rf"no output 'score' for head utility.*{UTILITY}"):
        opened(make_engine(tmp_path / "u.onnx", manifest=said))


def test_a_fixed_batch(opened: Open, tmp_path: Path) -> None:
    """An engine for one batch size only would pad or drop: refused, with the remedy."""
    with pytest.raises(EngineError, match=r"fixed batch of 2; export it dynamic"):
        opened(make_engine(tmp_path / "u.onnx", batch=2))


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"cpu"}))
def test_a_provider_that_is_not_there(opened: Open, tmp_path: Path, provider: Any) -> None:
    """Never a silent fallback: the error says what was asked for and what is there."""
    if PROVIDERS[provider] in ort.get_available_providers():
        pytest.skip(f"this machine's ONNX Runtime has {provider}")

    with pytest.raises(EngineError, match=rf"--provider {provider} needs .*{PROVIDERS[provider]}.*has .*CPUExecution"):
        opened(make_engine(tmp_path / "u.onnx"), provider=provider)


def test_warm_up_takes_a_fitting_engine(opened: Open, tmp_path: Path) -> None:
    """A batch of 1 and a full one, without complaint."""
    warm_up(opened(make_engine(tmp_path / "u.onnx", "utility", "quality")), 5)


def test_warm_up_finds_an_output_of_the_wrong_shape(opened: Open, tmp_path: Path) -> None:
    """Found before the first frame: (batch, 1) where (batch,) is due."""
    engine = opened(make_engine(tmp_path / "u.onnx", squeeze=False))

    with pytest.raises(EngineError, match=rf"'{UTILITY}' has shape \(1, 1\).*utility head has \(1,\)"):
        warm_up(engine, 1)


def test_two_engines_with_one_head(opened: Open, tmp_path: Path) -> None:
    """They would contradict each other: refused, both named. With different heads they go together."""
    first, second = (opened(make_engine(tmp_path / f"{name}.onnx")) for name in ("first", "second"))
    other = opened(make_engine(tmp_path / "other.onnx", "quality"))

    paths = [tmp_path / f"{name}.onnx" for name in ("first", "other", "second")]

    with pytest.raises(ConfigError, match=r"first\.onnx and \S*second\.onnx both have a head 'utility'"):
        require_distinct_heads(zip(paths, [first, other, second], strict=True))

    require_distinct_heads(zip(paths[:2], [first, other], strict=True))


def test_one_engine_given_twice(opened: Open, tmp_path: Path) -> None:
    """The same file again is refused as any other engine with its head."""
    path = make_engine(tmp_path / "u.onnx")
    engine = opened(path)

    with pytest.raises(ConfigError, match="both have a head 'utility'"):
        require_distinct_heads([(path, engine), (path, engine)])


def test_an_engine_brings_no_threads(opened: Open, workers: ThreadPoolExecutor, tmp_path: Path) -> None:
    """Sessions run in our workers only: none of their own spins and takes a core from decoding."""
    everyone = threading.Barrier(4)
    assert all(task.result() < 4 for task in [workers.submit(everyone.wait) for _ in range(4)])
    threads = len(os.listdir("/proc/self/task"))

    for kind in ("utility", "quality"):
        opened(make_engine(tmp_path / f"{kind}.onnx", kind)).infer({"frames": random_batch(8)})

    assert len(os.listdir("/proc/self/task")) == threads


def test_no_more_runs_at_once_than_threads(opened: Open, tmp_path: Path) -> None:
    """However many batches are judged at once: each further run would add its activations to the memory."""
    engine = opened(make_engine(tmp_path / "one.onnx"), threads=2)
    assert isinstance(engine, OnnxEngine)
    counted = engine._session = Counted(engine._session)

    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda seed: engine.infer({"frames": random_batch(1, seed=seed)}), range(60)))

    expected = [brightness(random_batch(1, seed=seed)) for seed in range(60)]
    assert [float(answer[UTILITY][0]) for answer in answers] == pytest.approx(expected, abs=1e-6)
    assert counted.most == 2


class Counted:
    """A session that notes how many of its runs overlap."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._now = self.most = 0
        self._lock = threading.Lock()

    def run(self, *arguments: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.002)  # a small engine is too fast to be met by another caller
        outputs = self._session.run(*arguments)
        with self._lock:
            self._now -= 1
        return outputs
