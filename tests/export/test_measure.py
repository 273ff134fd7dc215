"""What the card's numbers are made with."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.__main__ import main
from export.measure import auroc

SCORES = st.lists(st.integers(0, 5), min_size=1, max_size=12)


@settings(deadline=None, max_examples=100)
@given(positives=SCORES, negatives=SCORES)
def test_auroc_is_the_share_of_pairs_in_order(positives: list[int], negatives: list[int]) -> None:
    """Against the definition: every pair compared, a tie counting half."""
    pairs = [(a > b) + 0.5 * (a == b) for a in positives for b in negatives]

    assert auroc(np.array(positives, float), np.array(negatives, float)) == pytest.approx(np.mean(pairs))


def test_command_prints_every_table(capsys: pytest.CaptureFixture[str], shipped: Path) -> None:
    """On real photographs: rules, damage, thresholds and scaled decode, as Markdown."""
    photos = Path(__file__).parents[2] / "demo" / "photos"

    assert main(["measure-baseline", str(photos), "--engine", str(shipped), "--every", "6"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Engine utility-baseline")
    assert len([line for line in lines if line.startswith("| --- ")]) == 5
    assert "photos (2)" in next(line for line in lines if line.startswith("| rule"))


def test_a_folder_without_pictures_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shipped: Path
) -> None:
    """Exit code 2 and the folder's name."""
    assert main(["measure-baseline", str(tmp_path), "--engine", str(shipped)]) == 2

    assert str(tmp_path) in capsys.readouterr().err
