"""The gate's measures, against numbers that a person can compute."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.parity import (
    TOLERANCES,
    OutputParity,
    Parity,
    compare,
    default_tolerances,
    mask_iou,
    rank_correlation,
    tolerances_of,
)
from runtime.errors import EngineError
from runtime.manifest import ClarityHead, Head, Manifest, Precision, SaliencyHead, Tolerances
from tests.engines import fitting_manifest

MANIFEST = fitting_manifest("mean")  # utility, threshold 0.5
BOTH = fitting_manifest("both", ("utility", "quality"))
EVEN = [0.2] * 5
HIGH = [0.0, 0.0, 0.0, 0.0, 1.0]


def of_utility(reference: list[float], candidate: list[float]) -> OutputParity:
    [one] = compare({"usefulness": np.array(reference)}, {"usefulness": np.array(candidate)}, MANIFEST).outputs
    return one


def test_measures_of_a_utility() -> None:
    """Largest and mean difference, ranks, and the share that changes sides at the threshold."""
    one = of_utility([0.1, 0.4, 0.6, 0.9], [0.1, 0.55, 0.5, 0.8])

    assert one.difference == pytest.approx(0.15)
    assert one.mean_difference == pytest.approx((0.15 + 0.1 + 0.1) / 4)
    assert one.rank_correlation == pytest.approx(0.8)  # ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * 2 / (4 * 15)
    assert one.flips == 0.25  # 0.4 -> 0.55 alone: a score at the threshold is kept
    assert (one.pictures, one.non_finite, one.kind) == (4, 0, "utility")


def test_measures_of_a_quality() -> None:
    """Shares and mean opinion both count; ranks and flips are the mean opinion's."""
    reference = {"usefulness": np.array([0.5, 0.5]), "opinions": np.array([EVEN, HIGH])}
    candidate = {"usefulness": np.array([0.5, 0.5]), "opinions": np.array([[0.3, 0.2, 0.2, 0.2, 0.1], HIGH])}

    quality = compare(reference, candidate, BOTH).outputs[1]

    assert quality.difference == pytest.approx(0.1)  # the mean opinion moves from 3 to 2.6: 0.1 on [0, 1], too
    assert quality.mean_difference == pytest.approx(0.05)
    assert quality.rank_correlation == pytest.approx(1)
    assert quality.flips == 0.5


def test_a_mean_opinion_may_differ_by_more_than_any_share() -> None:
    """Many small shifts in one direction add up, and the larger number is reported."""
    shifted = [0.25, 0.25, 0.2, 0.15, 0.15]
    reference = {"usefulness": np.zeros(1), "opinions": np.array([EVEN])}
    candidate = {"usefulness": np.zeros(1), "opinions": np.array([shifted])}

    quality = compare(reference, candidate, BOTH).outputs[1]

    assert quality.difference == pytest.approx(0.3 / 4)


COVER = (ClarityHead(output="sharpness"), SaliencyHead(output="map", height=2, width=2))


def of_cover(reference: dict[str, Any], candidate: dict[str, Any], *heads: Head) -> Parity:
    manifest = MANIFEST.model_copy(update={"heads": heads or COVER})
    trained, served = ({name: np.array(values) for name, values in side.items()} for side in (reference, candidate))
    return compare(trained, served, manifest)


def test_measures_of_a_clarity() -> None:
    """Differences of scores in 1..10 brought to [0, 1]; without a threshold nothing flips, with one it does."""
    reference = {"sharpness": [1.0, 4.0, 6.0, 10.0]}
    candidate = {"sharpness": [1.0, 5.8, 5.1, 10.0]}

    [free] = of_cover(reference, candidate, COVER[0]).outputs
    [held] = of_cover(reference, candidate, ClarityHead(output="sharpness", threshold=5)).outputs

    assert free.difference == pytest.approx(0.2)
    assert free.mean_difference == pytest.approx(0.3 / 4)
    assert free.rank_correlation == pytest.approx(0.8)
    assert (free.kind, free.flips, held.flips) == ("clarity", None, 0.25)
    assert free.faults(Tolerances(flips=0)) == []
    assert held.faults(Tolerances(flips=0)) == ["25.0 % of decisions flip, at most 0 % may"]


