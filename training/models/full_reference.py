"""How much worse is a picture than its reference? Two streams, of the picture and of what it differs in.

After "Deep Multi-Scale Features Learning for Distorted Image Quality Assessment", section II, and Table II for the
variants. What the paper leaves open is settled so:

- AlexNet's three poolings, after the first, second and fifth convolution: five would leave no map for bins of 8 x 8.
- The feature pyramid's top is the joined, pooled maps of both streams; below it lie the distorted stream's fourth and
  second maps. Each level is read as 4 x 4 means.
- The variants without pyramids read the last maps as 4 x 4 means, too, so that no variant has other features to the
  part of a picture.

Beyond the paper, the variant ``similarity``: the proposed network, whose second stream sees more than the residual of
luminance (``Similarity``), and whose fully connected layers read the means of that, too.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from runtime.errors import ConfigError
from training.models.pyramid import BINS, SUMMARY, FeaturePyramid, FlatPyramid, PyramidPooling
from training.models.similarity import PLANES, Similarity, luminance

OUTPUT = "quality_fr"
TILE_PX = 128
Variant = Literal["proposed", "concat", "residual_only", "distorted_only", "similarity"]
Pyramid = Literal["psp", "he"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
PYRAMIDS: tuple[Pyramid, ...] = get_args(Pyramid)
KERNELS = (8, 8, 16, 16, 32)
HIDDEN = (2048, 1024)
WORST, BEST = 1.0, 5.0


class Stream(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Planes (batch, planes, side, side) -> maps of the second, fourth and fifth convolution.

    (batch, 8, side / 2, side / 2), (batch, 16, side / 4, side / 4) and, pooled, (batch, 32, side / 8, side / 8).
    """

    def __init__(self, planes: int = 1) -> None:
        super().__init__()
        widths = zip((planes, *KERNELS[:-1]), KERNELS, strict=True)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(own, width, 3, padding=1), nn.BatchNorm2d(width)) for own, width in widths
        )

    def forward(self, plane: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second, third, fourth, fifth = self.layers
        # ELU rises throughout, so the largest of its values is its value of the largest: after pooling it is cheaper.
        seen = functional.elu(functional.max_pool2d(first(plane), 2))
        fine = functional.elu(second(seen))
        middle = functional.elu(fourth(functional.elu(third(functional.max_pool2d(fine, 2)))))
        last = functional.elu(functional.max_pool2d(fifth(middle), 2))
        return fine, middle, last


class FullReference(nn.Module):  # type: ignore[misc] # as above
    """Tiles of a picture and of its reference, each (batch, 3, 128, 128), float, RGB, 0..255 -> ``quality_fr``.

    (batch,) in [1, 5], 5 the best.

    Args:
        variant: ``proposed``, or one of Table II: both streams without pyramids, or one stream; or
            ``similarity``.
        pyramid: how Fig. 3 is read: ``psp``, means that are enlarged again, so that a feature pyramid can follow;
            ``he``, a flat list of means, which has no place left, so that it is the pyramid, alone.
    """

    def __init__(self, variant: Variant = "proposed", pyramid: Pyramid = "psp") -> None:
        super().__init__()
        self.similarity = Similarity() if variant == "similarity" else None
        self.distorted = Stream() if variant != "residual_only" else None
        self.residual = Stream(PLANES if self.similarity else 1) if variant != "distorted_only" else None
        self.summary = _summary(variant, pyramid)
        features = self.summary.features + (self.similarity.features if self.similarity else 0)
        first, second = HIDDEN
        self.head = nn.Sequential(
            nn.Linear(features, first), nn.ELU(), nn.Linear(first, second), nn.ELU(), nn.Linear(second, 1)
        )
        nn.init.constant_(self.head[-1].bias, 0.5)  # the middle of the scale

    def forward(self, distorted: Tensor, reference: Tensor) -> dict[str, Tensor]:
        """What is served."""
        share = self.raw(distorted, reference).clamp(0, 1)
        return {OUTPUT: WORST + (BEST - WORST) * share}

    def raw(self, distorted: Tensor, reference: Tensor) -> Tensor:
        """What is trained: (batch,) float32, about 0 for the worst and 1 for the best; tiles as in ``forward``."""
        seen, means = [], []
        if self.distorted is not None:
            seen.append(self.distorted(luminance(distorted)))
        if self.residual is not None:
            planes = self._unlike(distorted, reference)
            seen.append(self.residual(planes))
            if self.similarity is not None:
                means.append(self.similarity.summary(planes))
        features = torch.cat([self.summary(seen), *means], dim=1)
        found: Tensor = self.head(features).squeeze(1).float()
        return found

    def _unlike(self, distorted: Tensor, reference: Tensor) -> Tensor:
        """What the second stream sees, (batch, planes, 128, 128): Eq. 1, or the seven planes of ``Similarity``."""
        if self.similarity is None:
            return (luminance(distorted) - luminance(reference)).abs()
        found: Tensor = self.similarity(distorted, reference)
        return found


def full_reference(variant: str = "proposed", pyramid: str = "psp") -> FullReference:
    """The network without trained weights.

    Raises:
        ConfigError: there is no such variant or pyramid, or the variant has none.
    """
    for name, known in ((variant, VARIANTS), (pyramid, PYRAMIDS)):
        if name not in known:
            raise ConfigError(f"{name!r}: the full-reference network comes as {', '.join(known)}")
    if variant not in ("proposed", "similarity") and pyramid != PYRAMIDS[0]:
        raise ConfigError(
            f"{variant} has no pyramid, so none can be {pyramid}; leave it out, or take proposed or similarity"
        )
    network = FullReference(variant, pyramid)  # type: ignore[arg-type] # held to the names above
    network.eval()
    return network


Maps = Sequence[tuple[Tensor, Tensor, Tensor]]
"""Per stream: what ``Stream`` gives."""


class _Direct(nn.Module):  # type: ignore[misc] # as above
    """The last maps' means over 4 x 4 parts."""

    def __init__(self, streams: int) -> None:
        super().__init__()
        self.features = streams * KERNELS[-1] * SUMMARY**2

    def forward(self, seen: Maps) -> Tensor:
        last = torch.cat([maps[-1] for maps in seen], dim=1)
        return functional.avg_pool2d(last, last.shape[-1] // SUMMARY).flatten(1)


class _Flat(nn.Module):  # type: ignore[misc] # as above
    """The means of all bins of both streams' last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = FlatPyramid()
        self.features = 2 * KERNELS[-1] * sum(bins**2 for bins in BINS)

    def forward(self, seen: Maps) -> Tensor:
        return torch.cat([self.pool(maps[-1]) for maps in seen], dim=1)


class _Pyramids(nn.Module):  # type: ignore[misc] # as above
    """Both streams' last maps, pooled at four scales, as the top of a feature pyramid over the distorted stream's."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(PyramidPooling(KERNELS[-1]) for _ in range(2))
        self.levels = FeaturePyramid((KERNELS[1], KERNELS[3], sum(pool.width for pool in self.pools)), TILE_PX // 2)
        self.features = self.levels.features

    def forward(self, seen: Maps) -> Tensor:
        top = torch.cat([pool(maps[-1]) for pool, maps in zip(self.pools, seen, strict=True)], dim=1)
        fine, middle, _ = seen[0]
        found: Tensor = self.levels([fine, middle, top])
        return found


def _summary(variant: Variant, pyramid: Pyramid) -> nn.Module:
    if variant not in ("proposed", "similarity"):
        return _Direct(streams=2 if variant == "concat" else 1)
    return _Pyramids() if pyramid == "psp" else _Flat()
