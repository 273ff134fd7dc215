"""A report as Markdown: what was judged, the numbers by judge and by kind of damage, before and after the gate."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import mean, stdev

from training.metrics.ranking import Interval
from training.utility.evaluation import ALL, DAMAGED, Measures
from training.utility.filtering import FilteredClassifier, FilteredDetector
from training.utility.header import PSEUDO_TRUTH, Task
from training.utility.judges import ROLES, Judge, foremost
from training.utility.label_set import LEAST_PSEUDO_CONFIDENCE
from training.utility.report import Report, taught_here

Table = Iterator[str]


DEFINITIONS = (
    "- Samples are those of sources that the judge recognises undamaged; *right*: it still is right on the sample. "
    "Undamaged samples are among them, all of them right, but where they are said to be left out.",
    "- AUROC: of right samples before wrong ones, over all samples, grey zone included; in brackets 95 % intervals "
    "(bootstrap over source pictures).",
    "- Gain 20 (10, 30): what discarding the lowest-scored 20 % takes off the error rate, as a part of what a perfect "
    "filter takes off it; 0 is random, 1 perfect.",
    "- Kept: samples that a rule labels useful or useless; the rest is its grey zone, which the paper leaves out. "
    "Accuracy is at the scoring's own threshold; *best* at the one that suits these samples best, an upper bound.",
    "- Accuracy on all: grey zone included, by whether the judge (of several: the majority) is right.",
    "- AURC: mean share of errors among the samples kept, over all shares that may be kept; the lower the better.",
    "- AUPRC of useless: precision over recall of finding wrong samples; random is the share of wrong ones.",
    "- Own confidence: of the very network that is protected. A gate runs before it and cannot see it.",
)


_PSEUDO: dict[Task, str] = {
    "classification": "; no number here is about true labels. A network recognises a picture if it is at least "
    f"{100 * LEAST_PSEUDO_CONFIDENCE:.0f} % sure of it undamaged",
    "detection": "; no number here is about true labels. A network recognises a picture if it finds anything in it",
}


def markdown(report: Report) -> Iterator[str]:
    """The report's lines."""
    yield f"# Utility: {report.labels.header.name}, {_split(report)}"
    yield from _facts(report)
    yield from ("", "## Judges", "", *_judges(report))
    for judge in report.judges:
        yield from ("", f"## {_title(judge)}", "", f"Its role is *{judge.role}*: {ROLES[judge.role]}.")
        yield from _scorings(report, judge)
    if sum(scoring.kind == "gate" for scoring in report.scorings) > 1:
        yield from ("", "## Spread over the gates", "", *_spread(report))
    yield from ("", "## By kind of damage")
    for judge in foremost(report.judges):
        yield from _kinds(report, judge)
    yield from ("", "## Before and after the gate, at its default threshold", "", *_filtered(report))
    yield from (f"\n![{name}]({name})" for name in report.curves)
    yield from ("", "## What the numbers mean", "", *DEFINITIONS)


def _facts(report: Report) -> Iterator[str]:
    labels, header = report.labels, report.labels.header
    sources = len(set(labels.samples.source.tolist()))
    yield ""
    yield f"- Label set `{header.name}` ({labels.digest}): {header.task}, {len(labels)} samples of {sources} pictures"
    yield f"- Truth: **{header.truth}**" + (_PSEUDO[header.task] if _pseudo(report) else "")
    yield f"- Damage: `{header.plan}`"
    for role, text in ROLES.items():
        names = [judge.name for judge in report.judges if judge.role == role]
        if names and role in ("unseen", "kin", "labeller"):
            yield f"- {role.capitalize()} ({text}): {', '.join(names)}"
    if not report.trained_on:
        yield "- None of these networks gave training labels"
    for scoring in report.scorings:
        gate = report.gates.get(scoring.name)
        if gate is not None:
            yield (
                f"- {scoring.kind.capitalize()} `{scoring.name}` ({gate.digest}): "
                f"drops what it gives less than {gate.threshold:g}. It learned from: {gate.data}"
            )
            if taught_here(report, gate):
                yield "  - **Pictures that it was trained on are among these: its numbers do not hold for others**"


