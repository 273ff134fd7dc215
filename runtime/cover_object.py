"""The object of a picture, from its saliency map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.cover_crop import Box, Point
from runtime.heads import OBJECT
from runtime.map_field import MapField
from runtime.opencv import cv2

LEAST_SHARE = 0.002
"""An object takes at least this share of the picture: less is a speck on which no cover is centred."""
SPECK = 0.1
"""A component with less than this share of the largest one's cells is no part of the object."""

Map = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SalientObject:
    """What a cover is made around."""

    share: float
    """Of the picture's area."""
    box: Box
    centre: Point
    """Centroid of the object's cells, weighted by their probability."""
    certainty: float
    """Mean of 2p - 1 over its cells, in (0, 1]: 0 where the engine hesitates everywhere, 1 where nowhere."""
    cut: float
    """The share of its box's edges along which it touches the picture's border: it goes on outside. The edge of what
    the engine was shown (``fit: crop``) is no border."""


def object_proportion(saliency: Map, field: MapField) -> float:
    """The share of the picture whose probability of being foreground is at least 0.5; specks included."""
    seen = saliency[field.rows, field.columns]
    return float(np.count_nonzero(seen >= OBJECT)) / seen.size * field.share


def find_object(saliency: Map, field: MapField) -> SalientObject | None:
    """The object, or None where there is none of at least ``LEAST_SHARE``.

    It is made of the connected cells (8 neighbours) of at least 0.5; components that are small beside the largest
    (``SPECK``) are left out, so that a few stray cells do not make the box as wide as the picture.

    Args:
        saliency: uint8 (height, width), 0..255.
        field: where in it the picture lies.
    """
    seen = np.ascontiguousarray(saliency[field.rows, field.columns])
    # What is not 0 is foreground to OpenCV.
    levels = np.asarray(cv2.threshold(seen, OBJECT - 1, 0, cv2.THRESH_TOZERO)[1], np.uint8)
    # Of OpenCV's algorithms the one that is quickest on a map so small, by 2 to 3 times.
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(levels, 8, cv2.CV_32S, cv2.CCL_BBDT)
    areas = stats[1:, cv2.CC_STAT_AREA]  # 0 is the background
    kept = areas >= SPECK * areas.max(initial=0)
    share = int(areas[kept].sum()) / seen.size * field.share
    if share < LEAST_SHARE:
        return None
    if not kept.all():
        levels[~np.concatenate([[True], kept]).take(np.asarray(labels, np.int32))] = 0
    return _described(levels, stats[1:][kept], share, field)


def _described(levels: Map, parts: NDArray[np.int32], share: float, field: MapField) -> SalientObject:
    """Of the object's cells' levels, 0 around it, and of its components' statistics."""
    left, top, width, height, areas = parts.T
    right, bottom = int((left + width).max()), int((top + height).max())
    left, top = int(left.min()), int(top.min())
    moments = cv2.moments(levels)
    mass = moments["m00"]
    return SalientObject(
        share,
        Box(field.x(left), field.y(top), field.x(right), field.y(bottom)),
        Point(field.x(moments["m10"] / mass + 0.5), field.y(moments["m01"] / mass + 0.5)),
        2 * mass / (255 * int(areas.sum())) - 1,
        _touching(levels, field) / (2 * (right - left + bottom - top)),
    )


def _touching(levels: Map, field: MapField) -> int:
    """How many edges of the object's cells lie on the picture's border."""
    border = (levels[:, 0], levels[0], levels[:, -1], levels[-1])
    return sum(int(np.count_nonzero(cells)) for cells, reaches in zip(border, field.reaches, strict=True) if reaches)
