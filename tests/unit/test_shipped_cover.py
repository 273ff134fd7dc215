"""The cover engine that ships, on the demo's photographs: most of these are among what it was trained on."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest
import simplejpeg

from tests.command import ROOT, run

COVER = ROOT / "models" / "cover.onnx"
PHOTOS = sorted((ROOT / "demo" / "photos").glob("*.jpg"))
SIGMAS_PX = (0.0, 1.0, 2.0, 4.0)


def blurred(path: Path, sigma_px: float) -> bytes:
    """The photograph under a Gaussian, as a camera would send it."""
    pixels = simplejpeg.decode_jpeg(path.read_bytes())
    if sigma_px:
        pixels = cv2.GaussianBlur(pixels, (0, 0), sigma_px)
    return bytes(simplejpeg.encode_jpeg(pixels, 92))


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, float], dict[str, Any]]:
    """By photograph and blur."""
    folder = tmp_path_factory.mktemp("blurs")
    for path in PHOTOS:
        for sigma_px in SIGMAS_PX:
            (folder / f"{path.stem}@{sigma_px}.jpg").write_bytes(blurred(path, sigma_px))
    done = run("runtime.assess", "--engine", COVER, folder, "--json", timeout_s=120)
    found = {}
    for line in done.stdout.splitlines():
        decision = json.loads(line)
        name, sigma = Path(decision["source"]["file"]).stem.rsplit("@", 1)
        found[name, float(sigma)] = decision
    return found


def test_blur_that_the_resized_picture_would_hide_is_seen(decisions: dict[tuple[str, float], dict[str, Any]]) -> None:
    """1280 x 720 frames: under each stronger blur, from sigma 1.0 px on, every photograph scores lower, clearly so."""
    for path in PHOTOS:
        scores = [decisions[path.stem, sigma_px]["cover"]["clarity"] for sigma_px in SIGMAS_PX]
        assert all(sharper > softer + 0.3 for sharper, softer in pairwise(scores)), path.stem


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("oakland-zoo-otters", (0.6, 0.55), (0.9, 0.15)),
        ("kitten-on-lawn", (0.45, 0.5), (0.1, 0.1)),
        ("perched-osprey", (0.38, 0.45), (0.85, 0.8)),
    ],
)
def test_it_finds_the_animal(
    decisions: dict[tuple[str, float], dict[str, Any]],
    name: str,
    inside: tuple[float, float],
    outside: tuple[float, float],
) -> None:
    """The object's box holds a place on the animal and none in the scenery; the crop holds the box."""
    cover = decisions[name, 0.0]["cover"]
    left, top, right, bottom = cover["box"]

    def holds(place: tuple[float, float]) -> bool:
        return bool(left <= place[0] <= right and top <= place[1] <= bottom)

    assert holds(inside)
    assert not holds(outside)
    assert 0.03 < cover["object_proportion"] < 0.4
    crop = cover["crop"]
    assert crop[0] <= left
    assert crop[1] <= top
    assert crop[2] >= right
    assert crop[3] >= bottom


def test_its_manifest_tells_what_it_sees_and_where_it_comes_from() -> None:
    """Two views of a picture, two heads, data with digests, and the command that makes it again."""
    manifest = json.loads(run("export", "manifest", COVER, timeout_s=60).stdout)
    shapes = {spec["name"]: (spec["height"], spec["width"], spec.get("patches")) for spec in manifest["inputs"]}
    assert shapes == {
        "frames": (224, 320, None),
        "patches": (64, 64, {"rows": 4, "columns": 5, "least_side": 720}),
    }
    assert [head["kind"] for head in manifest["heads"]] == ["clarity", "saliency"]
    assert "sha256:" in manifest["provenance"]["data"]
    assert "(proxy)" in manifest["provenance"]["data"]
    assert manifest["provenance"]["command"].startswith("python -m training train cover")
