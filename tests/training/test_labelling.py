"""``python -m training label utility``: real runs, on the demo's photographs, with networks of a few weights."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from runtime.opencv import cv2
from tests.training.tiny_networks import write_classifier, write_detector
from training.__main__ import main
from training.damage.apply import damaged
from training.damage.damage import Damage
from training.damage.kinds import KINDS
from training.data.picture import read_picture
from training.lock import only_writer
from training.networks.answer import Classes
from training.networks.description import read_description, shipped_names
from training.networks.network import open_network
from training.utility.answers import BoxAnswers, ClassAnswers
from training.utility.header import PSEUDO_TRUTH, TRUE_LABELS, read_labels, write_labels
from training.utility.label_set import LabelSet

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "demo" / "photos"


@pytest.fixture(autouse=True)
def outside_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A commit in this checkout while a test runs changes nothing."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers of different families, and a detector."""
    folder = tmp_path_factory.mktemp("weights")
    write_classifier(folder, "one", seed=1)
    write_classifier(folder, "two", family="other", seed=2)
    write_detector(folder, "eye")
    return folder


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 different small pictures, cut from the photographs, and the first of them again: four shards."""
    folder = tmp_path_factory.mktemp("crops")
    for path in sorted(PHOTOS.glob("*.jpg")):
        photo = cv2.resize(simplejpeg.decode_jpeg(path.read_bytes(), colorspace="BGR"), (300, 240))
        for place in range(20):
            top, left = place // 5 * 60, place % 5 * 60
            crop = photo[top : top + 60, left : left + 60]
            assert cv2.imwrite(str(folder / f"{path.stem}-{place:02d}.png"), crop)
    shutil.copy(min(folder.iterdir()), folder / "zebra.png")
    return folder


def arguments(pictures: Path, weights: Path, output: Path, *more: str, networks: str = "one two") -> list[str]:
    files = [str(weights / f"{name}.json") for name in networks.split()]
    data = ["--pictures", str(pictures), "--networks", *files, "--weights", str(weights), "--output", str(output)]
    return ["label", "utility", *data, *more]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_classifiers_without_true_labels(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine JPEG levels; the manifest says that the truth is pseudo-truth; every number is what the networks say."""
    assert main(arguments(PHOTOS, weights, tmp_path / "set", "--side", "96")) == 0

    labels = LabelSet.load(tmp_path / "set")
    assert labels.header.truth == PSEUDO_TRUTH
    assert PSEUDO_TRUTH in capsys.readouterr().out
    assert len(labels) == 12 * 10
    assert labels.samples.kind.tolist() == ["none", *["jpeg"] * 9] * 12
    assert {min(source.height, source.width) for source in labels.sources} == {96}
    assert labels.recognised("one").any()
    assert set(labels.verdicts("relative").ravel()) == {-1, 0, 1}
    for name in ("one", "two"):
        network = open_network(read_description(str(weights / f"{name}.json")), weights)
        own = labels.answers[name]
        assert isinstance(own, ClassAnswers)
        for place in (0, 13, 115):
            pixels = read_picture(PHOTOS / labels.sources[labels.samples.source[place]].name, side=96)
            undamaged, answer = network.answers([pixels, damaged(pixels, labels.damage(place))])
            assert isinstance(undamaged, Classes)
            assert isinstance(answer, Classes)
            truth = undamaged.probabilities.argmax()
            assert own.reference[place] == truth
            assert own.predicted[place] == answer.probabilities.argmax()
            assert own.ccsp[place] == pytest.approx(answer.probabilities[truth], rel=1e-4)
            assert own.reference_confidence[place] == pytest.approx(undamaged.probabilities.max(), rel=1e-4)
            np.testing.assert_array_equal(own.top_classes[place], np.argsort(-answer.probabilities)[:10])
    quality_80, quality_1 = labels.samples.strength == 80, labels.samples.strength == 1
    assert (labels.samples.encoded_bytes[quality_80] > labels.samples.encoded_bytes[quality_1]).all()
    assert labels.right("one")[quality_80].mean() > labels.right("one")[quality_1].mean()


