"""Descriptions, the way of a picture into a network, and classifiers in ONNX files."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests.training.network_graphs import Array, classifier, describe
from training.networks.answer import Classes
from training.networks.description import Input, Letterbox, ShorterSideCrop, Stretch, read_description, shipped_names
from training.networks.network import RUN_PICTURES, open_network
from training.networks.prepare import place, prepare

WEIGHTS = np.random.default_rng(0).normal(0, 3, (3, 1000))


def flat(red: int, green: int, blue: int, height: int = 20, width: int = 30) -> Array:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def probabilities(answer: object) -> Array:
    assert isinstance(answer, Classes)
    return answer.probabilities


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A weights' folder with net.onnx, the classifier of ``WEIGHTS``."""
    classifier(tmp_path / "net.onnx", WEIGHTS)
    return tmp_path


# Descriptions


def test_every_shipped_description_is_valid_and_says_where_its_weights_are() -> None:
    """Those of the networks that labels come from: each under its own name, with a licence, a source and a hash."""
    assert {"efficientnet-lite0", "mobilenet_v1", "squeezenet1_1", "yolox_nano", "fastestdet"} <= set(shipped_names())
    for name in shipped_names():
        description = read_description(name)

        assert description.name == name
        assert description.licence
        assert description.source
        assert description.sha256


def test_description_round_trips_through_its_json(tmp_path: Path) -> None:
    """What is written is what is read."""
    path = tmp_path / "mine.json"
    path.write_text(describe(name="mine").model_dump_json())

    assert read_description(str(path)) == describe(name="mine")


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    """Whoever mistypes a name sees the names."""
    with pytest.raises(ConfigError, match=r"'mobilenet_v9'.*mobilenet_v1, mobilenet_v2"):
        read_description("mobilenet_v9")


def test_wrong_fields_are_named(tmp_path: Path) -> None:
    """Each wrong field of a description file is named, with the file."""
    path = tmp_path / "mine.json"
    fields = {**describe().model_dump(mode="json"), "least_score": 2, "colour": "RGB"}
    path.write_text(json.dumps(fields))

    with pytest.raises(ConfigError, match=r"mine\.json.*least_score.*colour"):
        read_description(str(path))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name": ""}, "name"),
        ({"family": ""}, "family"),
        ({"task": "detection"}, "logits is not for detection"),
        ({"decode": {"kind": "yolox"}}, "yolox is not for classification"),
        ({"input": {"std": (1, 0, 1)}}, "std must be positive"),
        ({"input": {"resize": {"kind": "shorter_side_crop", "shorter": 7}}}, "less than the crop"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, object], fault: str) -> None:
    """A description that cannot be meant so is no description."""
    with pytest.raises(ValueError, match=fault):
        describe(**fields)


# Preparation


def spec(height: int, width: int, resize: ShorterSideCrop | Letterbox | Stretch) -> Input:
    return Input(height=height, width=width, mean=(0, 0, 0), std=(1, 1, 1), layout="NHWC", resize=resize)


def marked(height: int, width: int, box: tuple[int, int, int, int]) -> Array:
    picture = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    picture[top:bottom, left:right] = 255
    return picture


@pytest.mark.parametrize(
    ("resize", "height", "width"),
    [
        (Letterbox(fill=0), 96, 128),  # wide: half the size, grey below
        (Letterbox(fill=0), 128, 64),  # tall: half the size, grey at the right
        (Stretch(), 128, 256),  # a half and a quarter
        (ShorterSideCrop(shorter=64), 128, 256),  # half the size, the sides cut off
        (Letterbox(fill=0), 32, 16),  # twice the size
    ],
)
def test_a_box_seen_in_the_input_is_the_box_in_the_picture(
    resize: ShorterSideCrop | Letterbox | Stretch, height: int, width: int
) -> None:
    """A white rectangle on edges that the resize keeps whole is found again, exactly where it was."""
    box = (width // 2, height // 4, width // 2 + width // 8, height // 2)

    seen, placement = prepare(spec(64, 64, resize), marked(height, width, box))
    rows, columns = np.nonzero(seen[..., 0] > 127)
    inner = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])

    np.testing.assert_array_equal(placement.boxes_in_picture(inner), [box])


