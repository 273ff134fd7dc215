"""``evaluate cover``: hold gates to true clarity scores and masks."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from training.commands.arguments import Commands, frame_size, natural, positive

if TYPE_CHECKING:
    from training.cover.gate import CoverGate
    from training.cover.report import Report
    from training.cover.selection import Selection
    from training.cover.timing import Cost

RESAMPLES, TIMED = 200, 15
MOST_SIGMA_PX = 64


def add(systems: Commands) -> None:
    parser = systems.add_parser("cover", help="how sharp is the picture, and where is its object?")
    parser.add_argument("--set", type=Path, required=True, metavar="FOLDER", help="what `build cover` wrote")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where they lie (as when the set was built)")
    parser.add_argument(
        "--split", choices=("test", "train", "all"), default="test", help="the part of it to evaluate on (%(default)s)"
    )
    parser.add_argument(
        "--levels", type=_levels, metavar="all|N,N,...", help="levels of blur, by number, 0 the sharp one (all)"
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="one source of N (%(default)s)")
    parser.add_argument(
        "--gates",
        type=Path,
        nargs="+",
        required=True,
        metavar="GATE",
        help="engines (.onnx, .plan, .engine), and checkpoints by their STEM",
    )
    parser.add_argument(
        "--anchor", type=Path, metavar="ONNX", help="a published network for salient objects, such as U2-Net-p"
    )
    parser.add_argument(
        "--pairs",
        type=_sigma,
        nargs="+",
        default=[],
        metavar="SIGMA",
        help="further blurs in px: how many pictures score lower under them than sharp?",
    )
    parser.add_argument(
        "--frame",
        type=frame_size,
        metavar="WxH",
        help="with --pairs: each picture is first scaled down and cut to a camera's frame; smaller ones are left out",
    )
    parser.add_argument(
        "--tile",
        type=positive,
        metavar="PX",
        help="checkpoints of any size: clarity as the mean over tiles of this side",
    )
    parser.add_argument("--panels", type=natural, default=6, metavar="K", help="examples to draw, a gate (%(default)s)")
    parser.add_argument("--seed", type=natural, default=0, help="of the examples (%(default)s)")
    parser.add_argument(
        "--timed", type=natural, default=TIMED, metavar="N", help="pictures to take each gate's time on (%(default)s)"
    )
    parser.add_argument(
        "--resamples", type=natural, default=RESAMPLES, help="draws for each interval; 0: none (%(default)s)"
    )
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="of .onnx (%(default)s)")
    parser.add_argument("--device", default="cpu", help="PyTorch's name of it, for checkpoints (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of each gate on the CPU (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for report, examples and scores")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,train]'")


def run(options: argparse.Namespace) -> None:
    from training.cover.cover_set import CoverSet
    from training.cover.report import MARKDOWN, write_report
    from training.cover.report_text import markdown
    from training.cover.selection import select

    if options.panels:
        import matplotlib  # noqa: F401 - missed before the long work
    if options.frame and not options.pairs:
        raise ConfigError("--frame is for --pairs: name a blur, such as --pairs 1")
    selection = select(CoverSet.load(options.set, options.pictures), options.split, options.every, options.levels)
    selection.chosen.require_files()
    names = _names(options)
    report = _report(options, selection, _open(options, names, options.threads), names)
    write_report(options.output, report, "\n".join(markdown(report)) + "\n")
    print(f"{options.output / MARKDOWN}: {len(selection.chosen)} samples, {len(report.judged)} gates")


def _levels(text: str) -> tuple[int, ...] | None:
    if text == "all":
        return None
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text}: write all, or numbers of levels such as 0,3,5")
    return tuple(map(int, text.split(",")))


def _sigma(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= MOST_SIGMA_PX:
        raise argparse.ArgumentTypeError(f"{text}: a number of pixels above 0 and at most {MOST_SIGMA_PX} is due")
    return number


def _names(options: argparse.Namespace) -> list[str]:
    """Of the gates, and of the anchor last."""
    from training.commands.gate_names import gate_names

    return gate_names([*options.gates, *([options.anchor] if options.anchor else [])], "the anchor counts")


def _open(options: argparse.Namespace, names: list[str], threads: int) -> "list[CoverGate]":
    from training.cover.anchor import open_anchor
    from training.cover.gate import open_cover_gate

    gates = [
        open_cover_gate(
            path, name=name, provider=options.provider, threads=threads, device=options.device, tile_px=options.tile
        )
        for path, name in zip(options.gates, names, strict=False)
    ]
    if options.tile and not any(gate.any_size for gate in gates):
        raise ConfigError(
            "--tile is for checkpoints that see frames at their own size; no gate here does: leave it out"
        )
    return [*gates, open_anchor(options.anchor, name=names[-1], threads=threads)] if options.anchor else gates


def _report(
    options: argparse.Namespace, selection: "Selection", gates: "list[CoverGate]", names: list[str]
) -> "Report":
    from training.cover.evaluation import ALL, GATED, answers_of
    from training.cover.measures import by_level, measures
    from training.cover.pairs import FurtherBlurs, pairs_beside, pairs_in_set
    from training.cover.report import Judged, Report

    samples = selection.chosen.samples
    further = FurtherBlurs(tuple(options.pairs), options.frame)
    answers = answers_of(selection.chosen, gates, further, options.threads)
    panels = _panels(options, selection, gates)
    timed = _costs(options, selection, names)
    judged = [
        Judged(
            gate=gate,
            anchor=bool(options.anchor) and gate is gates[-1],
            answers=own,
            measures={which: measures(samples, own, which, options.resamples) for which in (ALL, GATED)},
            levels=tuple(by_level(samples, own)),
            pairs=(*pairs_in_set(samples, own.clarity), *pairs_beside(further, own.further)),
            cost=timed.get(gate.name),
            panels=panels.get(gate.name),
        )
        for gate, own in zip(gates, answers, strict=True)
    ]
    return Report(selection, tuple(judged), options.resamples)


def _costs(options: argparse.Namespace, selection: "Selection", names: list[str]) -> "dict[str, Cost]":
    """With one thread each: the gates are opened once more."""
    from training.cover.timing import costs

    chosen = selection.chosen
    step = max(1, len(chosen) // max(1, options.timed))
    pictures = [chosen.read(one).pixels for one in chosen.samples[::step][: options.timed]]
    return costs(_open(options, names, 1), pictures) if pictures else {}


def _panels(options: argparse.Namespace, selection: "Selection", gates: "list[CoverGate]") -> dict[str, str]:
    """The files' names, by the gate's."""
    if not options.panels:
        return {}
    from training.cover.panels import draw_panels
    from training.cover.report import file_name
    from training.files import write_whole

    written = {}
    for gate in gates:
        content = draw_panels(gate, selection.chosen, options.panels, options.seed)
        if content is not None:
            written[gate.name] = file_name(gate.name, ".png", "examples-")
            write_whole(options.output / written[gate.name], content)
    return written
