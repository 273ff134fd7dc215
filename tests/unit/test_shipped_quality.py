"""The quality engines that ship: what they say of the demo's photographs, sharp and spoilt, alone and in batches."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime", reason="needs the cpu extra (pip install 'framegate[cpu]')")

from runtime import assess
from runtime.engine import open_engine
from runtime.preprocess import Preprocessor
from tests import pictures as made

ROOT = Path(__file__).parents[2]
QUALITY, COMPARING = ROOT / "models" / "quality.onnx", ROOT / "models" / "quality-fr.onnx"
SCORES = np.arange(1, 6)
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    """Every other of the demo's, 1280 x 720 and smaller."""
    paths = sorted((ROOT / "demo" / "photos").glob("*.jpg"))[::2]
    return [np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8) for path in paths]


@pytest.fixture(scope="module")
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def distributions(pictures: list[Pixels], workers: ThreadPoolExecutor, batch: int) -> NDArray[np.float64]:
    """(n, 5), so many at once."""
    engine = open_engine(QUALITY, provider="cpu", workers=workers, threads=1, max_batch=batch, in_flight=1)
    found = []
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        batches = {}
        for spec in engine.manifest.inputs:
            preprocessor = Preprocessor(spec)
            batches[spec.name] = preprocessor.batch(len(part))
            for pixels, slot in zip(part, batches[spec.name], strict=True):
                preprocessor.fill(pixels, slot)
        found.append(engine.infer(batches)["quality"].copy())
    return np.concatenate(found).astype(np.float64)


def test_a_pictures_distribution_is_its_own(photos: list[Pixels], workers: ThreadPoolExecutor) -> None:
    """It sums to 1, and is the same alone and in any batch, to 1e-5."""
    alone, together = (distributions(photos, workers, batch) for batch in (1, 4))
    assert together.sum(axis=1) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(distributions(photos[::-1], workers, 4)[::-1], together, atol=1e-5)


def test_what_spoils_a_photograph_lowers_its_score(photos: list[Pixels], workers: ThreadPoolExecutor) -> None:
    """Blur, noise and compression, each worse than none and worse still when stronger, on every photograph."""

    def noisy(pixels: Pixels, sigma: float) -> Pixels:
        noise = np.random.default_rng(1).normal(0, sigma, pixels.shape)
        return np.clip(pixels + noise, 0, 255).astype(np.uint8)

    def compressed(pixels: Pixels, quality: int) -> Pixels:
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)

    spoilt = {
        "blur": [[np.asarray(cv2.GaussianBlur(one, (0, 0), sigma), np.uint8) for one in photos] for sigma in (1.5, 4)],
        "noise": [[noisy(one, sigma) for one in photos] for sigma in (16, 40)],
        "jpeg": [[compressed(one, quality) for one in photos] for quality in (30, 5)],
    }
    sharp = distributions(photos, workers, 4) @ SCORES
    for kind, (mild, harsh) in spoilt.items():
        better, worse = (distributions(each, workers, 4) @ SCORES for each in (mild, harsh))
        assert (sharp > better).all(), kind
        assert (better > worse).all(), kind


def test_the_comparing_engine_ranks_copies_of_a_photograph(
    tmp_path: Path, photos: list[Pixels], capsys: pytest.CaptureFixture[str]
) -> None:
    """Itself first, then a mild and a harsh compression, through ``assess --reference`` as the README runs it."""
    photo = photos[0][:384, :512]
    (tmp_path / "originals").mkdir()
    (tmp_path / "copies").mkdir()
    (tmp_path / "originals" / "a.png").write_bytes(made.png(photo))
    for name, quality in (("a-1.jpg", 60), ("a-2.jpg", 5)):
        encoded = cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        (tmp_path / "copies" / name).write_bytes(encoded.tobytes())
    (tmp_path / "copies" / "a-0.png").write_bytes(made.png(photo))
    words = ["--engine", str(COMPARING), "--reference", str(tmp_path / "originals"), "--json", str(tmp_path / "copies")]
    assert assess.main(words) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = {
        Path(one["source"]["file"]).name: one["quality"]["full_reference"] for one in documents if "quality" in one
    }
    assert scores["a-0.png"] > 4.3
    assert scores["a-0.png"] > scores["a-1.jpg"] > scores["a-2.jpg"]


def test_what_shows_nothing_is_poor_beside_anything_else(photos: list[Pixels], workers: ThreadPoolExecutor) -> None:
    """A tile that went dark or is blown out, beside a photograph or a flat sky: below 2.5; beside itself above 4."""
    engine = open_engine(COMPARING, provider="cpu", workers=workers, threads=1, max_batch=1, in_flight=1)

    def score(distorted: Pixels, reference: Pixels) -> float:
        return float(engine.infer({"distorted": distorted[None], "reference": reference[None]})["quality_fr"][0])

    def flat(shade: int) -> Pixels:
        return np.full((128, 128, 3), shade, np.uint8)

    for photo in photos:
        tile = np.ascontiguousarray(photo[100:228, 100:228])
        assert max(score(flat(shade), tile) for shade in (0, 128, 255)) < 2.5
        assert score(tile, tile) > 4
    for shade, other in ((0, 128), (255, 128), (0, 255), (255, 0), (64, 192)):
        assert score(flat(shade), flat(other)) < 2.5
