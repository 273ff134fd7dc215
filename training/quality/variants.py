"""Changed copies of a training picture (DeepRN, section 4): turned a little, shifted, mirrored; never resized.

Turning and shifting leave blank borders, which are cut off. So what is shifted is a part of the picture.
"""

import math

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.generator import generator
from training.quality.deeprn_recipes import Variants


def variant(pixels: Pixels, number: int, variants: Variants, name: str) -> Pixels:
    """One of the copies of a picture, by its number below ``variants.count``; 0 is the picture as it is.

    Args:
        pixels: (height, width, 3) uint8.
        number: rotations come first, then translations, the mirrored and the flipped one.
        variants: which there are.
        name: of the picture: its angles and shifts are drawn by it, and are the same whenever they are asked for.

    Raises:
        ValueError: there is no such number.
    """
    if not 0 <= number < variants.count:
        raise ValueError(f"variant {number} of {variants.count}")
    if number == 0:
        return pixels
    rng = generator(f"variant:{name}:{number}")
    if number <= variants.rotations:
        return turned(pixels, rng.uniform(-variants.rotation_deg, variants.rotation_deg))
    if number <= variants.rotations + variants.translations:
        return shifted(pixels, rng.uniform(-variants.translation, variants.translation), upright=rng.random() < 0.5)
    mirror = variants.mirrored and number == 1 + variants.rotations + variants.translations
    return np.ascontiguousarray(pixels[:, ::-1] if mirror else pixels[::-1])


def turned(pixels: Pixels, angle_deg: float) -> Pixels:
    """Turned about the centre; the largest part of it, of any shape, that no blank reaches."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    whole = np.asarray(cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_LINEAR), np.uint8)
    high, wide = _largest_inside(height, width, math.radians(abs(angle_deg)))
    top, left = (height - high) // 2, (width - wide) // 2
    return np.ascontiguousarray(whole[top : top + high, left : left + wide])


def shifted(pixels: Pixels, share: float, *, upright: bool) -> Pixels:
    """Shifted right (or, upright, down) by that share of the width (height): what stays in the frame."""
    side = pixels.shape[0 if upright else 1]
    lost = round(abs(share) * side)
    kept = slice(0, side - lost) if share > 0 else slice(lost, side)
    return np.ascontiguousarray(pixels[kept] if upright else pixels[:, kept])


def least_side(height: int, width: int, variants: Variants) -> int:
    """Pixels of the shorter side of what is left of a picture in the smallest of its copies."""
    least = min(height, width)
    left = [least]
    if variants.rotations:
        # Turned further than to where two corners meet the long sides, the rectangle inside gets higher again.
        narrowest = math.asin(least / max(height, width)) / 2
        left += _largest_inside(height, width, min(math.radians(variants.rotation_deg), narrowest))
    if variants.translations:
        left.append(least - round(variants.translation * least))
    return min(left)


def _largest_inside(height: int, width: int, angle: float) -> tuple[int, int]:
    """Height and width of the largest upright rectangle inside of one that was turned, by less than 45 degrees.

    Two of its corners touch the long sides, or all four touch one side each.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    longer, shorter = max(height, width), min(height, width)
    if shorter <= 2 * sine * cosine * longer:
        along, across = shorter / (2 * sine), shorter / (2 * cosine)
        wide, high = (along, across) if width >= height else (across, along)
    else:
        double = cosine * cosine - sine * sine
        wide, high = (width * cosine - height * sine) / double, (height * cosine - width * sine) / double
    # A pixel less on each side: at the very edge a pixel is mixed with the blank beside it.
    margin = 2 if angle else 0
    return max(1, int(high) - margin), max(1, int(wide) - margin)
