"""What patches of a picture at its own resolution say of its sharpness."""

import torch
from torch import Tensor, nn

from training.models.aspp import convolution, normalised

CENTRE, SPREAD = 127.0, 64.0
"""Of pixels in 0..255."""


class PatchBranch(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, patches, 3, h, w), float, RGB, 0..255 -> (batch, 2 * width).

    A few convolutions with strides look at each patch for itself: blur is seen from near. Then two means over the
    patches: the plain one, and one that counts the patches by what the branch thinks they tell. Sky says nothing.
    """

    def __init__(self, first: int = 16, second: int = 32, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            normalised(nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False), channels=first),
            convolution(first, first, separable=True),
            normalised(nn.Conv2d(first, second, 3, stride=2, padding=1, bias=False), channels=second),
            convolution(second, second, separable=True),
            normalised(nn.Conv2d(second, width, 3, stride=2, padding=1, bias=False), channels=width),
        )
        self.weight = nn.Linear(width, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = pixels.shape[1]
        seen = self.layers((pixels.flatten(0, 1) - CENTRE) / SPREAD).mean(dim=(2, 3)).float()
        shares = torch.softmax(self.weight(seen).reshape(-1, patches, 1), dim=1)
        each = seen.reshape(-1, patches, self.width)
        return torch.cat([each.mean(dim=1), (shares * each).sum(dim=1)], dim=1)
