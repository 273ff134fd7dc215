"""A report of covers as Markdown: what was judged, the measures, blur by blur, costs, and the paper's tables."""

import math
from collections.abc import Iterator

from runtime.errors import ConfigError
from training.cover.evaluation import ALL, GATED
from training.cover.markdown import DASH, number, table, with_interval
from training.cover.measures import LevelMeasures
from training.cover.pairs import Pairs
from training.cover.report import Judged, Report
from training.cover.tables import tables
from training.metrics.segmentation import OBJECT_FROM

DEFINITIONS = (
    "- LCC: Pearson's correlation of clarity with the true score, no curve fitted; in brackets 95 % intervals "
    "(bootstrap over source pictures).",
    f"- A pixel is foreground from a probability of {OBJECT_FROM:g} on, at the label's size: the map is resized "
    "(bilinear), the label never; pixels that the label ignores count nowhere.",
    "- IoU: of the foreground, over the pixels of all pictures. Mean image IoU: of the foreground, each picture "
    "counting the same, 1 where neither mask has any. Two classes: mean of background's and foreground's, over all "
    "pixels.",
    "- Proportion: mean absolute error of the object's share of the picture, in points.",
    "- F: beta² = 0.3, at 256 thresholds of the 8-bit map. The curve is averaged over the pictures that hold an "
    "object; max is its highest point, mean the mean of its points. Adaptive: at twice each map's mean. MAE: of the "
    "probabilities, mean over pictures.",
    "- Below the sharp one: share of pictures that score lower under the blur than without; equal is not lower.",
)
_RULES = {
    "source": "by source: no picture of the test side has a copy on the training side",
    "image": "**by image, as in the paper: blurred copies of one picture are on both sides**",
    "train": "all for training",
    "test": "all for testing",
    "given": "as the data set has it",
}


def markdown(report: Report) -> Iterator[str]:
    """The report's lines."""
    yield f"# Covers: {report.selection.chosen.name}, {_split(report)}"
    yield from ("", *_facts(report))
    for which, title in ((ALL, "All levels of blur"), (GATED, f"Sharp enough for a mask: {GATED}")):
        yield from ("", f"## {title}", "", *_measures(report, which), *_against_anchor(report, which))
    for one in report.judged:
        yield from ("", f"## Blur by blur: {one.gate.name}", "", *_levels(one))
    if any(one.cost for one in report.judged):
        yield from ("", "## Time", "", *_costs(report))
    if len(report.trained) > 1:
        yield from ("", "## The paper's tables", *_tables(report))
    for one in report.judged:
        if one.panels:
            yield from ("", f"## Examples: {one.gate.name}", "", f"![{one.panels}]({one.panels})")
    yield from ("", "## What the numbers mean", "", *DEFINITIONS)


def _split(report: Report) -> str:
    split = report.selection.split
    return "all samples" if split == "all" else f"{split} split"


def _facts(report: Report) -> Iterator[str]:
    selection, chosen = report.selection, report.selection.chosen
    sources = len({one.source for one in chosen.samples})
    every = "" if selection.every == 1 else f" (every {selection.every}th source)"
    yield f"- Set `{chosen.name}` ({chosen.digest}): {len(chosen)} samples of {sources} pictures{every}"
    if chosen.header.proxy:
        yield "- **A proxy**: it stands in for a set that cannot be had; no number here is about that"
    yield f"- Split: {_RULES[chosen.header.split]}"
    yield f"- Levels of blur: {', '.join(map(str, selection.levels))}"
    for one in report.judged:
        role = "Anchor" if one.anchor else "Gate"
        yield f"- {role} `{one.gate.name}` ({one.gate.digest}): sees {one.gate.view}. It learned from: {one.gate.data}"
        if selection.split != "test" and chosen.digest in one.gate.data:  # another set may share pictures all the same
            yield "  - **It was trained on pictures of this set: its numbers do not hold for others**"