def _judges(report: Report) -> Table:
    rules = list(report.judges[0].verdicts)
    rows = []
    for judge in report.judges:
        known = next((row.measures for row in report.rows if (row.judge, row.kind) == (judge.name, ALL)), None)
        if known is not None:
            grey = [_percent(known.kept[rule].grey_zone) for rule in rules]
            family = "" if judge.role in ("pooled", "agreement") else report.labels.family(judge.name)
            counts = [str(known.sources), str(known.samples), _percent(known.right)]
            rows.append([judge.name, family, judge.role, *counts, *grey])
    heads = ["judge", "family", "role", "pictures", "samples", "right, %", *(f"grey, {rule}, %" for rule in rules)]
    yield from _table(heads, rows)


def _scorings(report: Report, judge: Judge) -> Table:
    rules = list(judge.verdicts)
    kept = [head for rule in rules for head in (f"kept, {rule}, %", "balanced", "best")]
    heads = ["score", "AUROC", "gain 10", "gain 20", "gain 30", *kept, "all, %", "balanced", "AUPRC useless"]
    heads += ["AURC", "ECE"]
    if not len(judge.sample):
        yield from ("", "No sample: it recognises none of the pictures undamaged.")
        return
    for kind, title in ((ALL, "All samples"), (DAMAGED, "Without the undamaged ones")):
        found = [row for row in report.rows if (row.judge, row.kind) == (judge.name, kind)]
        if found:
            measures = found[0].measures
            yield from ("", f"{title}:", "")
            yield from _table(heads, [[row.scoring, *_numbers(row.measures)] for row in found])
            perfect, random = _number(measures.aurc_perfect), _number(1 - measures.right)
            yield from ("", f"AURC of a perfect filter {perfect}, of a random one {random}.")


def _numbers(one: Measures) -> Iterator[str]:
    yield _with_interval(one.auroc, one.auroc_interval)
    for share, gain in one.gains.items():
        yield _with_interval(gain, one.gain_20_interval) if share == "20%" else _number(gain)
    for kept in one.kept.values():
        yield _percent(kept.accuracy, kept.accuracy_interval)
        yield _percent(kept.balanced_accuracy)
        yield _percent(kept.best_accuracy)
    yield _percent(one.accuracy)
    yield _percent(one.balanced_accuracy)
    yield from map(_number, (one.auprc_useless, one.aurc, one.ece))


def _spread(report: Report) -> Table:
    """Of gates that differ by their seed alone, it says how far a training's numbers can be trusted."""
    gates = [scoring.name for scoring in report.scorings if scoring.kind == "gate"]
    rules = list(report.judges[0].verdicts)
    rows = []
    for judge, kind in ((judge, kind) for judge in foremost(report.judges) for kind in (ALL, DAMAGED)):
        found = [
            row.measures for row in report.rows if (row.judge, row.kind) == (judge.name, kind) and row.scoring in gates
        ]
        if not found:
            continue
        kept = [_mean_spread([100 * one.kept[rule].accuracy for one in found], 1) for rule in rules]
        gains = [_mean_spread([one.gains[share] for one in found], 3) for share in found[0].gains]
        rows.append([_title(judge), kind, _mean_spread([one.auroc for one in found], 3), *gains, *kept])
    heads = ["judge", "samples", "AUROC", "gain 10", "gain 20", "gain 30", *(f"kept, {rule}, %" for rule in rules)]
    yield from _table(heads, rows)
    yield ""
    yield f"Mean ± standard deviation [lowest, highest] of {len(gates)} gates: {', '.join(gates)}."


