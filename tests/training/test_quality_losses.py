"""Losses of quality networks, against numbers worked out by hand."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra (pip install 'framegate[train]')")

from training.quality.losses import euclidean, huber, mos_euclidean, ranking_loss, squared_emd  # noqa: E402

WANTED = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0], [0.2, 0.2, 0.2, 0.2, 0.2]])
FOUND = torch.tensor([[0.0, 0.0, 0.0, 0.5, 0.5], [0.2, 0.2, 0.2, 0.2, 0.1]])


def test_huber_is_summed_over_shares_and_averaged_over_pictures() -> None:
    """Errors of .5 are beyond 1/9: 1/9 (.5 - 1/18) each, twice; one of .1 is within: .005. The mean of both rows."""
    beyond = 2 * (1 / 9) * (0.5 - 1 / 18)
    assert huber(FOUND, WANTED).item() == pytest.approx((beyond + 0.005) / 2)


def test_hubers_with_a_delta_that_no_error_reaches_is_euclidean() -> None:
    """Half of .25 + .25, and half of .01: the mean is .1275."""
    assert euclidean(FOUND, WANTED).item() == pytest.approx(0.1275)
    assert huber(FOUND, WANTED, delta=1.0).item() == pytest.approx(0.1275)


def test_a_mean_opinion_score_costs_half_its_squared_error() -> None:
    assert mos_euclidean(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 5.0])).item() == pytest.approx((2 + 0.5) / 2)


def test_the_earth_movers_distance_knows_how_far_a_vote_went() -> None:
    """All votes from 5 to 4: one cumulative share is wrong by 1, of five; to 1: four are."""
    five, four, one = (torch.eye(5)[place : place + 1] for place in (4, 3, 0))
    assert squared_emd(four, five).item() == pytest.approx(1 / 5)
    assert squared_emd(one, five).item() == pytest.approx(4 / 5)


def test_pairs_are_held_to_the_order_of_their_group() -> None:
    """Group 0: 4 over 2 with a lead of .2 lacks .3 of the margin. Group 1: 3.1 over 3 is due .1, and is behind by .4:
    it lacks .5. Across groups nothing is compared; the mean is .4."""
    mos = torch.tensor([3.2, 3.0, 2.6, 3.0], requires_grad=True)
    truth = torch.tensor([4.0, 2.0, 3.1, 3.0])
    loss = ranking_loss(mos, truth, torch.tensor([0, 0, 1, 1]), margin=0.5)
    assert loss.item() == pytest.approx(0.4)
    loss.backward()
    assert mos.grad is not None
    assert mos.grad.tolist() == pytest.approx([-0.5, 0.5, -0.5, 0.5])


def test_without_a_pair_there_is_nothing_to_order() -> None:
    """Equal truths, or groups of one: 0, with a gradient of 0."""
    mos = torch.tensor([1.0, 5.0], requires_grad=True)
    for truth, group in (([3.0, 3.0], [0, 0]), ([3.0, 4.0], [0, 1])):
        loss = ranking_loss(mos, torch.tensor(truth), torch.tensor(group))
        assert loss.item() == 0
        (gradient,) = torch.autograd.grad(loss, mos)
        assert gradient.tolist() == [0, 0]


def test_levels_settle_the_order_where_they_are_known() -> None:
    """Two levels stronger, and yet scored as equal or better by metrics: due is .1 a level, .2, of the milder's lead.

    A true lead of more than that stays due; where a level is not known the scores settle it, by .3 here; at equal
    levels, too.
    """
    mos, group = torch.tensor([3.0, 3.0]), torch.tensor([0, 0])
    unknown = float("nan")
    for truth, level, due in (
        ([3.0, 3.0], [1.0, 3.0], 0.2),
        ([3.0, 3.3], [1.0, 3.0], 0.2),
        ([3.3, 3.0], [1.0, 3.0], 0.3),
        ([3.0, 3.3], [1.0, unknown], 0.3),
        ([3.0, 3.3], [3.0, 3.0], 0.3),
    ):
        loss = ranking_loss(mos, torch.tensor(truth), group, torch.tensor(level))
        assert loss.item() == pytest.approx(due)
    wrong = ranking_loss(torch.tensor([3.0, 3.3]), torch.tensor([3.0, 3.2]), group, torch.tensor([1.0, 3.0]))
    assert wrong.item() == pytest.approx(0.5)
