"""``manifest``: show an ONNX file's manifest, or give it one."""

import argparse
import json
import sys
from pathlib import Path

from export.commands.targets import require_targets
from runtime.errors import EngineError
from training.commands.arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("manifest", help="show an ONNX file's manifest, or give it one")
    parser.add_argument("engine", type=Path, help="the ONNX file")
    parser.add_argument(
        "--manifest",
        type=Path,
        help="JSON to put into it; without this option, the manifest that is there is printed, or, where there is "
        "none, a template filled in from the graph",
    )
    parser.add_argument("--output", type=Path, help="the file to write; without it, the engine's own file")
    parser.set_defaults(command=run, remedy="pip install 'framegate[manifest]'")


def run(options: argparse.Namespace) -> None:
    from export.manifest import load_model, manifest_text, read_manifest_file, weights_digest, write_manifest

    if options.output:
        require_targets({"--output": options.output}, [] if options.manifest is None else [options.manifest])

    model = load_model(options.engine)
    if options.manifest is None:
        text = manifest_text(model)
        print(_template(options.engine) if text is None else _indented(text, options.engine))
        return
    manifest = read_manifest_file(options.manifest, weights_digest(model))
    write_manifest(options.engine, manifest, options.output)
    print(f"{options.output or options.engine}: manifest of {manifest.name} {manifest.version}, {manifest.digest}")


def _indented(text: str, engine: Path) -> str:
    try:
        return json.dumps(json.loads(text), indent=2)
    except ValueError as error:
        raise EngineError(
            f"{engine}: the manifest in it is not JSON ({error}); give it another: "
            f"python -m export manifest {engine} --manifest FILE"
        ) from error


def _template(engine: Path) -> str:
    from export.manifest import load_model
    from export.template import manifest_template

    print(
        f"{engine}: no manifest. Below is a template from its graph: fill in every null, check the rest, then\n"
        f"  python -m export manifest {engine} --manifest FILE.json",
        file=sys.stderr,
    )
    return json.dumps(manifest_template(load_model(engine), engine.stem), indent=2)
