"""The utility function: what the paper prints, what it means, and where the two part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.utility.function import utility, utility_eq2

REJECTION = 0.5
shares = st.floats(0, 1)


@pytest.mark.parametrize(("phi", "printed"), [(0.6, 0.111), (0.8, 0.429), (1.0, 1.0)])
def test_a_picture_that_lost_nothing(phi: float, printed: float) -> None:
    """Nothing lost is the full utility, 1, however sure the network was; Eq. 2 as printed rates the certainty."""
    assert utility_eq2(phi, phi, REJECTION) == pytest.approx(printed, abs=5e-4)
    assert utility(phi, phi, REJECTION) == 1


def test_the_deeper_fall_is_the_greater_loss() -> None:
    """Fallen to .6 from .6, .8 and 1: utility falls; Eq. 2 as printed rises."""
    references = np.array([0.6, 0.8, 1.0])

    np.testing.assert_allclose(utility_eq2(0.6, references, REJECTION), [0.111, 0.143, 0.2], atol=5e-4)
    np.testing.assert_allclose(utility(0.6, references, REJECTION), [1, 1 / 3, 0.2])


def test_eq2_has_no_upper_bound() -> None:
    """A low threshold makes it 9, then infinite; utility stays 1."""
    with np.errstate(all="raise"):
        np.testing.assert_allclose(utility_eq2(1, 1, [0.1, 0]), [9, np.inf])
        np.testing.assert_array_equal(utility(1, 1, [0.1, 0]), [1, 1])


def test_landmarks() -> None:
    """1: no loss, and no more for a gain; 0: at rejection; negative: rejected, at least -1; NaN: never recognised."""
    values = utility([0.9, 1.0, 0.5, 0.4, 0.0, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9, 0.6, 0.5, 0.2], REJECTION)

    np.testing.assert_allclose(values, [1, 1, 0, -0.25, -1, np.nan, np.nan])


@given(shares, shares, shares)
def test_both_forms_have_one_sign(phi: float, reference: float, rejection: float) -> None:
    """Labels by sign (Eq. 5) are the same whichever form is used; utility is bounded, and NaN only below rejection."""
    printed, meant = utility_eq2(phi, reference, rejection), utility(phi, reference, rejection)

    assert np.isnan(meant) == (reference <= rejection)
    if reference > rejection:
        assert -1 <= meant <= 1
        assert np.sign(printed) == np.sign(phi - rejection)
        assert np.sign(meant) in (np.sign(phi - rejection), 0)  # a quotient may underflow
