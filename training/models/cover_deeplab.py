"""The cover-assessment paper's network: a modified DeepLabv3+ with a clarity branch (section 3, figure 1)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.aspp import Aspp
from training.models.clarity import OUTPUT as CLARITY
from training.models.clarity import ClarityBranch, score_of
from training.models.encoders import load_encoder, make_encoder
from training.models.mask_decoder import OUTPUT as SALIENCY
from training.models.mask_decoder import MaskDecoder

TASKS = (CLARITY, SALIENCY)
WIDTH = 256
"""Channels of the pyramid, the branches and the decoder."""
LOW_WIDTH = 48


class CoverDeepLab(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255, sides of 113 at least -> the outputs of its tasks.

    ``clarity`` (batch,) in [1, 10]; ``saliency`` (batch, about height / 4, about width / 4) in [0, 1].
    """

    def __init__(
        self,
        encoder: str,
        *,
        tasks: Sequence[str] = TASKS,
        width: int = WIDTH,
        separable: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder)
        self.aspp = Aspp(self.encoder.channels, width, separable=separable, dropout=dropout)
        if CLARITY in tasks:
            self.clarity = nn.Sequential(ClarityBranch(width, width), nn.Linear(width, 1))
        if SALIENCY in tasks:
            self.decoder = MaskDecoder(
                self.encoder.low_channels,
                low_width=LOW_WIDTH,
                pyramid=width,
                width=width,
                separable=separable,
                dropout=(dropout, dropout / 5),
            )
        self.tasks = tuple(tasks)
        self._fixed: tuple[nn.Module, ...] = ()

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is served."""
        finish = {CLARITY: lambda logits: score_of(torch.sigmoid(logits)), SALIENCY: torch.sigmoid}
        return {name: finish[name](logits) for name, logits in self.logits(pixels).items()}

    def logits(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is trained: each task's output before its sigmoid, float32."""
        low, high = self.encoder(pixels)
        pyramid = self.aspp(high)
        found: dict[str, Tensor] = {}
        if CLARITY in self.tasks:
            found[CLARITY] = self.clarity(pyramid).squeeze(1).float()
        if SALIENCY in self.tasks:
            found[SALIENCY] = self.decoder(pyramid, low).float()
        return found

    def enlarge(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        """Maps (batch, h, w) at another size, bilinear, their corners on the picture's."""
        enlarged: Tensor = functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=True)[:, 0]
        return enlarged

    def fix_shared(self) -> None:
        """Keep all but the clarity branch from training: the second of the paper's stages (section 4.2)."""
        self._fixed = tuple(part for name, part in self.named_children() if name != CLARITY)
        for part in self._fixed:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "CoverDeepLab":
        """What is fixed keeps its statistics, and drops nothing out."""
        super().train(mode)
        for part in self._fixed:
            part.eval()
        return self


def cover_deeplab(
    encoder: str,
    tasks: Sequence[str] = TASKS,
    width: int = WIDTH,
    separable: bool = False,
    dropout: float = 0.5,
) -> CoverDeepLab:
    """The network without trained weights.

    Args:
        encoder: one of ``encoders.NAMES``.
        tasks: of ``TASKS``; one alone is the paper's single-task baseline.
        width: of pyramid, branches and decoder; the paper's is 256.
        separable: cheaper 3x3 convolutions.
        dropout: after the pyramid, where both branches see it, and in the decoder (a fifth of it in the end).

    Raises:
        ConfigError: timm or torchvision is not installed.
    """
    network = CoverDeepLab(encoder, tasks=tasks, width=width, separable=separable, dropout=dropout)
    network.eval()
    return network


def load_imagenet_encoder(network: CoverDeepLab, encoder: str, path: Path | None) -> None:
    """Give the encoder weights trained on ImageNet: ``encoders.load_encoder``."""
    load_encoder(network.encoder, encoder, path)
