"""Pictures held against their references: the mean over tiles, the same in any batch; and what has no score."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.comparison import open_comparison
from runtime.engine import Arrays
from runtime.engine_onnx import OnnxEngine
from runtime.errors import ConfigError, EngineError, FrameError, Reason
from runtime.full_reference import Compared, Comparer, PixelPair
from runtime.manifest import QualityFrHead
from runtime.pipeline import open_pipeline
from runtime.tiles import tile_corners
from tests.engines import make_engine
from tests.full_reference_engine import DISTORTED, PRISTINE, TILE, comparing, make_comparing_engine, tile_score
from tests.pictures import noise, scene

SIZES = [(16, 16), (17, 16), (40, 56), (100, 33), (16, 64)]
"""Width and height: one tile, overlapping ones, many."""


class Watched:
    """An engine that counts how many tiles come at once."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.manifest = engine.manifest
        self.batches: list[int] = []
        self._engine = engine

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        self.batches.append(len(inputs[DISTORTED.name]))
        return self._engine.infer(inputs)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope="module")
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, workers: ThreadPoolExecutor) -> OnnxEngine:
    path = make_comparing_engine(tmp_path_factory.mktemp("engines") / "fr.onnx")
    return OnnxEngine(path, workers=workers, threads=2)


def pair(width: int, height: int, seed: int = 0) -> PixelPair:
    """Not the same all over, so that tiles differ."""
    reference = scene(width, height, seed)
    strength = np.linspace(0, 1, width)[None, :, None]
    return PixelPair((reference * (1 - strength) + noise(width, height, seed) * strength).astype(np.uint8), reference)


def score_of(pixels: PixelPair) -> float:
    """By the engine's own rule, tile by tile."""
    return float(
        np.mean(
            [
                tile_score(*(side[top : top + TILE, left : left + TILE] for side in pixels))
                for top, left in tile_corners(pixels.frame.shape[:2], (TILE, TILE))
            ]
        )
    )


def score(outcome: Compared | FrameError) -> float:
    assert isinstance(outcome, Compared)
    return outcome.result.score


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_score_is_the_mean_over_the_tiles(engine: OnnxEngine, width: int, height: int) -> None:
    """Each tile counts once, the overlapping ones, too."""
    pixels = pair(width, height)
    [(name, outcome)] = Comparer(engine, 16).compare([("a", pixels)])

    assert name == "a"
    assert isinstance(outcome, Compared)
    assert (outcome.width, outcome.height) == (width, height)
    assert score(outcome) == pytest.approx(score_of(pixels), abs=1e-5)


@pytest.mark.parametrize("pooling", [1.0, 2.0, 8.0])
def test_a_heads_pooling_lets_the_worst_tiles_count_more(
    tmp_path: Path, workers: ThreadPoolExecutor, pooling: float
) -> None:
    """What tiles lack of 5, to that power, is averaged; equal tiles have the picture's score, whatever the power."""
    heads = (QualityFrHead(output="quality_fr", pooling=pooling),)
    path = make_comparing_engine(tmp_path / "fr.onnx", manifest=comparing(heads=heads))
    engine = OnnxEngine(path, workers=workers, threads=2)
    grey = np.full((TILE, 2 * TILE, 3), 128, np.uint8)
    half, all_of_it = grey.copy(), grey - 100
    half[:, TILE:] -= 100
    items = enumerate(PixelPair(frame, grey) for frame in (half, all_of_it, grey))

    found = [score(outcome) for _, outcome in Comparer(engine, 4).compare(items)]
    lack = 4 * 100 / 255
    assert found == pytest.approx([5 - (lack**pooling / 2) ** (1 / pooling), 5 - lack, 5.0], abs=1e-5)


@pytest.mark.parametrize("max_batch", [1, 3, 4, 16, 64])
def test_a_score_is_the_same_alone_and_in_any_batch(engine: OnnxEngine, max_batch: int) -> None:
    """Tiles of several pictures share batches; order is kept, and no picture sees another one's tiles."""
    pairs = [pair(*size, seed) for seed, size in enumerate(SIZES * 3)]
    alone = [score(next(Comparer(engine, 1).compare([(0, pixels)]))[1]) for pixels in pairs]

    together = list(Comparer(engine, max_batch).compare(enumerate(pairs)))
    assert [name for name, _ in together] == list(range(len(pairs)))
    np.testing.assert_allclose([score(outcome) for _, outcome in together], alone, atol=1e-5)


def test_batches_are_full_and_no_larger(engine: OnnxEngine) -> None:
    """However many tiles a picture has, so memory does not grow with it; none but the last batch is smaller."""
    watched = Watched(engine)
    pairs = [pair(*size) for size in SIZES]
    tiles = sum(len(list(tile_corners(each.frame.shape[:2], (TILE, TILE)))) for each in pairs)
    list(Comparer(watched, 8).compare(enumerate(pairs)))

    assert sum(watched.batches) == tiles
    assert set(watched.batches[:-1]) == {8}


