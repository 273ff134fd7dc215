"""What a gate is shown, in which order, and what it is taught, on a small label set of real photographs."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from runtime.manifest import Input, Resize
from runtime.preprocess import Preprocessor
from tests.training.small_labels import PHOTOS, SIDE, small_labels
from training.damage.apply import damaged
from training.data.order import Order
from training.data.picture import read_picture
from training.metrics.ranking import auroc
from training.utility.header import TRUE_LABELS
from training.utility.label_set import LabelSet
from training.utility.recipes import UtilityRecipe
from training.utility.samples import SamplePictures, require_sources
from training.utility.targets import targets_of, utility_targets
from training.utility.validation import Validation, validation_samples

INPUT = Input(name="frames", height=32, width=32, resize=Resize(fit="crop", halve=True))


@pytest.fixture(scope="module")
def labels() -> LabelSet:
    return small_labels()


def test_a_sample_is_what_the_gateway_would_see(labels: LabelSet) -> None:
    """The source, shrunk as it was labelled, damaged as recorded, then resized by the runtime; mirrored last."""
    samples = np.array([3, 0, 14])
    batch = SamplePictures(labels, PHOTOS, INPUT).batch(samples, np.array([False, False, True]))

    preprocessor = Preprocessor(INPUT)
    for place, sample in enumerate(samples):
        source = labels.sources[labels.samples.source[sample]]
        expected = np.zeros((32, 32, 3), np.uint8)
        pixels = damaged(read_picture(PHOTOS / source.name, side=SIDE), labels.damage(int(sample)))
        preprocessor.fill(pixels, expected)
        np.testing.assert_array_equal(batch[place], expected[:, ::-1] if place == 2 else expected)
    assert not np.array_equal(batch[0], batch[1])


def test_another_picture_than_the_labelled_one_is_refused_by_name(labels: LabelSet, tmp_path: Path) -> None:
    name = labels.sources[0].name
    pictures = SamplePictures(labels, tmp_path, INPUT)
    with pytest.raises(ConfigError, match=f"{name} cannot be read"):
        pictures.batch(np.array([0]))
    (tmp_path / name).write_bytes((PHOTOS / labels.sources[1].name).read_bytes())
    with pytest.raises(ConfigError, match=f"{name} is another picture"):
        pictures.batch(np.array([0]))


def test_pictures_that_are_not_there_are_told_before_the_work(labels: LabelSet, tmp_path: Path) -> None:
    """Of the samples at hand: another split's pictures need not be there."""
    test = labels.of_split("test")
    for source in test.sources[6:]:
        (tmp_path / source.name).write_bytes(b"")
    require_sources(test, tmp_path)
    with pytest.raises(ConfigError, match=f"6 of the 8 pictures .* not there, {labels.sources[0].name} among them"):
        require_sources(labels, tmp_path)


