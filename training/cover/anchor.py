"""A network for salient objects as they are published, without a manifest: what a gate's masks are held against.

U²-Net and its kin: RGB over the picture's own maximum, ImageNet's mean and deviation, a plain bilinear resize; the
first output, stretched to 0..1 by its own least and largest value, so that something is found in any picture.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import EngineError
from runtime.opencv import cv2
from training.cover.gate import CoverGate, Judgement, digest_of
from training.metrics.segmentation import Probability

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""ImageNet's, of pixels in 0..1."""


def open_anchor(path: Path, *, name: str, threads: int) -> CoverGate:
    """Open an ONNX file with one float input (1 or any, 3, height, width) whose first output is the map, on the CPU.

    Args:
        path: of the file.
        name: what tables call it.
        threads: cores that it uses.

    Raises:
        EngineError: no such file, ONNX Runtime cannot open it, or its input is another.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        content = path.read_bytes()
        session = ort.InferenceSession(content, options, ["CPUExecutionProvider"])
    except OSError as error:
        raise EngineError(f"--anchor {path}: {error.strerror}") from error
    except Exception as error:  # ONNX Runtime raises its own classes, without a common base
        raise EngineError(f"--anchor {path}: ONNX Runtime cannot open it: {error}") from error
    height, width = _size(session, path)
    return CoverGate(
        name=name,
        digest=digest_of(content),
        kinds=frozenset({"saliency"}),
        view=f"{height}x{width} px",
        data="what its publisher says",
        run=None,
        runs_on="ONNX Runtime, cpu",
        device="cpu",
        any_size=False,
        judge=_Anchor(session, height, width),
    )


def _size(session: ort.InferenceSession, path: Path) -> tuple[int, int]:
    tensors = session.get_inputs()
    shape = tensors[0].shape
    fits = len(tensors) == 1 and tensors[0].type == "tensor(float)" and len(shape) == 4 and shape[1] == 3
    if not fits or not all(isinstance(side, int) for side in shape[2:]):
        has = ", ".join(f"{one.name} {one.type} {one.shape}" for one in tensors)
        raise EngineError(
            f"--anchor {path}: one input tensor(float) [1, 3, height, width] is due, there is {has}; an engine with a "
            "manifest goes to --gates"
        )
    return shape[2], shape[3]


class _Anchor:
    def __init__(self, session: ort.InferenceSession, height: int, width: int) -> None:
        self._session, self._height, self._width = session, height, width
        self._entry, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def __call__(self, pictures: Sequence[Pixels]) -> list[Judgement]:
        return [Judgement(None, self._map(pixels)) for pixels in pictures]

    def _map(self, pixels: Pixels) -> Probability:
        small = cv2.resize(pixels, (self._width, self._height), interpolation=cv2.INTER_LINEAR)
        scaled = small.astype(np.float32) / max(1, int(pixels.max()))
        entry = np.ascontiguousarray(((scaled - MEAN) / STD).transpose(2, 0, 1)[None], np.float32)
        return _stretched(self._session.run([self._output], {self._entry: entry})[0].squeeze())


def _stretched(values: NDArray[np.float32]) -> Probability:
    """To 0..1; of a map without any difference nothing is of the object."""
    least, most = float(values.min()), float(values.max())
    if not most > least:
        return np.zeros_like(values)
    return np.asarray((values - least) / (most - least), np.float32)
