"""What a network says of one picture."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Classes:
    """A classifier's answer."""

    probabilities: NDArray[Any]
    """(1000,) float32, sums to 1; ImageNet-1k in the order of the sorted WordNet ids."""


@dataclass(frozen=True, slots=True)
class Detections:
    """A detector's answer, after non-maximum suppression, highest score first."""

    boxes: NDArray[Any]
    """(n, 4) float32: left, top, right, bottom in pixels of the picture that was asked about."""
    labels: NDArray[Any]
    """(n,) int64: COCO's categories, 0..79."""
    scores: NDArray[Any]
    """(n,) float32 in [0, 1], each at least the description's ``least_score``."""


Answer = Classes | Detections
