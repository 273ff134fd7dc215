"""``evaluate quality``: hold no-reference gates to people's scores, or to a proxy's."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from training.commands.arguments import Commands, natural
from training.commands.quality_sets import add_output, add_sets, divided, keeps_sides, read_sets
from training.commands.quality_splits import AskedSplits, asked_splits, told_over_splits

if TYPE_CHECKING:
    from training.quality.evaluation import Plain
    from training.quality.gate import QualityGate
    from training.quality.rated import RatedSet
    from training.quality.report import OnSet
    from training.quality.told_apart import BlurTest

MOST_SIGMA_PX = 64


def add(systems: Commands) -> None:
    parser = systems.add_parser("quality", help="what would people say of this picture?")
    add_sets(parser, required=False)
    parser.add_argument(
        "--train-set",
        type=Path,
        metavar="FOLDER",
        help="whose training side the baselines of distributions are made of (the set's own)",
    )
    parser.add_argument("--baselines", action="store_true", help="BRISQUE beside the gates")
    parser.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="sharp ones: are frames told from slightly blurred ones?"
    )
    parser.add_argument(
        "--blur", type=_sigma, default=1.0, metavar="SIGMA", help="of these, in px at 1280x720 (%(default)s)"
    )
    parser.add_argument(
        "--examples", type=natural, default=2, metavar="K", help="best, median, worst: K each (%(default)s)"
    )
    parser.add_argument(
        "--opinions",
        type=Path,
        metavar="TABLE",
        help="TID2013's mos_with_names.txt: how often do people's own scores fall with each step of strength? Told "
        "beside a proxy's",
    )
    add_output(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,train]'")


def run(options: argparse.Namespace) -> None:
    import matplotlib  # noqa: F401 - missed before the long work

    from training.commands.gate_names import gate_names
    from training.quality.gate import open_quality_gate
    from training.quality.people import people_fall
    from training.quality.report import MARKDOWN, GateFacts, Report, write_report
    from training.quality.report_text import markdown

    if not options.set and not options.photographs:
        raise ConfigError("nothing to evaluate on: give --set, --photographs, or both")
    given = read_sets(options)
    if options.opinions and not any(one.proxy for one in given):
        raise ConfigError("--opinions is told beside a proxy, and no --set is one: leave it out")
    people = people_fall(options.opinions) if options.opinions else {}
    sets = [_prepared(options, one) for one in given]
    gates = [
        open_quality_gate(path, name=name, provider=options.provider, threads=options.threads, device=options.device)
        for path, name in zip(options.gates, gate_names(options.gates, "once is enough"), strict=True)
    ]
    asked = [asked_splits(options, one.whole, one.rated, gates) for one in sets]
    plain = _baselines(options)
    blur = _blur(options, gates)  # the shorter work first: what is wrong with a folder is told before sets are judged
    found = tuple(_on_set(options, *one, gates, plain) for one in zip(sets, asked, strict=True))
    report = Report(
        title=f"Quality: {', '.join(one.rated.name for one in sets) or 'a slight blur'}",
        command="quality",
        gates=tuple(GateFacts(gate.name, gate.digest, gate.view, gate.data) for gate in gates),
        sets=found,
        resamples=options.resamples,
        blur=blur,
        people=people,
    )
    text = "\n".join(markdown(report)) + "\n"
    write_report(options.output, report, text)
    print(text)
    print(f"{options.output / MARKDOWN}: {sum(len(one.rated) for one in found)} pictures, {len(gates)} gates")


def _sigma(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= MOST_SIGMA_PX:
        raise argparse.ArgumentTypeError(f"{text}: a number of pixels above 0 and at most {MOST_SIGMA_PX} is due")
    return number


def _baselines(options: argparse.Namespace) -> "list[Plain]":
    from training.quality.brisque import open_brisque

    return [open_brisque()] if options.baselines else []


@dataclass(frozen=True)
class _Prepared:
    """What can be wrong with a set is wrong before it is judged."""

    whole: "RatedSet"
    rated: "RatedSet"
    """The side that is asked for."""
    teachers: "RatedSet"
    """Of the baselines."""


def _prepared(options: argparse.Namespace, rated: "RatedSet") -> _Prepared:
    from training.quality.evaluation import chosen
    from training.quality.readers import require_pictures

    require_pictures(rated)
    return _Prepared(rated, chosen(rated, options.split, options.every), _teachers(options, rated))


def _on_set(
    options: argparse.Namespace,
    prepared: _Prepared,
    asked: AskedSplits,
    gates: "list[QualityGate]",
    plain: "list[Plain]",
) -> "OnSet":
    from training.quality.evaluation import ask, side_told
    from training.quality.measures import differences, judged
    from training.quality.report import OnSet
    from training.quality.report_plots import write_examples, write_scatters
    from training.quality.spreads import spreads

    own = prepared.rated
    said = ask(own, gates, plain, options.threads)
    results = tuple(judged(own, one) for one in said)
    return OnSet(
        rated=own,
        side=side_told(own, options.split),
        every=options.every,
        judged=results,
        spreads=spreads(own, said, prepared.teachers),
        differences=tuple(differences(own, said, options.resamples, options.seed)),
        over_splits=told_over_splits(options, own, said, asked),
        plots={
            **write_scatters(options.output, own, results),
            **write_examples(options.output, own, results, options.examples),
        },
    )


def _teachers(options: argparse.Namespace, rated: "RatedSet") -> "RatedSet":
    from training.quality.evaluation import side_of
    from training.quality.readers import read_rated

    if options.train_set is None:
        return side_of(rated, "train")
    other = read_rated(options.train_set, options.layout)
    return side_of(other if keeps_sides(options, other) else divided(options, [other])[0], "train")


def _blur(options: argparse.Namespace, gates: "list[QualityGate]") -> "BlurTest | None":
    from training.quality.told_apart import blur_test

    if not options.photographs:
        return None
    return blur_test(options.photographs, gates, sigma_px=options.blur, workers=options.threads)