def _mean_spread(values: Sequence[float], digits: int) -> str:
    if any(map(math.isnan, values)):
        return DASH
    low, high = min(values), max(values)
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _kinds(report: Report, judge: Judge) -> Table:
    rows = [row for row in report.rows if row.judge == judge.name]
    kinds = list(dict.fromkeys(row.kind for row in rows))
    kinds.sort(key=lambda kind: (kind != ALL, kind != DAMAGED))
    rule = list(judge.verdicts)[-1]
    found = {(row.scoring, row.kind): row.measures for row in rows}
    names = list(dict.fromkeys(row.scoring for row in rows))
    columns: dict[str, Callable[[Measures], str]] = {
        "AUROC": lambda one: _number(one.auroc),
        "gain at 20 %": lambda one: _number(one.gains["20%"]),
        f"accuracy on kept samples ({rule}), %": lambda one: _percent(one.kept[rule].accuracy),
    }
    for title, value in columns.items():
        cells = [[name, *(value(found[name, kind]) for kind in kinds)] for name in names]
        yield from ("", f"{_title(judge)}: {title}", "")
        yield from _table(["score", *kinds], [row for row in cells if set(row[1:]) != {DASH}])
    facts: dict[str, Callable[[Measures], str]] = {
        "samples": lambda one: str(one.samples),
        "right, %": lambda one: _percent(one.right),
        f"grey zone ({rule}), %": lambda one: _percent(one.kept[rule].grey_zone),
    }
    yield from ("", f"{_title(judge)}: what there is to foretell", "")
    yield from _table(
        ["", *kinds], [[title, *(fact(found[names[0], kind]) for kind in kinds)] for title, fact in facts.items()]
    )


def _filtered(report: Report) -> Table:
    roles = {judge.name: judge.role for judge in report.judges}
    yield "All samples count, of pictures that the network recognises undamaged and of others."
    yield ""
    if report.labels.header.task == "classification":
        truth = "answers as undamaged" if _pseudo(report) else "accuracy"
        heads = ["network", "role", "gate", "kept, %", f"{truth} before, %", "after, %", "rise, points"]
        heads += ["right ones kept, %", "wrong ones dropped, %"]
        rows = [_classifier(one, roles[one.network]) for one in report.filtered if isinstance(one, FilteredClassifier)]
    else:
        heads = ["network", "role", "gate", "kept, %", "recall before", "dropped", "rise, points", "replaced"]
        heads += ["mAP before", "dropped", "replaced", "AP50 before", "dropped", "replaced"]
        rows = [_detector(one, roles[one.network]) for one in report.filtered if isinstance(one, FilteredDetector)]
    yield from _table(heads, rows)
    if report.labels.header.task == "detection":
        yield ""
        yield "*Dropped*: what the gate drops is left out; *replaced*: the undamaged picture stands in (the paper)."


def _classifier(one: FilteredClassifier, role: str) -> list[str]:
    rise = _percent(one.accuracy_after - one.accuracy_before, one.rise_interval)
    before, after = _percent(one.accuracy_before), _percent(one.accuracy_after)
    shares = (_percent(one.right_kept), _percent(one.wrong_dropped))
    return [one.network, role, one.gate, _percent(one.kept), before, after, rise, *shares]


def _detector(one: FilteredDetector, role: str) -> list[str]:
    rise = _percent(one.recall_dropped - one.recall_before, one.recall_rise_interval)
    precisions = (one.ap_before, one.ap_dropped, one.ap_replaced, one.ap50_before, one.ap50_dropped, one.ap50_replaced)
    recalls = [_number(one.recall_before), _number(one.recall_dropped), rise, _number(one.recall_replaced)]
    return [one.network, role, one.gate, _percent(one.kept), *recalls, *map(_number, precisions)]


def _title(judge: Judge) -> str:
    return "unseen, pooled" if judge.role == "pooled" else judge.name


def _split(report: Report) -> str:
    return "all samples" if report.split == "all" else f"{report.split} split"


def _pseudo(report: Report) -> bool:
    return report.labels.header.truth == PSEUDO_TRUTH


DASH = "–"  # noqa: RUF001


def _number(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.3f}"


def _percent(value: float, interval: Interval = (math.nan, math.nan)) -> str:
    if math.isnan(value):
        return DASH
    low, high = interval
    return f"{100 * value:.1f}" + ("" if math.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]")


def _with_interval(value: float, interval: Interval) -> str:
    low, high = interval
    return _number(value) + ("" if math.isnan(low) or math.isnan(value) else f" [{low:.3f}, {high:.3f}]")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    for line in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(line)} |"
