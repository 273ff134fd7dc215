"""The multi-task loss (cover assessment, Eq. 1 to 3).

As printed Eq. 2 is a sum over the pixels of a 513 x 513 crop: with lambda = 0.1 it begins at 18,200 beside a clarity
loss below 1, and clarity can't be learned. The mean over the pixels, and scores on [0, 1], make both begin at about
0.07: the only reading under which that lambda weighs anything.
"""

import torch
from torch import Tensor
from torch.nn import functional

from training.models.clarity import LEAST, MOST


def clarity_losses(logits: Tensor, scores: Tensor) -> Tensor:
    """Squared error of each picture's score, on [0, 1] (Eq. 1): (batch,).

    Args:
        logits: (batch,), before the sigmoid.
        scores: (batch,) in [1, 10]; NaN where nobody knows it: 0 is lost there.
    """
    known = torch.isfinite(scores)
    wanted = (torch.where(known, scores, LEAST) - LEAST) / (MOST - LEAST)
    return (torch.sigmoid(logits) - wanted).square() * known


def mask_losses(logits: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy of each picture's map, the mean over its pixels (Eq. 2): (batch,).

    Args:
        logits: (batch, height, width), before the sigmoid.
        wanted: the same shape, share of foreground in each pixel.
        counted: the same shape, 1 where the mask is known; a picture without one loses 0.
    """
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * counted
    return each.sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp(min=1)


def overlap_losses(logits: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """1 - IoU of each picture's soft map: (batch,). See ``mask_losses``."""
    found = torch.sigmoid(logits) * counted
    wanted = wanted * counted
    shared = (found * wanted).sum(dim=(1, 2))
    either = (found + wanted - found * wanted).sum(dim=(1, 2))
    return (1 - (shared + 1) / (either + 1)) * (counted.sum(dim=(1, 2)) > 0)


def gated(losses: Tensor, scores: Tensor, gate: float) -> Tensor:
    """Eq. 3's alpha: a mask counts where the score is above ``gate``, or where there is none."""
    return losses * ((scores > gate) | ~torch.isfinite(scores))