@pytest.mark.parametrize("resize", [Letterbox(), Stretch(), ShorterSideCrop(shorter=70)])
def test_places_map_back_exactly_at_every_size(resize: ShorterSideCrop | Letterbox | Stretch) -> None:
    """Picture to input to picture is the identity, whatever the sides; fractions of a pixel are not lost."""
    rng = np.random.default_rng(1)
    for height, width in rng.integers(1, 900, (50, 2)):
        at = place(spec(64, 48, resize), int(height), int(width))
        corners = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1) * (width, height)
        inner = corners * (at.width / width, at.height / height) + (at.left, at.top)

        np.testing.assert_allclose(at.boxes_in_picture(inner.reshape(-1, 4)), corners.reshape(-1, 4), atol=1e-3)


def test_letterbox_fills_right_and_below_and_keeps_the_aspect_ratio() -> None:
    """Top left the picture, the rest grey; the longer side fills the input."""
    seen, _ = prepare(spec(64, 64, Letterbox(fill=114)), flat(200, 10, 30, height=50, width=100))

    assert (seen[:32] == (200, 10, 30)).all()
    assert (seen[32:] == 114).all()


def test_crop_takes_the_centre() -> None:
    """What hangs over is cut evenly: the middle third of three colours."""
    picture = np.concatenate([flat(9, 9, 9, 64, 64), flat(200, 0, 0, 64, 64), flat(9, 9, 9, 64, 64)], axis=1)

    seen, _ = prepare(spec(64, 64, ShorterSideCrop(shorter=64)), picture)

    assert (seen == (200, 0, 0)).all()


@pytest.mark.parametrize(("antialias", "spread"), [(True, 0), (False, 255)])
def test_antialias_averages_what_plain_interpolation_skips(antialias: bool, spread: int) -> None:
    """Two of four columns are white: shrunk by four, all is one grey; without it, the middle two of four are seen."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, [column for column in range(64) if column % 8 in {1, 2, 4, 7}]] = 255

    seen, _ = prepare(spec(16, 16, Stretch(antialias=antialias)), stripes)

    assert np.ptp(seen) == spread


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_channels_are_ordered_and_normalised_in_that_order(color: str, layout: str) -> None:
    """(pixel - mean) / std, with mean and std in the order that the network takes."""
    described = describe(input={"color": color, "layout": layout, "mean": (1, 2, 3), "std": (2, 4, 8)}).input
    assert described is not None

    seen, _ = prepare(described, flat(10, 20, 30))

    channels = [10, 20, 30] if color == "RGB" else [30, 20, 10]
    wanted = [(channel - mean) / std for channel, mean, std in zip(channels, (1, 2, 3), (2, 4, 8), strict=True)]
    pixel = seen[:, 0, 0] if layout == "NCHW" else seen[0, 0]
    assert seen.shape == described.shape
    assert seen.dtype == np.float32
    np.testing.assert_allclose(pixel, wanted)


# Classifiers


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_classifier_answers_each_picture_in_order(tmp_path: Path, batch: int | str, layout: str) -> None:
    """Pictures of many sizes, more than one run takes, a batch dynamic or fixed: the softmax of each one's logits."""
    classifier(tmp_path / "net.onnx", WEIGHTS, batch=batch, layout=layout)
    rng = np.random.default_rng(2)
    colours = rng.integers(0, 256, (RUN_PICTURES + 3, 3))
    pictures = [flat(*colour, *rng.integers(3, 40, 2)) for colour in colours]

    answers = open_network(describe(input={"layout": layout}), tmp_path).answers(pictures)

    wanted = [softmax(colour / 255 @ WEIGHTS) for colour in colours]
    np.testing.assert_allclose([probabilities(answer) for answer in answers], wanted, rtol=1e-4, atol=1e-7)
    assert probabilities(answers[0]).dtype == np.float32


def test_colours_reach_the_network_as_described(folder: Path) -> None:
    """BGR is RGB with red and blue exchanged, and this network can tell."""
    answer = open_network(describe(input={"color": "BGR"}), folder).answers([flat(255, 60, 0)])[0]

    wanted = softmax(np.array([0, 60, 255]) / 255 @ WEIGHTS)
    np.testing.assert_allclose(probabilities(answer), wanted, rtol=1e-4, atol=1e-7)


