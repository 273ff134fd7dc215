"""DeepRN's fully connected layers: from what was pooled of a picture to what people say of it (section 3)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Answer = Literal["linear", "softmax", "mos"]
WIDTHS = (4096, 4096, 4096)
"""Of the paper's hidden layers."""
VOTES = torch.arange(1.0, 6.0)


class QualityLayers(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Features (batch, entering) -> shares of the votes 1 to 5 (batch, 5), or a mean opinion score (batch,).

    Args:
        entering: length of the features.
        widths: of the hidden layers.
        answer: ``linear``: five numbers that need not be shares, the paper's; ``softmax``: shares, the KonIQ team's;
            ``mos``: the mean opinion score alone, DeepRN-m-Eucl.
        normalise: whether each picture's features are brought to a length of 1 first, as the paper does.
        dropout: of each hidden layer.
    """

    def __init__(
        self,
        entering: int,
        widths: Sequence[int] = WIDTHS,
        *,
        answer: Answer = "linear",
        normalise: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.entering, self.answer, self.normalise = entering, answer, normalise
        layers: list[nn.Module] = []
        for before, after in pairwise([entering, *widths]):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1], 1 if answer == "mos" else 5)
        # Training begins at the middle: what all shares are when nothing is known, or the middle of the scale.
        nn.init.constant_(self.last.bias, {"linear": 0.2, "softmax": 0.0, "mos": 3.0}[answer])

    def forward(self, features: Tensor) -> Tensor:
        """What is trained, float32: the shares as they come, or (batch,) scores, which may leave [1, 5]."""
        seen = functional.normalize(features.float(), dim=1) if self.normalise else features.float()
        found: Tensor = self.last(self.layers(seen)).float()
        if self.answer == "softmax":
            return torch.softmax(found, dim=1)
        return found.squeeze(1) if self.answer == "mos" else found

    def shares(self, features: Tensor) -> Tensor:
        """What is served: (batch, 5), none below 0, summing to 1."""
        found = self(features)
        return narrow_shares(found) if self.answer == "mos" else whole_shares(found)


def whole_shares(found: Tensor) -> Tensor:
    """Five numbers (batch, 5) -> shares: negative ones are taken for 0 before Eq. 2, which divides by their sum.

    A row without a positive number says nothing: it becomes that of equal shares.
    """
    positive = functional.relu(found)
    total = positive.sum(dim=1, keepdim=True)
    # The sum is not clamped: tiny ones are divided by, too, and the row sums to 1 or is replaced.
    return torch.where(total > 0, positive / torch.where(total > 0, total, 1), 1 / positive.shape[1])


def narrow_shares(mos: Tensor) -> Tensor:
    """Scores (batch,) -> the narrowest shares (batch, 5) with that mean: of the two votes beside it.

    So a network that knows the mean alone answers in the same form; how widely people differ, it does not say.
    """
    distance = (mos.clamp(1, 5)[:, None] - VOTES.to(mos)).abs()
    return functional.relu(1 - distance)
