"""A plan's text, and what it draws."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ConfigError
from training.damage.damage import UNDAMAGED, Damage
from training.damage.kinds import KINDS
from training.damage.plan import PAPER, Drawn, Listed, Mixed, Plan, Range

EVERY_FORM = ["jpeg:1,2,20", "gaussian:0.7..7:2", "any:6@jpeg:2..60,loss:0.05..0.5"]


@st.composite
def strengths(draw: st.DrawFn, kind: str) -> float:
    low, high = KINDS[kind].bounds
    if KINDS[kind].whole:
        return float(draw(st.integers(int(low), int(high))))
    return draw(st.floats(low, high))


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    kind = draw(st.sampled_from(sorted(KINDS)))
    low, high = sorted([draw(strengths(kind)), draw(strengths(kind))])
    return Range(kind, low, high)


@st.composite
def entries(draw: st.DrawFn) -> Listed | Drawn | Mixed:
    form = draw(st.sampled_from([Listed, Drawn, Mixed]))
    count = draw(st.integers(1, 9))
    if form is Mixed:
        return Mixed(tuple(draw(st.lists(ranges(), min_size=1, max_size=4))), count)
    if form is Drawn:
        return Drawn(draw(ranges()), count)
    kind = draw(st.sampled_from(sorted(KINDS)))
    return Listed(kind, tuple(draw(st.lists(strengths(kind), min_size=1, max_size=5))))


plans = st.builds(lambda several: Plan(tuple(several)), st.lists(entries(), max_size=5))


@settings(deadline=None)
@given(plans)
def test_text_round_trips(plan: Plan) -> None:
    """A plan's text, as one or entry by entry, is read as that plan."""
    assert Plan.parse([str(plan)]) == plan
    assert Plan.parse(map(str, plan.entries)) == plan


def test_text_is_what_a_person_would_write() -> None:
    """Short numbers, nothing added, nothing reordered."""
    assert str(Plan.parse(EVERY_FORM)) == " ".join(EVERY_FORM)
    assert str(Plan.parse(["dark:1e-3,.5  blur:2.50"])) == "dark:0.001,0.5 blur:2.5"


@settings(deadline=None)
@given(plans, st.text(max_size=20))
def test_draws_are_allowed_counted_and_repeated(plan: Plan, seed: str) -> None:
    """``UNDAMAGED`` first, then as many as the entries say, every strength in its kind's bounds, each time the same."""
    damages = plan.damages(seed)

    assert damages[0] == UNDAMAGED
    counts = [len(entry.strengths) if isinstance(entry, Listed) else entry.count for entry in plan.entries]
    assert len(damages) == 1 + sum(counts)
    for damage in damages[1:]:
        KINDS[damage.kind].check(damage.strength)
        assert 0 <= damage.seed < 2**31
    assert plan.damages(seed) == damages


def test_listed_strengths_come_in_order() -> None:
    """Every strength once, as listed, before the draws of the entries after."""
    damages = Plan.parse(EVERY_FORM).damages("7")

    assert [(damage.kind, damage.strength) for damage in damages[1:4]] == [("jpeg", 1), ("jpeg", 2), ("jpeg", 20)]
    assert [damage.kind for damage in damages[4:6]] == ["gaussian"] * 2
    assert {damage.kind for damage in damages[6:]} <= {"jpeg", "loss"}


def test_order_of_sources_is_of_no_account() -> None:
    """A source's draws are settled by its own seed text: forwards and backwards, each gets the same, and its own."""
    sources = [f"0 {number:064x}" for number in range(50)]
    plan, again = Plan.parse(EVERY_FORM), Plan.parse(EVERY_FORM)

    forwards = {source: plan.damages(source) for source in sources}
    backwards = {source: again.damages(source) for source in reversed(sources)}

    assert forwards == backwards
    assert len({tuple(damages) for damages in forwards.values()}) == len(sources)


def test_entries_at_the_end_change_nothing_before() -> None:
    """A plan that grows keeps what it drew."""
    short, long = Plan.parse(EVERY_FORM), Plan.parse([*EVERY_FORM, "noise:5..50:3"])
    damages = short.damages("7")

    assert long.damages("7")[: len(damages)] == damages


def test_draws_of_a_range_are_log_uniform() -> None:
    """Kolmogorov-Smirnov distance from log-uniform under the 1 % level of 4000 draws; both ends are included."""
    low, high, count = 0.7, 7.0, 4000
    drawn = np.sort([damage.strength for damage in Plan.parse([f"gaussian:{low}..{high}:{count}"]).damages("7")[1:]])
    expected = np.log(drawn / low) / np.log(high / low)

    assert np.abs(expected - (np.arange(count) + 0.5) / count).max() < 1.63 / np.sqrt(count)
    assert low <= drawn[0] < 0.71
    assert 6.9 < drawn[-1] <= high


