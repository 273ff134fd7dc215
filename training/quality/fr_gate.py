"""What judges a picture beside its reference: an engine as ``assess --reference`` runs it, or a checkpoint."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from runtime.decode import Pixels
from runtime.engine import Provider, open_engine
from runtime.errors import ConfigError, EngineError, FrameError
from runtime.full_reference import Comparer, PixelPair
from runtime.manifest import Head, QualityFrHead
from training.cover.gate import digest_of
from training.quality.fits import Fit, fit_of
from training.utility.gate import bare_name, is_engine

MAX_BATCH = 24
"""Tiles: two pictures of 512 x 384 pixels; plans are built for 32 unless their maker says otherwise."""

Pair = tuple[Pixels, Pixels]
"""A picture and its reference, each (height, width, 3) uint8 RGB of one size."""


@dataclass(frozen=True)
class FullReferenceGate:
    """A full-reference gate, opened."""

    name: str
    digest: str
    """``sha256:...``; equal digests, equal answers."""
    fit: Fit
    """Gates of one make one column in Table II."""
    data: str
    """What it was trained on, in its maker's words."""
    tile_px: int
    """The longer side of what it sees at once: pictures are no smaller."""
    compare: Callable[[Iterable[Pair]], Iterator[float]]
    """Each pair's score in [1, 5], in order. Raises ``EngineError`` for an answer that is none, and for pictures of
    two sizes or smaller than a tile."""


def open_full_reference_gate(
    path: Path, *, name: str, provider: Provider, threads: int, device: str = "cpu"
) -> FullReferenceGate:
    """Open an engine (``.onnx``, ``.plan``, ``.engine``), or a checkpoint by its stem.

    Args:
        path: of either.
        name: what tables call it.
        provider: what ONNX Runtime runs on.
        threads: cores that it uses on the CPU.
        device: PyTorch's, of a checkpoint.

    Raises:
        ConfigError: it has no head ``quality_fr``, or there is no such checkpoint.
        EngineError: the engine cannot be opened.
    """
    if is_engine(path):
        return _engine_gate(path, name, provider, threads)
    return _checkpoint_gate(path, name, threads, device)


def _engine_gate(path: Path, name: str, provider: Provider, threads: int) -> FullReferenceGate:
    workers = ThreadPoolExecutor(threads)
    engine = open_engine(path, provider=provider, workers=workers, threads=threads, max_batch=MAX_BATCH, in_flight=1)
    manifest = engine.manifest
    _require_head(name, manifest.heads)
    comparer = Comparer(engine, MAX_BATCH)

    def compare(pairs: Iterable[Pair]) -> Iterator[float]:
        for _, outcome in comparer.compare((None, PixelPair(*pair)) for pair in pairs):
            if isinstance(outcome, FrameError):
                raise EngineError(f"{name}: {outcome.detail}; it cannot be evaluated")
            yield outcome.result.value

    return FullReferenceGate(
        name=name,
        digest=manifest.digest,
        fit=fit_of(manifest.name, manifest.provenance),
        data=manifest.provenance.data,
        tile_px=max(manifest.inputs[0].height, manifest.inputs[0].width),
        compare=compare,
    )


def _checkpoint_gate(stem: Path, name: str, threads: int, device: str) -> FullReferenceGate:
    import torch  # noqa: PLC0415 - engines do without

    from training.checkpoint import DESCRIPTION, checkpoint_file, load_checkpoint  # noqa: PLC0415
    from training.quality.fr_scoring import score_pair  # noqa: PLC0415

    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(stem)
    network, what = checkpoint.network.to(device), checkpoint.description
    pooling = _require_head(name, what.heads).pooling
    least = max(what.inputs[0].height, what.inputs[0].width)

    def compare(pairs: Iterable[Pair]) -> Iterator[float]:
        for pixels, reference in pairs:
            if pixels.shape != reference.shape or min(pixels.shape[:2]) < least:
                raise EngineError(
                    f"{name}: a picture of {_size(pixels)} beside a reference of {_size(reference)}; both must be of "
                    f"one size, and at least a tile of {least} x {least}"
                )
            yield score_pair(network, pixels, reference, pooling, device)

    return FullReferenceGate(
        name=name,
        digest=digest_of(checkpoint_file(stem.with_name(bare_name(stem)), DESCRIPTION).read_bytes()),
        fit=fit_of(_variant(what.name, {key: str(value) for key, value in what.arguments.items()}), what.provenance),
        data=what.provenance.data,
        tile_px=least,
        compare=compare,
    )


def _variant(name: str, arguments: dict[str, str]) -> str:
    """The variant, and the pyramid where it is not the usual one; the name where the architecture has no variants."""
    if "variant" not in arguments:
        return name
    pyramid = arguments.get("pyramid", "psp")
    return arguments["variant"] + ("" if pyramid == "psp" else f" ({pyramid})")


def _require_head(name: str, heads: tuple[Head, ...]) -> QualityFrHead:
    found = next((head for head in heads if isinstance(head, QualityFrHead)), None)
    if found is None:
        kinds = ", ".join(head.kind for head in heads)
        remedy = "evaluate quality is for that" if "quality" in kinds else "give one that compares with a reference"
        raise ConfigError(f"{name} has no head 'quality_fr', only {kinds}; {remedy}")
    return found


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
