"""Several engines against what was trained, on the same pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from export.answers import Answers, onnx_answers, plan_answers, torch_answers
from export.graph import inputs
from export.manifest import check_manifest, load_model, read_model_manifest
from export.parity import OutputParity, Parity, compare, tolerances_of
from export.samples import Samples
from runtime.errors import ConfigError
from runtime.manifest import Head, Input, Manifest, SaliencyHead, Tolerances, head_threshold, whole_picture

PLANS = {".plan", ".engine"}
SCHEMA = "framegate/parity/1"
Inputs = tuple[Input, ...]
Show = Callable[[Inputs], Samples]
"""The pictures as samples of inputs."""


@dataclass(frozen=True)
class Reference:
    """What the engines are held to."""

    heads: tuple[Head, ...]
    inputs: Inputs
    any_size: bool
    """Whether it takes whole pictures of other heights and widths than its input's."""
    judge: Callable[[Samples], Answers]
    show: Show
    _known: dict[Inputs, Answers] = field(default_factory=dict)

    def answers(self, candidate: Inputs) -> Answers:
        """To the pictures, at the height and width of the candidate where the reference takes any."""
        specs, whole = self.inputs, whole_picture(candidate)
        if self.any_size and whole is not None:
            size = {"height": whole.height, "width": whole.width}
            specs = tuple(spec if spec.patches else spec.model_copy(update=size) for spec in specs)
        if specs not in self._known:
            self._known[specs] = self.judge(self.show(specs))
        return self._known[specs]

    def head_faults(self, heads: Sequence[Head]) -> list[str]:
        """What an engine's heads have lost, gained or changed, in words."""
        own, others = ({head.kind: head for head in side} for side in (self.heads, heads))
        return [
            *(f"head {kind!r} of the reference is not in its manifest" for kind in own.keys() - others.keys()),
            *(f"head {kind!r} is not the reference's" for kind in others.keys() - own.keys()),
            *(
                f"head {kind!r} is {_in_words(others[kind])}, the reference's {_in_words(own[kind])}"
                for kind in own.keys() & others.keys()
                if self._sized_as(own[kind], others[kind]) != others[kind]
            ),
        ]

    def _sized_as(self, own: Head, other: Head) -> Head:
        """Where pictures may be of any size, so may the map of them."""
        if self.any_size and isinstance(own, SaliencyHead) and isinstance(other, SaliencyHead):
            return own.model_copy(update={"height": other.height, "width": other.width})
        return own


@dataclass(frozen=True)
class Verdict:
    """One engine; ``parity`` is None where it could not run here, and ``not_run`` says why."""

    file: Path
    manifest: Manifest
    parity: Parity | None
    not_run: str = ""
    head_faults: tuple[str, ...] = ()

    @property
    def faults(self) -> list[str]:
        """How the heads differ, and each measure beyond the engine's tolerances, in words."""
        measured = [] if self.parity is None else self.parity.faults(tolerances_of(self.manifest))
        return [*self.head_faults, *measured]

    @property
    def passed(self) -> bool | None:
        """None for an engine without a fault that did not run."""
        return False if self.faults else None if self.parity is None else True

    def to_json(self) -> dict[str, Any]:
        """``passed`` is null for an engine without a fault that did not run."""
        return {
            "file": str(self.file),
            "name": self.manifest.name,
            "precision": self.manifest.precision,
            "digest": self.manifest.digest,
            "tolerances": tolerances_of(self.manifest).model_dump(exclude_none=True),
            "passed": self.passed,
            "not_run": self.not_run or None,
            "faults": self.faults,
            "outputs": [] if self.parity is None else self.parity.to_json(),
        }


def verify(reference: Path, candidates: Sequence[Path], show: Show) -> list[Verdict]:
    """Compare each candidate's answers with the reference's.

    Args:
        reference: a checkpoint's stem, or an ONNX file.
        candidates: ONNX files and TensorRT plans; a plan is left out, with the reason, where there is no GPU.
        show: makes the pictures what an engine takes.

    Raises:
        ConfigError: the checkpoint cannot be read.
        EngineError: an engine cannot be read or run, or its outputs are not the reference's.
    """
    manifests = [read_engine_manifest(path) for path in candidates]  # before the long work
    held_to = open_reference(reference, show)
    show(held_to.inputs)  # pictures that cannot be read are told, even where no engine can run
    return [_verdict(path, manifest, held_to) for path, manifest in zip(candidates, manifests, strict=True)]


