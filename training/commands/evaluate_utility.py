"""``evaluate utility``: hold gates to what networks can still do with damaged pictures."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from training.commands.arguments import Commands, positive

if TYPE_CHECKING:
    from training.utility.evaluation import Scoring
    from training.utility.gate import Gate
    from training.utility.judges import Judge
    from training.utility.label_set import LabelSet

BASELINE = Path("models/utility-baseline.onnx")
RESAMPLES = 500
SCORES = "scores"


def add(systems: Commands) -> None:
    parser = systems.add_parser("utility", help="does a machine task still work on this frame?")
    parser.add_argument("--labels", type=Path, required=True, metavar="FOLDER", help="what `label utility` wrote")
    parser.add_argument(
        "--split",
        choices=("test", "train", "all"),
        default="test",
        help="the part of it to evaluate on (%(default)s); all: where the gate saw none of these pictures",
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where they lie (as when they were labelled)")
    parser.add_argument(
        "--gates",
        type=Path,
        nargs="+",
        required=True,
        metavar="GATE",
        help="engines (.onnx, .plan, .engine), and checkpoints by their STEM",
    )
    parser.add_argument(
        "--trained-on",
        nargs="*",
        required=True,
        metavar="NAME",
        help="the label set's networks that gave the gates their training labels; without names: none of them did",
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="ENGINE", help="%(default)s")
    parser.add_argument("--no-baseline", dest="baseline", action="store_const", const=None, help="leave it out")
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="draws for each interval; 0: none (%(default)s)"
    )
    parser.add_argument("--no-curves", dest="curves", action="store_false", help="write no PNG files")
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="of .onnx (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of each gate on the CPU (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for report, curves and scores")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,train]'")


def run(options: argparse.Namespace) -> None:
    from training.utility.evaluation import evaluate
    from training.utility.filtering import filter_networks
    from training.utility.judges import judges_of
    from training.utility.label_set import LabelSet
    from training.utility.report import MARKDOWN, Report, write_report
    from training.utility.tables import markdown

    if options.curves:
        import matplotlib  # noqa: F401 - missed before the long work
    if options.resamples < 0:
        raise ConfigError(f"--resamples {options.resamples}: 0 or more draws are due")
    labels = _part(LabelSet.load(options.labels), options.split)
    judges = judges_of(labels, options.trained_on)
    gates = _open_gates(options)
    _require_told(gates, labels, options.trained_on)
    scorings = _scorings(options, labels, gates)
    passes = {
        one.name: one.scores >= one.threshold
        for one in scorings
        if one.scores is not None and one.threshold is not None
    }
    report = Report(
        labels=labels,
        split=options.split,
        trained_on=tuple(options.trained_on),
        scorings=tuple(scorings),
        gates={gate.name: gate for gate in gates},
        judges=tuple(judges),
        rows=tuple(evaluate(labels, scorings, judges, options.resamples)),
        filtered=filter_networks(labels, passes, options.resamples),
        resamples=options.resamples,
        curves=_curves(options, labels, scorings, judges) if options.curves else (),
    )
    write_report(options.output, report, markdown(report))
    print(f"{options.output / MARKDOWN}: {len(labels)} samples, {len(judges)} judges, {len(scorings)} scores")


def _part(labels: "LabelSet", split: str) -> "LabelSet":
    part = labels if split == "all" else labels.of_split(split)  # type: ignore[arg-type] # argparse holds it to these
    if not len(part):
        raise ConfigError(f"--split {split}: the label set {labels.header.name} has no such picture; try another")
    return part


def _open_gates(options: argparse.Namespace) -> "list[Gate]":
    """The gates, and the baseline engine last."""
    from training.commands.gate_names import gate_names
    from training.utility.gate import is_engine, open_gate

    paths: list[Path] = [*options.gates, *([options.baseline] if options.baseline else [])]
    if options.baseline and is_engine(options.baseline) and not options.baseline.is_file():
        raise ConfigError(f"--baseline {options.baseline}: no such file; --no-baseline leaves it out")
    names = gate_names(paths, "the baseline counts: --no-baseline leaves it out")
    return [
        open_gate(path, name=name, provider=options.provider, threads=options.threads)
        for path, name in zip(paths, names, strict=True)
    ]


def _require_told(gates: "list[Gate]", labels: "LabelSet", trained_on: list[str]) -> None:
    """A network must not pass for unseen that a gate itself says it learned from."""
    for gate in gates:
        taught = set(re.split(r"[\s,;]+", gate.data)).intersection(labels.networks)
        if not taught <= set(trained_on):
            raise ConfigError(
                f"--trained-on lacks {', '.join(sorted(taught - set(trained_on)))}: "
                f"the gate {gate.name} says that it learned from: {gate.data}"
            )


def _scorings(options: argparse.Namespace, labels: "LabelSet", gates: "list[Gate]") -> "list[Scoring]":
    from training.utility.baselines import Sharpness
    from training.utility.evaluation import Scoring, baselines
    from training.utility.scoring import score_samples

    root = options.pictures or Path(labels.header.root)
    scores = score_samples(labels, root, [*gates, Sharpness()], options.output / SCORES)
    found = [
        Scoring(
            gate.name,
            "baseline" if options.baseline and gate is gates[-1] else "gate",
            scores[gate.name],
            gate.threshold,
            probability=True,
        )
        for gate in gates
    ]
    return [*found, Scoring(Sharpness.name, "baseline", scores[Sharpness.name]), *baselines(labels, options.trained_on)]


def _curves(
    options: argparse.Namespace, labels: "LabelSet", scorings: "list[Scoring]", judges: "list[Judge]"
) -> tuple[str, ...]:
    from training.utility.curves import write_curves

    unseen = [judge.name for judge in judges if judge.role == "unseen"]
    note = f"{labels.header.name}; {labels.header.truth}; unseen: {', '.join(unseen) or 'none'}"
    return write_curves(options.output, scorings, judges, note)
