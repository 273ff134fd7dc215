"""``evaluate quality-fr``: hold full-reference gates to people's scores, or to a proxy's."""

import argparse
from typing import TYPE_CHECKING

from training.commands.arguments import Commands
from training.commands.quality_sets import add_output, add_sets, read_sets
from training.commands.quality_splits import AskedSplits, asked_splits, told_over_splits

if TYPE_CHECKING:
    from training.quality.fr_gate import FullReferenceGate
    from training.quality.rated import RatedSet
    from training.quality.report import OnSet


def add(systems: Commands) -> None:
    parser = systems.add_parser("quality-fr", help="what would people say of this picture beside its reference?")
    add_sets(parser, required=True)
    parser.add_argument(
        "--metrics", action="store_true", help="PSNR, SSIM, VSI, MDSI, HaarPSI and the last three's mean rank beside"
    )
    add_output(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,train]'")


def run(options: argparse.Namespace) -> None:
    import matplotlib  # noqa: F401 - missed before the long work

    from training.commands.gate_names import gate_names
    from training.quality.evaluation import chosen
    from training.quality.fits import columns_of
    from training.quality.fr_gate import open_full_reference_gate
    from training.quality.readers import require_pictures, require_references, require_sizes
    from training.quality.report import MARKDOWN, GateFacts, Report, write_report
    from training.quality.report_text import markdown

    whole = read_sets(options)
    sizes = [require_pictures(one) for one in whole]
    sets = [chosen(one, options.split, options.every) for one in whole]
    for one in sets:
        require_references(one)
    gates = [
        open_full_reference_gate(
            path, name=name, provider=options.provider, threads=options.threads, device=options.device
        )
        for path, name in zip(options.gates, gate_names(options.gates, "once is enough"), strict=True)
    ]
    for one, own in zip(sets, sizes, strict=True):
        require_sizes(one, own, max(gate.tile_px for gate in gates))
    asked = [asked_splits(options, *one, gates) for one in zip(whole, sets, strict=True)]
    columns = columns_of({gate.name: gate.fit for gate in gates})
    view = "tiles of the picture beside its reference's"
    report = Report(
        title=f"Quality beside a reference: {', '.join(one.name for one in sets)}",
        command="quality-fr",
        gates=tuple(GateFacts(gate.name, gate.digest, view, gate.data, columns[gate.name]) for gate in gates),
        sets=tuple(_on_set(options, *one, gates) for one in zip(sets, asked, strict=True)),
        resamples=options.resamples,
    )
    text = "\n".join(markdown(report)) + "\n"
    write_report(options.output, report, text)
    print(text)
    print(f"{options.output / MARKDOWN}: {sum(len(one.rated) for one in report.sets)} pictures, {len(gates)} gates")


def _on_set(
    options: argparse.Namespace, own: "RatedSet", asked: AskedSplits, gates: "list[FullReferenceGate]"
) -> "OnSet":
    from training.quality.evaluation import side_told
    from training.quality.fr_evaluation import compare, measure_all
    from training.quality.measures import differences, judged
    from training.quality.report import OnSet
    from training.quality.report_plots import write_scatters

    said = compare(own, gates, options.threads)
    said += measure_all(own, options.threads) if options.metrics else []
    results = tuple(judged(own, one) for one in said)
    return OnSet(
        rated=own,
        side=side_told(own, options.split),
        every=options.every,
        judged=results,
        differences=tuple(differences(own, said, options.resamples, options.seed)),
        over_splits=told_over_splits(options, own, said, asked),
        plots=write_scatters(options.output, own, results),
    )
