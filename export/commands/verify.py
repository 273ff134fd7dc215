"""``verify``: are engines still what was trained?"""

import argparse
import json
from pathlib import Path

from export.commands.targets import require_replaceable, require_targets
from runtime.errors import FramegateError
from training.commands.arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("verify", help="compare engines with what was trained, on the same pictures")
    parser.add_argument("reference", type=Path, help="a checkpoint's STEM, or an ONNX file")
    parser.add_argument("engines", type=Path, nargs="+", metavar="ENGINE", help="ONNX files and TensorRT plans")
    parser.add_argument(
        "--pictures", type=Path, nargs="+", required=True, metavar="PATH", help="pictures, or folders of them"
    )
    parser.add_argument("--damaged", action="store_true", help="damaged copies of each picture too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    parser.add_argument("--require-all", action="store_true", help="an engine that cannot run here is a failure")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,export]'")


def run(options: argparse.Namespace) -> None:
    from functools import cache

    from rich.console import Console

    from export.samples import Samples, load_samples
    from export.verify import SCHEMA, Inputs, report, table, verify
    from training.files import write_whole

    engines = [options.reference, *options.engines]
    read = [file for path in engines for file in (path, path.with_name(f"{path.name}.json"), path.with_suffix(".json"))]
    require_targets({"--json": options.json}, read)
    require_replaceable("--json", options.json, "such a report", lambda document: document["schema"] == SCHEMA)
    counts = []

    @cache
    def show(specs: Inputs) -> Samples:
        made = load_samples(options.pictures, specs, damaged=options.damaged)
        counts.append(len(made))
        return made

    verdicts = verify(options.reference, options.engines, show)
    Console().print(table(options.reference, counts[0], verdicts))
    if options.json:
        written = report(options.reference, counts[0], verdicts)
        write_whole(options.json, f"{json.dumps(written, indent=2, allow_nan=False)}\n".encode())
    failed = [f"{verdict.file}: {'; '.join(verdict.faults)}" for verdict in verdicts if verdict.faults]
    if options.require_all:
        failed += [f"{verdict.file}: not run: {verdict.not_run}" for verdict in verdicts if verdict.not_run]
    if failed:
        raise FramegateError("not what was trained:\n  " + "\n  ".join(failed))
