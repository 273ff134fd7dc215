"""The paper's Tables 1 to 3 of whatever was trained, over seeds, with the paper's numbers beside them.

"News Cover Assessment via Multi-task Learning", section 4.3. Its data cannot be had, so its numbers are of other
pictures; what can be held against it is the direction of each difference.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, stdev

from runtime.errors import ConfigError
from training.cover.evaluation import ALL, GATED
from training.cover.markdown import DASH, number, table
from training.cover.run_facts import RunFacts, Strategy, Task

LEAST_SEEDS = 3
"""Below it a difference is shown and nothing is claimed of it."""
LEAST_SPREADS = 2
"""Below it, either way, a difference is within what the seeds make."""
CONDITIONS = ("recipe", "steps", "set")
"""What two rows must have in common, beside what the table is about."""
BOTH: frozenset[Task] = frozenset({"clarity", "saliency"})
MEASURES = (
    ("lcc", ALL, "LCC"),
    ("foreground_iou", GATED, f"IoU, {GATED}"),
    ("mean_image_iou", GATED, "mean image IoU"),
)
"""Name, samples and heading; both IoUs are of the foreground, at the paper's threshold in testing."""
PAPERS_IOU = (False, True, True)
"""Which of them stands for the paper's mIoU: its figures show that it is the foreground's, not which mean."""


@dataclass(frozen=True)
class Trained:
    """One run, evaluated."""

    name: str
    facts: RunFacts
    values: dict[str, float]
    """By the measure's name; NaN where it cannot be told."""


@dataclass(frozen=True)
class Group:
    """Rows of a table: runs that differ by nothing but their seed."""

    network: str
    tasks: frozenset[Task]
    strategy: Strategy


@dataclass(frozen=True)
class Papers:
    """What the paper's table has; NaN where it has nothing."""

    lcc: float = math.nan
    iou: float = math.nan


MULTI_TASK, STAGED = Papers(0.9805, 0.7746), Papers(0.8548, 0.7470)
BACKBONES = {"mobilenetv2": Papers(0.9809, 0.7603), "xception": Papers(0.9559, 0.7165), "resnet101": MULTI_TASK}
"""Table 1."""
TASKS: dict[frozenset[Task], tuple[str, Papers]] = {
    frozenset({"clarity"}): ("clarity only", Papers(lcc=0.9741)),
    frozenset({"saliency"}): ("segmentation only", Papers(iou=0.7618)),
    BOTH: ("multi-task", MULTI_TASK),
}
"""Table 2, of ResNet-101."""
STRATEGIES: dict[Strategy, Papers] = {"end-to-end": MULTI_TASK, "multi-stage": STAGED}
"""Table 3, of ResNet-101."""

Runs = dict[Group, list[Trained]]
Claim = tuple[str, Group, Group, Papers, Papers]
"""In words; the group that the paper has above, the one below, and their numbers."""


def tables(runs: Sequence[Trained]) -> Iterator[str]:
    """Markdown lines: those tables that two rows at least can be filled of, each with the paper's direction.

    Raises:
        ConfigError: two runs of a row have one seed, or differ by more than their seed.
    """
    groups = grouped(runs)
    written = [*_backbones(groups), *_tasks(groups), *_strategies(groups)]
    if written:
        yield from written
        yield from ("", *_notes())
    else:
        yield from ("", "No table: two backbones, two sets of tasks, or two strategies of one backbone are due.")


def grouped(runs: Sequence[Trained]) -> Runs:
    """Runs by what they have in common, seeds in order.

    Raises:
        ConfigError: as ``tables``.
    """
    groups: Runs = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        facts = run.facts
        groups.setdefault(Group(facts.network, frozenset(facts.tasks), facts.strategy), []).append(run)
    for group in groups.values():
        _require_seeds_alone(group)
    return groups


def _require_seeds_alone(runs: Sequence[Trained]) -> None:
    first = runs[0]
    for before, run in pairwise(runs):
        if run.facts.seed == before.facts.seed:
            raise ConfigError(
                f"{before.name} and {run.name} are of the same kind and seed ({run.facts.seed}): a spread needs other "
                "seeds; leave one out"
            )
        others = [name for name, value in run.facts if name != "seed" and value != getattr(first.facts, name)]
        if others:
            raise ConfigError(
                f"{first.name} and {run.name} are of the same kind, but differ in {', '.join(others)}: a spread over "
                "seeds needs runs that differ by nothing else; leave one out"
            )


def _backbones(groups: Runs) -> Iterator[str]:
    rows = {group: runs for group, runs in groups.items() if (group.tasks, group.strategy) == (BOTH, "end-to-end")}
    if len(rows) < 2:
        return
    yield from ("", "### Table 1: backbones, multi-task, end to end", "")
    yield from _table(
        "backbone", [(one.network, runs, BACKBONES.get(one.network, Papers())) for one, runs in rows.items()]
    )
    known = [group for group in rows if group.network in BACKBONES]
    claims = [
        (f"{above.network} above {below.network}", above, below, BACKBONES[above.network], BACKBONES[below.network])
        for above in known
        for below in known
        if above != below
    ]
    yield from _directions(groups, claims)


