"""A report of quality as Markdown: the papers' tables for what was trained, then where it fails."""

from collections.abc import Iterator, Sequence

from training.cover.markdown import DASH, number, table
from training.quality.columns import columns, columns_lines
from training.quality.groups_text import contents_lines, kinds_lines, ladders_lines
from training.quality.measures import Difference, Judged
from training.quality.report import OnSet, Report
from training.quality.splits import knows, may_know
from training.quality.told_apart import BlurTest

DEFINITIONS = (
    "- True scores are brought to [1, 5], 5 the best, linearly; PLCC raw: Pearson's correlation, no curve fitted. "
    "Fitted: after the four-parameter logistic curve of the Video Quality Experts Group, as the papers' tables; RMSE "
    "in scores, raw (where a set's scores are z-scores: beside the mean of its votes) and after it; * where no curve "
    "could be fitted, and a line was.",
    "- SROCC, KRCC: Spearman's and Kendall's (tau-b) correlations of ranks. Within content: SROCC among the pictures "
    "of one content, the mean over contents.",
    "- Distributions are clipped at 0 and made to sum to 1 first. KL: both directions summed, each share with 0.001 "
    "added; half of it is Jeffreys'. JS: Jensen-Shannon divergence. KS: largest difference of the cumulated shares. "
    "EMD1: sum of these differences, in scores; EMD2: their root mean square. MAE, RMSE: of the five shares. SD: of "
    "the votes.",
    "- Strictly: the score falls at every step to a stronger distortion. Tolerant: it never rises by more than 0.05.",
)
PAPERS_TEST = "a t-test over 20 subsets of 100 pictures, which tells nothing of other trainings, for sets of 2000."
FEW_CONTENTS = 10
"""So few that drawing them anew tells little of others."""
FR_DEFINITIONS = DEFINITIONS[:2] + DEFINITIONS[3:]


def markdown(report: Report) -> Iterator[str]:
    """The report's lines."""
    yield f"# {report.title}"
    yield from ("", *_facts(report))
    if report.sets:
        yield from ("", "## Agreement with the true scores", "", *_agreement(report.sets))
        yield from _table_two(report)
        yield from _over_splits(report)
        yield from _differences(report)
    for one in report.sets:
        if one.spreads is not None:
            yield from ("", f"## Distributions: {_named(one)}", "", *_distributions(one))
    for one in report.sets:
        yield from ("", f"## Within content: {_named(one)}", "", *contents_lines(one))
        yield from _section(f"Kinds of distortion: {_named(one)}", kinds_lines(one))
        people = report.people if one.rated.proxy else {}
        yield from _section(f"Stronger is worse: {_named(one)}", ladders_lines(one, people))
    if report.blur is not None:
        yield from ("", "## A slight blur, and what resizing loses", "", *_blur(report.blur))
    yield from _plots(report.sets)
    definitions = DEFINITIONS if any(one.spreads for one in report.sets) else FR_DEFINITIONS
    yield from ("", "## What the numbers mean", "", *definitions)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {title}", "", *lines)


def _named(one: OnSet) -> str:
    return one.rated.name + (" (proxy)" if one.rated.proxy else "")


def _facts(report: Report) -> Iterator[str]:
    for one in report.sets:
        side = "all pictures" if one.side == "all" else f"{one.side} side"
        side += f", one content of {one.every}" if one.every > 1 else ""
        count = f"{len(one.rated)} pictures of {one.contents} contents"
        yield f"- Set `{one.rated.name}` ({one.rated.digest}), {side}: {count}"
        if one.rated.proxy:
            yield "  - **A proxy**: metrics gave its scores, no person did; no number of it is about people"
    for gate in report.gates:
        yield f"- Gate `{gate.name}` ({gate.digest}): sees {gate.view}. It learned from: {gate.data}"
        for one in report.sets:
            if knows(one.rated, gate.data, tested=one.side not in {"all", "train"}):
                yield f"  - **It was trained on pictures of `{one.rated.name}`: its numbers do not hold for others**"
            elif may_know(one.rated, gate.data):
                yield (
                    f"  - Its scores were fitted to people's of TID2013: of `{one.rated.name}` only contents "
                    "that were left out then (`--without-contents`) are a test"
                )


def _agreement(sets: Sequence[OnSet]) -> Iterator[str]:
    heads = ["set", "", "pictures", "PLCC raw", "PLCC fitted", "SROCC", "KRCC", "RMSE raw", "RMSE fitted"]
    rows = [_agreement_row(one, own) for one in sets for own in one.judged]
    yield from table([*heads, "SROCC within content"], rows)