def test_faults_do_not_pile_up(engine: OnnxEngine) -> None:
    """Behind a picture whose tiles wait for a full batch: each fault holds its picture's bytes, and there is no end."""
    taken = 0

    def items() -> Iterator[tuple[int, PixelPair | FrameError]]:
        nonlocal taken
        for taken in range(1000):
            yield taken, FrameError(Reason.UNMATCHED, "none") if taken else pair(20, 20)

    outcomes = Comparer(engine, 8).compare(items())
    first = next(outcomes)

    assert taken <= 8
    assert score(first[1]) == pytest.approx(score_of(pair(20, 20)), abs=1e-5)
    assert [name for name, _ in outcomes] == list(range(1, 1000))


def test_pixels_may_be_overwritten_by_the_next(engine: OnnxEngine) -> None:
    """As a decoder's scratch is: tiles that wait for a full batch are copies."""
    pairs = [pair(24, 24, seed) for seed in range(5)]
    shared = PixelPair(np.empty((24, 24, 3), np.uint8), np.empty((24, 24, 3), np.uint8))

    def overwritten() -> Iterator[tuple[int, PixelPair]]:
        for index, each in enumerate(pairs):
            for side, own in zip(shared, each, strict=True):
                side[:] = own
            yield index, shared

    found = [score(outcome) for _, outcome in Comparer(engine, 64).compare(overwritten())]
    np.testing.assert_allclose(found, [score_of(each) for each in pairs], atol=1e-5)


def test_which_input_shows_which_picture_is_by_the_manifest(tmp_path: Path, workers: ThreadPoolExecutor) -> None:
    """Neither by their names nor by their order."""
    swapped = comparing(
        inputs=(PRISTINE.model_copy(update={"of": "frame"}), DISTORTED.model_copy(update={"of": "reference"}))
    )
    engine = OnnxEngine(
        make_comparing_engine(tmp_path / "fr.onnx", nan_for_black=True, manifest=swapped), workers=workers, threads=2
    )
    black, grey = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 128, np.uint8)

    # The graph answers NaN where its input "reference" is black: here that shows the frame.
    items = enumerate([PixelPair(grey, black), PixelPair(black, grey)])
    (_, good), (_, bad) = Comparer(engine, 4).compare(items)
    assert isinstance(good, Compared)
    assert isinstance(bad, FrameError)


def test_one_bad_tile_is_the_whole_pictures_fault(tmp_path: Path, workers: ThreadPoolExecutor) -> None:
    """A mean over what is left would be of another picture; its neighbours keep theirs."""
    engine = OnnxEngine(make_comparing_engine(tmp_path / "fr.onnx", nan_for_black=True), workers=workers, threads=2)
    good = pair(40, 40)
    holed = PixelPair(good.frame, good.reference.copy())
    holed.reference[16:32, 16:32] = 0

    before, bad, after = (outcome for _, outcome in Comparer(engine, 4).compare(enumerate([good, holed, good])))
    assert score(before) == score(after) == pytest.approx(score_of(good), abs=1e-5)
    assert isinstance(bad, FrameError)
    assert bad.reason == Reason.NON_FINITE


@pytest.mark.parametrize(
    ("pixels", "reason", "text"),
    [
        (PixelPair(noise(32, 32), noise(32, 33)), Reason.SIZE_MISMATCH, "32 x 32 pixels, and its reference 32 x 33"),
        (PixelPair(noise(15, 32), noise(15, 32)), Reason.TOO_SMALL, "15 x 32 pixels; .* tiles of 16 x 16"),
        (FrameError(Reason.UNMATCHED, "none"), Reason.UNMATCHED, "none"),
    ],
)
def test_what_has_no_score(engine: OnnxEngine, pixels: PixelPair | FrameError, reason: Reason, text: str) -> None:
    """It has its reason, in its own place among the others."""
    good = pair(20, 20)
    first, fault, last = (outcome for _, outcome in Comparer(engine, 8).compare(enumerate([good, pixels, good])))

    assert score(first) == score(last)
    with pytest.raises(FrameError, match=f"{reason}: .*{text}"):
        raise fault  # type: ignore[misc] # the test is that it is one


def test_serving_refuses_an_engine_that_compares(tmp_path: Path) -> None:
    """Frames from cameras come alone; the text says where the engine runs."""
    path = make_comparing_engine(tmp_path / "fr.onnx")
    with pytest.raises(EngineError, match=r"fr\.onnx: it compares pictures with references .*assess --reference"):
        open_pipeline([path], provider="cpu", threads=1, max_batch=2, in_flight=1, max_pixels=100)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["utility"], r"utility\.onnx: .*'quality_fr'\), and none of them does"),
        (["fr", "fr2"], r"fr\.onnx, .*fr2\.onnx: .*these are several"),
    ],
)
def test_one_engine_must_compare(tmp_path: Path, names: list[str], text: str) -> None:
    """None, and there would be no score; two would contradict each other."""
    make_engine(tmp_path / "utility.onnx")
    for name in ("fr", "fr2"):
        make_comparing_engine(tmp_path / f"{name}.onnx")
    with pytest.raises(ConfigError, match=text):
        open_comparison([tmp_path / f"{name}.onnx" for name in names], provider="cpu", threads=1, max_pixels=100)
