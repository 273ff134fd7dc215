"""Encoded pictures in, judgements out: each frame its own outcome, whatever happens to its neighbours."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.engine import Arrays
from runtime.errors import ConfigError, EngineError, FrameError, InferenceError, Reason
from runtime.heads import Quality, Utility
from runtime.manifest import QualityHead
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import Policy
from runtime.prepare import Value
from tests.engines import NORMALISED, OUTPUTS, PIXELS, brightness, fitting_manifest, make_engine
from tests.pictures import jpeg, noise, png, scene

Open = Callable[..., Pipeline]
MAX_BATCH = 8
LARGE = PIXELS.model_copy(update={"height": 96, "width": 64})
BAD: dict[Reason, Value] = {
    Reason.EMPTY: None,
    Reason.UNDECODABLE: b"GIVE ME A FRAME",
    Reason.TRUNCATED: jpeg(noise(64, 48))[:900],
    Reason.TOO_LARGE: png(noise(200, 200)),
    Reason.NON_FINITE: png(np.zeros((24, 32, 3), np.uint8)),
}


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    """Opens pipelines on engines made by ``make_engine``; closes them afterwards."""
    made: list[Pipeline] = []

    def make(*engines: Path, **other: Any) -> Pipeline:
        fields = {"provider": "cpu", "threads": 2, "max_batch": MAX_BATCH, "in_flight": 2, "max_pixels": 200 * 199}
        made.append(open_pipeline(engines, **{**fields, **other}))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def careful(opened: Open, folder: Path) -> Pipeline:
    """A pipeline whose engine answers black frames with NaN."""
    return opened(make_engine(folder / "careful.onnx", fault="nan for black"))


def grey(level: int, width: int = 32, height: int = 24) -> bytes:
    return png(np.full((height, width, 3), level, np.uint8))


def utility(outcome: Outcome) -> float:
    assert isinstance(outcome, Judgement)
    result = outcome.results["utility"]
    assert isinstance(result, Utility)
    return result.score


slots = st.lists(st.integers(1, 255) | st.sampled_from(sorted(BAD)), max_size=MAX_BATCH)


@settings(deadline=None, max_examples=60)
@given(frames=slots)
def test_each_value_has_its_own_outcome(careful: Pipeline, frames: list[int | Reason]) -> None:
    """Outcome i is value i's, wherever good and bad ones stand, and in every number up to a full batch."""
    values = [BAD[frame] if isinstance(frame, Reason) else grey(frame) for frame in frames]

    outcomes = careful.judge(values)

    assert len(outcomes) == len(frames)
    for frame, outcome in zip(frames, outcomes, strict=True):
        if isinstance(frame, Reason):
            assert isinstance(outcome, FrameError)
            assert outcome.reason is frame
        else:
            assert utility(outcome) == pytest.approx(frame / 255, abs=1e-6)
            assert isinstance(outcome, Judgement)
            assert outcome.verdict == ("keep" if frame / 255 >= 0.5 else "drop")


def test_a_buffers_last_content_is_never_judged(careful: Pipeline) -> None:
    """After a full batch of white frames, a smaller batch with gaps sees nothing of them."""
    careful.judge([grey(255)] * MAX_BATCH)
    careful.judge([grey(255)] * MAX_BATCH)

    first, gap, second = careful.judge([grey(10), b"", grey(20)])

    assert utility(first) == pytest.approx(10 / 255, abs=1e-6)
    assert isinstance(gap, FrameError)
    assert utility(second) == pytest.approx(20 / 255, abs=1e-6)


@pytest.mark.parametrize("size", [(64, 48), (33, 25), (320, 240), (48, 64)])
def test_sizes_are_those_of_the_full_picture(opened: Open, folder: Path, size: tuple[int, int]) -> None:
    """Width and height in the decision are the camera's, not the engine's input's, also when decoded smaller."""
    quick = PIXELS.model_copy(update={"resize": PIXELS.resize.model_copy(update={"scaled_decode": True})})
    pipeline = opened(make_engine(folder / "quick.onnx", spec=quick), max_pixels=10**6)

    [outcome] = pipeline.judge([jpeg(scene(*size))])

    assert isinstance(outcome, Judgement)
    assert (outcome.width, outcome.height) == size