def test_whole_kinds_are_drawn_whole() -> None:
    """A quality is a whole number; the ends are drawn too."""
    drawn = {damage.strength for damage in Plan.parse(["jpeg:2..9:400"]).damages("7")[1:]}

    assert drawn == set(range(2, 10))


def test_a_range_of_one_strength() -> None:
    """Lowest and highest may be equal."""
    assert {damage.strength for damage in Plan.parse(["blur:1.23456..1.23456:5"]).damages("7")[1:]} == {1.23456}


def test_any_draws_each_range_alike() -> None:
    """Within four standard deviations of a third each."""
    plan = Plan.parse(["any:3000@jpeg:2..60,gaussian:0.7..7,loss:0.05..0.5"])
    counts = Counter(damage.kind for damage in plan.damages("7")[1:])

    assert set(counts) == {"jpeg", "gaussian", "loss"}
    assert all(abs(count - 1000) < 4 * np.sqrt(3000 * 2 / 9) for count in counts.values())


def test_draws_stay_what_they_were() -> None:
    """Label sets are made again on other machines and with later numpy: these draws must never change."""
    assert Plan.parse(["jpeg:1,2", "gaussian:0.7..7:2", "any:3@jpeg:2..60,loss:0.05..0.5"]).damages("7 abc") == [
        UNDAMAGED,
        Damage("jpeg", 1.0, 2125952488),
        Damage("jpeg", 2.0, 866699142),
        Damage("gaussian", 1.219, 19538142),
        Damage("gaussian", 3.362, 1105885905),
        Damage("loss", 0.4172, 1338456074),
        Damage("jpeg", 12.0, 369017907),
        Damage("jpeg", 8.0, 1958312675),
    ]


def test_paper_is_nine_levels_of_jpeg() -> None:
    """Section V: "9 different compression ratios"."""
    damages = PAPER.damages("7")[1:]

    assert len({damage.strength for damage in damages}) == len(damages) == 9
    assert {damage.kind for damage in damages} == {"jpeg"}


@pytest.mark.parametrize(
    ("entry", "wrong", "allowed"),
    [
        ("jpeg", "'jpeg'", "KIND:STRENGTH,STRENGTH,..."),
        ("jpeg:", "'jpeg:'", "KIND:LOWEST..HIGHEST:COUNT"),
        ("fog:3", "'fog'", "jpeg, webp, avif, blur, gaussian, motion, noise, low_light, dark, downscale, loss, "),
        ("jpeg:5,0", "strength 0", "quality 1 to 100, whole numbers"),
        ("jpeg:5,101", "strength 101", "quality 1 to 100"),
        ("jpeg:2.5", "strength 2.5", "whole numbers"),
        ("noise:nan", "strength nan", "of 255 (sigma) 0.5 to 255"),
        ("noise:inf", "strength inf", "of 255 (sigma) 0.5 to 255"),
        ("blur:a", "'a' is not a number", "px (radius out of focus) 0.6 to 100"),
        ("blur:1,,2", "'' is not a number", "0.6 to 100"),
        ("loss:0.5..2:3", "strength 2", "of the slices 0.01 to 1"),
        ("gaussian:7..0.7:2", "'7..0.7' ends below its beginning", "0.7..7"),
        ("gaussian:0.7..7", "'0.7..7' does not say how many", "gaussian:0.7..7:COUNT"),
        ("gaussian:0.7..7:0", "'0'", "whole numbers from 1"),
        ("gaussian:0.7..7:2.5", "'2.5'", "whole numbers from 1"),
        ("gaussian:0.7..7:-1", "'-1'", "whole numbers from 1"),
        ("jpeg:..5:2", "'' is not a number", "quality 1 to 100"),
        ("any:6", "'6' has no ranges", "any:COUNT@KIND:LOWEST..HIGHEST,..."),
        ("any:x@jpeg:2..60", "'x'", "whole numbers from 1"),
        ("any:6@jpeg:2..60,fog:1..2", "'fog'", "gaussian"),
        ("any:6@jpeg:2..60,gaussian", "'' is not a range", "gaussian:LOWEST..HIGHEST"),
        ("any:6@jpeg:2,3", "'2' is not a range", "jpeg:LOWEST..HIGHEST"),
        ("any:6@jpeg:2..600", "strength 600", "quality 1 to 100"),
    ],
)
def test_errors_name_the_part_that_is_wrong_and_what_is_allowed(entry: str, wrong: str, allowed: str) -> None:
    """The operator sees the entry, the part of it, and the remedy; entries that are right are not named."""
    with pytest.raises(ConfigError) as caught:
        Plan.parse(["webp:30", f"avif:12 {entry}"])

    said = str(caught.value)
    assert said.startswith(f"damage {entry!r}: ")
    assert wrong in said.removeprefix(f"damage {entry!r}: ") or wrong == repr(entry)
    assert allowed in said
    assert "webp:30" not in said
    assert "avif:12" not in said