def test_measures_of_a_saliency() -> None:
    """A picture differs by the mean over its pixels, and the masks by their IoU; nothing is ranked, nothing flips."""
    reference = {"sharpness": [5.0, 5.0], "map": [[[0.9, 0.9], [0.1, 0.1]], [[0.0, 0.0], [0.0, 0.0]]]}
    candidate = reference | {"map": [[[0.9, 0.4], [0.1, 0.2]], [[0.0, 0.0], [0.0, 0.0]]]}

    saliency = of_cover(reference, candidate).outputs[1]

    assert saliency.difference == pytest.approx(0.6 / 4)
    assert saliency.mean_difference == pytest.approx(0.6 / 8)
    assert saliency.pixel_difference == pytest.approx(0.5)
    assert saliency.mask_iou == pytest.approx((1 / 2 + 1) / 2)
    assert (saliency.kind, saliency.rank_correlation, saliency.flips) == ("saliency", None, None)
    assert saliency.faults(Tolerances(rank_correlation=1, flips=0)) == []
    assert saliency.faults(Tolerances(mask_iou=0.8)) == ["masks' IoU 0.7500, at least 0.8 is asked"]
    assert saliency.faults(Tolerances(difference=0.1)) == ["difference 0.15, at most 0.1 is allowed"]


@pytest.mark.parametrize(
    ("clarity", "pixel", "output"), [(10.5, 0.5, "sharpness"), (0.5, 0.5, "sharpness"), (5.0, 1.5, "map")]
)
def test_a_cover_that_serving_would_not_take_never_passes(clarity: float, pixel: float, output: str) -> None:
    """A clarity beyond 1..10, a pixel beyond 0..1: dead letters, whatever the tolerances."""
    answers = {"sharpness": [clarity], "map": [[[pixel, 0.0], [0.0, 0.0]]]}

    [fault] = of_cover(answers, answers).faults(Tolerances())

    assert fault.startswith(f"output '{output}': 1 of 1 answers would be dead letters: out-of-range")


def test_a_map_that_is_not_finite_never_passes() -> None:
    """One pixel is enough; the other pictures are still measured, and the report stays JSON."""
    reference = {"sharpness": [5.0, 5.0], "map": np.full((2, 2, 2), 0.25)}
    candidate = {"sharpness": [5.0, 5.0], "map": np.array([[[np.nan, 0], [0, 0]], [[0.25, 0.25], [0.25, 0.75]]])}

    parity = of_cover(reference, candidate)

    assert parity.faults(Tolerances()) == ["output 'map': 1 of 2 answers are not finite"]
    assert parity.outputs[1].pixel_difference == 0.5
    assert parity.changes == {"sharpness": 0, "map": np.inf}
    json.dumps(parity.to_json(), allow_nan=False)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_masks_are_asked_for_where_a_head_gives_them(precision: Precision) -> None:
    """An engine of scores alone could never show any."""
    with_map, without = default_tolerances(precision, COVER), default_tolerances(precision, COVER[:1])

    assert with_map == TOLERANCES[precision]
    assert without == with_map.model_copy(update={"mask_iou": None})
    assert (TOLERANCES["fp16"].mask_iou, TOLERANCES["int8"].mask_iou) == (0.99, 0.95)


def test_outputs_beyond_the_heads() -> None:
    """Measured where both sides have them, and held to nothing: serving never reads them."""
    reference = {"usefulness": np.zeros(2), "map": np.zeros((2, 2, 2)), "logits": np.zeros((2, 7)), "lost": np.ones(2)}
    candidate = reference | {"map": np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 0]]])}
    del candidate["lost"]

    outputs = {one.output: one for one in compare(reference, candidate, MANIFEST).outputs}

    assert list(outputs) == ["usefulness", "logits", "map"]
    assert outputs["map"].mask_iou == 0.5  # nothing in common, and two empty masks that agree
    assert (outputs["map"].difference, outputs["map"].pixel_difference) == (0.25, 1)
    assert outputs["logits"].mask_iou is None
    assert all(
        outputs[name].faults(default_tolerances(precision, MANIFEST.heads)) == []
        for name in ("map", "logits")
        for precision in TOLERANCES
    )


