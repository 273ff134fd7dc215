"""The whole way on a GPU, beside the host's way with the same engine."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from runtime import metrics
from runtime.engine_onnx import PROVIDERS
from runtime.errors import ConfigError, FrameError
from runtime.heads import Utility
from runtime.open_device import open_device
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from tests.engines import NORMALISED, PIXELS, make_engine
from tests.pictures import jpeg, png, scene
from tests.unit.test_decode_cuda import BAD, MAX_PIXELS

pytestmark = pytest.mark.gpu

Open = Callable[..., Pipeline]


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    try:
        open_device()
    except ConfigError as error:
        pytest.skip(str(error))
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is missing: pip install 'framegate[cuda]'")
    if PROVIDERS["cuda"] not in ort.get_available_providers():
        pytest.skip("ONNX Runtime has no CUDA provider: pip install 'framegate[gpu]'")
    made: list[Pipeline] = []

    def make(*engines: Path, **other: Any) -> Pipeline:
        fields = {"provider": "cuda", "threads": 4, "max_batch": 16, "in_flight": 3, "max_pixels": MAX_PIXELS}
        made.append(open_pipeline(engines, **{**fields, **other}))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


def scores(outcomes: Sequence[Outcome]) -> list[float]:
    found = []
    for outcome in outcomes:
        assert isinstance(outcome, Judgement)
        utility = outcome.results["utility"]
        assert isinstance(utility, Utility)
        found.append(utility.score)
    return found


@pytest.mark.parametrize("spec", [PIXELS, NORMALISED], ids=["uint8 NHWC", "float32 NCHW"])
def test_both_ways_agree(opened: Open, tmp_path: Path, spec: Any) -> None:
    """PNGs are judged alike to the last bit of the input, JPEGs within a level of brightness; reasons are the same."""
    engine = make_engine(tmp_path / "both.onnx", spec=spec)
    values = [png(scene(90 + seed, 70, seed)) for seed in range(4)] + [jpeg(scene(120, 91, seed)) for seed in range(4)]

    pipelines = [opened(engine, decode=decode) for decode in ("gpu", "cpu")]
    before = metrics.decoded("gpu")
    on_gpu, on_cpu = (pipeline.judge(values) for pipeline in pipelines)

    assert metrics.decoded("gpu") - before == 4  # the JPEGs, once
    assert scores(on_gpu[:4]) == pytest.approx(scores(on_cpu[:4]), abs=1e-6)
    assert scores(on_gpu[4:]) == pytest.approx(scores(on_cpu[4:]), abs=1 / 255)
    bad = list(BAD.values())[:16]
    reasons = [
        [getattr(each, "reason", None) for each in opened(engine, decode=way).judge(bad)] for way in ("gpu", "cpu")
    ]
    assert reasons[0] == reasons[1]
    assert None not in reasons[0]


def test_batches_in_flight_do_not_mix(opened: Open, tmp_path: Path) -> None:
    """Many batches through three slots: each has its own scores, in order, with its own gaps."""
    pipeline = opened(make_engine(tmp_path / "flight.onnx"), decode="gpu")
    levels = [[(37 * batch + 11 * frame) % 256 for frame in range(batch % 16 + 1)] for batch in range(100)]
    batches = [[jpeg(np.full((60, 80, 3), level, np.uint8)) for level in each] + [None] for each in levels]

    for future, each in zip([pipeline.submit(batch[:16]) for batch in batches], levels, strict=True):
        outcomes = future.result(60)
        good = [outcome for outcome in outcomes if not isinstance(outcome, FrameError)]
        assert scores(good) == pytest.approx([level / 255 for level in each], abs=2 / 255)
