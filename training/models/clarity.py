"""The clarity branch: how sharp is the picture (cover assessment, section 3.1)."""

from torch import Tensor, nn

LEAST, MOST = 1.0, 10.0
"""The scale of clarity scores; most is sharp."""
OUTPUT = "clarity"


def score_of(share: Tensor) -> Tensor:
    """A sigmoid's answer, in [0, 1], on the scale of the scores."""
    return LEAST + (MOST - LEAST) * share


class ClarityBranch(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """(batch, entering, h, w), h and w at least 8 -> (batch, width): what is left of the map, for FC-1 to judge.

    conv3-256, ReLU and max pooling, three times; then the mean. The paper's last layer, FC-1 with a sigmoid, belongs
    to the network, which may show it more than this.
    """

    def __init__(self, entering: int = 256, width: int = 256) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (entering, width, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, seen: Tensor) -> Tensor:
        pooled: Tensor = self.layers(seen).mean(dim=(2, 3))
        return pooled