def test_a_map_is_held_to_its_masks_where_the_manifest_asks() -> None:
    """``mask_iou``, and a map that is not there cannot reach it."""
    reference = {"usefulness": np.zeros(2), "map": np.zeros((2, 2, 2))}
    candidate = reference | {"map": np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 0]]])}
    parity = compare(reference, candidate, MANIFEST)

    assert parity.faults(Tolerances(mask_iou=0.5)) == []
    assert parity.faults(Tolerances(mask_iou=0.6)) == ["output 'map': masks' IoU 0.5000, at least 0.6 is asked"]
    del candidate["map"]
    assert "there is no map" in compare(reference, candidate, MANIFEST).faults(Tolerances(mask_iou=0.5))[0]


@pytest.mark.parametrize("tolerances", [Tolerances(), *TOLERANCES.values()])
def test_a_distribution_without_a_mean_never_passes(tolerances: Tolerances) -> None:
    """A row that sums to 0 has the mean opinion 0 / 0: it is no answer, and the report stays JSON."""
    reference = {"usefulness": np.full(3, 0.5), "opinions": np.array([EVEN, HIGH, EVEN])}
    candidate = {"usefulness": np.full(3, 0.5), "opinions": np.array([[0.0] * 5, HIGH, EVEN])}

    parity = compare(reference, candidate, BOTH)

    assert "output 'opinions': 1 of 3 answers are not finite" in parity.faults(tolerances)
    assert parity.change == np.inf
    json.dumps(parity.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("tolerances", "measures"),
    [
        (Tolerances(difference=0.1), {"difference": np.nan}),
        (Tolerances(rank_correlation=0.9), {"rank_correlation": np.nan}),
        (Tolerances(flips=0.1), {"flips": np.nan}),
    ],
)
def test_a_measure_that_is_no_number_is_beyond_every_tolerance(
    tolerances: Tolerances, measures: dict[str, float]
) -> None:
    """NaN is neither above nor below."""
    fields: dict[str, Any] = {"rank_correlation": 1.0, "flips": 0.0, "difference": 0.0, "mean_difference": 0.0}
    sound = OutputParity("usefulness", "utility", 3, 0, **fields)
    assert sound.faults(tolerances) == []

    assert len(OutputParity("usefulness", "utility", 3, 0, **{**fields, **measures}).faults(tolerances)) == 1


@pytest.mark.parametrize(
    ("utility", "shares", "output"),
    [(0.5, [0.6] * 5, "opinions"), (1.5, EVEN, "usefulness"), (-0.5, EVEN, "usefulness")],
)
def test_what_serving_would_not_take_never_passes(utility: float, shares: list[float], output: str) -> None:
    """Ranks and decisions may all be right: the frames would be dead letters. The reference is not asked."""
    reference = {"usefulness": np.full(3, utility), "opinions": np.array([shares] * 3)}

    [fault] = compare(reference, reference, BOTH).faults(Tolerances())

    assert fault.startswith(f"output '{output}': 3 of 3 answers would be dead letters: out-of-range")


def test_one_sample_ranks_nothing() -> None:
    """Whatever it answers: the text says so, rather than 0 or 1."""
    one = of_utility([0.5], [0.5])

    assert one.faults(Tolerances(rank_correlation=0.9)) == ["one sample ranks nothing; give more pictures"]
    assert one.faults(Tolerances(difference=0.1)) == []