def drawn(order: Order, steps: range, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.concatenate([order.batch(step, size)[0] for step in steps])


def test_every_sample_comes_once_an_epoch_and_each_epoch_in_another_order() -> None:
    places = drawn(Order(10, seed=3), range(5), 6)  # three epochs; batches cross from one to the next
    epochs = places.reshape(3, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_is_settled_by_seed_and_step_alone() -> None:
    """A run that goes on at step 7 is given what it would have been given."""
    whole = Order(50, seed=1)
    for step in range(20):
        whole.batch(step, 8)
    for known, fresh in zip(whole.batch(7, 8), Order(50, seed=1).batch(7, 8), strict=True):
        np.testing.assert_array_equal(known, fresh)
    assert not np.array_equal(Order(50, seed=2).batch(7, 8)[0], whole.batch(7, 8)[0])


def test_half_of_the_coins_fall_either_way_and_anew_each_epoch() -> None:
    order = Order(1000, seed=0)
    first, second = (dict(zip(*order.batch(step, 1000), strict=True)) for step in range(2))
    assert 430 < sum(first.values()) < 570
    assert 400 < sum(first[place] != second[place] for place in first) < 600


def test_balanced_classes_come_equally_often_and_no_sample_is_left_out() -> None:
    positive = np.array([True] * 3 + [False] * 10)
    order = Order(13, seed=0, positive=positive)
    places = drawn(order, range(4), 5)
    assert order.epoch_length == 20
    assert positive[places].sum() == 10
    assert set(places) == set(range(13))
    with pytest.raises(ConfigError, match="13 useful and 0 useless"):
        Order(13, seed=0, positive=np.ones(13, bool))


def test_agreement_teaches_what_all_say_and_drops_the_rest(labels: LabelSet) -> None:
    """The paper: samples on which networks disagree, or that one finds grey, are not shown at all."""
    recipe = UtilityRecipe(target="agreement", rule="relative")
    targets = targets_of(labels, recipe)
    agreed = labels.agreed("relative")
    assert set(targets.sample) == set(np.flatnonzero(agreed >= 0))
    np.testing.assert_array_equal(targets.utility, agreed[targets.sample])
    assert set(targets.weight) == {1.0}
    assert 0 < len(targets) < len(labels)
    assert targets.top_classes.shape == (len(targets), 0)


def test_soft_targets_are_means_over_the_networks(labels: LabelSet) -> None:
    """Right or not, what is left of the confidence, means of such; weighted by the undamaged confidence."""
    own = labels.only(["keen", "weak"])
    right = np.stack([own.right(name) for name in own.networks]).astype(float)
    left = np.stack([own.answers[name].ccsp / own.answers[name].reference_confidence for name in own.networks])
    sure = np.stack([own.answers[name].ccsp for name in own.networks])
    expected = {
        "share_right": right,
        "kept_confidence": left,
        "blend": (right + left) / 2,
        "confidence": (right + sure) / 2,
    }
    for target, parts in expected.items():
        recipe = UtilityRecipe.model_validate({"target": target, "weighting": "even"})
        utility, weight = utility_targets(own, recipe)
        np.testing.assert_allclose(utility, parts.mean(0), atol=1e-6)
        np.testing.assert_array_equal(weight, 1)
    assert utility.std() > 0

    unequal = {**own.answers, "weak": dataclasses.replace(own.answers["weak"], reference_confidence=np.full(40, 0.3))}
    utility, weight = utility_targets(
        dataclasses.replace(own, answers=unequal), UtilityRecipe(target="share_right", weighting="reference")
    )
    np.testing.assert_allclose(utility, (0.9 * right[0] + 0.3 * right[1]) / 1.2, atol=1e-6)
    np.testing.assert_allclose(weight, 0.6, atol=1e-6)


def test_a_network_that_does_not_know_the_source_teaches_nothing(labels: LabelSet) -> None:
    """With true labels, where the undamaged picture is taken for something else (P(I') = S(I'))."""
    header = labels.header.model_copy(update={"truth": TRUE_LABELS})
    sources = tuple(dataclasses.replace(one, class_index=7 if place else 8) for place, one in enumerate(labels.sources))
    true = dataclasses.replace(labels, header=header, sources=sources)
    for weighting in ("even", "reference"):
        recipe = UtilityRecipe.model_validate({"target": "blend", "weighting": weighting})
        assert set(targets_of(true, recipe).sample) == set(range(5, 40))


def test_the_auxiliary_target_is_the_networks_mean(labels: LabelSet) -> None:
    recipe = UtilityRecipe(target="blend", weighting="reference", auxiliary_weight=0.5)
    targets = targets_of(labels.only(["keen", "weak"]), recipe)
    mean = np.zeros((len(targets), 1000))
    for row in range(len(targets)):
        np.add.at(mean[row], targets.top_classes[row], targets.top_probabilities[row])
    own = [labels.answers[name].ccsp[targets.sample] for name in ("keen", "weak")]
    np.testing.assert_allclose(mean[:, 7][1:5], np.mean(own, axis=0)[1:5], atol=1e-3)
    np.testing.assert_allclose(mean.sum(1), 1, atol=1e-3)


def test_the_start_needs_no_classifier_among_the_labellers(labels: LabelSet) -> None:
    """Held to itself, the trunk needs nobody's probabilities: none are looked up."""
    recipe = UtilityRecipe(target="confidence", auxiliary_weight=0.5, auxiliary="start")

    assert targets_of(labels, recipe).top_classes.shape == (len(labels), 0)


def test_labels_that_teach_nothing_are_named(labels: LabelSet) -> None:
    never = labels.where(labels.agreed("relative") == -1)
    with pytest.raises(ConfigError, match=r"none of \d+ samples of small gives a target by agreement \(relative\)"):
        targets_of(never, UtilityRecipe(rule="relative"))


def test_validation_tells_labellers_from_unseen_networks(labels: LabelSet) -> None:
    """Test sources alone, a score that knows one network's answers: its AUROC is 1, the others' is their own."""
    test = validation_samples(labels, 1000, seed=0)
    assert set(test.samples.source) == {6, 7}
    recipe = UtilityRecipe(target="agreement", rule="relative")
    validation = Validation(test, ["keen", "weak"], recipe, SamplePictures(test, PHOTOS, INPUT))
    scores = test.answers["keen"].ccsp.astype(np.float64)
    found = validation.measures(scores)

    assert found["auroc_keen"] == found["auroc_weak"] == 1
    assert found["auroc_apart"] == found["auroc_unseen"] == auroc(scores, test.right("apart")) < 1
    agreed = test.agreed("relative")
    assert found["kept_accuracy"] == 1 - ((scores >= 0.5) != agreed)[agreed >= 0].mean()
    assert found["loss"] > 0


def test_validation_shows_each_picture_once_in_order(labels: LabelSet) -> None:
    """And keeps them: the second time nothing is made."""
    test = validation_samples(labels, 7, seed=0)
    assert len(test) == 7
    validation = Validation(test, ["keen"], UtilityRecipe(), SamplePictures(test, PHOTOS, INPUT))
    seen: list[str] = []

    def score(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        seen.append(hashlib.sha256(pixels.tobytes()).hexdigest())
        return np.linspace(0, 1, len(pixels))

    first, second = validation.run(score, workers=2), validation.run(score)
    assert first.keys() == second.keys()
    expected = SamplePictures(test, PHOTOS, INPUT).batch(np.arange(7))
    assert seen == [hashlib.sha256(expected.tobytes()).hexdigest()] * 2
