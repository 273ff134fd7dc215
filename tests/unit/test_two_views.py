"""Engines that see the whole picture and patches of it: through every backend, and from a JPEG to the scores."""

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

from runtime.cuda import ENTRY
from runtime.decode import Decoder
from runtime.decode_cuda import CudaDecoder
from runtime.engine import Engine, warm_up
from runtime.engine_onnx import OnnxEngine
from runtime.engine_onnx_cuda import OnnxCudaEngine, provider_options
from runtime.engine_tensorrt import open_tensorrt_engine
from runtime.errors import EngineError, FrameError, Reason
from runtime.heads import Clarity, Utility
from runtime.manifest import Input, Patches
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import policy_for
from runtime.prepare_cuda import DeviceWay
from runtime.preprocess import Preprocessor, common_least
from runtime.slots import Slots
from runtime.tensorrt_library import load_library
from tests.cuda_host import host_kernel
from tests.fake_device import FakeDevice
from tests.fake_tensorrt import fake_tensorrt, plan_of
from tests.host_codec import HostCodec
from tests.pictures import jpeg, noise, png, scene
from tests.reference_preprocess import reference
from tests.two_views import CLARITY, FRAMES, HEADS, PATCHES, SALIENCY, UTILITY, make_two_views, scores, two_views

MAX_BATCH = 8
MAX_PIXELS = 10**6
BACKENDS = ("CPU", "ONNX Runtime's binding", "TensorRT")

Views = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """The same engine on every backend."""
    folder = tmp_path_factory.mktemp("two views")
    path = make_two_views(folder / "two.onnx")
    device = FakeDevice({ENTRY: host_kernel()})
    with ThreadPoolExecutor(4) as workers, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", fake_tensorrt(device))
        load_library.cache_clear()
        plan = plan_of(path, folder / "two.plan", two_views("two"))
        made: list[Engine] = [
            OnnxEngine(path, workers=workers, threads=2),
            on_device(path, device),
            open_tensorrt_engine(plan, max_batch=MAX_BATCH, in_flight=2, find_device=lambda: device),
        ]
        yield dict(zip(BACKENDS, made, strict=True))
        for engine in made:
            engine.close()
    load_library.cache_clear()


def on_device(path: Path, device: FakeDevice) -> OnnxCudaEngine:
    """That file on ONNX Runtime's CPU provider, reading and writing the device's memory as on a GPU."""
    return OnnxCudaEngine(path, provider="cpu", device=device, memory_kind="cpu", max_batch=MAX_BATCH, in_flight=2)


def random_views(size: int) -> Views:
    random = np.random.default_rng(size)
    shade = np.linspace(0.1, 1, size)  # so that no two frames score alike
    return {
        spec.name: (random.integers(0, 256, (size, *spec.shape)) * shade.reshape(-1, *([1] * len(spec.shape)))).astype(
            np.uint8
        )
        for spec in (FRAMES, PATCHES)
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_scores_are_those_of_the_graph(engines: dict[str, Engine], backend: str, size: int) -> None:
    """Every head answers from its own view, per frame, the map too."""
    views = random_views(size)

    outputs = engines[backend].infer(views)

    expected = [scores(*pair) for pair in zip(views["frames"], views["patches"], strict=True)]
    np.testing.assert_allclose(outputs[UTILITY.output], [utility for utility, _ in expected], atol=1e-6)
    np.testing.assert_allclose(outputs[CLARITY.output], [clarity for _, clarity in expected], atol=1e-5)
    np.testing.assert_allclose(outputs[SALIENCY.output], views["frames"].mean(axis=3) / 255, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(MAX_BATCH)), cuts=st.sets(st.integers(1, MAX_BATCH - 1)))
def test_a_score_depends_on_its_own_frame_only(
    engines: dict[str, Engine], backend: str, order: list[int], cuts: set[int]
) -> None:
    """To the bit, whatever the batch's order and split: both views of a frame stay together."""
    engine, views = engines[backend], random_views(MAX_BATCH)
    alone = [engine.infer({name: view[i : i + 1] for name, view in views.items()}) for i in range(MAX_BATCH)]

    parts = [
        engine.infer({name: view[part] for name, view in views.items()})
        for part in np.split(np.array(order), sorted(cuts))
    ]

    for head in HEADS:
        together = np.concatenate([part[head.output] for part in parts])
        np.testing.assert_array_equal(np.concatenate([alone[i][head.output] for i in order]), together)


