"""``train cover``: what it draws, that it learns, that it goes on where it stopped, and the paper's two strategies."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("timm", reason=REASON)

from runtime.errors import ConfigError  # noqa: E402 - what follows needs torch
from runtime.preprocess import Preprocessor  # noqa: E402
from tests.training.covers import Nobody, small_set, write_pictures  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.cover.build import Plan, build  # noqa: E402
from training.cover.cover_set import CoverPicture, CoverSet  # noqa: E402
from training.cover.drawing import Drawing, Part  # noqa: E402
from training.cover.networks import light_inputs, make_network  # noqa: E402
from training.cover.recipes import RECIPES  # noqa: E402
from training.cover.training import CoverTask, as_tensor, training_parts  # noqa: E402
from training.cover.validation import Validation, held_out  # noqa: E402
from training.cover.views import Box, CropViews, ServedViews, target  # noqa: E402
from training.data.mask import IGNORE  # noqa: E402

SMALL = RECIPES["small"].model_copy(update={"crop_px": 129, "batch_size": 4, "width": 16})


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small convolutions on shared cores: threads would wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small set."""
    place = tmp_path_factory.mktemp("covers")
    small_set(place)
    return place / "set"


def train(data: Path, output: Path, *options: str) -> int:
    words = ["train", "cover", "--data", str(data), "--output", str(output), "--threads", "1", "--validate", "6"]
    return main([*words, *options])


def digest(stem: Path) -> str:
    return hashlib.sha256(stem.with_name(f"{stem.name}.safetensors").read_bytes()).hexdigest()


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


DEEPLAB = ("--network", "efficientnet-lite0", "--recipe", "small", "--set", "crop_px=129", "batch_size=4", "width=16")


def test_a_drawing_is_settled_by_seed_and_place(folder: Path) -> None:
    """The same place gives the same bytes, in any order of asking; another seed gives others."""
    samples = CoverSet.load(folder).of_split("train")
    recipe = SMALL.model_copy(update={"jpeg": 0.5})
    one, other = (Drawing([Part(samples, 1.0)], CropViews(recipe), recipe, seed) for seed in (0, 1))
    forth = [one.draw(place) for place in range(8)]
    back = [one.draw(place) for place in reversed(range(8))][::-1]
    for (first, view), (second, same) in zip(forth, back, strict=True):
        assert first == second
        np.testing.assert_array_equal(view.inputs[0], same.inputs[0])
        np.testing.assert_array_equal(view.wanted, same.wanted)
    assert [sample for sample, _ in forth] != [other.draw(place)[0] for place in range(8)]


def test_every_sample_comes_once_an_epoch_and_sets_by_their_shares(folder: Path) -> None:
    """Of one set: each sample once in an epoch. Of two: as the shares say, within what chance allows."""
    samples = CoverSet.load(folder).of_split("train")
    alone = Drawing([Part(samples, 1.0)], CropViews(SMALL), SMALL, 0)
    drawn = [alone.draw(place)[0] for place in range(len(samples))]
    assert sorted(map(str, drawn)) == sorted(map(str, samples.samples))

    held = CoverSet.load(folder).of_split("test")
    both = Drawing([Part(samples, 3.0), Part(held, 1.0)], CropViews(SMALL), SMALL, 0)
    shares = [both.draw(place)[0].split == "train" for place in range(160)]
    assert 0.65 < np.mean(shares) < 0.85


def test_what_cannot_be_drawn_from_is_refused(folder: Path) -> None:
    samples = CoverSet.load(folder)
    empty = samples.of_split("train").of_split("test")
    with pytest.raises(ConfigError, match="has no picture to learn from"):
        Drawing([Part(empty, 1.0)], CropViews(SMALL), SMALL, 0)
    for share in (0.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"a share of {share:g} is none"):
            Drawing([Part(samples, share)], CropViews(SMALL), SMALL, 0)
    with pytest.raises(ConfigError, match="no picture is held out"):
        held_out([samples.of_split("train")], 5, 0)