def test_several_engines_judge_one_frame(opened: Open, folder: Path) -> None:
    """Each engine sees the frame at its own size and in its own form; the results stand together."""
    small = make_engine(folder / "small.onnx", spec=NORMALISED)
    large = make_engine(folder / "large.onnx", "quality", spec=LARGE)
    values = [jpeg(scene(120, 90, seed)) for seed in range(4)] + [png(noise(7, 5))]

    together = opened(small, large).judge(values)
    apart = [opened(engine) for engine in (small, large)]
    one_by_one = [[pipeline.judge([value])[0] for pipeline in apart] for value in values]

    for outcome, (first, second) in zip(together, one_by_one, strict=True):
        assert isinstance(outcome, Judgement)
        assert isinstance(first, Judgement)
        assert isinstance(second, Judgement)
        assert set(outcome.results) == {"utility", "quality"}
        assert outcome.results == first.results | second.results
        assert outcome.reasons == first.reasons + second.reasons


def test_a_frame_that_one_engine_cannot_judge(opened: Open, folder: Path) -> None:
    """NaN from one of two engines is the frame's dead letter, whatever the other says of it."""
    nan = make_engine(folder / "nan.onnx", "quality", fault="infinity for black")
    fine = make_engine(folder / "fine.onnx")

    for engines in ((nan, fine), (fine, nan)):
        black, white = opened(*engines).judge([grey(0), grey(255)])

        assert isinstance(black, FrameError)
        assert black.reason is Reason.NON_FINITE
        assert isinstance(white, Judgement)
        assert set(white.results) == {"utility", "quality"}


def test_both_kinds_of_input_give_one_score(opened: Open, folder: Path) -> None:
    """uint8 NHWC with the arithmetic in the graph, float32 NCHW with it here: the same utility."""
    plain = opened(make_engine(folder / "plain.onnx"))
    normalised = opened(make_engine(folder / "normalised.onnx", spec=NORMALISED))
    values = [jpeg(scene(100, 80, seed)) for seed in range(3)]

    expected, actual = ([utility(outcome) for outcome in each.judge(values)] for each in (plain, normalised))

    assert actual == pytest.approx(expected, abs=1e-6)


def test_scores_are_those_of_the_pixels(careful: Pipeline) -> None:
    """A picture of the input's own size reaches the engine as it is."""
    pixels = noise(PIXELS.width, PIXELS.height)

    [outcome] = careful.judge([png(pixels)])

    assert utility(outcome) == pytest.approx(brightness(pixels), abs=1e-6)


def test_batches_in_flight_do_not_mix(opened: Open, folder: Path) -> None:
    """Three batches judged at the same time, again and again, each with its own outcomes."""
    pipeline = opened(make_engine(folder / "flight.onnx"), in_flight=3, threads=2)
    batches = [[grey((31 * number + 7 * frame) % 256) for frame in range(number % 8 + 1)] for number in range(30)]

    futures = [pipeline.submit(batch) for batch in batches]

    for number, future in enumerate(futures):
        expected = [(31 * number + 7 * frame) % 256 / 255 for frame in range(number % 8 + 1)]
        assert [utility(outcome) for outcome in future.result(30)] == pytest.approx(expected, abs=1e-6)