def _agreement_row(one: OnSet, own: Judged) -> list[str]:
    found = own.agreement
    mark = "" if found.logistic else "*"
    return [
        _named(one),
        own.said.method,
        str(len(one.rated)),
        number(found.plcc),
        number(found.plcc_fitted) + mark,
        number(found.srocc),
        number(found.krcc),
        number(found.rmse) if own.said.on_scale else DASH,
        number(found.rmse_fitted) + mark,
        number(own.within_content),
    ]


def _table_two(report: Report) -> Iterator[str]:
    groups = {gate.name: gate.group for gate in report.gates if gate.group is not None}
    if len(groups) > 1:
        yield from ("", "### The paper's Table II: variants over seeds", "")
        yield from columns_lines({_named(one): columns(one.judged, groups) for one in report.sets})


def _over_splits(report: Report) -> Iterator[str]:
    rows = [
        [_named(one), own.method, str(own.seeds), _quartiles(own.srocc), _quartiles(own.plcc)]
        for one in report.sets
        for own in one.over_splits
    ]
    if rows:
        yield from ("", "### Over splits by content", "")
        yield from table(["set", "", "seeds", "SROCC", "PLCC fitted"], rows)
        yield from ("", "Medians over the splits' test sides; in brackets the quartiles.")


def _quartiles(values: tuple[float, float, float]) -> str:
    median, first, third = map(number, values)
    return f"{median} [{first}, {third}]"


def _differences(report: Report) -> Iterator[str]:
    rows = [[_named(one), *_difference(own)] for one in report.sets for own in one.differences]
    if rows:
        yield from ("", "### Are the differences more than chance?", "")
        yield from table(["set", "", "against", "SROCC, difference", "95 % interval", "p", "DeepRN's p"], rows)
        yield from ("", f"Contents are drawn anew, {report.resamples} times; p is two-sided. DeepRN's: {PAPERS_TEST}")
        few = [one for one in report.sets if one.differences and one.contents < FEW_CONTENTS]
        yield from (f"{_named(one)} has {one.contents} contents alone: its intervals say little." for one in few)


def _difference(own: Difference) -> list[str]:
    low, high = own.interval
    return [
        own.method,
        own.other,
        f"{own.difference:+.3f}",
        f"{low:+.3f} to {high:+.3f}",
        f"{own.p:.3f}",
        DASH if own.paper_p is None else f"{own.paper_p:.3f}",
    ]


def _distributions(one: OnSet) -> Iterator[str]:
    spreads = one.spreads
    assert spreads is not None
    heads = ["", "KL", "half KL", "JS", "KS", "EMD1", "EMD2", "MAE", "RMSE", "PLCC of SD", "SROCC of SD"]
    rows = []
    for name, own in spreads.errors.items():
        values = (own.kl, own.jeffreys, own.js, own.ks, own.emd1, own.emd2, own.mae, own.rmse)
        rows.append([name, *map(number, (*values, own.plcc_sd, own.srocc_sd))])
    yield from table(heads, rows)
    yield from ("", f"Of {spreads.pictures} pictures whose votes are known. {spreads.baselines}")


def _blur(test: BlurTest) -> Iterator[str]:
    wide, high = test.frame
    left = f"; {test.too_small} smaller ones are left out" if test.too_small else ""
    yield f"{test.photographs} photographs, cut to {wide}x{high} after halving{left}: sharp, and under a Gaussian of"
    yield f"{test.sigma_px:g} px. Told apart: the sharp one has the higher MOS. Shrunk frames (by area) were enlarged"
    yield "again (bilinear) before the gate's own preprocessing."
    yield ""
    rows = [
        [name, _shrunk(row.size, test.frame), f"{100 * row.told:.1f} %", f"{row.difference:+.3f}", number(row.sharp, 2)]
        for name, own in test.rows.items()
        for row in own
    ]
    yield from table(["", "frame", "told apart", "MOS, sharp minus blurred", "MOS, sharp"], rows)


def _shrunk(size: tuple[int, int], frame: tuple[int, int]) -> str:
    return "as it is" if size == frame else f"through {size[0]}x{size[1]}"


def _plots(sets: Sequence[OnSet]) -> Iterator[str]:
    plots = [pair for one in sets for pair in one.plots.items()]
    if plots:
        yield from ("", "## Plots")
        for title, name in plots:
            yield from ("", f"### {title}", "", f"![{title}]({name})")
