"""What a detector's raw outputs say, before the weak and the doubled are left out."""

from dataclasses import dataclass

import numpy as np

from training.networks.network import Values

CATEGORIES = 80
"""Of COCO."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (n, 4): left, top, right, bottom in pixels of the network's input; labels (n,) 0..79; scores (n,)."""

    boxes: Values
    labels: Values
    scores: Values


def expect_shape(output: Values, shape: tuple[int, ...]) -> None:
    """Hold one picture's output to its shape.

    Raises:
        ValueError: it has another; the text has both.
    """
    if output.shape != shape:
        raise ValueError(f"an output of shape {shape} a picture is due, the network's is {output.shape}")


def cells(height: int, width: int, stride: int) -> Values:
    """Column and row of each cell of a grid over the input, row by row: (rows * columns, 2) float32."""
    rows, columns = -(-height // stride), -(-width // stride)
    y, x = np.mgrid[:rows, :columns]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def boxes_around(centres: Values, sizes: Values) -> Values:
    """Centres (n, 2) and sizes (n, 2) to left, top, right, bottom (n, 4)."""
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def sigmoid(values: Values) -> Values:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def softmax(values: Values) -> Values:
    """Over the last axis, without overflow."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
