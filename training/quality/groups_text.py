"""Contents, kinds of distortion and ladders of strengths as Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.cover.markdown import DASH, number, table
from training.quality.measures import Judged
from training.quality.monotony import ALL_KINDS, Monotony
from training.quality.report import OnSet
from training.quality.within import FAILS_BELOW, Group

MOST_CONTENTS = 30
"""That are listed one by one."""
PEOPLE = "people, TID2013"
DUE = 0.9
"""Share of contents whose scores should fall with every step."""


def contents_lines(one: OnSet) -> list[str]:
    """SROCC of each content where there are few; where there are many, how they are spread."""
    names = [group.name for group in one.judged[0].contents]
    if not names:
        return ["No content has enough pictures to be told of."]
    heads = ["", *(own.said.method for own in one.judged)]
    rows = [["mean", *(number(own.within_content) for own in one.judged)]]
    if len(names) <= MOST_CONTENTS:
        rows += [
            [f"{name} ({one.judged[0].contents[at].pictures})", *(number(own.contents[at].srocc) for own in one.judged)]
            for at, name in enumerate(names)
        ]
        return list(table(heads, rows))
    for title, share in (("lowest", 0.0), ("a tenth is below", 0.1), ("median", 0.5)):
        rows.append([title, *(number(_quantile(own.contents, share)) for own in one.judged)])
    return [*table(heads, rows), "", f"Of {len(names)} contents."]


def kinds_lines(one: OnSet) -> list[str]:
    """SROCC of each kind, and among a content's pictures of it; then the kinds that fail. Empty without kinds."""
    kinds = one.judged[0].kinds
    if not kinds:
        return []
    heads = ["kind", "pictures", *(own.said.method for own in one.judged)]
    rows = [
        [kind.name, str(kind.pictures), *(_kind(own.kinds[at]) for own in one.judged)] for at, kind in enumerate(kinds)
    ]
    lines = ["SROCC of all pictures of a kind; in brackets the mean within each content, where it has enough.", ""]
    lines += [*table(heads, rows), ""]
    return lines + [_failing(own) for own in one.judged]


def ladders_lines(one: OnSet, people: Mapping[str, float]) -> list[str]:
    """How often the score falls with the strength, kind by kind; empty where the set has no strengths.

    Args:
        one: the set.
        people: how often people's do (``people_fall``), to stand beside; may be empty.
    """
    ladders = one.judged[0].ladders
    if not ladders:
        return []
    heads = ["kind", "contents", *([PEOPLE] if people else []), "true scores", *(own.said.method for own in one.judged)]
    rows = [
        [
            kind.kind,
            str(kind.ladders),
            *([_share(people.get(kind.kind, np.nan))] if people else []),
            _share(kind.true_strict),
            *(_falling(own.ladders[at]) for own in one.judged),
        ]
        for at, kind in enumerate(ladders)
    ]
    lines = [
        "Share of contents whose score falls strictly; in brackets with the tolerance.",
        "",
        *table(heads, rows),
        "",
    ]
    return lines + _people(people) + [_short(own) for own in one.judged]


def _people(people: Mapping[str, float]) -> list[str]:
    if not people:
        return []
    kinds = [share for kind, share in people.items() if kind != ALL_KINDS]
    return [
        f"- {PEOPLE}: mean scores of its own pictures, over its own contents, at these levels; they fall strictly on "
        f"{_share(DUE)} of its contents at {sum(share >= DUE for share in kinds)} of {len(kinds)} kinds."
    ]


def _quantile(groups: Sequence[Group], share: float) -> float:
    values = np.array([group.srocc for group in groups])
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if known.size else float("nan")


def _kind(group: Group) -> str:
    within = number(group.within)
    return number(group.srocc) + ("" if within == DASH else f" ({within})")


def _failing(own: Judged) -> str:
    failing = sorted((group for group in own.kinds if group.fails), key=lambda group: group.srocc)
    if not failing:
        return f"- `{own.said.method}` fails at no kind: SROCC is {FAILS_BELOW:g} at least."
    told = ", ".join(f"{group.name} ({number(group.srocc, 2)})" for group in failing)
    count = f"{len(failing)} of {len(own.kinds)} kinds"
    return f"- `{own.said.method}` fails (SROCC below {FAILS_BELOW:g}) at {count}: {told}."


def _falling(one: Monotony) -> str:
    tolerant = _share(one.tolerant)
    return _share(one.strict) + ("" if tolerant == DASH else f" ({tolerant})")


def _short(own: Judged) -> str:
    """The kinds of which too few contents' scores fall strictly, the worst first."""
    kinds = [one for one in own.ladders if one.kind != ALL_KINDS]
    short = sorted((one for one in kinds if one.strict < DUE), key=lambda one: one.strict)
    told = ", ".join(f"{one.kind} {_share(one.strict)}" for one in short) or "none"
    return f"- `{own.said.method}`: below {_share(DUE)} strictly at {len(short)} of {len(kinds)} kinds: {told}."


def _share(value: float) -> str:
    return DASH if np.isnan(value) else f"{100 * value:.1f} %"