@pytest.mark.parametrize("backend", BACKENDS)
def test_warm_up_shows_both_views(engines: dict[str, Engine], backend: str) -> None:
    """All inputs are filled, and every output has its head's shape."""
    warm_up(engines[backend], MAX_BATCH)


def test_the_tensorrt_provider_is_told_every_inputs_shapes() -> None:
    """Without a range of shapes for each input it would compile again in the middle of live traffic."""
    options = provider_options("tensorrt", (FRAMES, PATCHES), 8)

    assert options["trt_profile_min_shapes"] == "frames:1x24x32x3,patches:1x6x16x8x3"
    assert options["trt_profile_max_shapes"] == "frames:8x24x32x3,patches:8x6x16x8x3"


def whole(spec: Input) -> Input:
    return spec.model_copy(update={"patches": None})


def patched(spec: Input, rows: int) -> Input:
    return spec.model_copy(update={"patches": Patches(rows=rows, columns=3)})


WRONG: dict[str, tuple[tuple[Input, ...], str]] = {
    "one is missing": ((FRAMES,), r"names the inputs \['frames'\], the graph has \['frames', 'patches'\]"),
    "one is too many": (
        (FRAMES, PATCHES, PATCHES.model_copy(update={"name": "more"})),
        r"names the inputs \['frames', 'more', 'patches'\], the graph has \['frames', 'patches'\]",
    ),
    "another count": (
        (FRAMES, patched(PATCHES, 4)),
        r"'patches' is uint8 \('batch', 12, 16, 8, 3\), the graph's is tensor\(uint8\) \['batch', 6, 16, 8, 3\]",
    ),
    "a dimension too many": (
        (patched(FRAMES, 2), whole(PATCHES)),
        r"'frames' is uint8 \('batch', 6, 24, 32, 3\), the graph's is tensor\(uint8\) \['batch', 24, 32, 3\]",
    ),
    "a dimension too few": (
        (whole(PATCHES), patched(FRAMES, 2)),
        r"'patches' is uint8 \('batch', 16, 8, 3\), the graph's is tensor\(uint8\) \['batch', 6, 16, 8, 3\]",
    ),
}


@pytest.mark.parametrize(("said", "text"), WRONG.values(), ids=WRONG)
def test_a_manifest_that_says_other_inputs(tmp_path: Path, said: tuple[Input, ...], text: str) -> None:
    """What the manifest says and what the graph takes must be the same, input by input; the text holds both."""
    path = make_two_views(tmp_path / "two.onnx", two_views("two", inputs=said, heads=(UTILITY,)))

    with ThreadPoolExecutor(1) as workers, pytest.raises(EngineError, match=text):
        OnnxEngine(path, workers=workers, threads=1)


def test_a_plan_of_other_patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan's manifest is held to the plan in the same way."""
    device = FakeDevice()
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(device))
    load_library.cache_clear()
    path = make_two_views(tmp_path / "two.onnx")
    plan = plan_of(path, tmp_path / "two.plan", two_views("two", inputs=(FRAMES, patched(PATCHES, 4))))

    with pytest.raises(EngineError, match=r"'patches': \('UINT8', -1, 6, 16, 8, 3\), .* says \('UINT8', -1, 12, 16"):
        open_tensorrt_engine(plan, max_batch=2, in_flight=1, find_device=lambda: device)

    load_library.cache_clear()


def test_a_slot_takes_all_views_or_none() -> None:
    """A view that is left out, or of fewer frames, would be an earlier batch's: refused before anything is queued."""
    slots = Slots(FakeDevice(), two_views("two"), MAX_BATCH, 1)
    views = random_views(3)

    with slots.take() as slot:
        with pytest.raises(ValueError, match=r"\['frames', 'patches'\] are due, not \['frames'\]"):
            slots.upload(slot, {"frames": views["frames"]})
        with pytest.raises(ValueError, match="do not fit into a slot"):
            slots.upload(slot, {"frames": views["frames"], "patches": views["patches"][:1]})
        assert slots.upload(slot, views) == 3