def test_background_class_is_left_out(tmp_path: Path) -> None:
    """Of 1001 outputs the first is no class of ImageNet: the rest is renormalised, as logits and as probabilities."""
    classifier(tmp_path / "net.onnx", np.concatenate([np.full((3, 1), 2.0), WEIGHTS], axis=1))
    described = describe(decode={"kind": "logits", "offset": 1})

    answer = open_network(described, tmp_path).answers([flat(255, 255, 255)])[0]

    np.testing.assert_allclose(probabilities(answer), softmax(np.ones(3) @ WEIGHTS), rtol=1e-4, atol=1e-7)


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    """A network that ends in a softmax gets none of ours; the background's share is spread over the rest."""
    shares = np.zeros((3, 1001))
    shares[:, 0], shares[:, 8], shares[:, 1000] = 0.2 / 3, 0.6 / 3, 0.2 / 3
    classifier(tmp_path / "net.onnx", shares)
    every_pixel_is_one = {"mean": (-1e6,) * 3, "std": (1e6,) * 3}
    described = describe(decode={"kind": "probabilities", "offset": 1}, input=every_pixel_is_one)

    answer = open_network(described, tmp_path).answers([flat(255, 255, 255)])[0]

    assert probabilities(answer)[7] == pytest.approx(0.75, abs=1e-3)
    assert probabilities(answer)[999] == pytest.approx(0.25, abs=1e-3)
    assert probabilities(answer).sum() == pytest.approx(1, abs=1e-6)


def test_digest_is_the_files_hash(folder: Path) -> None:
    """Equal weights, equal digest."""
    sha256 = hashlib.sha256((folder / "net.onnx").read_bytes()).hexdigest()

    assert open_network(describe(sha256=sha256), folder).digest == f"sha256:{sha256}"


def test_two_threads_answer_as_one(folder: Path) -> None:
    """How many cores a run uses changes nothing of what it says."""
    pictures = [flat(200, 100, 50)]

    one, two = (open_network(describe(), folder, threads=threads).answers(pictures)[0] for threads in (1, 2))

    np.testing.assert_allclose(probabilities(one), probabilities(two), rtol=1e-5, atol=1e-7)


# What can be wrong


def test_missing_weights_say_where_to_get_them(tmp_path: Path) -> None:
    """The file, and the source that the description names."""
    with pytest.raises(ConfigError, match=r"net\.onnx: No such file.*the net's own page.*--weights"):
        open_network(describe(), tmp_path)


def test_other_weights_than_described_are_refused(folder: Path) -> None:
    """Their hash is another: both are told."""
    with pytest.raises(ConfigError, match=f"has the SHA-256 [0-9a-f]{{64}}, its description says {'0' * 64}"):
        open_network(describe(sha256="0" * 64), folder)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime's words, and the file's name."""
    (tmp_path / "net.onnx").write_bytes(b"<html>not found</html>")

    with pytest.raises(ConfigError, match=r"net\.onnx: ONNX Runtime .* cannot open it"):
        open_network(describe(), tmp_path)


def test_input_of_another_size_is_refused(folder: Path) -> None:
    """The graph is held to the description before the first picture."""
    with pytest.raises(ConfigError, match=r"input is \['N', 3, 8, 8\], a picture's is said to be \(3, 16, 16\)"):
        open_network(describe(input={"height": 16, "width": 16}), folder)


def test_output_of_another_shape_is_refused_when_opened(tmp_path: Path) -> None:
    """21 classes are not ImageNet's thousand: known before hours of work."""
    classifier(tmp_path / "net.onnx", WEIGHTS[:, :21])

    with pytest.raises(ConfigError, match=r"net: .*\(1000,\) a picture is due, the network's is \(21,\)"):
        open_network(describe(), tmp_path)


def test_logits_described_as_probabilities_are_refused(folder: Path) -> None:
    """They do not sum to 1, and the text says what they may be."""
    with pytest.raises(ConfigError, match="is it of the kind logits"):
        open_network(describe(decode={"kind": "probabilities"}), folder)


def test_a_classifier_described_as_a_detector_is_refused(folder: Path) -> None:
    """The decoder's shapes are the network's."""
    described = describe(task="detection", decode={"kind": "fastestdet"})

    with pytest.raises(ConfigError, match=r"decode fastestdet\).*\(85, rows, columns\) is due"):
        open_network(described, folder)


def test_no_threads_are_refused(folder: Path) -> None:
    """Zero would be ONNX Runtime's word for all of them."""
    with pytest.raises(ConfigError, match="threads = 0"):
        open_network(describe(), folder, threads=0)
