"""From rows of an engine's outputs to named results."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import FrameError, Reason
from runtime.heads import OBJECT, Clarity, FullReference, Quality, Saliency, Utility, read_head
from runtime.manifest import ClarityHead, Head, QualityFrHead, QualityHead, SaliencyHead, UtilityHead

UTILITY = UtilityHead(output="u", threshold=0.5)
QUALITY = QualityHead(output="q", threshold=3)
CLARITY = ClarityHead(output="c")
SALIENCY = SaliencyHead(output="s", height=2, width=3)
COMPARING = QualityFrHead(output="f")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_utility_is_the_number_itself(dtype: type) -> None:
    """Nothing is scaled or rounded; the result is a plain float, of whatever precision the engine answers."""
    result = read_head(UTILITY, np.array([0.25, 0.75], dtype)[1])

    assert result == Utility(0.75)
    assert type(result.value) is float


@pytest.mark.parametrize(
    ("shares", "mos", "std"),
    [
        ([0, 0, 0, 0, 1], 5, 0),
        ([1, 0, 0, 0, 0], 1, 0),
        ([0.5, 0, 0, 0, 0.5], 3, 2),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 3, math.sqrt(2)),
        ([0, 0.25, 0.5, 0.25, 0], 3, math.sqrt(0.5)),
        ([0.1, 0.2, 0.3, 0.4, 0], 3, 1),
    ],
)
def test_quality_by_hand(shares: list[float], mos: float, std: float) -> None:
    """Mean and standard deviation of the opinions 1..5, as computed on paper."""
    result = read_head(QUALITY, np.array(shares, np.float32))

    assert isinstance(result, Quality)
    assert result.mos == pytest.approx(mos, abs=1e-6)
    assert result.std == pytest.approx(std, abs=1e-6)
    assert result.distribution == pytest.approx(shares, abs=1e-6)
    assert result.value == result.mos


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda shares: sum(shares) > 1e-3))
def test_quality_stays_in_its_range(shares: list[float]) -> None:
    """For every distribution the mean lies in 1..5 and the deviation in 0..2: never a root of less than 0."""
    result = read_head(QUALITY, np.array(shares) / sum(shares))

    assert isinstance(result, Quality)
    assert 1 - 1e-9 <= result.mos <= 5 + 1e-9
    assert 0 <= result.std <= 2 + 1e-9


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_clarity_is_the_number_itself(dtype: type) -> None:
    """On the paper's scale, 1 to 10, as the graph gives it."""
    result = read_head(CLARITY, np.array([1, 7.5], dtype)[1])

    assert result == Clarity(7.5)
    assert type(result.value) is float


@pytest.mark.parametrize(("answer", "clarity"), [(0.95, 1.0), (10.05, 10.0)])
def test_rounding_goes_with_the_range(answer: float, clarity: float) -> None:
    """A hundredth of the range, over either end, is half precision's, and is cut off."""
    assert read_head(CLARITY, np.array(answer)) == Clarity(clarity)


@given(st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6))
def test_a_map_keeps_its_halves(probabilities: list[float]) -> None:
    """8 bits, off by half a level at most, and exactly the probabilities from 0.5 on are levels of the object."""
    row = np.array(probabilities, np.float32).reshape(2, 3)
    result = read_head(SALIENCY, row)

    assert isinstance(result, Saliency)
    assert result.map.dtype == np.uint8
    assert np.abs(result.map / 255 - row).max() <= 0.5 / 255 + 1e-6
    assert ((result.map >= OBJECT) == (row >= 0.5)).all()
    assert result.value == (row >= 0.5).mean()


def test_a_map_is_its_frames_own() -> None:
    """It does not keep the batch's outputs, nor change with them."""
    outputs = np.zeros((4, 2, 3), np.float32)
    result = read_head(SALIENCY, outputs[1])
    outputs[:] = 1

    assert isinstance(result, Saliency)
    assert not result.map.any()
    assert result.map.base is None


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (UTILITY, np.array(1.02)),
        (QUALITY, np.array([-0.02, 0, 0, 0, 1])),
        (CLARITY, np.array(0.9)),
        (CLARITY, np.array(10.1)),
        (COMPARING, np.array(0.95)),
        (COMPARING, np.array(5.05)),
        (SALIENCY, np.array([[0, 0, 0], [0, 1.02, 0]])),
        (SALIENCY, np.array([[0, 0, -0.02], [0, 0, 0]])),
    ],
)
def test_what_the_head_cannot_mean_is_refused(head: Head, row: "np.ndarray[tuple[int, ...], np.dtype[Any]]") -> None:
    """Further out of its range than rounding goes: the frame's dead letter, with the head's name and range."""
    with pytest.raises(FrameError, match=rf"{head.kind} answered .*, not within \d+ and \d+") as error:
        read_head(head, row)
    assert error.value.reason is Reason.OUT_OF_RANGE


def test_an_opinion_beside_a_reference_is_the_number_itself() -> None:
    """On 1 to 5; what half precision carried over the bounds is put back."""
    assert read_head(COMPARING, np.array(3.25, np.float32)) == FullReference(3.25)
    assert read_head(COMPARING, np.array(5.01)).value == 5.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_the_frames_fault(bad: float) -> None:
    """NaN or infinity, anywhere in the row: the frame's dead letter, with the head's name."""
    with pytest.raises(FrameError, match="utility") as error:
        read_head(UTILITY, np.array([bad])[0])
    assert error.value.reason is Reason.NON_FINITE

    with pytest.raises(FrameError, match="quality") as error:
        read_head(QUALITY, np.array([0.2, 0.2, bad, 0.2, 0.2]))
    assert error.value.reason == "non-finite"

    with pytest.raises(FrameError, match="clarity") as error:
        read_head(CLARITY, np.array(bad))
    assert error.value.reason == "non-finite"

    with pytest.raises(FrameError, match="saliency answered a map") as error:
        read_head(SALIENCY, np.array([[0, 0, 0], [0, bad, 0]]))
    assert error.value.reason == "non-finite"
