"""The multi-task loss: Eq. 1 to 3 of cover assessment, and why they can't be meant as they are printed."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra (pip install 'framegate[train]')")

from training.cover.levels import GATE, LEVELS  # noqa: E402 - what follows needs torch
from training.cover.loss import clarity_losses, gated, mask_losses, overlap_losses  # noqa: E402

CROP_PX = 513
BALANCE = 0.1
NAN = float("nan")


def test_clarity_is_the_squared_error_of_the_score_on_0_to_1() -> None:
    """Eq. 1, by hand: scores of 10, 1 and 5.5 are 1, 0 and 0.5; a logit of 0 says 0.5."""
    losses = clarity_losses(torch.zeros(3), torch.tensor([10.0, 1.0, 5.5]))
    assert losses.tolist() == [0.25, 0.25, 0.0]


def test_an_unknown_score_teaches_nothing() -> None:
    """Neither a loss nor a gradient: NaN stays outside."""
    logits = torch.zeros(2, requires_grad=True)
    losses = clarity_losses(logits, torch.tensor([NAN, 10.0]))
    losses.sum().backward()
    assert losses[0] == 0
    assert logits.grad is not None
    assert logits.grad[0] == 0
    assert logits.grad[1] != 0


def test_a_mask_is_the_mean_cross_entropy_of_its_pixels() -> None:
    """Eq. 2 with the mean: by hand, log 2 for a logit of 0, whatever the size and whatever is not counted."""
    wanted, counted = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]), torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    assert mask_losses(torch.zeros(1, 2, 2), wanted, counted).item() == pytest.approx(0.693147, abs=1e-6)
    sure = torch.tensor([[[2.0, -2.0], [2.0, -50.0]]])
    assert mask_losses(sure, wanted, counted).item() == pytest.approx(0.126928, abs=1e-6)
    assert mask_losses(sure, wanted, torch.zeros(1, 2, 2)).item() == 0


def test_overlap_is_one_minus_the_soft_iou() -> None:
    """Near 0 for a sure and right map, near 1 for a sure and wrong one, 0 where no pixel is counted."""
    wanted = torch.zeros(1, 32, 32)
    wanted[:, :16] = 1
    counted = torch.ones(1, 32, 32)
    right = (wanted - 0.5) * 40
    assert overlap_losses(right, wanted, counted).item() == pytest.approx(0, abs=1e-5)
    assert overlap_losses(-right, wanted, counted).item() > 0.99
    assert overlap_losses(-right, wanted, torch.zeros(1, 32, 32)).item() == 0


def test_only_masks_of_clear_pictures_count() -> None:
    """Eq. 3's alpha: y > 2.3 on the raw score, strictly; a picture whose score nobody knows counts."""
    scores = torch.tensor([10.0, 2.31, GATE, 1.0, NAN])
    assert gated(torch.ones(5), scores, GATE).tolist() == [1, 1, 0, 0, 1]
    assert [level.score > GATE for level in LEVELS] == [True] * 7 + [False] * 3


def test_the_printed_sum_cannot_train_clarity() -> None:
    """Why the mean: as a sum over a crop's pixels, lambda's share of the loss is 100,000 times that of clarity.

    With the mean, and scores on [0, 1], both begin within a factor of two of each other, and so do the gradients that
    the shared layers see: the printed lambda of 0.1 then weighs what it says.
    """
    scores = torch.tensor([level.score for level in LEVELS])
    clarity = clarity_losses(torch.zeros(10), scores).mean()
    counted = torch.ones(10, CROP_PX, CROP_PX)
    mean = mask_losses(torch.zeros(10, CROP_PX, CROP_PX), torch.zeros(10, CROP_PX, CROP_PX), counted)
    printed = BALANCE * mean * CROP_PX**2

    assert printed.min() > 18_000
    assert printed.min() / clarity > 100_000
    assert 0.5 < BALANCE * mean.mean() / clarity < 2
