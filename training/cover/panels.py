"""Examples like the paper's Fig. 3: picture, true mask, predicted mask, and beneath them score, IoU and proportion."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.cover.cover_set import CoverSet
from training.cover.gate import CoverGate
from training.cover.manifest import CoverSample
from training.data.mask import FOREGROUND, IGNORE
from training.metrics.segmentation import (
    OBJECT_FROM,
    Confusions,
    Label,
    at_label_size,
    confusion,
    image_ious,
    predicted_proportions,
    true_proportions,
)

TRUE, PREDICTED, UNCOUNTED = (0, 160, 120), (225, 60, 140), (120, 120, 120)
"""Colours of masks, RGB: told apart by those who do not see red or green, too."""
OPACITY = 0.45
LINE_SHARE = 1 / 300
"""Thickness of a mask's outline, of the picture's longer side."""
LONGEST_PX = 640
"""A picture is drawn no larger."""
WIDTH_INCHES, HIGHEST_INCHES, CAPTION_INCHES, TITLE_INCHES, DPI = 11.0, 3.4, 0.3, 0.65, 110
"""Of the figure, a picture, the line below it, and the lines above all; portraits are drawn smaller."""


@dataclass(frozen=True)
class Example:
    """One sample with what a gate says of it."""

    sample: CoverSample
    pixels: Pixels
    label: Label
    predicted: NDArray[np.bool_]
    """(height, width) as the label."""
    clarity: float | None

    @property
    def counts(self) -> Confusions:
        """(1, 2, 2)."""
        return confusion(self.predicted, self.label)[None]

    @property
    def caption(self) -> str:
        """Predicted (true) score, IoU, and the object's proportion, predicted (true)."""
        true_share, share = (100 * float(of(self.counts)[0]) for of in (true_proportions, predicted_proportions))
        words = [f"IoU {image_ious(self.counts)[0]:.3f}", f"object {share:.1f} % ({true_share:.1f} %)"]
        if self.clarity is not None:
            true = "" if self.sample.score is None else f" ({self.sample.score:.2f})"
            words.insert(0, f"clarity {self.clarity:.2f}{true}")
        return "     ".join(words)


def draw_panels(gate: CoverGate, chosen: CoverSet, count: int, seed: int) -> bytes | None:
    """A PNG of some examples, sharpest first; None where the gate or the samples have no masks.

    Args:
        gate: whose answers are drawn.
        chosen: what to choose from.
        count: of examples, at most; each of another source where there are enough, spread over the levels.
        seed: equal seeds, equal examples.
    """
    samples = choose([one for one in chosen.samples if one.mask is not None], count, seed)
    if not samples or "saliency" not in gate.kinds:
        return None
    return _figure([_example(gate, chosen, one) for one in samples], f"{gate.name} on {chosen.name}")


def choose(samples: Sequence[CoverSample], count: int, seed: int) -> list[CoverSample]:
    """At most ``count``, spread over the levels, each of another source where there are enough; sharpest first."""
    random = np.random.default_rng(seed)
    shuffled = [samples[place] for place in random.permutation(len(samples))]
    levels = sorted({one.level for one in samples})
    wanted = [levels[place * len(levels) // count] for place in range(count)] if levels else []
    taken: list[CoverSample] = []
    for level in wanted:
        sources = {one.source for one in taken}
        own = [one for one in shuffled if one.level == level and one not in taken]
        fresh = [one for one in own if one.source not in sources]
        taken += (fresh or own)[:1]
    return taken


def overlaid(pixels: Pixels, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Pixels:
    """A mask over a picture: tinted, and outlined so that small objects are found."""
    tinted = pixels.copy()
    tint = np.array(colour, np.float32)
    tinted[mask] = np.rint((1 - OPACITY) * pixels[mask] + OPACITY * tint).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(LINE_SHARE * max(mask.shape)))
    cv2.drawContours(tinted, outlines, -1, colour, thickness, cv2.LINE_AA)
    return tinted


def _example(gate: CoverGate, chosen: CoverSet, sample: CoverSample) -> Example:
    picture = chosen.read(sample)
    [said] = gate.judge([picture.pixels])
    label = np.zeros(picture.pixels.shape[:2], np.uint8) if picture.mask is None else picture.mask
    seen = np.zeros(label.shape, np.float32) if said.saliency is None else at_label_size(said.saliency, label)
    return Example(sample, picture.pixels, label, seen >= OBJECT_FROM, said.clarity)


def _figure(examples: Sequence[Example], title: str) -> bytes:
    heights = [_row_inches(one) for one in examples]
    figure = Figure((WIDTH_INCHES, sum(heights) + TITLE_INCHES), DPI, layout="constrained")
    figure.suptitle(f"{title}: predicted (true)", fontsize=12)
    rows = figure.subplots(len(examples), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, one in zip(rows, examples, strict=True):
        _row(axes, one)
    for axes, words in zip(rows[0], ("picture", "true mask", "predicted mask"), strict=True):
        axes.set_title(words, fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _row_inches(one: Example) -> float:
    height, width = one.label.shape
    return min(HIGHEST_INCHES, WIDTH_INCHES / 3 * int(height) / int(width)) + CAPTION_INCHES


def _row(axes: Sequence[Axes], one: Example) -> None:
    masked = overlaid(one.pixels, one.label == FOREGROUND, TRUE)
    if (one.label == IGNORE).any():
        masked = overlaid(masked, one.label == IGNORE, UNCOUNTED)
    for panel, pixels in zip(axes, (one.pixels, masked, overlaid(one.pixels, one.predicted, PREDICTED)), strict=True):
        panel.imshow(_drawn(pixels), interpolation="antialiased")
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set_visible(False)
    axes[1].set_xlabel(one.caption, fontsize=11, labelpad=4)
    blur = "no blur" if one.sample.sigma_px == 0 else f"blur {one.sample.sigma_px:.3g} px"
    axes[0].set_ylabel(blur, fontsize=10)


def _drawn(pixels: Pixels) -> Pixels:
    scale = LONGEST_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
