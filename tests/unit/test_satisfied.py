"""A share of satisfied viewers: what can be asked for, who reaches it, and what decisions say of it."""

from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.decision import Decisions, load_schema
from runtime.errors import ConfigError
from runtime.heads import OPINIONS, Quality, Result
from runtime.pipeline import Judgement
from runtime.policy import QUALITY_BELOW, SATISFIED_BELOW, Policy, policy_for
from runtime.satisfied import SLACK, Satisfied, parse_satisfied, satisfied_share
from runtime.settings import load_settings
from tests.engines import fitting_manifest

QUALITY = fitting_manifest("q", ("quality",))
ENGINE = ["--engine", "any.onnx"]

distributions = st.lists(st.floats(1e-6, 1), min_size=5, max_size=5).map(lambda w: tuple(np.array(w) / np.sum(w)))
scores = st.integers(2, 5)
SCHEMA = jsonschema.Draft202012Validator(load_schema())


def quality(*distribution: float) -> Quality:
    shares = np.array(distribution, np.float64)
    return Quality(float(shares @ OPINIONS), 1.0, tuple(distribution))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("0.8@3", (0.8, 3)),
        (".5@2", (0.5, 2)),
        ("1@5", (1, 5)),
        ("1.0@4", (1, 4)),
        (" 0.25@2 ", (0.25, 2)),
        ("0.00001@3", (0.00001, 3)),
        ("0.123456789@3", (0.123456789, 3)),
    ],
)
def test_what_can_be_asked_for(text: str, asked: tuple[float, int]) -> None:
    """A share above 0, 1 at most, of viewers who give 2 to 5 at least; it is written as it is read."""
    satisfied = parse_satisfied(text)

    assert satisfied == asked
    assert parse_satisfied(str(satisfied)) == satisfied
    assert load_settings([*ENGINE, "--min-satisfied", text]).satisfied == asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.8",
        "@3",
        "0.8@",
        "0@3",
        "0.0@3",
        "1.1@3",
        "-0.1@3",
        "80%@3",
        "0.8@1",
        "0.8@6",
        "0.8@3.5",
        "0.8 @ 3",
        "nan@3",
    ],
)
def test_what_cannot_be_asked_for(text: str) -> None:
    """Refused with what is due: a wrong one would keep or drop everything."""
    with pytest.raises(ValueError, match=r"SHARE@SCORE is due: .*0\.8@3"):
        parse_satisfied(text)
    with pytest.raises(ConfigError, match=r"min_satisfied: SHARE@SCORE is due"):
        load_settings([*ENGINE, f"--min-satisfied={text}"])


def test_the_setting_from_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By flag, environment and file, in that order; none by default."""
    assert load_settings(ENGINE).satisfied is None

    file = tmp_path / "framegate.toml"
    file.write_text('min_satisfied = "0.7@2"\n')
    assert load_settings([*ENGINE, "--config", str(file)]).satisfied == (0.7, 2)
    monkeypatch.setenv("FRAMEGATE_MIN_SATISFIED", "0.8@3")
    assert load_settings([*ENGINE, "--config", str(file)]).satisfied == (0.8, 3)
    assert load_settings([*ENGINE, "--config", str(file), "--min-satisfied", "0.9@4"]).satisfied == (0.9, 4)


@given(distributions)
def test_the_share_falls_as_more_is_asked(distribution: tuple[float, ...]) -> None:
    """Who gives 4 gives at least 3, too; everybody gives at least 1."""
    shares = [satisfied_share(distribution, score) for score in range(1, 6)]

    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares)


@given(distributions, scores)
def test_a_share_on_the_threshold_is_kept(distribution: tuple[float, ...], score: int) -> None:
    """Also one that its own sum's rounding put below; one that misses it by more is not."""
    share = satisfied_share(distribution, score)

    assert not Satisfied(share, score).misses(distribution)
    assert not Satisfied(share + SLACK / 2, score).misses(distribution)
    assert Satisfied(share + 2 * SLACK, score).misses(distribution)


def test_shares_that_do_not_sum_exactly() -> None:
    """0.1 + 0.3 + 0.4 is below 0.8 in binary: kept all the same, for it is 0.8."""
    assert 0.3 + 0.4 + 0.1 < 0.8
    assert Policy(min_satisfied=Satisfied(0.8, 3)).reasons({"quality": quality(0.1, 0.1, 0.3, 0.4, 0.1)}) == []


@pytest.mark.parametrize(
    ("distribution", "reasons"),
    [
        ((0.0, 0.1, 0.2, 0.4, 0.3), []),
        ((0.0, 0.3, 0.0, 0.2, 0.5), [SATISFIED_BELOW]),  # a mean of 3.9, and yet 0.3 are not satisfied
        ((0.0, 0.15, 0.85, 0.0, 0.0), [QUALITY_BELOW]),
        ((0.5, 0.5, 0.0, 0.0, 0.0), [QUALITY_BELOW, SATISFIED_BELOW]),
    ],
)
def test_both_thresholds_hold(distribution: tuple[float, ...], reasons: list[str]) -> None:
    """A frame must reach the mean and the share, each for its own sake."""
    policy = policy_for([QUALITY], Policy(min_mos=3, min_satisfied=Satisfied(0.8, 3)))

    assert policy.reasons({"quality": quality(*distribution)}) == reasons


def test_it_needs_a_distribution() -> None:
    """Without the head the operator would believe that frames are filtered by it."""
    with pytest.raises(ConfigError, match=r"--min-satisfied 0\.8@3: no engine given has a head 'quality'.*'utility'"):
        policy_for([fitting_manifest("u")], Policy(min_satisfied=Satisfied(0.8, 3)))


@settings(deadline=None, max_examples=15)
@given(distributions, st.none() | st.builds(Satisfied, st.floats(0.01, 1), scores))
def test_a_decision_tells_the_share(distribution: tuple[float, ...], asked: Satisfied | None) -> None:
    """Beside what was asked for, by the schema; nothing where nothing was."""
    policy = policy_for([QUALITY], Policy(min_satisfied=asked))
    results: dict[str, Result] = {"quality": quality(*distribution)}
    judgement = Judgement(64, 48, results, policy.reasons(results))
    decision = Decisions([QUALITY], policy).make(
        judgement, id_="0" * 32, stream=None, source={"file": "a.jpg"}, frame_id="a.jpg"
    )

    SCHEMA.validate(decision)
    told = decision["quality"].get("satisfied")
    if asked is None:
        assert told is None
    else:
        assert told == {
            "share": pytest.approx(sum(distribution[asked.score - 1 :]), abs=1e-6),
            "score": asked.score,
            "threshold": asked.share,
        }
        assert (SATISFIED_BELOW in decision["reasons"]) == asked.misses(distribution)
