"""What says how people would judge a picture: an engine as the gateway runs it, or a checkpoint."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.engine import Provider, open_engine
from runtime.errors import ConfigError, EngineError, FrameError
from runtime.heads import OPINIONS, Quality, read_head
from runtime.manifest import Head, Input, QualityHead
from runtime.preprocess import Preprocessor
from training.cover.gate import digest_of
from training.quality.fits import Fit, fit_of
from training.utility.gate import bare_name, is_engine

BATCH = 16
Arrays = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QualityGate:
    """A no-reference gate, opened."""

    name: str
    digest: str
    """``sha256:...``; equal digests, equal answers."""
    view: str
    """What it sees of a picture, in words."""
    data: str
    """What it was trained on, in its maker's words."""
    fit: Fit
    """Gates of one are told together where each is held to its own split."""
    judge: Callable[[Sequence[Pixels]], Floats]
    """Pictures of any size, (height, width, 3) uint8 RGB -> (n, 5): shares of the votes 1 to 5, summing to 1. Raises
    ``EngineError`` for answers that are none."""

    def mos(self, pictures: Sequence[Pixels]) -> Floats:
        """(n,) in [1, 5]."""
        found: Floats = self.judge(pictures) @ OPINIONS
        return found


def open_quality_gate(path: Path, *, name: str, provider: Provider, threads: int, device: str = "cpu") -> QualityGate:
    """Open an engine (``.onnx``, ``.plan``, ``.engine``), or a checkpoint by its stem.

    Args:
        path: of either.
        name: what tables call it.
        provider: what ONNX Runtime runs on.
        threads: cores that it uses on the CPU.
        device: PyTorch's, of a checkpoint.

    Raises:
        ConfigError: it has no head ``quality``, or there is no such checkpoint.
        EngineError: the engine cannot be opened.
    """
    if is_engine(path):
        return _engine_gate(path, name, provider, threads)
    return _checkpoint_gate(path, name, threads, device)


def _engine_gate(path: Path, name: str, provider: Provider, threads: int) -> QualityGate:
    workers = ThreadPoolExecutor(threads)
    engine = open_engine(path, provider=provider, workers=workers, threads=threads, max_batch=BATCH, in_flight=1)
    manifest = engine.manifest
    return QualityGate(
        name=name,
        digest=manifest.digest,
        view=_view(manifest.inputs),
        data=manifest.provenance.data,
        fit=fit_of(manifest.name, manifest.provenance),
        judge=_Shown(name, manifest.inputs, _quality_head(name, manifest.heads), engine.infer),
    )


def _checkpoint_gate(stem: Path, name: str, threads: int, device: str) -> QualityGate:
    import torch  # noqa: PLC0415 - engines do without

    from training.checkpoint import DESCRIPTION, checkpoint_file, load_checkpoint  # noqa: PLC0415

    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(stem)
    network, what = checkpoint.network.to(device), checkpoint.description
    whole = what.dynamic_size and len(what.inputs) == 1

    def infer(batches: Arrays) -> Arrays:
        with torch.inference_mode():
            pixels = [torch.from_numpy(batches[spec.name]).to(device).movedim(-1, -3).float() for spec in what.inputs]
            return {key: value.float().cpu().numpy() for key, value in network(*pixels).items()}

    head = _quality_head(name, what.heads)
    return QualityGate(
        name=name,
        digest=digest_of(checkpoint_file(stem.with_name(bare_name(stem)), DESCRIPTION).read_bytes()),
        view="the whole picture at its own size" if whole else _view(what.inputs),
        data=what.provenance.data,
        fit=fit_of(what.name, what.provenance),
        judge=(_Whole if whole else _Shown)(name, what.inputs, head, infer),
    )


def _quality_head(name: str, heads: Sequence[Head]) -> QualityHead:
    for head in heads:
        if isinstance(head, QualityHead):
            return head
    kinds = ", ".join(head.kind for head in heads)
    remedy = "evaluate quality-fr is for that" if "quality_fr" in kinds else "give a gate of quality"
    raise ConfigError(f"{name} has no head 'quality', only {kinds}; {remedy}")


def _view(inputs: Sequence[Input]) -> str:
    return " and ".join(_look(spec) for spec in inputs)


def _look(spec: Input) -> str:
    size = f"{spec.height}x{spec.width} px"
    return size if spec.patches is None else f"{spec.patches.rows}x{spec.patches.columns} patches of {size}"


class _Shown:
    """Shows pictures as the gateway does: through each input's preprocessing."""

    def __init__(
        self, name: str, inputs: Sequence[Input], head: QualityHead, infer: Callable[[Arrays], Arrays]
    ) -> None:
        self._name, self._head, self._infer = name, head, infer
        self._preprocessors = {spec.name: Preprocessor(spec) for spec in inputs}

    def __call__(self, pictures: Sequence[Pixels]) -> Floats:
        parts = [self._judge(pictures[at : at + BATCH]) for at in range(0, len(pictures), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(OPINIONS)))

    def _judge(self, pictures: Sequence[Pixels]) -> Floats:
        batches = {name: preprocessor.batch(len(pictures)) for name, preprocessor in self._preprocessors.items()}
        for name, batch in batches.items():
            for pixels, slot in zip(pictures, batch, strict=True):
                self._preprocessors[name].fill(pixels, slot)
        return _shares(self._name, self._head, self._infer(batches))


class _Whole:
    """Shows each picture by itself, at its own size: as DeepRN, whose pyramid takes any."""

    def __init__(
        self, name: str, inputs: Sequence[Input], head: QualityHead, infer: Callable[[Arrays], Arrays]
    ) -> None:
        self._name, self._entry, self._head, self._infer = name, inputs[0].name, head, infer

    def __call__(self, pictures: Sequence[Pixels]) -> Floats:
        parts = [_shares(self._name, self._head, self._infer({self._entry: pixels[None]})) for pixels in pictures]
        return np.concatenate(parts) if parts else np.zeros((0, len(OPINIONS)))


def _shares(name: str, head: QualityHead, outputs: Arrays) -> Floats:
    """(n, 5), held to the head's range."""
    try:
        results = [read_head(head, row) for row in outputs[head.output]]
    except FrameError as error:
        raise EngineError(f"{name}: {error.detail}; it cannot be evaluated") from error
    return np.array([result.distribution for result in results if isinstance(result, Quality)], np.float64)
