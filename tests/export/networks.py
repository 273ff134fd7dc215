"""Small networks with what makes exporting hard: pooling over any size, two views of a picture. Need torch."""

from pathlib import Path

import torch
from torch import Tensor, nn

from export.samples import load_samples
from runtime.manifest import (
    ClarityHead,
    Head,
    Input,
    Patches,
    Provenance,
    QualityHead,
    Resize,
    SaliencyHead,
    UtilityHead,
)
from training.checkpoint import Checkpoint, Description
from training.models.aspp import Aspp, normalised
from training.models.clarity import score_of
from training.models.mask_decoder import MaskDecoder
from training.models.patches import PatchBranch

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


FRAMES = Input(name="frames", height=64, width=64)
PATCHES = Input(name="patches", height=32, width=32, patches=Patches(rows=2, columns=3, least_side=240))
COVER: tuple[Head, ...] = (ClarityHead(output="clarity", threshold=4), SaliencyHead(output="map", height=32, width=32))


class Cover(nn.Module):  # type: ignore[misc]
    """What the cover engine is made of, smaller: dilated separable convolutions, an enlargement, and two views.

    A softmax weighs the patches, a Concat joins both views' features, and a finer map is made of channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(
            normalised(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), channels=16),
            normalised(nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False), channels=16),
        )
        self.far = normalised(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), channels=32)
        self.aspp = Aspp(32, 24, rates=(1, 2, 3), separable=True, dropout=0)
        self.decoder = MaskDecoder(
            16, low_width=8, pyramid=24, width=16, separable=True, dropout=(0, 0), align_corners=False, finer=2
        )
        self.patches = PatchBranch(8, 12, 16)
        self.judge = nn.Linear(24 + 2 * 16, 1)

    def forward(self, frames: Tensor, patches: Tensor) -> dict[str, Tensor]:
        near = self.near((frames - 127) / 64)
        pyramid = self.aspp(self.far(near))
        seen = torch.cat([pyramid.mean(dim=(2, 3)), self.patches(patches)], dim=1)
        return {
            "clarity": score_of(torch.sigmoid(self.judge(seen).squeeze(1))),
            "map": torch.sigmoid(self.decoder(pyramid, near)),
        }


def cover_checkpoint(photos: Path, *, dynamic_size: bool = False) -> Checkpoint:
    """With fixed random weights whose scores and maps differ from picture to picture, made so on real ones."""
    torch.manual_seed(11)
    network = Cover()
    samples = load_samples([photos], (FRAMES, PATCHES), damaged=True)
    views = [torch.from_numpy(samples.inputs[spec.name]).movedim(-1, -3).float() for spec in (FRAMES, PATCHES)]
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean of what is seen, once
    with torch.no_grad():
        network.train()(*views)
        answers = network.eval()(*views)
        for layer, logits in (
            (network.judge, torch.logit((answers["clarity"] - 1) / 9)),
            (network.decoder.refine[-1], torch.logit(answers["map"])),
        ):
            layer.weight *= 2 / logits.std()
            layer.bias.copy_((layer.bias - logits.mean()) * 2 / logits.std())
    description = Description(
        name="cover",
        version="1",
        architecture="cover",
        inputs=(FRAMES, PATCHES),
        heads=COVER,
        dynamic_size=dynamic_size,
        provenance=Provenance(data="none: random weights", licence="Apache-2.0", command="tests.export.networks"),
    )
    return Checkpoint(description, network)
