"""Several engines against what was trained, on the same pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich import box
from rich.table import Table

from export.answers import Answers, onnx_answers, plan_answers, torch_answers
from export.manifest import load_model, read_model_manifest
from export.parity import OutputParity, Parity, compare, tolerances_of
from runtime.errors import ConfigError
from runtime.manifest import Input, Manifest

PLANS = {".plan", ".engine"}
Samples = Callable[[Input], NDArray[Any]]
"""The pictures as samples of an input."""


@dataclass(frozen=True)
class Verdict:
    """One engine; ``parity`` is None where it could not run here, and ``not_run`` says why."""

    file: Path
    manifest: Manifest
    parity: Parity | None
    not_run: str = ""

    @property
    def faults(self) -> list[str]:
        """Each measure beyond the engine's tolerances, in words."""
        return [] if self.parity is None else self.parity.faults(tolerances_of(self.manifest))

    def to_json(self) -> dict[str, Any]:
        """``passed`` is null for an engine that did not run."""
        return {
            "file": str(self.file),
            "name": self.manifest.name,
            "precision": self.manifest.precision,
            "digest": self.manifest.digest,
            "tolerances": tolerances_of(self.manifest).model_dump(exclude_none=True),
            "passed": None if self.parity is None else not self.faults,
            "not_run": self.not_run or None,
            "faults": self.faults,
            "outputs": [] if self.parity is None else self.parity.to_json(),
        }


def verify(reference: Path, candidates: Sequence[Path], samples: Samples) -> list[Verdict]:
    """Compare each candidate's answers with the reference's.

    Args:
        reference: a checkpoint's stem, or an ONNX file.
        candidates: ONNX files and TensorRT plans; a plan is left out, with the reason, where there is no GPU.
        samples: makes the pictures what an engine takes.

    Raises:
        ConfigError: the checkpoint cannot be read.
        EngineError: an engine cannot be read or run, or its outputs are not the reference's.
    """
    manifests = [read_engine_manifest(path) for path in candidates]  # before the long work
    expected = reference_answers(reference, samples)
    return [_verdict(path, manifest, expected, samples) for path, manifest in zip(candidates, manifests, strict=True)]


def reference_answers(reference: Path, samples: Samples) -> Answers:
    """By PyTorch for a checkpoint, by ONNX Runtime for an ONNX file."""
    if reference.suffix == ".onnx":
        return onnx_answers(reference, samples(read_engine_manifest(reference).inputs[0]))
    from training.checkpoint import load_checkpoint  # noqa: PLC0415 - torch, only for a checkpoint

    checkpoint = load_checkpoint(reference)
    return torch_answers(checkpoint, samples(checkpoint.description.input))


def read_engine_manifest(path: Path) -> Manifest:
    """The manifest in an ONNX file or beside a plan.

    Raises:
        EngineError: the file or its manifest is missing or broken.
        ConfigError: neither kind of file.
    """
    if path.suffix in PLANS:
        from runtime.plan_file import PlanFile  # noqa: PLC0415 - only for a plan

        return PlanFile.read(path).manifest
    if path.suffix != ".onnx":
        raise ConfigError(f"{path}: an engine is an .onnx file, or TensorRT's {' or '.join(sorted(PLANS))}")
    return read_model_manifest(load_model(path), str(path))


def _verdict(path: Path, manifest: Manifest, expected: Answers, samples: Samples) -> Verdict:
    absence = _absence() if path.suffix in PLANS else ""
    if absence:
        return Verdict(path, manifest, None, absence)
    fed = samples(manifest.inputs[0])
    plan = manifest.plan
    answers = onnx_answers(path, fed) if plan is None else plan_answers(path, fed, plan.opt_batch)
    return Verdict(path, manifest, compare(expected, answers, manifest))


def _absence() -> str:
    """Why no plan can run here; nothing where one can."""
    from runtime.open_device import require_gpu  # noqa: PLC0415 - only for a plan

    try:
        require_gpu()
    except ConfigError as error:
        return str(error)
    return ""


def report(reference: Path, pictures: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything that was measured, as JSON."""
    return {
        "schema": "framegate/parity/1",
        "reference": str(reference),
        "pictures": pictures,
        "engines": [verdict.to_json() for verdict in verdicts],
    }


def table(reference: Path, pictures: int, verdicts: Sequence[Verdict]) -> Table:
    """The report for people: each engine, and under it a line for each output."""
    lines = Table(title=f"Against {reference.name}, {pictures} samples; differences on [0, 1]", box=box.SIMPLE)
    lines.add_column("engine, output", overflow="fold")
    for column in ("largest", "mean", "rank", "flips", "IoU", ""):
        lines.add_column(column, no_wrap=True, justify="right")
    for verdict in verdicts:
        lines.add_row(f"{verdict.file.name} ({verdict.manifest.precision})")
        if verdict.parity is None:
            lines.add_row(f"  {verdict.not_run}", "", "", "", "", "", "not run")
            continue
        tolerances = tolerances_of(verdict.manifest)
        for one in verdict.parity.outputs:
            lines.add_row(f"  {one.output}", *_measures(one), "fails" if one.faults(tolerances) else "passes")
    return lines


def _measures(one: OutputParity) -> tuple[str, ...]:
    rank, flips, iou = one.rank_correlation, one.flips, one.mask_iou
    return (
        f"{one.difference:.2g}" + (f", {one.non_finite} not finite" if one.non_finite else ""),
        f"{one.mean_difference:.2g}",
        "" if rank is None else f"{rank:.4f}",
        "" if flips is None else f"{100 * flips:.1f} %",
        "" if iou is None else f"{iou:.4f}",
    )
