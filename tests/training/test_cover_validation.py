"""Held-out covers while a network is fitted: where its map lies on what it was shown."""

from pathlib import Path

import cv2
import numpy as np
import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)

from tests.training.cover_gates import RedCells  # noqa: E402 - what follows needs torch
from tests.training.covers import Nobody  # noqa: E402
from training.cover.build import Plan, build  # noqa: E402
from training.cover.cover_set import CoverSet  # noqa: E402
from training.cover.recipes import RECIPES  # noqa: E402
from training.cover.training import CoverTask, training_parts  # noqa: E402
from training.cover.validation import Validation, held_out  # noqa: E402
from training.cover.views import CropViews  # noqa: E402

SIDE_PX = 129


def bands(folder: Path, count: int = 8) -> CoverSet:
    """Red bands, upright and level, whose edges are where a map of every fourth pixel crosses one half; no blur."""
    random = np.random.default_rng(3)
    for name in ("Image", "Mask"):
        (folder / "pictures" / name).mkdir(parents=True)
    for number in range(count):
        top, tall = (int(place) for place in 4 * random.integers(3, 12, 2))
        mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        mask[top + 2 : top + tall + 3] = 255
        mask = mask if number % 2 else mask.T
        pixels = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
        pixels[..., 2] = mask  # OpenCV writes BGR
        pixels[0, number, 0] = 255  # no two pictures are the same
        cv2.imwrite(str(folder / "pictures" / "Image" / f"{number}.png"), pixels)
        cv2.imwrite(str(folder / "pictures" / "Mask" / f"{number}.png"), mask)
    return build(folder / "set", Plan(folder / "pictures", levels=(), test_share=0.5), Nobody())


def test_a_map_lies_where_the_network_puts_its_cells(tmp_path: Path) -> None:
    """As in training: the bands are found to the pixel. Resized as pixels are, all would be 1.5 pixels off."""
    made = bands(tmp_path)
    recipe = RECIPES["small"].model_copy(update={"crop_px": SIDE_PX})
    views = CropViews(recipe)
    held = held_out([made], 8, seed=0)
    task = CoverTask(
        training_parts([made], [1.0]), Validation(held, views, recipe.gate), views, ("saliency",), recipe, seed=0
    )

    with torch.inference_mode():
        assert task.validate(RedCells().eval()) == {"iou": 1}
