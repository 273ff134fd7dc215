"""YOLOX: an anchor-free detector; each cell of each stride's grid tells one box (Ge et al. 2021, section 2.1)."""

from collections.abc import Sequence

import numpy as np

from training.networks.candidates import CATEGORIES, Candidates, boxes_around, cells, expect_shape
from training.networks.description import YoloX
from training.networks.network import Values


def decode_yolox(outputs: Sequence[Values], spec: YoloX, height: int, width: int) -> Candidates:
    """One picture's output (cells, 85) as candidates; centre = (xy + cell) * stride, size = e^wh * stride.

    The cells are in the order of the strides; a score is objectness times class.

    Raises:
        ValueError: an output is missing or has another shape.
    """
    grids = [cells(height, width, stride) for stride in spec.strides]
    strides = np.repeat(np.array(spec.strides, np.float32), [len(grid) for grid in grids])[:, None]
    if len(outputs) != 1:
        raise ValueError(f"one output is due, the network has {len(outputs)}")
    output = outputs[0]
    expect_shape(output, (len(strides), 5 + CATEGORIES))
    centres = (output[:, :2] + np.concatenate(grids)) * strides
    sizes = np.exp(output[:, 2:4]) * strides
    classes = output[:, 5:]
    return Candidates(boxes_around(centres, sizes), classes.argmax(axis=1), output[:, 4] * classes.max(axis=1))
