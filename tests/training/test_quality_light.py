"""The served no-reference network: what it is shown, that it learns, and that its scores are a picture's own."""

import csv
import dataclasses
import itertools
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("timm", reason=REASON)

from runtime.errors import ConfigError  # noqa: E402 - what follows needs torch
from runtime.preprocess import Preprocessor  # noqa: E402
from tests import pictures  # noqa: E402
from tests.training.judged_pictures import write_koniq  # noqa: E402
from training.__main__ import main  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.damage.apply import damaged  # noqa: E402
from training.damage.damage import Damage  # noqa: E402
from training.data.picture import read_picture  # noqa: E402
from training.metrics.votes import cut_gaussian  # noqa: E402
from training.models.efficientnet_lite import efficientnet_lite0, load_imagenet  # noqa: E402
from training.models.quality_light import OUTPUT, STAGES, load_imagenet_trunks, quality_light  # noqa: E402
from training.quality import calibrating  # noqa: E402
from training.quality.calibrating import calibrate  # noqa: E402
from training.quality.light_training import GRID, light_inputs  # noqa: E402
from training.quality.proxy_set import HEADER, RATINGS, ProxyHeader, ProxyRow, ratings_bytes, read_proxy  # noqa: E402
from training.quality.rated import Rated, RatedSet  # noqa: E402
from training.quality.samples import Pairs, shown  # noqa: E402
from training.quality.target import targets  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SHIPPED = Path(__file__).parents[2] / "models"
HEIGHT, WIDTH = 160, 200
CONTENTS, SIGMAS = 6, (0.0, 1.5, 4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy set by hand: textures under three blurs, the last two contents for the test."""
    root = tmp_path_factory.mktemp("proxy")
    rows = []
    for content, (level, sigma) in itertools.product(range(CONTENTS), enumerate(SIGMAS)):
        sharp = np.asarray(cv2.GaussianBlur(pictures.noise(WIDTH, HEIGHT, content), (0, 0), 0.6), np.uint8)
        pixels = damaged(sharp, Damage("gaussian", sigma)) if sigma else sharp
        name = f"{content}-{level}.png"
        cv2.imwrite(str(root / name), pixels)
        mos = 4.5 - 1.5 * level
        shares = [round(float(share), 6) for share in cut_gaussian(np.array([mos]), np.array([0.6]))[0]]
        rows.append(
            ProxyRow(
                name,
                f"{content}-0.png",
                str(content),
                "gaussian" if sigma else "none",
                sigma,
                level,
                "train" if content < CONTENTS - 2 else "test",
                1.0,
                0.0,
                1.0,
                mos,
                0.6,
                *shares,
            )
        )
    (root / RATINGS).write_bytes(ratings_bytes(rows))
    header = ProxyHeader(
        name="blurs",
        labels="ranks",
        folders=("noise",),
        photographs={},
        size=(HEIGHT, WIDTH),
        cuts=1,
        draws=2,
        votes=107,
        test_share=0.3,
        seed=0,
    )
    (root / HEADER).write_text(header.model_dump_json())
    return root


# --- The network


def test_shares_are_shares_and_a_pictures_own() -> None:
    """They sum to 1, and are the same alone and in any batch, to 1e-5."""
    torch.manual_seed(0)
    network = quality_light()
    load_imagenet_trunks(network)
    preprocessors = [Preprocessor(spec) for spec in light_inputs()]
    seen = [shown(pictures.scene(300 + 40 * seed, 200, seed), preprocessors) for seed in range(5)]
    pixels, patches = (torch.from_numpy(np.stack(each)).movedim(-1, -3).float() for each in zip(*seen, strict=True))
    with torch.inference_mode():
        together = network(pixels, patches)[OUTPUT].numpy()
        back = network(pixels.flip(0), patches.flip(0))[OUTPUT].numpy()[::-1]
        alone = [network(pixels[at : at + 1], patches[at : at + 1])[OUTPUT][0].numpy() for at in range(5)]
    assert together.shape == (5, 5)
    assert together.sum(axis=1) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(back, together, atol=1e-5)


def test_both_trunks_begin_as_imagenet_left_them() -> None:
    """Their fifth stage gives what the classifier's fifth stage gives."""
    network = quality_light()
    load_imagenet_trunks(network)
    whole = efficientnet_lite0()
    load_imagenet(whole)
    pixels = torch.from_numpy(pictures.scene(96, 96)).permute(2, 0, 1)[None].float()
    normalised = (pixels - 127) / 128
    with torch.inference_mode():
        wanted = whole.blocks[:STAGES](whole.bn1(whole.conv_stem(normalised)))
        for trunk in (network.far, network.near):
            found = trunk.blocks(trunk.bn1(trunk.conv_stem(normalised)))
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-3)


