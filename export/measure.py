"""How well the baseline's score tells damaged frames from whole ones: the numbers on its card.

Every picture is scored as it is and in damaged copies, with every resize rule, through the runtime's own
decoder and preprocessing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from export.damage import COPIES, Pixels
from export.manifest import load_model, manifest_text
from export.samples import MAX_PIXELS, SUFFIXES, pictures_in
from runtime.decode import Decoder
from runtime.errors import ConfigError, EngineError, FrameError
from runtime.manifest import Manifest, Resize, UtilityHead, parse_manifest
from runtime.opencv import cv2
from runtime.preprocess import Preprocessor

Scores = NDArray[np.float64]

FITS: tuple[Literal["stretch", "crop", "pad"], ...] = ("stretch", "crop", "pad")

RULES = [Resize(fit=fit, halve=halve) for fit in FITS for halve in (True, False)]


@dataclass(frozen=True)
class Measured:
    """Scores (picture, copy, rule) of one folder; ``right`` says where the class was, where names tell it."""

    folder: str
    scores: Scores
    right: NDArray[np.bool_] | None


class Judge:
    """The engine with the class it was sure of beside its score."""

    def __init__(self, path: Path, threads: int) -> None:
        model = load_model(path)
        text = manifest_text(model)
        if text is None:
            raise EngineError(f"{path}: it has no manifest; make it with: python -m export baseline --output {path}")
        self.manifest: Manifest = parse_manifest(text, str(path))
        if len(self.manifest.inputs) != 1 or not isinstance(self.manifest.heads[0], UtilityHead):
            raise ConfigError(f"--engine {path}: an engine of one input and a utility head is due, like the baseline")
        self.head = self.manifest.heads[0]
        output = self.head.output
        score = next(node for node in model.graph.node if output in node.output)
        model.graph.output.add(name=score.input[0])  # what the score is the maximum of: one number a class
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def judge(self, batch: Pixels) -> tuple[Scores, NDArray[np.int64]]:
        """Score and class of each sample."""
        scores, classes = self._session.run(None, {self.manifest.inputs[0].name: batch})
        return scores, classes.argmax(axis=1)


def measure(
    judge: Judge, folder: Path, rules: list[Resize], every: int = 1, cover: tuple[int, int] | None = None
) -> Measured:
    """Score every ``every``-th picture of the folder, its copies and the rules.

    Args:
        judge: the engine.
        folder: searched with its subfolders.
        rules: the resize rules to try; the engine's input takes their place in turn.
        every: 1 takes every picture.
        cover: (height, width) of the frame that each picture is first scaled down and cropped to; smaller
            pictures are left out.

    Raises:
        ConfigError: the folder has no pictures, or one that cannot be read.
    """
    paths = pictures_in(folder)[::every]
    spec = judge.manifest.inputs[0]
    preprocessors = [Preprocessor(spec.model_copy(update={"resize": rule})) for rule in rules]
    decoder = Decoder(MAX_PIXELS)
    used: list[Path] = []
    judged: list[tuple[Scores, NDArray[np.int64]]] = []
    for path in track(paths, folder.name, console=Console(stderr=True), transient=True):
        frame = _frame(_decode(decoder, path), cover)
        if frame is not None:
            used.append(path)
            judged.append(judge.judge(_samples(frame, decoder, preprocessors)))
    if not used:
        raise ConfigError(
            f"{folder}: no pictures there ({', '.join(sorted(SUFFIXES))}), or all are smaller than --cover"
        )
    shape = (len(used), len(COPIES), len(rules))
    scores = np.array([scores for scores, _ in judged], np.float64).reshape(shape)
    classes = np.array([classes for _, classes in judged]).reshape(shape)
    labels = _labels(used)
    return Measured(folder.name, scores, None if labels is None else classes == labels[:, None, None])


def _decode(decoder: Decoder, path: Path) -> Pixels:
    try:
        return decoder.decode(path.read_bytes()).pixels.copy()
    except FrameError as error:
        raise ConfigError(f"{path}: {error}; leave it out") from error


def _frame(pixels: Pixels, cover: tuple[int, int] | None) -> Pixels | None:
    if cover is None:
        return pixels
    wanted = np.array(cover)
    scale = (wanted / pixels.shape[:2]).max()
    if scale > 1:
        return None
    height, width = np.maximum(wanted, np.rint(np.array(pixels.shape[:2]) * scale).astype(int))
    scaled = cv2.resize(pixels, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    top, left = (height - cover[0]) // 2, (width - cover[1]) // 2
    return np.asarray(scaled[top : top + cover[0], left : left + cover[1]], np.uint8)


def _samples(whole: Pixels, decoder: Decoder, preprocessors: list[Preprocessor]) -> Pixels:
    """One batch: for each copy, each rule."""
    batch = preprocessors[0].batch(len(COPIES) * len(preprocessors))
    slots = iter(batch)
    for copy in COPIES.values():
        encoded = copy(whole)
        for preprocessor in preprocessors:
            preprocessor.fill(decoder.decode(encoded, preprocessor.least).pixels, next(slots))
    return np.asarray(batch, np.uint8)


def _labels(paths: list[Path]) -> NDArray[np.int64] | None:
    """ImageNet classes of pictures that are all named ``CLASS_anything``."""
    names = [path.name.partition("_") for path in paths]
    if not all(number.isdecimal() and rest for number, _, rest in names):
        return None
    return np.array([int(number) for number, _, _ in names])


def auroc(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> float:
    """Probability that a positive scores higher than a negative; a tie counts half."""
    ordered = np.sort(negatives.ravel())
    below, up_to = (np.searchsorted(ordered, positives.ravel(), side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * ordered.size))
