"""From rows of an engine's outputs to named results."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import FrameError, Reason
from runtime.heads import Quality, Utility, read_head
from runtime.manifest import QualityHead, UtilityHead

UTILITY = UtilityHead(output="u", threshold=0.5)
QUALITY = QualityHead(output="q", threshold=3)


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


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_the_frames_fault(bad: float) -> None:
    """NaN or infinity, anywhere in the row: the frame's dead letter, with the head's name."""
    with pytest.raises(FrameError, match="utility") as error:
        read_head(UTILITY, np.array([bad])[0])
    assert error.value.reason is Reason.NON_FINITE

    with pytest.raises(FrameError, match="quality") as error:
        read_head(QUALITY, np.array([0.2, 0.2, bad, 0.2, 0.2]))
    assert error.value.reason == "non-finite"
