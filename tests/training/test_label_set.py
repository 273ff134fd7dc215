"""A set of labels on disk and in views."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.damage.damage import UNDAMAGED, Damage
from training.data.source import Box
from training.utility.answers import Answers, BoxAnswers, ClassAnswers, Samples
from training.utility.header import PSEUDO_TRUTH, TRUE_LABELS, Header, Labeller, Truth, read_labels, write_labels
from training.utility.label_set import LabelSet
from training.utility.sources import LabelledSource

SHA = "0" * 64
DOG, CAT, FOX = 7, 8, 9
TRUTHS = {"good.jpg": DOG, "odd.jpg": CAT}


def header(truth: Truth, **families: str) -> Header:
    return Header(
        name="small",
        task="classification",
        truth=truth,
        root="pictures",
        pictures_sha256=SHA,
        plan="jpeg:5,20",
        test_share=0.5,
        networks=tuple(
            Labeller(name=name, family=family, digest=f"sha256:{SHA}", description={"input": None, "std": [1.5]})
            for name, family in families.items()
        ),
    )


def classes(predicted: list[int], ccsp: list[float]) -> ClassAnswers:
    """Of two sources with three samples each, the first of each undamaged."""
    reference = np.repeat(np.array(predicted, np.int16)[[0, 3]], 3)
    count = len(predicted)
    return ClassAnswers(
        predicted=np.array(predicted, np.int16),
        confidence=np.full(count, 0.5, np.float32),
        reference=reference,
        reference_confidence=np.repeat(np.array(ccsp, np.float32)[[0, 3]], 3),
        ccsp=np.array(ccsp, np.float32),
        top_classes=np.tile(np.arange(10, dtype=np.int16), (count, 1)),
        top_probabilities=np.full((count, 10), 0.1, np.float16),
    )


def small(truth: Truth = TRUE_LABELS) -> LabelSet:
    sources = (
        LabelledSource("good.jpg", "1" * 64, "train", 30, 40, DOG),
        LabelledSource("odd.jpg", "2" * 64, "test", 30, 40, CAT),
    )
    samples = Samples(
        np.array([0, 0, 0, 1, 1, 1], np.int32),
        np.array(["none", "jpeg", "motion"] * 2),
        np.array([0, 5, 0.1 + 0.2] * 2, np.float64),
        np.array([0, 1, 2**31 - 1] * 2, np.int64),
        np.array([900, 100, 800] * 2, np.int32),
        np.array([False, False, False, False, False, True]),
    )
    answers: dict[str, Answers] = {
        "sure.v1": classes([DOG, DOG, CAT, CAT, CAT, DOG], [0.99, 0.95, 0.02, 0.96, 0.98, 0.05]),
        "meek": classes([DOG, DOG, FOX, FOX, CAT, DOG], [0.6, 0.4, 0.05, 0.2, 0.5, 0.1]),
    }
    return LabelSet(header(truth, **{"sure.v1": "resnet", "meek": "mobilenet"}), sources, samples, answers)


def columns(labels: LabelSet) -> dict[str, NDArray[Any]]:
    found = labels.samples.arrays()
    for name, own in labels.answers.items():
        found |= {f"{name}.{column}": values for column, values in own.arrays().items()}
    return found


def test_round_trip(tmp_path: Path) -> None:
    """What is saved is loaded, to the last bit and type; equal sets have one digest."""
    saved = small().save(tmp_path / "a")
    loaded = LabelSet.load(tmp_path / "a")

    assert loaded.header == saved.header
    assert loaded.sources == saved.sources
    assert loaded.digest == saved.digest
    assert small().save(tmp_path / "b").digest == saved.digest
    for name, values in columns(saved).items():
        np.testing.assert_array_equal(columns(loaded)[name], values)
        assert columns(loaded)[name].dtype == values.dtype
    assert [loaded.damage(place) for place in (0, 5)] == [UNDAMAGED, Damage("motion", 0.1 + 0.2, 2**31 - 1)]


@pytest.mark.parametrize("file", ["answers-0000.npz", "sources.jsonl"])
def test_changed_files_are_refused(tmp_path: Path, file: str) -> None:
    """One byte is enough, and the file is named."""
    small().save(tmp_path)
    content = bytearray((tmp_path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{file} is not the file"):
        LabelSet.load(tmp_path)

    (tmp_path / file).unlink()
    with pytest.raises(ConfigError, match=file):
        LabelSet.load(tmp_path)


def test_what_is_no_finished_set_is_refused(tmp_path: Path) -> None:
    """No folder, no such format, or a run that did not come to its end."""
    with pytest.raises(ConfigError, match="python -m training label"):
        LabelSet.load(tmp_path / "nowhere")
    small().save(tmp_path)
    labels = read_labels(tmp_path)
    write_labels(tmp_path, labels.model_copy(update={"complete": False}))
    with pytest.raises(ConfigError, match="the same command again goes on"):
        LabelSet.load(tmp_path)
    document = json.loads((tmp_path / "labels.json").read_text())
    (tmp_path / "labels.json").write_text(json.dumps(document | {"tesk": 1, "test_share": 2}))
    with pytest.raises(ConfigError, match=r"(?s)test_share.*tesk|tesk.*test_share"):
        LabelSet.load(tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps(document | {"root": 5}))
    with pytest.raises(ConfigError, match="root: Input should be a valid string"):
        LabelSet.load(tmp_path)


def test_true_labels() -> None:
    """A network is right by the true class, and says nothing of a source that it gets wrong undamaged."""
    labels = small()

    assert labels.right("meek").tolist() == [True, True, False, False, True, False]
    assert labels.recognised("sure.v1").all()
    assert labels.recognised("meek").tolist() == [True] * 3 + [False] * 3
    np.testing.assert_array_equal(labels.verdicts("paper"), [[1, 1, 0, 1, 1, 0], [-1, -1, 0, -1, -1, -1]])
    np.testing.assert_array_equal(labels.verdicts("relative"), [[1, 1, 0, 1, 1, 0], [1, 1, 0, -1, -1, -1]])
    assert labels.agreed("relative").tolist() == [1, 1, 0, -1, -1, -1]
    assert labels.majority().tolist() == [1, 1, 0, 1, 1, 0]


def test_pseudo_truth() -> None:
    """The truth is the network's own undamaged answer, if it is sure of it: FOX at .2 is not."""
    labels = small(PSEUDO_TRUTH)

    assert labels.right("meek").tolist() == [True, True, False, True, False, False]
    assert labels.recognised("meek").tolist() == [True] * 3 + [False] * 3