def test_true_labels_and_the_split(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes in the names are the truth, whatever networks say; a picture's samples are all on one side.

    Numbers that were not meant as classes are told by networks that recognise hardly any picture.
    """
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for place, path in enumerate(sorted(PHOTOS.glob("*.jpg"))):
        shutil.copy(path, pictures / f"{place + 500}_{path.name}")
    options = ["--side", "64", "--damage", "gaussian:1..4:2", "any:1@jpeg:2..60,noise:5..50", "--test-share", "0.5"]
    assert main(arguments(pictures, weights, tmp_path / "set", *options)) == 0
    labels = LabelSet.load(tmp_path / "set")

    assert labels.header.truth == TRUE_LABELS
    assert not labels.recognised("one").any()
    assert "one: recognises hardly any: do the names" in capsys.readouterr().out
    assert [source.class_index for source in labels.sources] == list(range(500, 512))
    own = labels.answers["one"]
    assert isinstance(own, ClassAnswers)
    np.testing.assert_array_equal(labels.recognised("one"), own.reference == labels.samples.source + 500)
    undamaged = ~labels.damaged
    np.testing.assert_array_equal(own.reference_confidence, np.repeat(own.ccsp[undamaged], 4))
    np.testing.assert_array_equal(own.predicted[undamaged], own.reference[undamaged])
    assert (own.ccsp[undamaged] < own.confidence[undamaged]).any()  # the network's own answer is not the truth
    train, test = labels.of_split("train"), labels.of_split("test")
    assert len(train) + len(test) == len(labels) == 12 * 4
    assert set(train.samples.source).isdisjoint(test.samples.source)
    assert len(train)
    assert len(test)

    assert main(arguments(pictures, weights, tmp_path / "pseudo", *options, "--pseudo-truth")) == 0
    pseudo = LabelSet.load(tmp_path / "pseudo")
    assert "hardly any" not in capsys.readouterr().out
    assert pseudo.header.truth == PSEUDO_TRUTH
    np.testing.assert_array_equal(pseudo.samples.strength, labels.samples.strength)
    assert len({(damage.strength, damage.seed) for damage in map(pseudo.damage, range(48))}) == 36 + 1


def test_detectors_on_true_boxes(tmp_path: Path, weights: Path) -> None:
    """COCO's layout; boxes shrink with their picture; darkness takes the score below .5, and so the box is lost."""
    pictures, side = tmp_path / "val2017", 60
    pictures.mkdir()
    images, annotations = [], []
    for number, level in enumerate((250, 200, 90), 1):
        assert cv2.imwrite(str(pictures / f"{number:012d}.png"), np.full((120, 160, 3), level, np.uint8))
        images.append({"id": number, "file_name": f"{number:012d}.png", "height": 120, "width": 160})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [0, 0, 70, 120], "area": 1, "iscrowd": 0}
        annotations.append(box)
    annotations.append(annotations[0] | {"id": 9, "bbox": [90, 0, 70, 120]})
    assert cv2.imwrite(str(pictures / "000000000004.png"), np.zeros((120, 160, 3), np.uint8))
    images.append({"id": 4, "file_name": "000000000004.png", "height": 120, "width": 160})
    file = tmp_path / "instances.json"
    categories = [{"id": 1, "name": "person"}]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    more = ["--layout", "coco", "--annotations", str(file), "--damage", "dark:0.9,0.1", "--side", str(side)]
    assert main(arguments(pictures, weights, tmp_path / "set", *more, networks="eye")) == 0
    labels = LabelSet.load(tmp_path / "set")

    assert [(one.name, one.why) for one in read_labels(tmp_path / "set").left_out] == [
        ("000000000004.png", "no object is marked in it: nothing is to be detected")
    ]
    boxes = labels.sources[0].boxes
    assert boxes is not None
    assert (boxes[0].right, boxes[0].bottom, boxes[1].left) == (35, side, 45)
    own = labels.answers["eye"]
    assert isinstance(own, BoxAnswers)
    assert own.truths.tolist() == [2] * 3 + [1] * 6
    assert own.found.tolist() == [1, 1, 0, 1, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(own.ccsp[[0, 3, 6]], np.array([250, 200, 90]) / 255, rtol=1e-4)
    assert labels.verdicts("paper").tolist() == [[1, 1, 0, 1, 1, 0, -1, -1, -1]]
    np.testing.assert_allclose(own.detections(0).boxes, [[0, 0, 40, side]], atol=0.5)

    assert main(arguments(pictures, weights, tmp_path / "pseudo", *more, "--pseudo-truth", networks="eye")) == 0
    own = LabelSet.load(tmp_path / "pseudo").answers["eye"]
    assert isinstance(own, BoxAnswers)
    assert own.truths.tolist() == [1] * 6 + [0] * 6  # what it sees in the dark picture, it is not sure of
    assert own.found.tolist() == [1, 1, 0, 1, 1, 0] + [0] * 6


def test_killed_and_gone_on_with(tmp_path: Path, weights: Path, crops: Path) -> None:
    """Killed in the middle of a run, with unfinished files about, the same command ends with the very same bytes."""
    more = ["--damage", "jpeg:2,5,10,20,40", "motion:2..20:3", "--seed", "3", "--side", "48", "--workers", "2"]
    whole = tmp_path / "whole" / "set"
    assert main(arguments(crops, weights, whole, *more)) == 0
    assert [shard.sources for shard in read_labels(whole).shards] == [64, 64, 64, 48]
    assert [one.name for one in read_labels(whole).left_out] == ["zebra.png"]
    np.testing.assert_array_equal(LabelSet.load(whole).samples.source, np.repeat(np.arange(240), 9))

    output = tmp_path / "killed" / "set"
    process = subprocess.Popen([sys.executable, "-m", "training", *arguments(crops, weights, output, *more)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (output / "answers-0001.npz").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    killed = read_labels(output)
    assert not killed.complete
    assert 1 <= len(killed.shards) < 4
    with (output / "sources.jsonl").open("ab") as file:
        file.write(b'{"name":"half a li')
    (output / f"answers-{len(killed.shards):04d}.npz").write_bytes(b"half a shard")

    finished = [output / shard.file for shard in killed.shards]
    times = [path.stat().st_mtime_ns for path in finished]
    assert main(arguments(crops, weights, output, *more)) == 0
    assert content(output) == content(whole)
    assert [path.stat().st_mtime_ns for path in finished] == times  # nothing was asked twice

    assert main(arguments(crops, weights, output, *more)) == 0
    assert content(output) == content(whole)


def test_another_run_is_not_gone_on_with(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other damages, another seed, other networks: each difference is named, and nothing is touched."""
    output = tmp_path / "set"
    assert main(arguments(PHOTOS, weights, output, "--side", "64", "--damage", "jpeg:5")) == 0
    before = content(output)
    capsys.readouterr()

    assert main(arguments(PHOTOS, weights, output, "--side", "64", "--damage", "jpeg:6", "--seed", "1")) == 2
    error = capsys.readouterr().err
    assert "plan: asked for 'jpeg:6', there is 'jpeg:5'" in error
    assert "seed: asked for 1, there is 0" in error
    assert "--output" in error
    assert "networks" not in error

    options = ["--side", "64", "--damage", "jpeg:5"]
    assert main(arguments(PHOTOS, weights, output, *options, networks="two")) == 2
    assert "otherwise: networks: asked for two, there is one, two. Give" in capsys.readouterr().err
    assert main(arguments(PHOTOS, weights, output, *options, "--limit", "3")) == 2
    assert "otherwise: pictures: other files" in capsys.readouterr().err

    other = tmp_path / "weights"
    shutil.copytree(weights, other)
    write_classifier(other, "one", seed=3)
    assert main(arguments(PHOTOS, other, output, *options)) == 2
    assert "otherwise: networks: one had other weights or another description. Give" in capsys.readouterr().err
    assert content(output) == before


def test_two_runs_do_not_write_at_once(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second would spoil what both have done; it is free once the first has ended."""
    options = arguments(PHOTOS, weights, tmp_path / "set", "--side", "64", "--damage", "jpeg:5")
    with only_writer(tmp_path / "set"):
        assert main(options) == 2
    assert "another run is writing there" in capsys.readouterr().err
    assert not content(tmp_path / "set")

    assert main(options) == 0


def test_a_renamed_folder_is_gone_on_with(tmp_path: Path, weights: Path) -> None:
    """A set keeps the name that it was begun under."""
    options = ["--side", "64", "--damage", "jpeg:5"]
    assert main(arguments(PHOTOS, weights, tmp_path / "begun", *options)) == 0
    (tmp_path / "begun").rename(tmp_path / "moved")
    before = content(tmp_path / "moved")
    write_labels(tmp_path / "moved", read_labels(tmp_path / "moved").model_copy(update={"complete": False}))

    assert main(arguments(PHOTOS, weights, tmp_path / "moved", *options)) == 0
    assert content(tmp_path / "moved") == before


def test_a_picture_that_a_codec_cannot_hold_is_left_out(tmp_path: Path, weights: Path) -> None:
    """By name; the run goes on with the others."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    assert cv2.imwrite(str(pictures / "long.png"), np.zeros((40, 16_384, 3), np.uint8))
    shutil.copy(min(PHOTOS.glob("*.jpg")), pictures / "photo.jpg")
    assert main(arguments(pictures, weights, tmp_path / "set", "--side", "40", "--damage", "webp:30")) == 0

    labels = read_labels(tmp_path / "set")
    assert [one.name for one in labels.left_out] == ["long.png"]
    assert "webp cannot hold a picture of 16384 x 40 px" in labels.left_out[0].why
    assert [one.name for one in LabelSet.load(tmp_path / "set").sources] == ["photo.jpg"]


def test_the_code_s_commits_are_told(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the beginning, and of each going on after another; outside a checkout none."""
    repository = tmp_path / "repository"
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(ROOT))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", str(repository)], check=True)
    subprocess.run([*git, "add", str(ROOT / "training" / "commit.py")], check=True)
    options = arguments(PHOTOS, weights, tmp_path / "set", "--side", "32", "--damage", "dark:0.5")
    commits = []
    for number in range(2):
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", str(number)], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        commits.append(head)
        for _ in range(2):
            assert main(options) == 0
            labels = read_labels(tmp_path / "set")
            assert labels.commits == tuple(commits)
            write_labels(tmp_path / "set", labels.model_copy(update={"complete": False}))

    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    assert main([*options, "--output", str(tmp_path / "other")]) == 0
    assert read_labels(tmp_path / "other").commits == ()


def test_changed_shards_are_not_gone_on_with(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finished run is read again before its summary is told; a changed shard is named."""
    output = tmp_path / "set"
    options = arguments(PHOTOS, weights, output, "--side", "64", "--damage", "jpeg:5")
    assert main(options) == 0
    shard = output / "answers-0000.npz"
    shard.write_bytes(shard.read_bytes()[:-1])

    assert main(options) == 2
    assert "answers-0000.npz is not the file" in capsys.readouterr().err


def test_bad_pictures_are_named(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut short, empty, no picture, twice the same, without a class: each on standard error and in labels.json."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    first, second = sorted(PHOTOS.glob("*.jpg"))[:2]
    shutil.copy(first, pictures / "12_good.jpg")
    shutil.copy(first, pictures / "13_same.jpg")
    shutil.copy(second, pictures / "unknown.jpg")
    (pictures / "14_short.jpg").write_bytes(second.read_bytes()[:5000])
    (pictures / "15_empty.png").touch()
    (pictures / "16_text.jpg").write_text("no picture")
    Path(os.fsdecode(bytes(pictures) + b"/17_\xff.jpg")).write_text("no picture, and no UTF-8 in its name")
    assert main(arguments(pictures, weights, tmp_path / "set", "--side", "64", "--damage", "dark:0.1")) == 0

    error = capsys.readouterr().err
    left_out = {one.name: one.why for one in read_labels(tmp_path / "set").left_out}
    assert list(left_out) == [
        "13_same.jpg",
        "14_short.jpg",
        "15_empty.png",
        "16_text.jpg",
        r"17_\udcff.jpg",
        "unknown.jpg",
    ]
    assert left_out["13_same.jpg"] == "the same file as 12_good.jpg"
    assert "ends before" in left_out["14_short.jpg"]
    assert left_out["unknown.jpg"] == "its true class is not known"
    for name, why in left_out.items():
        assert f"left out: {name}: {why}" in error.splitlines()
    assert [source.name for source in LabelSet.load(tmp_path / "set").sources] == ["12_good.jpg"]


def test_nothing_but_bad_pictures(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error, not an empty set."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_text("no picture")

    assert main(arguments(tmp_path / "pictures", weights, tmp_path / "set")) == 2
    assert "all 1 pictures were left out" in capsys.readouterr().err


def test_balance(tmp_path: Path, weights: Path, crops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mild damages make few useless samples: harsher ones are added, for training alone, until there are as many.

    Each is as harsh as the plan's harsher half, and labelled like all others; killed between two extra shards, the run
    ends with the same bytes.
    """
    more = ["--damage", "dark:0.1..0.95:3", "--side", "32", "--balance", "relative", "--workers", "2"]
    output = tmp_path / "set"
    assert main(arguments(crops, weights, output, *more)) == 0
    labels = LabelSet.load(output)
    extra = labels.samples.extra
    train = labels.of_split("train")

    agreed, before = train.agreed("relative"), train.where(~train.samples.extra).agreed("relative")
    assert (before == 1).sum() > (before == 0).sum()
    assert (agreed == 0).sum() >= (agreed == 1).sum()
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("training split")
    assert f"{100 * (agreed == 1).mean():.1f} % useful, {100 * (agreed == 0).mean():.1f} % useless" in told
    assert {labels.sources[place].split for place in labels.samples.source[extra]} == {"train"}
    assert (labels.samples.strength[extra] <= np.sqrt(0.1 * 0.95)).all()
    assert (labels.samples.kind[extra] == "dark").all()
    for name in labels.networks:
        assert labels.recognised(name)[extra].all()
    last = len(np.load(output / read_labels(output).shards[-1].file)["source"])
    one_shard_less = labels.where(np.arange(len(labels)) < len(labels) - last).of_split("train").shares("relative")
    assert one_shard_less.useful > one_shard_less.useless  # no shard too many
    place = int(np.flatnonzero(extra)[-1])
    again = open_network(read_description(str(weights / "one.json")), weights)
    pixels = read_picture(crops / labels.sources[labels.samples.source[place]].name, side=32)
    own = labels.answers["one"]
    assert isinstance(own, ClassAnswers)
    (answer,) = again.answers([damaged(pixels, labels.damage(place))])
    assert isinstance(answer, Classes)
    assert answer.probabilities[own.reference[place]] == pytest.approx(own.ccsp[place], rel=1e-4)

    finished = content(output)
    whole = read_labels(output)
    assert len(whole.shards) > 5  # of them two extra
    cut = whole.model_copy(update={"complete": False, "shards": whole.shards[:-1]})
    (output / "labels.json").write_text(cut.model_dump_json())
    (output / whole.shards[-1].file).unlink()
    assert main(arguments(crops, weights, output, *more)) == 0
    assert content(output) == finished


def test_limit_takes_pictures_from_everywhere(tmp_path: Path, weights: Path) -> None:
    """As many as asked for, not the first ones, and with the same seed the same."""
    chosen = []
    for seed, name in (("0", "a"), ("0", "b"), ("1", "c")):
        more = ["--limit", "4", "--seed", seed, "--side", "32", "--damage", "dark:0.5"]
        assert main(arguments(PHOTOS, weights, tmp_path / name, *more)) == 0
        chosen.append([source.name for source in LabelSet.load(tmp_path / name).sources])

    names = sorted(path.name for path in PHOTOS.glob("*.jpg"))
    assert [len(some) for some in chosen] == [4, 4, 4]
    assert chosen[0] == chosen[1] != chosen[2]
    assert chosen[0] != names[:4]


@pytest.mark.parametrize(
    ("networks", "more", "fault"),
    [
        ("one eye", [], "classifiers or detectors"),
        ("one one", [], "each name may stand there once"),
        ("one", ["--damage", "jpg:5"], "no kind of damage 'jpg'"),
        ("one", ["--damage", ""], "no damage in it"),
        ("one", ["--layout", "coco"], "--annotations"),
        ("one", ["--annotations", "a.json"], "--layout"),
        ("nothing", [], "nothing.json"),
    ],
)
def test_wrong_options(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], networks: str, more: list[str], fault: str
) -> None:
    """Named before anything is written."""
    assert main(arguments(PHOTOS, weights, tmp_path / "set", *more, networks=networks)) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_help_names_what_can_be_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to err to learn the kinds of damage, or the networks that are described."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main(["label", "utility", "--help"])
    told = capsys.readouterr().out

    assert ", ".join(KINDS) in told
    assert ", ".join(shipped_names()) in told


def test_the_same_damage_whatever_else_is_in_the_folder(tmp_path: Path, weights: Path) -> None:
    """A picture's draws and its side hang on its content and the seed alone, not on its name nor its neighbours."""
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted(PHOTOS.glob("*.jpg"))[5:8]:
        shutil.copy(path, some / f"renamed-{path.name}")
    more = ["--side", "32", "--damage", "motion:2..20:2", "--test-share", "0.4"]
    assert main(arguments(some, weights, tmp_path / "a", *more)) == 0
    assert main(arguments(PHOTOS, weights, tmp_path / "b", *more)) == 0

    def facts(labels: LabelSet) -> dict[str, tuple[str, list[Damage]]]:
        return {
            source.sha256: (
                source.split,
                [labels.damage(int(sample)) for sample in np.flatnonzero(labels.samples.source == place)],
            )
            for place, source in enumerate(labels.sources)
        }

    few, many = facts(LabelSet.load(tmp_path / "a")), facts(LabelSet.load(tmp_path / "b"))
    assert few == {sha256: many[sha256] for sha256 in few}
