"""Detectors: what their raw outputs say, suppression, and the way of a box back into the picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests.training.network_graphs import Array, constant, describe
from training.data.source import Box
from training.networks.answer import Detections
from training.networks.candidates import Candidates
from training.networks.decode_boxes import decode_boxes
from training.networks.decode_fastestdet import decode_fastestdet
from training.networks.decode_nanodet import decode_nanodet
from training.networks.decode_yolox import decode_yolox
from training.networks.description import Boxes, NanoDet, YoloX
from training.networks.network import open_network
from training.networks.suppression import suppress

HEIGHT, WIDTH = 64, 96
STRIDES = (8, 16, 32)
KNOWN = [Box(0, 3.5, 8.25, 30.0, 40.5), Box(79, 60.0, 20.0, 93.0, 62.0), Box(17, 40.0, 2.0, 50.0, 10.0)]
"""Objects in an input of ``HEIGHT`` x ``WIDTH``, none with the centre of another's."""


def corners(box: Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]


def centre(box: Box) -> tuple[float, float, float, float]:
    """x, y, width, height."""
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.right - box.left, box.bottom - box.top


def first_cell(stride: int, height: int = HEIGHT, width: int = WIDTH) -> int:
    """Where the cells of a stride begin, if strides follow each other."""
    return sum((height // s) * (width // s) for s in STRIDES if s < stride)


def yolox_output(
    boxes: list[Box], stride: int, height: int = HEIGHT, width: int = WIDTH, *, objectness: float = 0.9
) -> Array:
    """The output (cells, 85) that tells ``boxes``, each in the cell of its centre."""
    output = np.zeros((sum((height // s) * (width // s) for s in STRIDES), 85), np.float32)
    for box in boxes:
        x, y, w, h = centre(box)
        column, row = int(x // stride), int(y // stride)
        cell = output[first_cell(stride, height, width) + row * (width // stride) + column]
        cell[:5] = x / stride - column, y / stride - row, np.log(w / stride), np.log(h / stride), objectness
        cell[5 + box.label] = 0.8
    return output


def nanodet_distances(box: Box, stride: int) -> Array:
    """From the middle of the cell that holds the box's centre to its left, top, right, bottom; in strides."""
    x, y, _, _ = centre(box)
    middle = (np.array([x // stride, y // stride]) + 0.5) * stride
    return np.concatenate([middle - corners(box)[:2], corners(box)[2:] - middle]) / stride


def fits_nanodet(box: Box, stride: int) -> bool:
    """Whether its distances can be told: none is negative, none above seven."""
    distances = nanodet_distances(box, stride)
    return bool(distances.min() >= 0 and distances.max() < 7)


def nanodet_outputs(boxes: list[Box], stride: int) -> list[Array]:
    """Class and box outputs of each stride; a distance is told by the two bins beside it."""
    outputs = []
    for s in STRIDES:
        columns, count = WIDTH // s, (WIDTH // s) * (HEIGHT // s)
        classes, logits = np.full((count, 80), 0.01, np.float32), np.zeros((count, 4, 8), np.float32)
        for box in boxes if s == stride else []:
            x, y, _, _ = centre(box)
            column, row = int(x // s), int(y // s)
            distances = nanodet_distances(box, s)
            classes[row * columns + column, box.label] = 0.7
            below = np.floor(distances).astype(int)
            logits[row * columns + column] = -60
            logits[row * columns + column, range(4), below] = np.log(1 - (distances - below) + 1e-12)
            logits[row * columns + column, range(4), below + 1] = np.log(distances - below + 1e-12)
        outputs += [classes, logits.reshape(count, 32)]
    return outputs


def fastestdet_output(boxes: list[Box], rows: int, columns: int) -> Array:
    """The output (85, rows, columns) that tells ``boxes``; each offset is told from the cell's corner."""
    output = np.full((85, rows, columns), 0.001, np.float32)
    for box in boxes:
        x, y, w, h = centre(box)
        across, down = x / WIDTH * columns, y / HEIGHT * rows
        column, row = int(across), int(down)
        cell = output[:, row, column]
        cell[0] = 0.9
        cell[1:3] = np.arctanh(across - column), np.arctanh(down - row)
        cell[3:5] = [np.log(share / (1 - share)) for share in (w / WIDTH, h / HEIGHT)]
        cell[5 + box.label] = 0.5
    return output


def assert_known(found: Candidates, wanted: list[Box], score: float) -> None:
    """The candidates of at least half that score are ``wanted``, in any order, each with that score."""
    strong = found.scores > score / 2
    order = np.argsort(found.labels[strong])
    expected = sorted(wanted, key=lambda box: box.label)

    np.testing.assert_array_equal(found.labels[strong][order], [box.label for box in expected])
    np.testing.assert_allclose(found.boxes[strong][order], [corners(box) for box in expected], atol=1e-3)
    np.testing.assert_allclose(found.scores[strong], score, rtol=1e-5)


@pytest.mark.parametrize("stride", STRIDES)
def test_yolox_tells_known_boxes(stride: int) -> None:
    """Boxes put into the cells of any stride are read out again; the score is objectness times class."""
    found = decode_yolox([yolox_output(KNOWN, stride)], YoloX(), HEIGHT, WIDTH)

    assert len(found.scores) == 96 + 24 + 6
    assert_known(found, KNOWN, 0.9 * 0.8)


@pytest.mark.parametrize("stride", STRIDES)
def test_nanodet_tells_known_boxes(stride: int) -> None:
    """A side is the mean of its distribution away from the cell's centre; the outputs' order does not matter."""
    fitting = [box for box in KNOWN if fits_nanodet(box, stride)]
    outputs = nanodet_outputs(fitting, stride)
    shuffled = [outputs[index] for index in (3, 0, 5, 2, 4, 1)]

    assert fitting
    assert_known(decode_nanodet(outputs, NanoDet(), HEIGHT, WIDTH), fitting, 0.7)
    assert_known(decode_nanodet(shuffled, NanoDet(), HEIGHT, WIDTH), fitting, 0.7)


def test_fastestdet_tells_known_boxes() -> None:
    """Offsets by tanh, sizes by sigmoid, in shares of the input; the score is objectness^.6 times class^.4."""
    found = decode_fastestdet([fastestdet_output(KNOWN, 4, 6)], HEIGHT, WIDTH)

    assert_known(found, KNOWN, 0.9**0.6 * 0.5**0.4)


def test_official_ids_become_labels_without_gaps() -> None:
    """COCO's 1 is label 0 and its 90 is 79; 12 is nobody's id, and its box is left out."""
    boxes = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    outputs = [boxes, np.array([[1, 12, 13, 90]]), np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)]

    found = decode_boxes(outputs, Boxes(labels="1..90"))

    np.testing.assert_array_equal(found.labels, [0, 11, 79])
    np.testing.assert_array_equal(found.boxes, boxes[0, [0, 2, 3]])
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6])


def test_labels_outside_the_categories_are_refused() -> None:
    """80 is no label of 0..79: it may be an official id."""
    outputs = [np.zeros((1, 4)), np.array([80]), np.array([0.5])]

    with pytest.raises(ValueError, match=r"labels in 0\.\.79"):
        decode_boxes(outputs, Boxes(labels="0..79"))


@pytest.mark.parametrize(
    ("decode", "outputs"),
    [
        (lambda o: decode_yolox(o, YoloX(), HEIGHT, WIDTH), [np.zeros((126, 25))]),
        (lambda o: decode_yolox(o, YoloX(), HEIGHT, WIDTH), [np.zeros((3549, 85))]),
        (lambda o: decode_yolox(o, YoloX(), HEIGHT, WIDTH), [np.zeros((126, 85)), np.zeros(3)]),
        (lambda o: decode_nanodet(o, NanoDet(), HEIGHT, WIDTH), [np.zeros((96, 80)), np.zeros((96, 44))]),
        (lambda o: decode_fastestdet(o, HEIGHT, WIDTH), [np.zeros((25, 4, 6))]),
        (lambda o: decode_boxes(o, Boxes()), [np.zeros((2, 4)), np.zeros(2), np.zeros(3)]),
    ],
)
def test_outputs_of_another_network_are_refused(decode: Callable[[list[Array]], object], outputs: list[Array]) -> None:
    """Too many cells, other classes, an output too much: no decoder reads what it does not know."""
    with pytest.raises(ValueError, match=r"is due|one picture has"):
        decode(outputs)


# Suppression


def plain_iou(one: list[float], other: list[float]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    shared = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def plain_suppression(boxes: Array, labels: Array, scores: Array, most_iou: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        rivals = [other for other in kept if labels[other] == labels[index]]
        if all(plain_iou(boxes[index].tolist(), boxes[other].tolist()) <= most_iou for other in rivals):
            kept.append(index)
    return kept


@pytest.mark.parametrize("most_iou", [0.1, 0.45, 0.9])
def test_suppression_keeps_what_the_plain_rule_keeps(most_iou: float) -> None:
    """Crowds of boxes of three labels, with equal scores among them: the same boxes in the same order."""
    rng = np.random.default_rng(4)
    for count in (0, 1, 2, 60):
        starts = rng.uniform(0, 40, (count, 2))
        boxes = np.concatenate([starts, starts + rng.uniform(5, 40, (count, 2))], axis=1)
        labels, scores = rng.integers(0, 3, count), rng.integers(1, 20, count) / 20

        kept = suppress(boxes, labels, scores, most_iou)

        assert kept.tolist() == plain_suppression(boxes, labels, scores, most_iou)
        assert most_iou > 0.5 or count < 60 or 3 <= len(kept) < 60  # some doubles there are


# Whole networks


def detections(answer: object) -> Detections:
    assert isinstance(answer, Detections)
    return answer


def test_detector_answers_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    """A 200 x 100 picture lies in 64 x 64 at .32: strongest first, doubles and the weak left out, cut at the border."""
    told = [  # each in cells of its own, so that their sum tells all
        (Box(3, 10, 5, 30, 25), 8, 0.9),
        (Box(3, 10, 5, 31, 26), 16, 0.8),  # the same object again
        (Box(5, 40, 10, 60, 30), 8, 1.0),
        (Box(0, -6, 2, 10, 20), 8, 0.5),
        (Box(9, 1, 1, 60, 60), 32, 0.1),  # too weak
    ]
    output = np.sum([yolox_output([box], stride, 64, 64, objectness=sure) for box, stride, sure in told], axis=0)
    constant(tmp_path / "net.onnx", {"output": output[None]}, side=64)
    described = describe(
        task="detection",
        decode={"kind": "yolox"},
        least_score=0.1,
        input={"height": 64, "width": 64, "resize": {"kind": "letterbox"}},
    )

    pictures = [np.zeros((height, width, 3), np.uint8) for height, width in ((64, 64), (100, 200))]
    small, large = map(detections, open_network(described, tmp_path).answers(pictures))

    np.testing.assert_array_equal(small.labels, [5, 3, 0])
    np.testing.assert_allclose(small.scores, [0.8, 0.72, 0.4], rtol=1e-5)
    np.testing.assert_allclose(small.boxes, [[40, 10, 60, 30], [10, 5, 30, 25], [0, 2, 10, 20]], atol=1e-4)
    np.testing.assert_allclose(large.boxes, small.boxes / 0.32, atol=1e-3)
    assert large.boxes.dtype == large.scores.dtype == np.float32
    assert large.labels.dtype == np.int64


def test_boxes_below_the_picture_are_cut_to_it(tmp_path: Path) -> None:
    """What a network sees in a letterbox's grey is outside the picture, and no box leaves the picture."""
    constant(tmp_path / "net.onnx", {"output": yolox_output([Box(1, 8, 20, 24, 60)], 8, 64, 64)[None]}, side=64)
    described = describe(
        task="detection",
        decode={"kind": "yolox"},
        input={"height": 64, "width": 64, "resize": {"kind": "letterbox"}},
    )

    answer = detections(open_network(described, tmp_path).answers([np.zeros((32, 64, 3), np.uint8)])[0])

    np.testing.assert_allclose(answer.boxes, [[8, 20, 24, 32]], atol=1e-4)


def test_nanodet_in_a_file_with_six_outputs(tmp_path: Path) -> None:
    """All of a graph's outputs reach the decoder, a stretched picture's box its own scale."""
    raw = {"c": (64, 80), "d": (16, 80), "e": (4, 80), "f": (64, 32), "g": (16, 32), "h": (4, 32)}
    outputs = {name: np.zeros((1, *shape), np.float32) for name, shape in raw.items()}
    outputs["c"][0, 9, 7] = 0.6  # the cell in row 1, column 1 of stride 8, its centre at 12, 12
    outputs["f"][0, 9] = np.where(np.tile(np.arange(8), 4) == 1, 40, 0)  # each side one stride away
    constant(tmp_path / "net.onnx", outputs, side=64)
    described = describe(task="detection", decode={"kind": "nanodet"}, input={"height": 64, "width": 64})

    answer = detections(open_network(described, tmp_path).answers([np.zeros((128, 32, 3), np.uint8)])[0])

    assert answer.labels.tolist() == [7]
    np.testing.assert_allclose(answer.boxes, [[2, 8, 10, 40]], atol=1e-4)


def test_ready_boxes_keep_what_the_network_kept(tmp_path: Path) -> None:
    """Without ``nms_iou`` two boxes of one object stay; they come strongest first."""
    outputs = {
        "scores": np.array([0.3, 0.9, 0.01], np.float32),
        "labels": np.array([1, 1, 1]),
        "boxes": np.array([[0, 0, 8, 8], [0, 0, 8, 9], [1, 1, 2, 2]], np.float32),
    }
    constant(tmp_path / "net.onnx", outputs, side=16)
    picture = np.zeros((16, 16, 3), np.uint8)
    fields = {"task": "detection", "decode": {"kind": "boxes"}, "input": {"height": 16, "width": 16}}

    found = [
        detections(open_network(describe(**fields, nms_iou=most_iou), tmp_path).answers([picture])[0])
        for most_iou in (None, 0.5)
    ]

    np.testing.assert_array_equal(found[0].boxes, [[0, 0, 8, 9], [0, 0, 8, 8]])
    np.testing.assert_array_equal(found[1].boxes, [[0, 0, 8, 9]])


def test_a_picture_without_objects_has_no_detections(tmp_path: Path) -> None:
    """Empty, and of the shapes that others have."""
    constant(tmp_path / "net.onnx", {"output": np.zeros((1, 85, 4, 4), np.float32)}, side=64)
    described = describe(task="detection", decode={"kind": "fastestdet"}, input={"height": 64, "width": 64})

    answer = detections(open_network(described, tmp_path).answers([np.zeros((9, 9, 3), np.uint8)])[0])

    assert (answer.boxes.shape, answer.labels.shape, answer.scores.shape) == ((0, 4), (0,), (0,))


def test_scores_outside_their_range_are_refused(tmp_path: Path) -> None:
    """A detector whose scores are logits is described wrongly: known when it is opened."""
    output = yolox_output([Box(1, 8, 20, 24, 60)], 8, 64, 64)
    output[:, 4] *= 7
    constant(tmp_path / "net.onnx", {"output": output[None]}, side=64)
    described = describe(task="detection", decode={"kind": "yolox"}, input={"height": 64, "width": 64})

    with pytest.raises(ConfigError, match=r"scores in \[0, 1\] are due"):
        open_network(described, tmp_path)