class Overseer:
    """Stands before an engine and sees how many batches are judged at the same time."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.manifest = engine.manifest
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def infer(self, inputs: Arrays) -> dict[str, Any]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        try:
            outputs: dict[str, Any] = self._engine.infer(inputs)
            return outputs
        finally:
            with self._lock:
                self._now -= 1

    def close(self) -> None:
        self._engine.close()


def test_no_more_batches_than_in_flight(opened: Open, folder: Path) -> None:
    """However many wait: memory is that of ``in_flight`` batches, and that many are judged at once."""
    pipeline = opened(make_engine(folder / "most.onnx"), in_flight=3)
    overseer = Overseer(pipeline.engines[0])
    pipeline.engines[0] = overseer
    try:
        for future in [pipeline.submit([grey(9)] * 4) for _ in range(20)]:
            assert len(future.result(30)) == 4
    finally:
        pipeline.engines[0] = overseer._engine

    assert overseer.most == 3


def test_a_failure_of_the_device_leaves_the_pipeline_whole(opened: Open, folder: Path) -> None:
    """InferenceError for that batch, more often than there are buffers; the next batch is judged as ever."""
    pipeline = opened(make_engine(folder / "fails.onnx", fault="fails on white"), in_flight=2)

    for _ in range(5):
        with pytest.raises(InferenceError, match=r"fails\.onnx"):
            pipeline.submit([grey(100), grey(255)]).result(10)

    [outcome] = pipeline.submit([grey(51)]).result(10)
    assert utility(outcome) == pytest.approx(0.2, abs=1e-6)


def test_a_fault_of_ours_is_not_the_frames(careful: Pipeline) -> None:
    """What is no FrameError passes through, and the buffers come back all the same."""
    wrong: Any = ["text, not bytes"]
    for _ in range(5):
        with pytest.raises(TypeError):
            careful.judge(wrong)

    assert len(careful.submit([grey(1)]).result(10)) == 1


def test_thresholds_of_the_operator(opened: Open, folder: Path) -> None:
    """They go before the manifest's, on the edge a frame is kept."""
    pipeline = opened(make_engine(folder / "u.onnx"), asked=Policy(1.0))

    white, light = pipeline.judge([grey(255), grey(254)])

    assert isinstance(white, Judgement)
    assert isinstance(light, Judgement)
    assert (white.verdict, light.verdict) == ("keep", "drop")
    assert light.reasons == ["utility-below-threshold"]


def test_quality_is_read(opened: Open, folder: Path) -> None:
    """A brighter frame has the higher mean opinion, by an engine of that head."""
    pipeline = opened(make_engine(folder / "q.onnx", "quality"))

    moods = []
    for outcome in pipeline.judge([grey(10), grey(128), grey(250)]):
        assert isinstance(outcome, Judgement)
        result = outcome.results["quality"]
        assert isinstance(result, Quality)
        moods.append(result.mos)

    assert moods == sorted(moods)
    assert moods == [pytest.approx(1.2, abs=0.2), pytest.approx(3, abs=0.05), pytest.approx(4.8, abs=0.2)]


@pytest.mark.parametrize(
    ("heads", "other", "error", "text"),
    [
        ([("utility",), ("utility",)], {}, ConfigError, "both have a head 'utility'"),
        ([("utility",)], {"asked": Policy(min_mos=3)}, ConfigError, "--min-mos 3"),
        ([("quality",)], {"asked": Policy(0.5)}, ConfigError, "--min-utility"),
    ],
)
def test_what_cannot_go_together_is_refused_at_the_start(
    folder: Path, opened: Open, heads: Sequence[Any], other: dict[str, Any], error: type[Exception], text: str
) -> None:
    """Before the first frame."""
    engines = [make_engine(folder / f"refused{number}.onnx", *kinds) for number, kinds in enumerate(heads)]

    with pytest.raises(error, match=text):
        opened(*engines, **other)


def test_an_engine_that_does_not_fit_is_found_at_the_start(folder: Path, opened: Open) -> None:
    """The warm-up shows what the graph's names do not: an output of the wrong shape."""
    with pytest.raises(EngineError, match="has shape"):
        opened(make_engine(folder / "wide.onnx", squeeze=False))


def test_no_thread_is_left_of_a_pipeline_that_never_was(folder: Path, opened: Open) -> None:
    """The first engine's warm-up used the workers; the second one's fails."""
    head = QualityHead(output=OUTPUTS["utility"], threshold=3)  # a scalar where a distribution is due
    engines = [
        make_engine(folder / "good.onnx"),
        make_engine(folder / "scalar.onnx", manifest=fitting_manifest("scalar", heads=(head,))),
    ]
    threads = threading.active_count()

    with pytest.raises(EngineError, match="has shape") as caught:  # it holds what was opened
        opened(*engines)

    assert caught.value
    assert threading.active_count() == threads


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: jpeg(scene(16, 16))[:-60] + tail))
def test_no_bytes_stop_the_pipeline(careful: Pipeline, value: bytes) -> None:
    """Any value at all has an outcome, and its neighbours keep theirs."""
    before, outcome, after = careful.judge([grey(51), value, grey(102)])

    assert isinstance(outcome, Judgement | FrameError)
    assert [utility(before), utility(after)] == pytest.approx([0.2, 0.4], abs=1e-6)
