"""What judges pictures before a machine sees them: an engine as the gateway runs it, or a checkpoint."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.engine import Provider, open_engine
from runtime.errors import ConfigError, EngineError, FrameError
from runtime.heads import read_head
from runtime.manifest import Head, Input, UtilityHead
from runtime.preprocess import Preprocessor

ENGINES = {".onnx", ".plan", ".engine"}
BATCH = 16
Batches = dict[str, NDArray[Any]]
"""By input's name."""
Outputs = dict[str, NDArray[Any]]


class PictureScorer(Protocol):
    """Gives each picture a number, the higher the more useful."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """``sha256:...``; equal digests, equal scores."""

    def scores(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """(n,); pictures of any size."""


class Gate:
    """A ``PictureScorer`` whose scores are in [0, 1], with the threshold below which it drops a frame."""

    def __init__(
        self,
        name: str,
        digest: str,
        inputs: Sequence[Input],
        heads: Sequence[Head],
        infer: Callable[[Batches], Outputs],
        data: str = "",
    ) -> None:
        utility = [head for head in heads if isinstance(head, UtilityHead)]
        if not utility:
            kinds = ", ".join(head.kind for head in heads)
            raise ConfigError(f"{name} has no utility head, only {kinds}; give a gate that says what is useful")
        self.name, self.digest, self._head, self._infer = name, digest, utility[0], infer
        self.data = data
        """What it was trained on, in its maker's words."""
        self._preprocessors = {spec.name: Preprocessor(spec) for spec in inputs}

    @property
    def threshold(self) -> float:
        """In [0, 1]."""
        return self._head.threshold

    def scores(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """See ``PictureScorer``.

        Raises:
            EngineError: the network answers with what is no probability.
        """
        return np.concatenate(
            [np.zeros(0), *(self._judge(pictures[at : at + BATCH]) for at in range(0, len(pictures), BATCH))]
        )

    def _judge(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        batches = {name: preprocessor.batch(len(pictures)) for name, preprocessor in self._preprocessors.items()}
        for name, batch in batches.items():
            for pixels, slot in zip(pictures, batch, strict=True):
                self._preprocessors[name].fill(pixels, slot)
        try:
            return np.array([read_head(self._head, row).value for row in self._infer(batches)[self._head.output]])
        except FrameError as error:
            raise EngineError(f"{self.name}: {error.detail}; it cannot be evaluated") from error


def open_gate(path: Path, *, name: str | None = None, provider: Provider = "cpu", threads: int = 1) -> Gate:
    """Open an engine (``.onnx``, ``.plan``, ``.engine``), or a checkpoint by its stem.

    Args:
        path: of either.
        name: what tables call it; None: its bare name.
        provider: what ONNX Runtime runs on.
        threads: cores that an engine on the CPU uses.

    Raises:
        ConfigError: no utility head, or no such checkpoint.
        EngineError: the engine cannot be opened.
    """
    if is_engine(path):
        return _engine_gate(path, name or bare_name(path), provider, threads)
    return _checkpoint_gate(path, name or bare_name(path), threads)


def is_engine(path: Path) -> bool:
    """By its suffix; anything else is a checkpoint."""
    return path.suffix in ENGINES


def bare_name(path: Path) -> str:
    """Of a gate's file, without what tells its kind: a checkpoint's stem may have a dot of its own."""
    suffix = path.suffix if path.suffix in {*ENGINES, ".safetensors", ".json"} else ""
    return path.name.removesuffix(suffix)


def _engine_gate(path: Path, name: str, provider: Provider, threads: int) -> Gate:
    workers = ThreadPoolExecutor(threads)
    engine = open_engine(path, provider=provider, workers=workers, threads=threads, max_batch=BATCH, in_flight=1)
    digest = _digest(path.read_bytes(), engine.manifest.model_dump_json().encode())
    return Gate(
        name,
        digest,
        engine.manifest.inputs,
        engine.manifest.heads,
        engine.infer,
        engine.manifest.provenance.data,
    )


def _checkpoint_gate(stem: Path, name: str, threads: int) -> Gate:
    import torch  # noqa: PLC0415 - engines do without

    from training.checkpoint import DESCRIPTION, checkpoint_file, load_checkpoint  # noqa: PLC0415

    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(stem)
    description = checkpoint.description

    def infer(batches: Batches) -> Outputs:
        with torch.inference_mode():
            pixels = [torch.from_numpy(batches[spec.name]).movedim(-1, -3).float() for spec in description.inputs]
            outputs = checkpoint.network(*pixels)
        return {key: value.numpy() for key, value in outputs.items()}

    text = checkpoint_file(stem.with_name(bare_name(stem)), DESCRIPTION).read_bytes()  # it holds the weights' hash
    return Gate(name, _digest(text), description.inputs, description.heads, infer, description.provenance.data)


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"