def test_patches_are_seen_at_the_pictures_own_resolution() -> None:
    """A grid that is as many as the pyramid's bins; and a blur of one pixel changes them, at 1280 x 720, too."""
    frames, patches = light_inputs()
    assert patches.patches == GRID
    assert frames.patches is None
    sharp = np.asarray(cv2.GaussianBlur(pictures.noise(1280, 720), (0, 0), 0.6), np.uint8)
    soft = damaged(sharp, Damage("gaussian", 1.0))
    preprocessors = [Preprocessor(spec) for spec in light_inputs()]
    spread = [seen[1].astype(float).std() for seen in (shown(sharp, preprocessors), shown(soft, preprocessors))]
    assert spread[1] < 0.75 * spread[0]


# --- What it learns from


def test_a_pair_differs_in_nothing_but_its_distortion(folder: Path) -> None:
    """Two of one content, under one window and turned alike: their low frequencies are the same."""
    rated = read_proxy(folder)
    pairs = Pairs([(rated, targets(rated))], light_inputs(), 0.6, 0)
    assert len(pairs) == CONTENTS  # one kind of distortion each
    batch = pairs.batch(0, 6)
    assert batch.inputs[0].shape == (12, 144, 192, 3)
    assert batch.pair.tolist() == [at for at in range(6) for _ in range(2)]
    for first, second in zip(range(0, 12, 2), range(1, 12, 2), strict=True):
        assert batch.mos[first] != batch.mos[second]
        one, two = (cv2.GaussianBlur(batch.inputs[0][at], (0, 0), 8).astype(float) for at in (first, second))
        assert np.abs(one - two).mean() < 3
    assert batch.distribution.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_equal_pictures_are_no_pair(folder: Path) -> None:
    """Of strengths that come to the same pixels no network can say which is the stronger."""
    rated = read_proxy(folder)
    alike = dataclasses.replace(
        rated, pictures=tuple(dataclasses.replace(one, path=rated.pictures[0].path) for one in rated.pictures)
    )
    assert len(set(Pairs([(alike, targets(alike))], light_inputs(), 0.6, 0).batch(0, 4).pair.tolist())) == 8


def test_levels_are_known_where_no_person_judged(folder: Path) -> None:
    """In a proxy the stronger of a pair has the higher level, and the lower score here; people's scores stand alone."""
    rated = read_proxy(folder)
    batch = Pairs([(rated, targets(rated))], light_inputs(), 0.6, 0).batch(0, 6)
    assert batch.level.tolist() == pytest.approx([(4.5 - mos) / 1.5 for mos in batch.mos])
    people = dataclasses.replace(rated, proxy=False)
    assert np.isnan(Pairs([(people, targets(people))], light_inputs(), 0.6, 0).batch(0, 6).level).all()


def test_a_step_is_settled_by_its_number(folder: Path) -> None:
    """A run that was stopped goes on to the same pictures."""
    rated = read_proxy(folder)
    first, again = (Pairs([(rated, targets(rated))], light_inputs(), 0.6, 1) for _ in range(2))
    again.batch(0, 3)
    for one, two in zip(first.batch(5, 3).inputs, again.batch(5, 3).inputs, strict=True):
        np.testing.assert_array_equal(one, two)
    other = Pairs([(rated, targets(rated))], light_inputs(), 0.6, 2)
    assert any(
        not np.array_equal(one, two)
        for one, two in zip(first.batch(5, 3).inputs, other.batch(5, 3).inputs, strict=True)
    )


def test_targets_are_votes_or_what_stands_for_them() -> None:
    """A set's own shares; else a Gaussian with its deviation, on [1, 5], turned about where less is better.

    Its mean is the score, at the ends of the scale, too, where a cut Gaussian's own would be nearer to the middle.
    """
    own = (0.0, 0.1, 0.2, 0.3, 0.4)
    one = Rated("a", Path("a"), None, "a", 3.0, 1.0, own)
    other = Rated("b", Path("b"), None, "b", 75.0, 10.0)
    (found,) = targets(RatedSet("votes", (one,), (1, 5)))
    assert found.distribution == own
    (found,) = targets(RatedSet("dmos", (other,), (0, 100), lower_better=True))
    assert found.mos == 2.0
    assert found.distribution == pytest.approx(tuple(cut_gaussian(np.array([2.0]), np.array([0.4]))[0]), abs=1e-4)
    for mos in (1.1, 2.0, 4.9):
        (found,) = targets(RatedSet("alone", (Rated("c", Path("c"), None, "c", mos),), (1, 5)))
        assert np.dot(found.distribution, range(1, 6)) == pytest.approx(mos, abs=1e-6)