def _tasks(groups: Runs) -> Iterator[str]:
    for network in _networks(groups):
        own = {tasks: Group(network, tasks, "end-to-end") for tasks in TASKS}
        there = {tasks: group for tasks, group in own.items() if group in groups}
        if BOTH in there and len(there) > 1:
            yield from ("", f"### Table 2: one task or both, {network}", "")
            yield from _table("tasks", [(TASKS[one][0], groups[group], TASKS[one][1]) for one, group in there.items()])
            claims = [
                (f"multi-task above {TASKS[one][0]}", own[BOTH], group, MULTI_TASK, TASKS[one][1])
                for one, group in there.items()
                if one != BOTH
            ]
            yield from _directions(groups, claims)


def _strategies(groups: Runs) -> Iterator[str]:
    for network in _networks(groups):
        own = {strategy: Group(network, BOTH, strategy) for strategy in STRATEGIES}
        if all(group in groups for group in own.values()):
            yield from ("", f"### Table 3: training strategies, {network}", "")
            yield from _table("strategy", [(one, groups[group], STRATEGIES[one]) for one, group in own.items()])
            above, below = own["end-to-end"], own["multi-stage"]
            yield from _directions(groups, [("end-to-end above multi-stage", above, below, MULTI_TASK, STAGED)])


def _networks(groups: Runs) -> list[str]:
    return list(dict.fromkeys(group.network for group in groups))


def _table(first: str, rows: Sequence[tuple[str, Sequence[Trained], Papers]]) -> Iterator[str]:
    heads = [first, "seeds", *(title for _, _, title in MEASURES), "paper: LCC", "paper: mIoU"]
    yield from table(heads, [[name, *_cells(runs), *_papers(papers)] for name, runs, papers in rows])


def _cells(runs: Sequence[Trained]) -> list[str]:
    return [str(len(runs)), *(spread_of(_values(runs, key)) for key, _, _ in MEASURES)]


def _papers(papers: Papers) -> list[str]:
    return [number(papers.lcc, 4), number(papers.iou, 4)]


def _directions(groups: Runs, claims: Sequence[Claim]) -> Iterator[str]:
    rows = [row for claim in claims for row in _direction(groups, claim)]
    if rows:
        yield ""
        yield from table(["the paper has", "measure", "by, there", "by, here", "does it hold here?"], rows)


def _direction(groups: Runs, claim: Claim) -> Iterator[list[str]]:
    words, above, below, more, less = claim
    for (key, _, title), is_iou in zip(MEASURES, PAPERS_IOU, strict=True):
        papers = more.iou - less.iou if is_iou else more.lcc - less.lcc
        here = [_values(groups[group], key) for group in (above, below)]
        if papers > 0 and all(here):
            difference = mean(here[0]) - mean(here[1])
            differing = _differing(groups[above][0].facts, groups[below][0].facts)
            said = f"not compared: differ in {', '.join(differing)}" if differing else verdict(*here)
            yield [words, title, f"{papers:+.4f}", f"{difference:+.4f}", said]


def _differing(one: RunFacts, other: RunFacts) -> list[str]:
    """Of a row the first run speaks for all: they differ by their seed alone."""
    return [name for name in CONDITIONS if getattr(one, name) != getattr(other, name)]


def verdict(above: Sequence[float], below: Sequence[float]) -> str:
    """Whether ``above`` is above ``below``, in spreads: the pooled standard deviation over the seeds of either."""
    seeds = min(len(above), len(below))
    if seeds < LEAST_SEEDS:
        return f"not claimed: {seeds} of {LEAST_SEEDS} seeds"
    difference, spread = mean(above) - mean(below), math.sqrt((stdev(above) ** 2 + stdev(below) ** 2) / 2)
    count = difference / spread if spread else math.copysign(math.inf, difference) if difference else 0.0
    words = f"neither: below {LEAST_SPREADS} spreads"
    if abs(count) >= LEAST_SPREADS:
        words = "yes" if count > 0 else "**no, the contrary**"
    return f"{words} ({count:+.1f} spreads)"


def spread_of(values: Sequence[float], digits: int = 4) -> str:
    """Mean ± standard deviation; of one seed there is none."""
    if not values:
        return DASH
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def _values(runs: Sequence[Trained], key: str) -> list[float]:
    """Empty where any of them lacks it: a mean over other seeds would be another number."""
    values = [run.values.get(key, math.nan) for run in runs]
    return [] if any(map(math.isnan, values)) else values


def _notes() -> Iterator[str]:
    yield "- Mean ± standard deviation over seeds. The paper's numbers are of its own data (game frames), one run each."
    yield (
        "- The paper's mIoU is the foreground's, as its Fig. 3 shows, and most likely at y > 2.3; whether over pixels "
        "or pictures it does not say, so both stand here."
    )
    yield (
        f"- A spread is the pooled standard deviation over seeds. From {LEAST_SPREADS} on a difference counts; with "
        f"fewer than {LEAST_SEEDS} seeds, or where {', '.join(CONDITIONS)} differ, nothing is claimed."
    )
    yield (
        "- The paper's multi-stage mask (.7470) is trained as its segmentation-only one (.7618): its runs differ by "
        ".0148 at least by chance, more than its gain from two tasks (.0128)."
    )
