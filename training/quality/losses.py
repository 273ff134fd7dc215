"""What networks of quality are fitted by. All are means over a batch: scalars."""

import torch
from torch import Tensor
from torch.nn import functional

HUBER_DELTA = 1 / 9
"""DeepRN's, chosen by cross-validation (section 3). The KonIQ team found 1 to work better."""


def huber(found: Tensor, wanted: Tensor, delta: float = HUBER_DELTA) -> Tensor:
    """DeepRN's loss, Eq. 1 and the line below it: Huber's of each share, summed over the shares.

    Args:
        found: (batch, 5), which need not sum to 1.
        wanted: (batch, 5), shares of the votes.
        delta: errors up to it count by half their square, larger ones linearly.
    """
    return functional.huber_loss(found, wanted, reduction="none", delta=delta).sum(dim=1).mean()


def euclidean(found: Tensor, wanted: Tensor) -> Tensor:
    """DeepRN-Eucl (section 4): half the squared distance of (batch, n), as Caffe's layer has it.

    It is Huber's with a delta that no error reaches.
    """
    return 0.5 * (found - wanted).square().sum(dim=1).mean()


def mos_euclidean(found: Tensor, wanted: Tensor) -> Tensor:
    """DeepRN-m-Eucl (section 4): half the squared error of the mean opinion score, (batch,)."""
    return 0.5 * (found - wanted).square().mean()


def squared_emd(found: Tensor, wanted: Tensor) -> Tensor:
    """The square of the earth mover's distance with r = 2 (NIMA, Eq. 1): of (batch, n) shares, which sum to 1.

    Unlike Huber's, it knows that a vote of 1 for 5 is a greater error than one of 4 for 5.
    """
    return (found - wanted).cumsum(dim=1).square().mean(dim=1).mean()


LEVEL_WORTH = 0.1
"""By how much a level of distortion more lowers a score at least, in [1, 5].

So much it is for people: the mean scores of TID2013's kinds fall by .10 (blocks of colour), .19 (brightness,
saturation, masked noise) to .66 a level, over the contents i04 to i25.
"""


def ranking_loss(mos: Tensor, truth: Tensor, group: Tensor, level: Tensor | None = None, margin: float = 0.5) -> Tensor:
    """How far pairs within a group are from their true order: a hinge, the mean over the pairs.

    The better of two has to lead by the true difference, or by the margin where that is less: equal ones make no pair.
    Of two whose levels are known and differ, the one of the lower level is the better (as RankIQA learns, Liu et al.
    2017), and leads by ``LEVEL_WORTH`` for each level at least.

    Args:
        mos: (batch,) predicted.
        truth: (batch,).
        group: (batch,) integers; those with equal numbers are compared.
        level: (batch,) of distortion, NaN where nobody knows it; None: of no picture.
        margin: in scores.

    Returns:
        0, which teaches nothing, where there is no pair.
    """
    lead = truth[:, None] - truth[None, :]
    if level is not None:
        milder = (level[None, :] - level[:, None]).nan_to_num(0.0)
        least = LEVEL_WORTH * milder
        lead = torch.where(milder > 0, torch.maximum(lead, least), torch.where(milder < 0, least, lead))
    pairs = (group[:, None] == group[None, :]) & (lead > 0)
    lack = functional.relu(lead.clamp(max=margin) - (mos[:, None] - mos[None, :]))
    return torch.where(pairs, lack, 0).sum() / pairs.sum().clamp(min=1)
