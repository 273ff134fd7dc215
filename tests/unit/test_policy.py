"""Keep or drop: thresholds, whose they are, and what lies on the edge."""

import math
from typing import Any

import pytest

from runtime.cover import Cover
from runtime.errors import ConfigError
from runtime.heads import Clarity, Quality, Result, Utility
from runtime.manifest import Manifest
from runtime.policy import CLARITY_BELOW, COVER_BELOW, QUALITY_BELOW, UTILITY_BELOW, Policy, policy_for
from runtime.settings import load_settings
from tests.cover_engine import cover_manifest
from tests.engines import fitting_manifest

BOTH = [fitting_manifest("u"), fitting_manifest("q", ("quality",))]
FLAT = (0.2,) * 5


def results(utility: float | None = None, mos: float | None = None) -> dict[str, Result]:
    given: dict[str, Result] = {}
    if utility is not None:
        given["utility"] = Utility(utility)
    if mos is not None:
        given["quality"] = Quality(mos, 1, FLAT)
    return given


def test_thresholds_default_to_the_manifests() -> None:
    """Each engine knows where its scores part good frames from bad."""
    assert policy_for(BOTH) == Policy(0.5, 3)
    assert policy_for([fitting_manifest("both", ("utility", "quality"))]) == Policy(0.5, 3)


def test_the_operator_goes_first() -> None:
    """Also with 0, which is a threshold, not the lack of one."""
    assert policy_for(BOTH, Policy(0.9, None)) == Policy(0.9, 3)
    assert policy_for(BOTH, Policy(0, 1)) == Policy(0, 1)


def test_a_head_that_is_not_there_has_no_threshold() -> None:
    """Nothing is dropped by a score that nobody gives."""
    assert policy_for(BOTH[:1]) == Policy(0.5, None)


@pytest.mark.parametrize(
    ("utility", "mos", "text"),
    [
        (None, 2, r"--min-mos 2: .*head 'quality'; they have \['utility'\]"),
        (0, 0, r"--min-mos 0: .*'quality'"),
    ],
)
def test_a_threshold_for_no_head_is_refused(utility: float | None, mos: float | None, text: str) -> None:
    """The operator would believe that frames are filtered by it: an error, with what there is."""
    with pytest.raises(ConfigError, match=text):
        policy_for(BOTH[:1], Policy(utility, mos))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("min_utility", value) for value in (-0.01, 1.01, 7, math.nan)),
        *(("min_mos", value) for value in (0.99, 5.01, math.nan)),
        *(("min_clarity", value) for value in (0.99, 10.01, math.inf, math.nan)),
        *(("min_cover", value) for value in (-0.01, 1.01, math.nan)),
    ],
)
def test_a_threshold_is_of_its_scores_range(flag: str, value: float) -> None:
    """One outside of it would drop every frame, or none: refused, whoever asks; ``serve`` has the same bounds."""
    manifests = [*BOTH, cover_manifest()]
    asked: dict[str, Any] = {flag: value}
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')} {value}: a number from . to 1?. is due"):
        policy_for(manifests, Policy(**asked))

    with pytest.raises(ConfigError, match=flag):
        load_settings(["--engine", "any.onnx", f"--{flag.replace('_', '-')}={value}"])


@pytest.mark.parametrize(
    ("utility", "mos", "reasons"),
    [
        (0.5, 3.0, []),  # on the edge: kept
        (math.nextafter(0.5, 0), 3.0, [UTILITY_BELOW]),
        (0.5, math.nextafter(3.0, 0), [QUALITY_BELOW]),
        (0.1, 1.0, [UTILITY_BELOW, QUALITY_BELOW]),
        (1.0, None, []),
        (None, 2.0, [QUALITY_BELOW]),
        (None, None, []),
    ],
)
def test_reasons(utility: float | None, mos: float | None, reasons: list[str]) -> None:
    """A frame is dropped for each threshold that it misses, and for no other reason."""
    assert Policy(0.5, 3).reasons(results(utility, mos)) == reasons


def test_no_threshold_keeps_everything() -> None:
    """A score without a threshold is information, not a judgement."""
    assert Policy().reasons(results(0, 1)) == []


def test_clarity_has_the_engines_threshold_if_it_has_one() -> None:
    """An engine may leave it open; a cover's score has no threshold but the operator's."""
    assert policy_for([cover_manifest()]) == Policy()
    assert policy_for([cover_manifest(threshold=4)]) == Policy(min_clarity=4)
    asked = Policy(min_clarity=1, min_cover=0)
    assert policy_for([cover_manifest(threshold=4)], asked) == asked


@pytest.mark.parametrize(
    ("manifest", "flags", "text"),
    [
        (fitting_manifest("u"), {"min_clarity": 5}, r"--min-clarity 5: .*'clarity'; they have \['utility'\]"),
        (cover_manifest(kinds=("clarity",)), {"min_cover": 0.5}, r"--min-cover 0.5: .*'saliency'.*\['clarity'\]"),
        (cover_manifest(kinds=("saliency",)), {"min_cover": 0.5}, r"--min-cover 0.5: .*'clarity'.*\['saliency'\]"),
    ],
)
def test_a_cover_threshold_needs_its_heads(manifest: Manifest, flags: dict[str, Any], text: str) -> None:
    """A cover's score is of two heads: without one of them nothing would ever be dropped by it."""
    with pytest.raises(ConfigError, match=text):
        policy_for([manifest], Policy(**flags))


@pytest.mark.parametrize(
    ("clarity", "score", "reasons"),
    [
        (5.0, 0.4, []),  # on the edge: kept
        (math.nextafter(5.0, 0), 0.4, [CLARITY_BELOW]),
        (5.0, math.nextafter(0.4, 0), [COVER_BELOW]),
        (1.0, 0.0, [CLARITY_BELOW, COVER_BELOW]),
        (9.0, None, []),
    ],
)
def test_reasons_of_covers(clarity: float, score: float | None, reasons: list[str]) -> None:
    """Each of the two thresholds on its own; a score that is not there misses none."""
    policy = Policy(min_clarity=5.0, min_cover=0.4)

    assert policy.reasons({"clarity": Clarity(clarity)}, Cover(clarity, score)) == reasons
