"""What says how sharp a picture is and where its object is: an engine as the gateway runs it, or a checkpoint."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.engine import Provider, open_engine
from runtime.errors import ConfigError, EngineError, FrameError
from runtime.heads import Clarity, Saliency, read_head
from runtime.manifest import Head, HeadKind, Input
from runtime.map_field import picture_mask
from runtime.preprocess import Preprocessor
from training.cover.run_facts import RunFacts, run_facts_of
from training.metrics.segmentation import Probability
from training.utility.gate import bare_name, is_engine

BATCH = 16
Arrays = dict[str, NDArray[Any]]
Levels = NDArray[np.uint8]
"""A map of probabilities in 8 bits, as the gateway reads it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gate says of one picture; None where it has no such head."""

    clarity: float | None
    """1 to 10."""
    saliency: Probability | None
    """(h, w) float32 in [0, 1], of the whole picture, corner to corner: at the gate's own size, or the picture's."""


@dataclass(frozen=True)
class CoverGate:
    """A gate, opened."""

    name: str
    digest: str
    """``sha256:...``; equal digests, equal answers."""
    kinds: frozenset[HeadKind]
    """Of its heads; one of ``clarity`` and ``saliency`` is among them."""
    view: str
    """What it sees of a picture, in words."""
    data: str
    """What it was trained on, in its maker's words."""
    run: RunFacts | None
    """Of a checkpoint beside its ``run.json``."""
    runs_on: str
    """What computes it, in words."""
    device: str
    """``cpu``, ``cuda`` or another of PyTorch's: times on two of them are of two machines."""
    any_size: bool
    """Whether it sees frames as they are, at their own size."""
    judge: Callable[[Sequence[Pixels]], list[Judgement]]
    """Pictures of any size, (height, width, 3) uint8 RGB; raises ``EngineError`` for answers outside the heads'
    ranges."""


def open_cover_gate(
    path: Path, *, name: str, provider: Provider, threads: int, device: str = "cpu", tile_px: int | None = None
) -> CoverGate:
    """Open an engine (``.onnx``, ``.plan``, ``.engine``), or a checkpoint by its stem.

    Args:
        path: of either.
        name: what tables call it.
        provider: what ONNX Runtime runs on.
        threads: cores that it uses on the CPU.
        device: PyTorch's, of a checkpoint.
        tile_px: for a network that takes pictures of any size: see ``FullFrame``.

    Raises:
        ConfigError: neither of the heads, or no such checkpoint.
        EngineError: the engine cannot be opened.
    """
    if is_engine(path):
        return _engine_gate(path, name, provider, threads)
    return _checkpoint_gate(path, name, threads, device, tile_px)


def judgements(
    name: str, heads: Sequence[Head], outputs: Arrays, maps: Callable[[int, Levels], Levels]
) -> list[Judgement]:
    """A batch's answers, held to their heads' ranges.

    Args:
        name: the gate's, for the error.
        heads: of which clarity and saliency count.
        outputs: by output's name, the batch first.
        maps: from a sample's number and its map to that of the whole picture.

    Raises:
        EngineError: an answer is not finite, or not what its head can mean.
    """
    count = len(next(iter(outputs.values())))
    try:
        return [_judgement(heads, {key: rows[at] for key, rows in outputs.items()}, at, maps) for at in range(count)]
    except FrameError as error:
        raise EngineError(f"{name}: {error.detail}; it cannot be evaluated") from error


def _judgement(heads: Sequence[Head], rows: Arrays, at: int, maps: Callable[[int, Levels], Levels]) -> Judgement:
    sharp = seen = None
    for head in heads:
        match read_head(head, rows[head.output]):
            case Clarity(score=score):
                sharp = score
            case Saliency(map=levels):
                seen = maps(at, levels).astype(np.float32) / np.float32(255)
    return Judgement(sharp, seen)