# --- The command


def test_it_learns_and_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    """Blur is told from sharpness after a few steps; a run in two parts ends at the same weights as one in one go."""
    words = ["train", "quality", "--data", str(folder), "--threads", "1", "--snapshot-every", "8", "--validate", "6"]
    words += ["--set", "batch_size=8", "precision=float32", "ema_decay=0", "warmup=0", "schedule=constant"]
    assert main([*words, "--steps", "16", "--output", str(tmp_path / "one")]) == 0
    rows = list(csv.DictReader((tmp_path / "one" / "validations.csv").read_text().splitlines()))
    assert float(rows[-1]["srocc"]) > 0.85
    assert main([*words, "--steps", "16", "--output", str(tmp_path / "one")]) == 2  # without --resume
    checkpoint = load_checkpoint(tmp_path / "one" / "quality")
    assert checkpoint.description.heads[0].kind == "quality"
    assert "blurs (proxy)" in checkpoint.description.provenance.data


def test_a_run_may_go_on_from_another(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate of nothing its weights stay as they were; both fits' sets are told; a missing one is named."""
    words = ["train", "quality", "--data", str(folder), "--threads", "1", "--validate", "6", "--steps", "1"]
    words += ["--set", "batch_size=4", "learning_rate=1e-12", "weight_decay=0", "precision=float32", "ema_decay=0"]
    first, second = tmp_path / "first" / "quality", tmp_path / "second" / "quality"
    assert main([*words, "--seed", "7", "--output", str(first.parent)]) == 0
    assert main([*words, "--weights", str(first), "--output", str(second.parent)]) == 0
    one, two = (load_checkpoint(stem) for stem in (first, second))
    for name, weights in one.network.state_dict().items():
        assert torch.allclose(weights, two.network.state_dict()[name], atol=1e-6)
    told = two.description.provenance
    assert "begun with quality (sha256:" in told.data
    assert told.data.count("blurs (proxy) sha256:") == 2
    assert "--weights quality" in told.command
    capsys.readouterr()
    assert main([*words, "--weights", str(tmp_path / "none"), "--output", str(tmp_path / "third")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err


def test_a_run_may_go_on_from_an_engine(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate of nothing the weights are those of the shipped engine's graph, and its data are told of.

    One of other layers is refused, and so is a file that is none.
    """
    words = ["train", "quality", "--data", str(folder), "--threads", "1", "--validate", "6", "--steps", "1"]
    words += ["--set", "batch_size=4", "learning_rate=1e-12", "weight_decay=0", "precision=float32", "ema_decay=0"]
    assert main([*words, "--weights", str(SHIPPED / "quality.onnx"), "--output", str(tmp_path / "run")]) == 0
    checkpoint = load_checkpoint(tmp_path / "run" / "quality")
    graph = {one.name: numpy_helper.to_array(one) for one in onnx.load(SHIPPED / "quality.onnx").graph.initializer}
    for name, weights in checkpoint.network.state_dict().items():
        np.testing.assert_allclose(weights.numpy(), graph[name], atol=1e-6, err_msg=name)
    told = checkpoint.description.provenance
    assert "begun with quality.onnx (sha256:" in told.data
    assert "which learned from: quality (proxy) sha256:" in told.data
    assert "--weights quality.onnx" in told.command
    capsys.readouterr()
    (tmp_path / "none.onnx").write_bytes(b"no graph")
    for file, fault in (
        (SHIPPED / "cover.onnx", "weights of other layers than the network's: Missing key"),
        (tmp_path / "none.onnx", "none.onnx"),
        (tmp_path / "missing.onnx", "missing.onnx: no such file"),
    ):
        assert main([*words, "--weights", str(file), "--output", str(tmp_path / "second")]) == 2
        assert fault in capsys.readouterr().err


def test_a_batch_of_pairs_is_even(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An odd one is refused by name."""
    words = ["train", "quality", "--data", str(folder), "--output", str(tmp_path), "--set", "batch_size=7"]
    assert main(words) == 2
    assert "batch_size=7: a batch holds pairs" in capsys.readouterr().err


def test_nothing_to_learn_from_is_refused() -> None:
    """A set without pictures."""
    with pytest.raises(ConfigError, match="empty: there is no picture to learn from"):
        Pairs([(RatedSet("empty", (), (1, 5)), [])], light_inputs(), 0.6, 0)


def test_a_calibration_brings_the_shares_nearer_and_keeps_the_network(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The head alone changes, alike each time; of too few pictures nothing is fitted."""
    torch.manual_seed(0)
    network = quality_light()
    load_imagenet_trunks(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    teachers = read_proxy(folder).where(lambda one: one.split == "train")
    many = dataclasses.replace(teachers, pictures=teachers.pictures * 20)
    wrong, right = calibrate(network, light_inputs(), many)
    assert right < 0.8 * wrong
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"head.{layer}.{part}" for layer in (1, 4, 6) for part in ("weight", "bias")}
    assert not network.head.training
    after = network.head[6].bias.clone()
    network.load_state_dict(before)
    assert calibrate(network, light_inputs(), many) == (wrong, right)
    assert torch.equal(network.head[6].bias, after)
    words = ["train", "quality", "--data", str(folder), "--threads", "1", "--steps", "1", "--validate", "6"]
    assert main([*words, "--set", "batch_size=4", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    again = ["calibrate", "quality", str(tmp_path / "quality"), "--data", str(folder), "--output", str(tmp_path / "c")]
    assert main(again) == 2
    assert "blurs: 12 pictures are too few to calibrate on; 200 are due" in capsys.readouterr().err


def test_a_calibration_keeps_the_order_of_what_was_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy scores all strengths alike, the stronger distortion is the worse all the same."""
    monkeypatch.setattr(calibrating, "EPOCHS", 200)  # of few pictures they are few batches
    torch.manual_seed(0)
    network = quality_light()
    load_imagenet_trunks(network)
    teachers = read_proxy(folder).where(lambda one: one.split == "train")
    alike = [dataclasses.replace(one, mos=3.0, distribution=(0.0, 0.2, 0.6, 0.2, 0.0)) for one in teachers.pictures]
    many = [dataclasses.replace(one, reference=Path(f"{copy}-{one.reference}")) for copy in range(17) for one in alike]
    calibrate(network, light_inputs(), dataclasses.replace(teachers, pictures=tuple(many)))
    preprocessors = [Preprocessor(spec) for spec in light_inputs()]
    seen = [shown(read_picture(one.path), preprocessors) for one in alike]
    pixels, patches = (torch.from_numpy(np.stack(each)).movedim(-1, -3).float() for each in zip(*seen, strict=True))
    with torch.inference_mode():
        opinion = network(pixels, patches)[OUTPUT] @ torch.arange(1.0, 6.0)
    by_content = opinion.reshape(-1, len(SIGMAS))
    assert (by_content[:, :-1] > by_content[:, 1:]).all()


def test_a_calibration_sees_its_side_of_a_division_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 20 pictures without sides all are learned from, and of a division by a seed 16: too few, either way.

    A network that learned from one side is not given the whole, nor overwritten. A picture that is missing is told
    before any is judged.
    """
    words = ["train", "quality", "--data", str(folder), "--threads", "1", "--steps", "1", "--validate", "1"]
    assert main([*words, "--set", "batch_size=4", "--output", str(tmp_path)]) == 0
    koniq = write_koniq(tmp_path / "koniq", pictures=20, sides=False)
    words = ["calibrate", "quality", str(tmp_path / "quality"), "--data", str(koniq), "--output", str(tmp_path / "c")]
    assert main([*words[:-1], str(tmp_path / "quality")]) == 2
    assert "is the checkpoint itself: give another stem" in capsys.readouterr().err
    for division, count in (([], 20), (["--split-seed", "4"], 16)):
        assert main([*words, *division]) == 2
        assert f"KonIQ-10k (512x384): {count} pictures are too few" in capsys.readouterr().err
    learned = ["train", "quality", "--data", str(koniq), "--split-seed", "4", "--threads", "1", "--steps", "1"]
    assert main([*learned, "--set", "batch_size=4", "--output", str(tmp_path / "part")]) == 0
    assert main(["calibrate", "quality", str(tmp_path / "part/quality"), *words[3:]]) == 2
    assert "learned from a part of KonIQ-10k (512x384), and the whole of it is given" in capsys.readouterr().err
    next(koniq.rglob("*.png")).unlink()
    assert main(words) == 2
    assert "KonIQ-10k (512x384): 1 of 20 pictures are not there" in capsys.readouterr().err