def open_reference(path: Path, show: Show) -> Reference:
    """PyTorch for a checkpoint, ONNX Runtime for an ONNX file.

    Raises:
        ConfigError: the checkpoint cannot be read.
        EngineError: the ONNX file cannot be read.
    """
    if path.suffix == ".onnx":
        manifest = read_engine_manifest(path)
        return Reference(manifest.heads, manifest.inputs, _takes_any_size(path), partial(onnx_answers, path), show)
    from training.checkpoint import load_checkpoint  # noqa: PLC0415 - torch, only for a checkpoint

    checkpoint = load_checkpoint(path)
    own = checkpoint.description
    return Reference(own.heads, own.inputs, own.dynamic_size, partial(torch_answers, checkpoint), show)


def _takes_any_size(onnx: Path) -> bool:
    """Whether height and width are open in an input of its graph: the one that shows the whole picture."""
    return any(sum(isinstance(side, str) for side in spec.shape[1:]) == 2 for spec in inputs(load_model(onnx)))


def read_engine_manifest(path: Path) -> Manifest:
    """The manifest in an ONNX file or beside a plan.

    Raises:
        EngineError: the file or its manifest is missing or broken, or does not fit: the weights' digest included.
        ConfigError: neither kind of file.
    """
    if path.suffix in PLANS:
        from runtime.plan_file import PlanFile  # noqa: PLC0415 - only for a plan

        return PlanFile.read(path).manifest
    if path.suffix != ".onnx":
        raise ConfigError(f"{path}: an engine is an .onnx file, or TensorRT's {' or '.join(sorted(PLANS))}")
    model = load_model(path)
    manifest = read_model_manifest(model, str(path))
    check_manifest(model, manifest, str(path))
    return manifest


def _verdict(path: Path, manifest: Manifest, reference: Reference) -> Verdict:
    head_faults = tuple(reference.head_faults(manifest.heads))
    absence = _absence() if path.suffix in PLANS else ""
    if absence:
        return Verdict(path, manifest, None, absence, head_faults)
    plan, fed = manifest.plan, reference.show(manifest.inputs)
    answers = onnx_answers(path, fed) if plan is None else plan_answers(path, fed, plan.opt_batch)
    parity = compare(reference.answers(manifest.inputs), answers, manifest)
    return Verdict(path, manifest, parity, head_faults=head_faults)


def _in_words(head: Head) -> str:
    if isinstance(head, SaliencyHead):
        return f"of output {head.output!r} and {head.height} x {head.width}"
    threshold = head_threshold(head)
    return f"of output {head.output!r} with " + ("no threshold" if threshold is None else f"threshold {threshold:g}")


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
        "schema": SCHEMA,
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
        for fault in verdict.head_faults:
            lines.add_row(f"  {fault}", "", "", "", "", "", "fails")
        if verdict.parity is None:
            lines.add_row(f"  {verdict.not_run}", "", "", "", "", "", "not run")
            continue
        tolerances = tolerances_of(verdict.manifest)
        for one in verdict.parity.outputs:
            lines.add_row(f"  {one.output}", *_measures(one), _judgement(one, tolerances))
    return lines


def _judgement(one: OutputParity, tolerances: Tolerances) -> str:
    if one.faults(tolerances):
        return "fails"
    held = one.has_head or (one.mask_iou is not None and tolerances.mask_iou is not None)
    return "passes" if held else "not held"


def _measures(one: OutputParity) -> tuple[str, ...]:
    rank, flips, iou = one.rank_correlation, one.flips, one.mask_iou
    bad = "".join(f", {n} {what}" for n, what in ((one.non_finite, "not finite"), (one.unserved, "unserved")) if n)
    return (
        f"{one.difference:.2g}{bad}",
        f"{one.mean_difference:.2g}",
        "" if rank is None else f"{rank:.4f}",
        "" if flips is None else f"{100 * flips:.1f} %",
        "" if iou is None else f"{iou:.4f}",
    )