def test_shares() -> None:
    """Of all samples; the three shares are everything."""
    shares = small().shares("relative")

    assert (shares.samples, shares.useful, shares.useless, shares.grey_zone) == (6, 2 / 6, 1 / 6, 3 / 6)
    assert np.isnan(small().where(np.zeros(6, bool)).shares("relative").useful)


def test_views() -> None:
    """A split by its sources; samples by a mask; networks by name, or without a family. Wrong names are named."""
    labels = small()

    assert len(labels.of_split("train")) == len(labels.of_split("test")) == 3
    assert labels.of_split("test").samples.source.tolist() == [1, 1, 1]
    assert labels.where(labels.damaged).agreed("relative").tolist() == [1, 0, -1, -1]
    assert labels.without_families(["resnet"]).networks == ["meek"]
    assert labels.without_families(["resnet"]).agreed("relative").tolist() == [1, 1, 0, -1, -1, -1]
    with pytest.raises(ConfigError, match=r"families mobilenet, resnet; not vgg"):
        labels.without_families(["vgg"])
    with pytest.raises(ConfigError, match=r"networks sure\.v1, meek; not x"):
        labels.only(["x", "meek"])
    with pytest.raises(ConfigError, match="at least one"):
        labels.without_families(["resnet", "mobilenet"])


def test_a_saved_view_is_a_set_of_its_own(tmp_path: Path) -> None:
    """With the networks that are in it, and another digest."""
    view = small().without_families(["resnet"]).of_split("test")
    saved = view.save(tmp_path)

    assert [network.name for network in LabelSet.load(tmp_path).header.networks] == ["meek"]
    assert saved.digest != small().save(tmp_path / "whole").digest


def boxes(counts: list[int]) -> BoxAnswers:
    """So many detections a sample; every number tells where it belongs."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    flat = np.repeat(np.arange(len(counts)), counts) * 10 + np.concatenate([np.arange(count) for count in counts])
    found = np.arange(len(counts), dtype=np.int16)
    return BoxAnswers(
        boxes=np.repeat(flat[:, None], 4, axis=1).astype(np.float32),
        labels=flat.astype(np.int16),
        scores=(flat / 100).astype(np.float32),
        offsets=offsets,
        found=found,
        truths=found + 1,
        ccsp=(found / 10).astype(np.float32),
        reference_confidence=np.full(len(counts), 0.5, np.float32),
    )


def test_boxes_follow_their_samples() -> None:
    """Whatever samples are taken, in whatever order, and joined again: each keeps its own detections."""
    whole = boxes([2, 0, 3, 1, 0])

    taken = whole.take(np.array([3, 2, 1, 2]))
    assert [taken.detections(place).labels.tolist() for place in range(4)] == [[30], [20, 21, 22], [], [20, 21, 22]]
    assert taken.found.tolist() == [3, 2, 1, 2]
    joined = BoxAnswers.join([taken, whole.take(np.array([], np.intp)), whole])
    assert [joined.detections(place).labels.tolist() for place in (3, 4, 5, 8)] == [[20, 21, 22], [0, 1], [], []]
    assert len(joined.detections(6).boxes) == 3
    for name, values in whole.take(np.arange(5)).arrays().items():
        np.testing.assert_array_equal(values, whole.arrays()[name])


def test_detectors(tmp_path: Path) -> None:
    """Right is one true box found; recognised is a match of at least .5 undamaged; boxes survive the disk."""
    sources = (LabelledSource("a.jpg", SHA, "train", 30, 40, None, (Box(3, 1.25, 2, 3, 4),)),)
    samples = Samples(
        np.zeros(3, np.int32),
        np.array(["none", "dark", "dark"]),
        np.array([0, 0.5, 0.1]),
        np.zeros(3, np.int64),
        np.full(3, 99, np.int32),
        np.zeros(3, bool),
    )
    own = boxes([2, 0, 1]).arrays() | {
        "found": np.array([1, 1, 0], np.int16),
        "ccsp": np.array([0.8, 0.6, 0.2], np.float32),
        "reference_confidence": np.full(3, 0.8, np.float32),
    }
    made = header(TRUE_LABELS, eye="yolo").model_copy(update={"task": "detection"})
    LabelSet(made, sources, samples, {"eye": BoxAnswers.of(own)}).save(tmp_path)
    labels = LabelSet.load(tmp_path)

    assert labels.sources == sources
    assert labels.verdicts("paper").tolist() == [[1, 1, 0]]
    assert labels.verdicts("relative").tolist() == [[1, 1, -1]]
    answers = labels.answers["eye"]
    assert isinstance(answers, BoxAnswers)
    np.testing.assert_array_equal(answers.detections(0).boxes, [[0] * 4, [1] * 4])