def test_training_sees_a_picture_as_serving_does(folder: Path) -> None:
    """The view of a whole picture is, to the bit, what the runtime's preprocessing makes of it."""
    samples = CoverSet.load(folder)
    picture = samples.read(samples.samples[3])
    view = ServedViews(light_inputs(), (112, 160), RECIPES["light"]).view(picture.pixels, picture.mask)
    for spec, seen in zip(light_inputs(), view.inputs, strict=True):
        slot = Preprocessor(spec).batch(1)[0]
        Preprocessor(spec).fill(picture.pixels, slot)
        np.testing.assert_array_equal(seen, slot)
    assert picture.mask is not None
    assert abs(view.wanted.mean() - float(np.mean(picture.mask == 1))) < 1e-3


def test_windows_keep_the_object_and_the_pixels_as_they_are() -> None:
    """At least half of the object is in each window, which lies inside the picture; nothing is resampled in it."""
    mask = np.zeros((90, 120), np.uint8)
    mask[20:40, 80:110] = 1
    picture = CoverPicture(np.zeros((90, 120, 3), np.uint8), mask)
    views, rng = ServedViews(light_inputs(), (112, 160), RECIPES["light"]), np.random.default_rng(0)
    boxes = [views.window(picture, rng) for _ in range(200)]
    for box in boxes:
        assert box.top >= 0
        assert box.top + box.height <= 90
        assert box.left >= 0
        assert box.left + box.width <= 120
        assert box.of(mask).sum() >= 300
    assert min(box.height for box in boxes) < 60
    assert views.middle(picture) == Box(0, 0, 90, 120)


def test_half_of_the_squares_are_cut_around_the_object() -> None:
    """Of a small object in a large picture, about as many squares show some as are asked for; all are inside."""
    mask = np.zeros((800, 1200), np.uint8)
    mask[400:420, 600:620] = 1
    picture = CoverPicture(np.zeros((800, 1200, 3), np.uint8), mask)
    for asked, least, most in ((0.0, 0.0, 0.12), (0.5, 0.4, 0.65), (1.0, 1.0, 1.0)):
        views = CropViews(SMALL.model_copy(update={"object_crops": asked}))
        rng = np.random.default_rng(0)
        boxes = [views.window(picture, rng) for _ in range(150)]
        assert all(box.height == box.width == 129 for box in boxes)
        assert least <= np.mean([box.of(mask).any() for box in boxes]) <= most


def test_what_a_square_lacks_is_ignored() -> None:
    """A picture smaller than the crop: black beside it, and not counted as background."""
    view = CropViews(SMALL).view(np.full((60, 129, 3), 200, np.uint8), np.ones((60, 129), np.uint8))
    assert view.inputs[0].shape == (129, 129, 3)
    assert view.counted[:60].all()
    assert not view.counted[60:].any()
    assert (view.inputs[0][60:] == 0).all()


def test_a_target_is_the_share_of_foreground_in_each_pixel_of_the_map() -> None:
    """By area; what is ignored counts nowhere; no mask: nothing counts."""
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [IGNORE, IGNORE, 1, 1], [IGNORE, IGNORE, 1, 1]], np.uint8)
    wanted, counted = target(mask, (2, 2))
    assert wanted.tolist() == [[0.5, 0.0], [0.0, 1.0]]
    assert counted.tolist() == [[1, 1], [0, 1]]
    assert not target(None, (2, 2))[1].any()


def test_pixels_reach_the_network_channels_first() -> None:
    """Whole pictures and patches alike."""
    for shape in ((2, 4, 5, 3), (2, 6, 4, 5, 3)):
        pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        np.testing.assert_array_equal(as_tensor(pixels, "cpu").numpy(), np.moveaxis(pixels, -1, -3))