def test_mask_iou_by_hand() -> None:
    """A pixel of 0.5 belongs to the mask; the mean is over pictures."""
    reference = np.array([[[1, 0.5], [0, 0]], [[1, 1], [1, 1]]])
    candidate = np.array([[[1, 0.49], [1, 0]], [[1, 1], [1, 1]]])

    assert mask_iou(reference, candidate) == pytest.approx((1 / 3 + 1) / 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_an_answer_that_is_not_finite_never_passes(bad: float, side: str) -> None:
    """Whatever the tolerances; the other pictures are still measured."""
    answers: dict[str, list[float]] = {"reference": [0.1, 0.2, 0.3], "candidate": [0.1, 0.25, 0.3]}
    answers[side] = [bad, *answers[side][1:]]

    one = of_utility(**answers)

    assert one.non_finite == 1
    assert one.difference == pytest.approx(0.05)
    assert one.faults(Tolerances()) == ["1 of 3 answers are not finite"]
    json.dumps(Parity((one,)).to_json(), allow_nan=False)


def test_nothing_finite_at_all() -> None:
    """No measure is left, and it fails by that alone."""
    one = of_utility([np.nan], [0.5])

    assert one.faults(TOLERANCES["fp32"]) == ["1 of 1 answers are not finite"]


def test_constant_scores_rank_nothing() -> None:
    """An engine that answers every picture alike correlates with nothing; equal series agree."""
    varied, constant = np.array([0.1, 0.2, 0.3]), np.full(3, 0.2)

    assert rank_correlation(varied, constant) == 0
    assert rank_correlation(constant, constant) == 1
    assert rank_correlation(varied, -varied) == pytest.approx(-1)


def test_equal_scores_share_their_rank() -> None:
    """Ties get the mean of the ranks they span: 1 2.5 2.5 4 against 1 2 3 4."""
    assert rank_correlation(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data())
def test_measures_stay_in_their_ranges(scores: list[float], data: st.DataObject) -> None:
    """Any two series give measures in range; a series against itself is perfect; sides may be swapped."""
    others = data.draw(st.lists(st.floats(0, 1), min_size=len(scores), max_size=len(scores)))

    one, swapped, same = of_utility(scores, others), of_utility(others, scores), of_utility(scores, scores)

    assert 0 <= one.mean_difference <= one.difference + 1e-12
    assert one.difference <= 1
    assert one.rank_correlation is not None
    assert -1.000001 <= one.rank_correlation <= 1.000001
    assert (one.difference, one.flips) == (swapped.difference, swapped.flips)
    assert (same.difference, same.rank_correlation, same.flips) == (0, 1, 0)


@pytest.mark.parametrize(
    ("tolerances", "said"),
    [
        ({"difference": 0.1}, "difference 0.15, at most 0.1 is allowed"),
        ({"rank_correlation": 0.9}, "rank correlation 0.8000, at least 0.9 is asked"),
        ({"flips": 0.2}, "25.0 % of decisions flip, at most 20 % may"),
    ],
)
def test_require_names_what_is_beyond(tolerances: dict[str, float], said: str) -> None:
    """The engine, its output, the measure and the tolerance."""
    parity = Parity((of_utility([0.1, 0.4, 0.6, 0.9], [0.1, 0.55, 0.5, 0.8]),))

    with pytest.raises(EngineError, match=r"mean\.onnx") as raised:
        parity.require(Tolerances(**tolerances), "mean.onnx")

    assert said in str(raised.value)
    assert "output 'usefulness'" in str(raised.value)
    parity.require(Tolerances(difference=0.16, rank_correlation=0.79, flips=0.25), "mean.onnx")


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({}, "the candidate has no output 'usefulness'"),
        ({"usefulness": np.zeros((3, 1))}, r"\(3,\) in the reference and \(3, 1\) in the candidate"),
    ],
)
def test_outputs_that_cannot_be_compared(candidate: dict[str, Any], said: str) -> None:
    """A head that is missing, or of another shape, is an error, not a difference."""
    with pytest.raises(EngineError, match=said):
        compare({"usefulness": np.zeros(3)}, candidate, MANIFEST)


def test_tolerances_are_the_manifests_or_those_of_its_precision() -> None:
    """A manifest that says anything replaces the defaults whole."""
    own = Manifest(**{**dict(MANIFEST), "precision": "int8", "tolerances": Tolerances(flips=0.5)})
    silent = Manifest(**{**dict(MANIFEST), "precision": "int8"})

    assert tolerances_of(own) == Tolerances(flips=0.5)
    assert tolerances_of(silent) == TOLERANCES["int8"].model_copy(update={"mask_iou": None})  # it has no map
