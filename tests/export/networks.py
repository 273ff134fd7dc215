"""A small network with what makes exporting hard: pyramid pooling over any size, and two heads. Needs torch."""

import torch
from torch import Tensor, nn

from runtime.manifest import Head, Input, Provenance, QualityHead, Resize, UtilityHead
from training.checkpoint import Checkpoint, Description

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
HEADS: tuple[Head, ...] = (UtilityHead(output="usefulness", threshold=0.5), QualityHead(output="opinions", threshold=3))


class Pyramid(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Convolutions, spatial pyramid pooling, a utility and a quality head."""

    def __init__(self, channels: int, bins: list[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1))
        layers: list[nn.Module] = []
        for taken, given in ((3, channels), (channels, 2 * channels), (2 * channels, 2 * channels)):
            convolution = nn.Conv2d(taken, given, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(given), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.bins = bins
        pooled = 2 * channels * sum(n * n for n in bins)
        self.usefulness = nn.Linear(pooled, 1)
        self.opinions = nn.Linear(pooled, 5)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        pooled = pool_pyramid(self.features((pixels - self.mean) / self.std), self.bins)
        return {
            "usefulness": torch.sigmoid(self.usefulness(pooled)).squeeze(1),
            "opinions": torch.softmax(self.opinions(pooled), dim=1),
        }


def pool_pyramid(features: Tensor, bins: list[int]) -> Tensor:
    """As adaptive average pooling, which ONNX lacks: (batch, c, h, w) -> (batch, c * sum of bins squared)."""
    height, width = features.shape[2:]
    cells = [
        features[:, :, top:bottom, left:right].mean(dim=(2, 3))
        for n in bins
        for top, bottom in _edges(height, n)
        for left, right in _edges(width, n)
    ]
    return torch.cat(cells, dim=1)


def _edges(side: int, bins: int) -> list[tuple[int, int]]:
    return [(i * side // bins, ((i + 1) * side + bins - 1) // bins) for i in range(bins)]


def pyramid(*, channels: int = 8, bins: list[int] | None = None) -> nn.Module:
    return Pyramid(channels, bins or [1, 2, 3])


def pyramid_checkpoint(*, dynamic_size: bool) -> Checkpoint:
    """With fixed random weights whose answers differ from picture to picture."""
    torch.manual_seed(7)
    network = pyramid()
    with torch.no_grad():
        for layer in (network.usefulness, network.opinions):
            layer.weight *= 8
        network.train()  # let the batch norms see something, so that folding them is not idle
        network(torch.rand(8, 3, 64, 64) * 255)
    description = Description(
        name="pyramid",
        version="3",
        architecture="pyramid",
        arguments={"channels": 8, "bins": [1, 2, 3]},
        inputs=(Input(name="pictures", height=90, width=122, resize=Resize(fit="stretch")),),
        heads=HEADS,
        dynamic_size=dynamic_size,
        provenance=Provenance(data="none: random weights", licence="Apache-2.0", command="tests.export.networks"),
    )
    return Checkpoint(description, network.eval())
