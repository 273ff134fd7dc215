"""Plans on a real GPU, by whichever of the two libraries is installed."""

import json
from pathlib import Path
from typing import Any

import pytest

from export.__main__ import main
from export.half import half_manifest, to_half
from export.inspector import precision_of_layers
from export.manifest import attach_manifest, load_model, read_model_manifest, save_model
from export.parity import default_tolerances
from runtime.errors import ConfigError
from runtime.manifest import parse_manifest
from runtime.open_device import open_device

PHOTOS = str(Path(__file__).parents[2] / "demo" / "photos")


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["tensorrt", "tensorrt-rtx"])
def test_a_plan_is_built_listed_and_proven(library: str, shipped: Path, tmp_path: Path, capsys: Any) -> None:
    """Half precision by its own layers, and answers within the tolerances on the demo's photographs."""
    pytest.importorskip(library.replace("-", "_"), reason=f"needs pip install 'framegate[{library}]'")
    try:
        device = open_device()
    except ConfigError as error:
        pytest.skip(str(error))
    source, plan, layers = tmp_path / "half.onnx", tmp_path / "engine.plan", tmp_path / "layers.json"
    convert(shipped, source)
    arguments = ["--runtime", library, "--output", str(plan), "--layers", str(layers), "--pictures", PHOTOS]
    assert main(["tensorrt", str(source), *arguments]) == 0
    assert "answers as its ONNX file does" in capsys.readouterr().out
    inside = precision_of_layers(layers.read_text())
    assert json.loads(layers.read_text())["Layers"]
    assert inside.share > 0.5
    built = parse_manifest(plan.with_suffix(".json").read_text(), str(plan)).plan
    assert built is not None
    assert built.gpu == (device.name if library == "tensorrt" else None)


def convert(engine: Path, path: Path) -> None:
    """The engine in half precision, with the manifest that says so."""
    model = load_model(engine)
    half = to_half(model)
    manifest = read_model_manifest(model, str(engine))
    tolerances = default_tolerances("fp16", manifest.heads)
    manifest = half_manifest(manifest, half, tolerances, "test_plan_gpu.convert")
    attach_manifest(half, manifest, str(path))
    save_model(half, path)