def digest_of(*contents: bytes) -> str:
    """``sha256:`` of several files' content."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def _engine_gate(path: Path, name: str, provider: Provider, threads: int) -> CoverGate:
    workers = ThreadPoolExecutor(threads)
    engine = open_engine(path, provider=provider, workers=workers, threads=threads, max_batch=BATCH, in_flight=1)
    manifest = engine.manifest
    is_onnx = path.suffix == ".onnx"
    return CoverGate(
        name=name,
        digest=digest_of(path.read_bytes(), manifest.model_dump_json().encode()),
        kinds=_kinds(name, manifest.heads),
        view=_view(manifest.inputs),
        data=manifest.provenance.data,
        run=None,
        runs_on=f"ONNX Runtime, {provider}" if is_onnx else "TensorRT",
        device="cpu" if is_onnx and provider == "cpu" else "cuda",
        any_size=False,
        judge=_Resized(name, manifest.inputs, manifest.heads, engine.infer),
    )


def _checkpoint_gate(stem: Path, name: str, threads: int, device: str, tile_px: int | None) -> CoverGate:
    import torch  # noqa: PLC0415 - engines do without

    from training.checkpoint import DESCRIPTION, checkpoint_file, load_checkpoint  # noqa: PLC0415
    from training.cover.full_frame import FullFrame  # noqa: PLC0415

    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(stem)
    network, what = checkpoint.network.to(device), checkpoint.description
    judge: Callable[[Sequence[Pixels]], list[Judgement]]

    any_size = what.dynamic_size and len(what.inputs) == 1
    maps = [head.output for head in what.heads if any_size and head.kind == "saliency"]

    def infer(batches: Arrays) -> Arrays:
        with torch.inference_mode():
            pixels = [torch.from_numpy(batches[spec.name]).to(device).movedim(-1, -3).float() for spec in what.inputs]
            found = network(*pixels)
            for output in maps:
                if found[output].shape[1:] != pixels[0].shape[2:]:  # where its cells lie is the network's to say
                    found[output] = network.enlarge(found[output], pixels[0].shape[2:])
            return {key: value.float().cpu().numpy() for key, value in found.items()}

    if any_size:
        judge = frame = FullFrame(name, what.inputs[0].name, what.heads, infer, tile_px)
        view = frame.view
    else:
        judge, view = _Resized(name, what.inputs, what.heads, infer), _view(what.inputs)
    plain = stem.with_name(bare_name(stem))
    text = checkpoint_file(plain, DESCRIPTION).read_bytes()  # it holds the weights' hash
    digest = digest_of(text, str(tile_px if any_size else None).encode())
    return CoverGate(
        name=name,
        digest=digest,
        kinds=_kinds(name, what.heads),
        view=view,
        data=what.provenance.data,
        run=run_facts_of(plain),
        runs_on=f"PyTorch, {device}",
        device=torch.device(device).type,
        any_size=any_size,
        judge=judge,
    )


def _kinds(name: str, heads: Sequence[Head]) -> frozenset[HeadKind]:
    kinds: frozenset[HeadKind] = frozenset(head.kind for head in heads)
    if not kinds & {"clarity", "saliency"}:
        raise ConfigError(
            f"{name} has neither a clarity nor a saliency head, only {', '.join(sorted(kinds))}; give a gate of covers"
        )
    return kinds


def _view(inputs: Sequence[Input]) -> str:
    return " and ".join(_look(spec) for spec in inputs)


def _look(spec: Input) -> str:
    size = f"{spec.height}x{spec.width} px"
    return size if spec.patches is None else f"{spec.patches.rows}x{spec.patches.columns} patches of {size}"


class _Resized:
    """Shows pictures as the gateway does: through each input's preprocessing."""

    def __init__(
        self, name: str, inputs: Sequence[Input], heads: Sequence[Head], infer: Callable[[Arrays], Arrays]
    ) -> None:
        self._name, self._heads, self._infer = name, heads, infer
        self._preprocessors = {spec.name: Preprocessor(spec) for spec in inputs}
        self._whole = next((spec for spec in inputs if spec.patches is None), None)

    def __call__(self, pictures: Sequence[Pixels]) -> list[Judgement]:
        return [one for at in range(0, len(pictures), BATCH) for one in self._judge(pictures[at : at + BATCH])]

    def _judge(self, pictures: Sequence[Pixels]) -> Iterator[Judgement]:
        batches = {name: preprocessor.batch(len(pictures)) for name, preprocessor in self._preprocessors.items()}
        for name, batch in batches.items():
            for pixels, slot in zip(pictures, batch, strict=True):
                self._preprocessors[name].fill(pixels, slot)
        outputs = self._infer(batches)
        yield from judgements(self._name, self._heads, outputs, lambda at, seen: self._whole_map(pictures[at], seen))

    def _whole_map(self, pixels: Pixels, seen: Levels) -> Levels:
        """Of the whole picture; nothing is found where a cropped input does not look."""
        spec = self._whole
        if spec is None or spec.resize.fit == "stretch":
            return seen
        return picture_mask(seen, spec, (pixels.shape[1], pixels.shape[0]))