def _measures(report: Report, which: str) -> Iterator[str]:
    heads = ["", "samples", "LCC", "IoU", "mean image IoU", "two classes", "proportion, points"]
    heads += ["MAE", "max F", "mean F", "adaptive F"]
    yield from table(heads, [_row(one, which) for one in report.judged])


def _row(one: Judged, which: str) -> list[str]:
    own = one.measures[which]
    numbers = (own.mean_image_iou, own.two_class_miou, own.proportion_error, own.mae)
    return [
        one.gate.name,
        str(own.samples),
        with_interval(own.lcc, own.lcc_interval),
        with_interval(own.foreground_iou, own.foreground_iou_interval),
        *(number(value) for value in (*numbers, own.max_f, own.mean_f, own.adaptive_f)),
    ]


def _tables(report: Report) -> list[str]:
    """Runs that make no table do not spoil the rest of a long evaluation: the reason stands there instead."""
    try:
        return list(tables(report.trained))
    except ConfigError as error:
        return ["", f"No table: {error}."]


def _against_anchor(report: Report, which: str) -> Iterator[str]:
    for anchor in (one for one in report.judged if one.anchor):
        base = anchor.measures[which].mean_image_iou
        if base == 0:
            yield from ("", f"Mean image IoU of `{anchor.gate.name}` is 0: nothing is held against it.")
        elif not math.isnan(base):
            shares = {one.gate.name: one.measures[which].mean_image_iou / base for one in report.judged}
            shares.pop(anchor.gate.name)
            yield ""
            yield from (
                f"Mean image IoU of `{name}`: {share:.3f} of `{anchor.gate.name}`'s."
                for name, share in shares.items()
                if not math.isnan(share)
            )


def _levels(one: Judged) -> Iterator[str]:
    below = {pairs.sigma_px: pairs for pairs in one.pairs if not pairs.further}
    heads = ["level", "sigma, px", "true score", "samples", "clarity", "below the sharp one"]
    rows = [_level(level, below.get(level.sigma_px)) for level in one.levels]
    further = [
        [DASH, f"{own.sigma_px:g}{_frame(own)}", DASH, str(own.pictures), DASH, _below(own), *[DASH] * 3]
        for own in one.pairs
        if own.further
    ]
    yield from table([*heads, "IoU", "mean image IoU", "proportion, points"], [*rows, *further])


def _frame(pairs: Pairs) -> str:
    return "" if pairs.frame is None else f", frames of {pairs.frame[0]}x{pairs.frame[1]}"


def _level(level: LevelMeasures, pairs: Pairs | None) -> list[str]:
    clarity = DASH if math.isnan(level.clarity) else f"{level.clarity:.2f} ± {level.clarity_spread:.2f}"
    own = (level.foreground_iou, level.mean_image_iou, level.proportion_error)
    what = [str(level.level), f"{level.sigma_px:g}", number(level.score), str(level.samples)]
    return [*what, clarity, _below(pairs), *map(number, own)]


def _below(pairs: Pairs | None) -> str:
    return DASH if pairs is None else f"{100 * pairs.below:.1f} % of {pairs.pictures}"


def _costs(report: Report) -> Iterator[str]:
    timed = [(one.gate, one.cost) for one in report.judged if one.cost]
    named = {one.gate.name for one in report.judged if one.anchor}
    base, of_base = next((pair for pair in timed if pair[0].name in named), timed[0])
    rows = []
    for gate, cost in timed:
        ratio = f"{cost.median_ms / of_base.median_ms:.3f}" if gate.device == base.device else DASH
        rows.append([gate.name, gate.runs_on, f"{cost.median_ms:.1f}", ratio])
    yield from table(["", "runs on", "median, ms a picture", f"of {base.name}'s"], rows)
    yield ""
    yield (
        f"One thread on the CPU, a picture at a time, from its pixels to the answers; {of_base.pictures} pictures, the "
        "gates in turn. There is no ratio of times on two devices."
    )