PICTURES = {
    "large": noise(330, 251),
    "upright": scene(90, 200),
    "a patch's size": noise(8, 16),
    "smaller than a patch": noise(5, 3),
    "a pixel": noise(1, 1),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pipeline]]:
    """Opens pipelines, the host's way or a device's, and closes them."""
    folder, made = tmp_path_factory.mktemp("pipelines"), list[Pipeline]()

    def make(*, scaled_decode: bool = False, way: str = "host") -> Pipeline:
        said = two_views("two", scaled_decode=scaled_decode, heads=(UTILITY, CLARITY))
        path = make_two_views(folder / "two.onnx", said)
        if way == "host":
            sizes: dict[str, Any] = {"threads": 2, "max_batch": MAX_BATCH, "in_flight": 2, "max_pixels": MAX_PIXELS}
            made.append(open_pipeline([path], provider="cpu", **sizes))
        else:
            made.append(device_pipeline(path))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close()


def device_pipeline(path: Path) -> Pipeline:
    device = FakeDevice({ENTRY: host_kernel()})
    engine, workers = on_device(path, device), ThreadPoolExecutor(2)
    decoder = CudaDecoder(device, MAX_PIXELS, workers=workers, threads=2, open_codec=HostCodec, part_bytes=300_000)
    way = DeviceWay([engine], decoder, MAX_BATCH)
    return Pipeline([engine], policy_for([engine.manifest]), way, workers=workers, in_flight=2)


def told(outcome: Outcome) -> Any:
    if isinstance(outcome, FrameError):
        return outcome.reason
    utility, clarity = outcome.results["utility"], outcome.results["clarity"]
    assert isinstance(utility, Utility)
    assert isinstance(clarity, Clarity)
    return utility.score, clarity.score


@pytest.mark.parametrize("way", ["host", "device"])
def test_each_frames_views_are_cut_as_the_rule_says(opened: Callable[..., Pipeline], way: str) -> None:
    """From encoded pictures to scores, with a gap among them, as the slow plain reference cuts the views."""
    pixels = list(PICTURES.values())
    values = [png(each) for each in pixels]

    outcomes = [told(outcome) for outcome in opened(way=way).judge([*values[:2], b"no picture", *values[2:]])]

    assert outcomes.pop(2) is Reason.UNDECODABLE
    for each, (utility, clarity) in zip(pixels, outcomes, strict=True):
        expected = scores(reference(each, FRAMES), reference(each, PATCHES))
        assert utility == pytest.approx(expected[0], abs=1e-6)
        assert clarity == pytest.approx(expected[1], abs=1e-5)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from([*PICTURES, "bad"]), max_size=MAX_BATCH))
def test_the_device_says_what_the_host_says(two_ways: tuple[Pipeline, Pipeline], names: list[str]) -> None:
    """For good and bad frames in any mix and order, exactly."""
    values = [jpeg(PICTURES[name], 90) if name in PICTURES else b"" for name in names]

    on_device_, on_host = ([told(outcome) for outcome in pipeline.judge(values)] for pipeline in two_ways)

    assert on_device_ == on_host


@pytest.fixture(scope="module")
def two_ways(opened: Callable[..., Pipeline]) -> tuple[Pipeline, Pipeline]:
    return opened(way="device"), opened(way="host")


@pytest.mark.parametrize("size", [(643, 483), (320, 240), (200, 159), (60, 50)])
def test_a_scaled_decode_shows_the_same_parts(opened: Callable[..., Pipeline], size: tuple[int, int]) -> None:
    """Decoded once, at 1/8 to whole as the picture's size allows, for both views: the scores stay, nearly."""
    value = jpeg(scene(*size), 95)
    [at_once], [whole_] = opened(scaled_decode=True).judge([value]), opened().judge([value])

    assert isinstance(at_once, Judgement)
    assert (at_once.width, at_once.height) == size
    assert told(at_once) == pytest.approx(told(whole_), abs=0.05)
    if size == (60, 50):
        assert told(at_once) == told(whole_)


def test_the_decoder_shrinks_as_far_as_both_views_allow() -> None:
    """Once for all inputs: the view that needs most of the picture decides."""
    specs = two_views("two", scaled_decode=True).inputs
    least = common_least([Preprocessor(spec) for spec in specs])

    assert least == (40, 40)
    assert Decoder().decode(jpeg(scene(330, 250)), least).pixels.shape == (63, 83, 3)
    assert common_least([Preprocessor(spec) for spec in (specs[0], PATCHES)]) is None
