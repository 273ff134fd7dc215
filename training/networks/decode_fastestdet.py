"""FastestDet: one small grid, one box a cell, sizes in shares of the input (github.com/dog-qiuqiu/FastestDet)."""

from collections.abc import Sequence

import numpy as np

from training.networks.candidates import CATEGORIES, Candidates, boxes_around, sigmoid
from training.networks.network import Values

OBJECTNESS_POWER, CLASS_POWER = 0.6, 0.4


def decode_fastestdet(outputs: Sequence[Values], height: int, width: int) -> Candidates:
    """One picture's output (85, rows, columns) as candidates.

    Centre = cell + tanh(xy), in cells; size = sigmoid(wh), in inputs; score = objectness^.6 * class^.4.

    Raises:
        ValueError: an output is missing or has another shape.
    """
    if len(outputs) != 1 or outputs[0].ndim != 3 or len(outputs[0]) != 5 + CATEGORIES:
        shapes = [output.shape for output in outputs]
        raise ValueError(f"one output of shape ({5 + CATEGORIES}, rows, columns) is due, the network has {shapes}")
    rows, columns = outputs[0].shape[1:]
    values = outputs[0].reshape(5 + CATEGORIES, -1).T
    y, x = np.mgrid[:rows, :columns]
    cell = np.stack([x.ravel(), y.ravel()], axis=1)
    sides = np.array([width, height], np.float32)
    centres = (cell + np.tanh(values[:, 1:3])) / np.array([columns, rows], np.float32) * sides
    sizes = sigmoid(values[:, 3:5]) * sides
    classes = values[:, 5:]
    scores = values[:, 0] ** OBJECTNESS_POWER * classes.max(axis=1) ** CLASS_POWER
    return Candidates(boxes_around(centres, sizes), classes.argmax(axis=1), scores)