def test_a_picture_of_unknown_score_and_one_without_a_mask_teach_what_they_can(folder: Path) -> None:
    """Each loss comes from the samples that know its truth, and stays finite without any."""
    samples = CoverSet.load(folder)
    made = make_network("efficientnet-lite0", SMALL, ("clarity", "saliency"), "none", 0)
    validation = Validation(held_out([samples], 2, 0), made.whole_views, SMALL.gate)
    task = CoverTask(training_parts([samples], [1.0]), validation, made.views, ("clarity", "saliency"), SMALL)
    batch = task.batch(0)
    losses = task.losses(made.network.train(), batch)
    assert losses["loss"].item() == pytest.approx(losses["clarity_loss"].item() + 0.1 * losses["mask_loss"].item())
    blind = type(batch)(batch.inputs, np.full(4, np.nan, np.float32), batch.wanted, np.zeros_like(batch.counted))
    assert task.losses(made.network, blind)["loss"].item() == 0


def test_a_task_that_nothing_teaches_is_refused(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures without masks cannot teach saliency, nor masks without scores clarity: exit 2, and which task it is."""
    plain = write_pictures(tmp_path / "plain", 6)
    build(tmp_path / "scores", Plan(plain / "Image", test_share=0.34), Nobody())
    build(tmp_path / "masks", Plan(plain, levels=(), test_share=0.34), Nobody())
    assert train(tmp_path / "scores", tmp_path / "run", "--weights", "none") == 2
    assert "nothing teaches saliency" in capsys.readouterr().err
    assert train(tmp_path / "masks", tmp_path / "run", "--weights", "none") == 2
    assert "nothing teaches clarity" in capsys.readouterr().err
    assert train(tmp_path / "masks", tmp_path / "run", *DEEPLAB, "--steps", "1", "--tasks", "saliency") == 0
    assert main(["train", "cover", "--data", str(folder), str(folder), "--output", str(tmp_path / "twice")]) == 2
    assert "two sets are called alike" in capsys.readouterr().err


def test_the_light_network_learns_both(tmp_path: Path, folder: Path) -> None:
    """In 40 steps the scores of held-out pictures follow the blur, and the map finds the square."""
    assert train(folder, tmp_path / "run", "--steps", "40", "--set", "batch_size=8", "learning_rate=0.002") == 0
    last = table(tmp_path / "run" / "validations.csv")[-1]
    assert float(last["lcc"]) > 0.8
    assert float(last["iou"]) > 0.5
    checkpoint = load_checkpoint(tmp_path / "run" / "cover")
    assert [spec.name for spec in checkpoint.description.inputs] == ["frames", "patches"]
    assert [head.kind for head in checkpoint.description.heads] == ["clarity", "saliency"]
    asked = json.loads((tmp_path / "run" / "run.json").read_text())["asked"]
    assert (asked["network"], asked["strategy"], asked["tasks"]) == ("light", "end-to-end", ["clarity", "saliency"])


def test_a_stopped_run_comes_to_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    """Two steps, a snapshot, and two more: as four at once. The length is part of what is asked, so it stays."""
    options = ("--steps", "4", "--snapshot-every", "2", "--validate-every", "4", "--set", "batch_size=2")
    assert train(folder, tmp_path / "whole", *options) == 0

    def stop(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    from training.trainer import Trainer  # noqa: PLC0415

    fit = Trainer.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "fit", lambda self, **_: fit(self, watch=stop))
        assert train(folder, tmp_path / "parts", *options) == 130
    assert train(folder, tmp_path / "parts", *options) == 2
    assert train(folder, tmp_path / "parts", *options, "--resume") == 0
    assert digest(tmp_path / "whole" / "cover") == digest(tmp_path / "parts" / "cover")


def test_multi_stage_changes_the_clarity_branch_alone(tmp_path: Path, folder: Path) -> None:
    """First the mask alone, then clarity on what it sees: encoder, pyramid and decoder are the first stage's."""
    steps = ("--steps", "2", "--weights", "none")
    assert train(folder, tmp_path / "mask", *DEEPLAB, *steps, "--tasks", "saliency") == 0
    second = ("--strategy", "multi-stage", "--first-stage", str(tmp_path / "mask" / "cover"))
    assert train(folder, tmp_path / "both", *DEEPLAB, *steps, *second) == 0
    first, both = (load_checkpoint(tmp_path / name / "cover").network.state_dict() for name in ("mask", "both"))
    assert all(torch.equal(both[name], value) for name, value in first.items())
    assert {name.split(".")[0] for name in both.keys() - first.keys()} == {"clarity"}
    asked = json.loads((tmp_path / "both" / "run.json").read_text())["asked"]
    assert asked["strategy"] == "multi-stage"
    assert len(asked["first_stage"]) == 64


def test_a_fit_goes_on_from_a_checkpoint_of_its_own(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with those weights, and its data say where it began; another network's checkpoint is refused."""
    short = ("--steps", "1", "--set", "batch_size=2", "learning_rate=1e-9")
    assert train(folder, tmp_path / "first", *short) == 0
    before = str(tmp_path / "first" / "cover")
    assert train(folder, tmp_path / "second", *short, "--weights", before, "--seed", "5") == 0
    first, second = (load_checkpoint(tmp_path / name / "cover") for name in ("first", "second"))
    for name, value in first.network.trunk.state_dict().items():
        torch.testing.assert_close(second.network.trunk.state_dict()[name], value, rtol=0, atol=1e-6)
    assert f"begun with cover (sha256:{digest(Path(before))})" in second.description.provenance.data
    assert first.description.provenance.data.split(";")[0] in second.description.provenance.data
    assert "begun with" not in first.description.provenance.data

    assert train(folder, tmp_path / "deep", *DEEPLAB, "--weights", "none", "--steps", "1") == 0
    assert train(folder, tmp_path / "third", "--weights", str(tmp_path / "deep" / "cover")) == 2
    assert "a checkpoint of cover-deeplab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tasks", "clarity"), "the network light has both"),
        (("--strategy", "multi-stage"), "go together"),
        (("--weights", "some"), "some.json: No such file"),
        ((*DEEPLAB, "--set", "frozen_stages=2"), "frozen_stages: the network efficientnet-lite0 has no such thing"),
        (("--set", "width=64", "crop_px=225"), "crop_px, width: the network light has no such thing"),
        (("--recipe", "huge"), "there are paper, small, light"),
        (("--device", "nowhere"), "PyTorch has none here"),
    ],
)
def test_contradictions_are_told_before_the_work(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    """Exit code 2, a sentence that names what was asked for, and no run folder that stands in the way."""
    assert train(folder, tmp_path / "run", *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.timeout(600)
def test_the_papers_preset_runs(tmp_path: Path, folder: Path) -> None:
    """ResNet-101 at 513 x 513 with the recipe ``paper``: SGD at 7e-3 falling with power 2; a small batch, two steps."""
    options = ("--network", "resnet101", "--recipe", "paper", "--weights", "none", "--set", "batch_size=2")
    assert train(folder, tmp_path / "run", *options, "--steps", "2", "--validate", "1") == 0
    asked = json.loads((tmp_path / "run" / "run.json").read_text())["asked"]["recipe"]
    wanted = {"optimizer": "sgd", "learning_rate": 7e-3, "momentum": 0.9, "power": 2, "epochs": 50, "crop_px": 513}
    assert wanted.items() <= asked.items()
    assert (asked["balance"], asked["gate"]) == (0.1, 2.3)
    rates = [float(row["learning_rate"]) for row in table(tmp_path / "run" / "steps.csv")]
    assert rates == pytest.approx([7e-3, 7e-3 * 0.25])
    description = load_checkpoint(tmp_path / "run" / "cover").description
    assert description.dynamic_size
    assert (description.inputs[0].height, description.inputs[0].width) == (513, 513)
