"""What a gate must be better than: scores that need no training for utility.

The size of the encoded frame, its sharpness, and how sure a network is of its own answer. The confidence of the very
network that is protected is the anchor: a gate runs before it and cannot see it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.utility.answers import BoxAnswers
from training.utility.label_set import LabelSet


class Sharpness:
    """Variance of the Laplacian of the grey picture, on the scale 0..255: low where a picture is blurred."""

    name = "Laplacian sharpness"
    digest = "laplacian-variance-1"

    def scores(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """(n,), each at least 0."""
        grey = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in pictures)
        return np.array([cv2.Laplacian(one, cv2.CV_64F).var() for one in grey])


def encoded_size(labels: LabelSet) -> NDArray[np.float64]:
    """(samples,) bytes of the frame a gateway would receive, by pixel: pictures differ in size."""
    pixels = np.array([source.height * source.width for source in labels.sources], np.float64)
    return np.asarray(labels.samples.encoded_bytes / pixels[labels.samples.source])


def confidence(labels: LabelSet, network: str) -> NDArray[np.float64]:
    """(samples,) in [0, 1]: probability of the class it predicts, or its highest score of any box (0: no box)."""
    own = labels.answers[network]
    if not isinstance(own, BoxAnswers):
        return own.confidence.astype(np.float64)
    highest = np.zeros(len(labels))
    np.maximum.at(highest, np.repeat(np.arange(len(labels)), np.diff(own.offsets)), own.scores.astype(np.float64))
    return highest
