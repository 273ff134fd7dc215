"""Gates and baselines score photographs as serving would show them, and scores are kept."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError, EngineError
from runtime.manifest import Input, QualityHead, UtilityHead
from runtime.preprocess import Preprocessor
from tests.export.networks import pyramid, pyramid_checkpoint
from tests.training.labels_by_hand import NAMES, PHOTOS, SIDE, detectors, four_classifiers
from training.checkpoint import save_checkpoint
from training.damage.apply import damaged
from training.damage.damage import Damage
from training.data.picture import read_picture
from training.models import ARCHITECTURES
from training.utility.baselines import Sharpness, confidence, encoded_size
from training.utility.gate import Gate, PictureScorer, open_gate
from training.utility.label_set import LabelSet
from training.utility.scoring import score_samples


@pytest.fixture
def labels() -> LabelSet:
    return four_classifiers()


def test_an_engine_scores_pictures_as_serving_does(engine: Path) -> None:
    """Pictures of any size, through the runtime's preprocessing: the mean brightness of the resized picture."""
    gate = open_gate(engine)
    pictures = [read_picture(PHOTOS / name) for name in NAMES[:3]] + [np.full((9, 7, 3), 51, np.uint8)]

    batch = np.zeros((4, 64, 64, 3), np.uint8)
    for pixels, slot in zip(pictures, batch, strict=True):
        Preprocessor(Input(name="image", height=64, width=64)).fill(pixels, slot)
    np.testing.assert_allclose(gate.scores(pictures), batch.mean((1, 2, 3)) / 255, rtol=1e-5)
    assert gate.scores(pictures)[3] == pytest.approx(0.2)
    assert (gate.name, gate.threshold) == ("brightness", 0.3)


def test_scores_do_not_depend_on_the_company(engine: Path) -> None:
    """Forty pictures at once, or each alone; none at all has no scores."""
    gate = open_gate(engine)
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in range(0, 240, 6)]

    together = gate.scores(pictures)

    np.testing.assert_array_equal(together, np.concatenate([gate.scores([one]) for one in pictures]))
    assert gate.scores([]).shape == (0,)


def test_a_checkpoint_scores_as_its_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its stem: the utility head's output on preprocessed pixels; the digest is the checkpoint's."""
    import torch  # noqa: PLC0415

    monkeypatch.setitem(ARCHITECTURES, "pyramid", pyramid)
    checkpoint = pyramid_checkpoint(dynamic_size=False)
    save_checkpoint(tmp_path / "net-1.0", checkpoint)
    pixels = read_picture(PHOTOS / NAMES[0])

    gate = open_gate(tmp_path / "net-1.0")

    batch = np.zeros((1, 90, 122, 3), np.uint8)
    Preprocessor(checkpoint.description.inputs[0]).fill(pixels, batch[0])
    with torch.no_grad():
        answer = checkpoint.network(torch.from_numpy(batch).permute(0, 3, 1, 2).float())["usefulness"]
    assert gate.scores([pixels])[0] == pytest.approx(float(answer), rel=1e-6)
    text = (tmp_path / "net-1.0.json").read_bytes()
    assert (gate.name, gate.threshold) == ("net-1.0", 0.5)
    assert gate.digest == f"sha256:{hashlib.sha256(text).hexdigest()}"


def test_a_gate_needs_a_utility_head_and_probabilities() -> None:
    """Errors name the gate."""
    spec = Input(name="image", height=4, width=4)
    heads = (UtilityHead(output="u", threshold=0.5),)

    with pytest.raises(ConfigError, match="opinions-only has no utility head, only quality"):
        Gate("opinions-only", "d", [spec], (QualityHead(output="q", threshold=3),), lambda _: {})
    broken = Gate("broken", "d", [spec], heads, lambda batches: {"u": np.full(len(batches["image"]), np.nan)})
    with pytest.raises(EngineError, match="broken: head utility answered nan"):
        broken.scores([np.zeros((4, 4, 3), np.uint8)])


def test_every_sample_is_shown_as_it_was_labelled(labels: LabelSet, tmp_path: Path) -> None:
    """Shrunk to the set's side, then damaged, in the samples' order."""
    [scores] = score_samples(labels, PHOTOS, [Sharpness()], tmp_path).values()

    pictures = [
        damaged(read_picture(PHOTOS / NAMES[source], side=SIDE), labels.damage(sample))
        for sample, source in enumerate(labels.samples.source)
    ]
    np.testing.assert_array_equal(scores, Sharpness().scores(pictures))


def test_scores_are_kept_by_what_they_depend_on(labels: LabelSet, engine: Path, tmp_path: Path) -> None:
    """The second time no picture is read; other samples and other scorers are not mistaken for these."""
    scorers: list[PictureScorer] = [open_gate(engine), Sharpness()]
    first = score_samples(labels, PHOTOS, scorers, tmp_path)

    again = score_samples(labels, tmp_path / "gone", scorers, tmp_path)

    for name in first:
        np.testing.assert_array_equal(again[name], first[name])
    with pytest.raises(ConfigError, match="gone"):
        score_samples(labels.where(labels.damaged), tmp_path / "gone", scorers, tmp_path)


def test_another_picture_than_was_labelled_is_refused(labels: LabelSet, tmp_path: Path) -> None:
    """By its hash; the text names the file."""
    for name in NAMES:
        (tmp_path / name).write_bytes((PHOTOS / name).read_bytes())
    (tmp_path / NAMES[2]).write_bytes((PHOTOS / NAMES[3]).read_bytes())

    with pytest.raises(ConfigError, match=f"{NAMES[2]} is another picture"):
        score_samples(labels, tmp_path, [Sharpness()], tmp_path / "cache")


def test_sharpness_falls_with_blur() -> None:
    """Laplacian variance of a flat picture is 0, of a blurred one lower than of the sharp one."""
    sharp = read_picture(PHOTOS / NAMES[0], side=SIDE)
    blurred = damaged(sharp, Damage("gaussian", 2))

    flat, low, high = Sharpness().scores([np.full((9, 9, 3), 80, np.uint8), blurred, sharp])

    assert flat == 0
    assert 0 < low < high / 4


def test_size_is_by_pixel(labels: LabelSet) -> None:
    """The bytes of a sample, over the pixels of its source."""
    first = labels.sources[0]

    assert encoded_size(labels)[1] == 1001 / (first.height * first.width)


def test_a_detectors_confidence_is_its_highest_score() -> None:
    """0 where it finds nothing."""
    labels = detectors({"young": [[0.2, 0.7], [], [0.4], [], []] * len(NAMES)})

    np.testing.assert_allclose(confidence(labels, "young")[:5], [0.7, 0, 0.4, 0, 0])
