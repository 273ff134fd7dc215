"""The split: by content alone, the same everywhere and always."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from training.data.split import split_of

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SHARES = st.floats(0, 1)


def digest(number: int) -> str:
    return hashlib.sha256(number.to_bytes(8)).hexdigest()


@given(st.permutations([digest(number) for number in range(30)]), SHARES)
def test_a_picture_lies_on_its_side_whatever_else_there_is_and_in_whatever_order(
    digests: list[str], share: float
) -> None:
    """What a digest's side is depends on nothing but the digest and the share."""
    together = {name: split_of(name, share) for name in digests}
    assert together == {digest(number): split_of(digest(number), share) for number in range(30)}


@given(DIGESTS, SHARES, SHARES)
def test_a_larger_share_takes_pictures_over_to_the_test_and_none_back(name: str, one: float, other: float) -> None:
    smaller, larger = sorted([one, other])
    if split_of(name, smaller) == "test":
        assert split_of(name, larger) == "test"


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_share_of_the_test_is_about_the_one_asked_for(share: float) -> None:
    """Within four standard deviations of a binomial draw."""
    count = 5000
    tested = sum(split_of(digest(number), share) == "test" for number in range(count))
    assert abs(tested / count - share) < 4 * (share * (1 - share) / count) ** 0.5


def test_the_ends_of_the_range_take_all_pictures_to_one_side() -> None:
    """The least and the largest digest among them."""
    for name in ("0" * 64, "f" * 64, digest(1)):
        assert (split_of(name, 0), split_of(name, 1)) == ("train", "test")


def test_sides_are_those_of_earlier_releases() -> None:
    """Labels on disk name a split: a change of the rule would move test pictures into training."""
    sides = [split_of(digest(number), 0.2) for number in range(12)]
    assert [number for number, side in enumerate(sides) if side == "test"] == [6, 11]
    assert split_of("sha256:" + digest(0), 0.2) == sides[0]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="test share"):
        split_of(digest(0), share)


@pytest.mark.parametrize("name", ["", "0" * 63, "0" * 65, "A" * 64, "md5:" + "0" * 64])
def test_what_is_no_sha256_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="SHA-256"):
        split_of(name, 0.2)
