"""DeepRN: the distribution of opinions on a whole picture of any size (Varga and others, section 3, Fig. 2)."""

from collections.abc import Sequence

from torch import Tensor, nn

from training.models.deeprn_trunk import RESNET, DeepRNTrunk
from training.models.quality_head import WIDTHS, Answer, QualityLayers
from training.models.spp import Edges, Pool, SpatialPyramid

OUTPUT = "quality"
CLASSES = 5
"""Of the first stage: fifths of the quality scale, the worst first."""


class DeepRN(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> ``quality`` (batch, 5), shares of the votes 1 to 5."""

    def __init__(self, trunk: DeepRNTrunk, pyramid: SpatialPyramid, head: QualityLayers) -> None:
        super().__init__()
        self.trunk, self.pyramid, self.head = trunk, pyramid, head

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is served."""
        return {OUTPUT: self.head.shares(self.features(pixels))}

    def features(self, pixels: Tensor) -> Tensor:
        """What the second stage learns from: (batch, channels * bins), not normalised."""
        pooled: Tensor = self.pyramid(self.trunk(pixels))
        return pooled


class QualityClassifier(nn.Module):  # type: ignore[misc] # as above
    """The first stage: the classifier's last layer is replaced by one of ``CLASSES``.

    Pixels (batch, 3, height, width) as above -> logits (batch, CLASSES), float32.
    """

    def __init__(self, trunk: DeepRNTrunk) -> None:
        super().__init__()
        self.trunk = trunk
        self.last = nn.Linear(trunk.channels, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.last(self.trunk(pixels).mean(dim=(2, 3)))
        return found.float()


def deeprn(
    trunk: str = RESNET,
    *,
    levels: Sequence[int] = (3,),
    pool: Pool = "average",
    edges: Edges = "covering",
    widths: Sequence[int] = WIDTHS,
    answer: Answer = "linear",
    normalise: bool = True,
    dropout: float = 0.5,
) -> DeepRN:
    """The network without trained weights.

    Args:
        trunk: see ``DeepRNTrunk``.
        levels: see ``SpatialPyramid``, as for ``pool`` and ``edges``.
        pool: what becomes of a bin.
        edges: of the bins.
        widths: see ``QualityLayers``, as for all that follow.
        answer: what the last layer gives.
        normalise: the features.
        dropout: of the hidden layers.

    Raises:
        ConfigError: the library that defines the trunk is not installed.
    """
    convolutions = DeepRNTrunk(trunk)
    pyramid = SpatialPyramid(levels, pool=pool, edges=edges)
    head = QualityLayers(
        convolutions.channels * pyramid.bins, widths, answer=answer, normalise=normalise, dropout=dropout
    )
    network = DeepRN(convolutions, pyramid, head)
    network.eval()
    return network
