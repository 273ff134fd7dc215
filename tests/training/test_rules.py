"""From answers to labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.utility.rules import agreement, correctness_rule, majority, paper_rule, relative_rule

YES, NO = np.array([True]), np.array([False])
VERDICTS = st.lists(st.lists(st.sampled_from([1, 0, -1]), min_size=4, max_size=4), min_size=1, max_size=4).map(
    lambda rows: np.array(rows, np.int8)
)


@pytest.mark.parametrize(
    ("right", "ccsp", "recognised", "label"),
    [
        (True, 0.91, True, 1),
        (True, 0.9, True, -1),  # T_H must be exceeded
        (True, 0.05, True, -1),  # right, however unsure, is not useless
        (False, 0.09, True, 0),
        (False, 0.1, True, -1),  # T_L must not be reached
        (False, 0.49, True, -1),
        (True, 0.99, False, -1),
        (False, 0.01, False, -1),
    ],
)
def test_paper_rule(right: bool, ccsp: float, recognised: bool, label: int) -> None:
    """Right and CCSP > .9: useful; wrong and CCSP < .1: useless; a source not recognised undamaged: neither."""
    assert paper_rule(np.array([right]), np.array([ccsp]), np.array([recognised])).tolist() == [label]


@pytest.mark.parametrize(
    ("right", "ccsp", "reference", "label"),
    [
        (True, 0.3, 0.6, 1),
        (True, 0.29, 0.6, -1),
        (False, 0.09, 0.6, 0),
        (False, 0.4, 0.6, -1),
    ],
)
def test_relative_rule(right: bool, ccsp: float, reference: float, label: int) -> None:
    """Right and half of the undamaged confidence kept: useful, also for a network that is never sure."""
    values = np.array([ccsp]), np.array([reference])

    assert relative_rule(np.array([right]), *values, YES).tolist() == [label]
    assert relative_rule(np.array([right]), *values, NO).tolist() == [-1]


def test_networks_that_smooth_their_labels_need_the_relative_rule() -> None:
    """One that says .8 at best never gives a useful sample by the paper's rule."""
    right, ccsp, recognised = np.ones(5, bool), np.linspace(0.4, 0.8, 5), np.ones(5, bool)

    assert (paper_rule(right, ccsp, recognised) == -1).all()
    assert (relative_rule(right, ccsp, np.full(5, 0.8), recognised) == 1).all()


def test_correctness_has_no_grey_zone() -> None:
    """Right or wrong, of what is recognised undamaged."""
    right, recognised = np.array([True, False, True, False]), np.array([True, True, False, False])

    assert correctness_rule(right, recognised).tolist() == [1, 0, -1, -1]


def test_operators() -> None:
    """Agreement wants all, and one grey verdict spoils it; a majority counts only who says 1 or 0."""
    verdicts = np.array(
        [
            [1, 0, 1, 1, 0, 1, -1, -1],
            [1, 0, 0, 1, 0, -1, -1, 0],
            [1, 0, 1, 0, -1, 0, -1, 0],
        ],
        np.int8,
    )

    assert agreement(verdicts).tolist() == [1, 0, -1, -1, -1, -1, -1, -1]
    assert majority(verdicts).tolist() == [1, 0, 1, 1, 0, -1, -1, 0]


@given(VERDICTS)
def test_one_more_network_never_makes_a_label(verdicts: NDArray[np.int8]) -> None:
    """By agreement it can only turn labels grey; and a majority never contradicts an agreement."""
    fewer = agreement(verdicts[:1])
    for count in range(2, len(verdicts) + 1):
        more = agreement(verdicts[:count])
        assert ((more == fewer) | (more == -1)).all()
        fewer = more
    agreed = agreement(verdicts)
    assert (majority(verdicts)[agreed != -1] == agreed[agreed != -1]).all()
    np.testing.assert_array_equal(agreement(verdicts[::-1]), agreed)


def test_no_networks_are_no_agreement() -> None:
    """All of none would be both labels at once."""
    with pytest.raises(ValueError, match="at least one network"):
        agreement(np.zeros((0, 3), np.int8))
    with pytest.raises(ValueError, match="at least one network"):
        majority(np.zeros((0, 3), np.int8))
