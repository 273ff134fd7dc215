"""``python -m export``: make engines, give them manifests, measure them."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from runtime.errors import ConfigError, FramegateError

BASELINE = Path("models/utility-baseline.onnx")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except FramegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"error: {options.name} needs the package {error.name!r}: {options.remedy}", file=sys.stderr)
        return ConfigError.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="name", metavar="COMMAND")

    baseline = commands.add_parser("baseline", help="make the engine utility-baseline (needs the extra `export`)")
    baseline.add_argument("--output", type=Path, default=BASELINE, help="the ONNX file to write (%(default)s)")
    baseline.set_defaults(command=_baseline, remedy="pip install 'framegate[export]'")

    manifest = commands.add_parser("manifest", help="show an ONNX file's manifest, or give it one")
    manifest.add_argument("engine", type=Path, help="the ONNX file")
    manifest.add_argument(
        "--manifest",
        type=Path,
        help="JSON to put into it; without this option, the manifest that is there is printed, or, where there is "
        "none, a template filled in from the graph",
    )
    manifest.add_argument("--output", type=Path, help="the file to write; without it, the engine's own file")
    manifest.set_defaults(command=_manifest, remedy="pip install 'framegate[manifest]'")

    measure = commands.add_parser(
        "measure-baseline", help="score whole and damaged copies of pictures; prints the tables of the model card"
    )
    measure.add_argument("folders", type=Path, nargs="+", help="folders of pictures; CLASS_name.jpg gives the class")
    measure.add_argument("--engine", type=Path, default=BASELINE, help="%(default)s")
    measure.add_argument(
        "--cover",
        type=_frame_size,
        metavar="WIDTHxHEIGHT",
        help="first scale each picture down and crop it to a frame of this size; smaller pictures are left out",
    )
    measure.add_argument("--every", type=_positive, default=1, help="take every n-th picture (%(default)s: all)")
    measure.add_argument("--threads", type=_positive, default=2, help="of the engine (%(default)s)")
    measure.set_defaults(command=_measure, remedy="pip install 'framegate[cpu,manifest]'")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def _frame_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return _positive(height), _positive(width)


def _baseline(options: argparse.Namespace) -> None:
    from export.baseline import export_baseline  # torch: only for this command

    manifest = export_baseline(options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {manifest.digest}")


def _manifest(options: argparse.Namespace) -> None:
    from export.manifest import load_model, manifest_text, read_manifest_file, weights_digest, write_manifest

    model = load_model(options.engine)
    if options.manifest is None:
        text = manifest_text(model)
        print(_template(options.engine) if text is None else json.dumps(json.loads(text), indent=2))
        return
    manifest = read_manifest_file(options.manifest, weights_digest(model))
    write_manifest(options.engine, manifest, options.output)
    print(f"{options.output or options.engine}: manifest of {manifest.name} {manifest.version}, {manifest.digest}")


def _template(engine: Path) -> str:
    from export.manifest import load_model
    from export.template import manifest_template

    print(
        f"{engine}: no manifest. Below is a template from its graph: fill in every null, check the rest, then\n"
        f"  python -m export manifest {engine} --manifest FILE.json",
        file=sys.stderr,
    )
    return json.dumps(manifest_template(load_model(engine), engine.stem), indent=2)


def _measure(options: argparse.Namespace) -> None:
    from export.measure import Judge, measure
    from export.report import rules_to_measure, write_report

    judge = Judge(options.engine, options.threads)
    rules = rules_to_measure(judge.manifest)
    measured = [measure(judge, folder, rules, options.every, options.cover) for folder in options.folders]
    write_report(measured, judge.manifest, sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
