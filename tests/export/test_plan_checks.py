"""What is refused before or after the build; no library of NVIDIA's is needed."""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import plan as plan_module
from export.__main__ import main
from export.answers import onnx_answers, plan_answers
from export.inspector import Precision, precision_of_layers, require_half
from export.manifest import read_manifest
from export.plan import BuildOptions, read_source
from export.samples import Samples
from runtime import engine_tensorrt, open_device
from runtime.errors import ConfigError, EngineError
from runtime.tensorrt_library import MODULES, load_library
from tests.engines import PIXELS, make_engine
from tests.export.test_verify import PHOTOS, brighter, sound
from tests.fake_device import FakeDevice
from tests.fake_tensorrt import MAGIC, fake_tensorrt, make_plan

TENSORRT_10 = {
    "Layers": [
        {"Name": "a", "Outputs": [{"Name": "x", "Format/Datatype": "{0}"}]},
        {"Name": "b", "Outputs": [{"Name": "y", "Format/Datatype": "{1}"}]},
        {"Name": "c", "Outputs": [{"Name": "score", "Format/Datatype": "Row major linear FP32"}]},
    ],
    "Bindings": ["frames", "score"],
}
TENSORRT_11 = {
    "Layers": [
        {
            "Name": "a",
            "Outputs": [{"Name": "x", "Format": "Row major linear FP16", "DataType": "{0}"}],
        },
        {
            "Name": "b",
            "Outputs": [{"Name": "y", "Format": "Row major linear FP16", "DataType": "{1}"}],
        },
        {"Name": "c", "Outputs": [{"Name": "score", "Format": "Row major linear FP32", "DataType": "Float"}]},
    ],
    "I/O Tensors": [{"Name": "frames", "DataType": "Uint8"}, {"Name": "score", "DataType": "Float"}],
}


def layers(document: dict[str, Any], *kinds: str) -> str:
    text = json.dumps(document)
    for index, kind in enumerate(kinds):
        text = text.replace(f"{{{index}}}", kind)
    return text


@pytest.mark.parametrize(
    ("document", "halves", "single"),
    [
        (TENSORRT_10, ("Half", "Channel major FP16 format where channel % 8 == 0"), "Row major linear FP32"),
        (TENSORRT_11, ("Half", "FP16"), "Float"),
    ],
    ids=["10", "11"],
)
def test_the_inspector_decides_where_it_can(
    document: dict[str, Any], halves: tuple[str, str], single: str, tmp_path: Path
) -> None:
    """Over both forms of its JSON; the network's own outputs do not count, nor do other types."""
    network, path = Precision(10, 0), tmp_path / "half.onnx"
    assert precision_of_layers(layers(document, *halves)) == Precision(2, 0)
    assert precision_of_layers(layers(document, halves[0], "Int32")) == Precision(1, 0)
    assert precision_of_layers(layers(document, "BFloat16", single)) == Precision(0, 1)
    require_half(path, network, b"plan", 1 << 30, layers(document, *halves))
    with pytest.raises(EngineError, match="in the plan only 0 of 2"):
        require_half(path, network, b"plan", 1 << 30, layers(document, single, single))


@pytest.mark.parametrize(
    "flag",
    ["--timing-cache FILE", "--hardware-compatibility ampere-plus", "--version-compatible"],
)
def test_what_tensorrt_rtx_lacks_is_refused(flag: str, capsys: Any) -> None:
    """Never silently ignored, as its library does."""
    arguments = ["tensorrt", "any.onnx", "--output", "any.plan", "--runtime", "tensorrt-rtx", "--unverified"]
    assert main([*arguments, *flag.split()]) == 2
    assert flag.split(maxsplit=1)[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        {"library": "tensorrt", "compute_capability": "8.6"},
        {"library": "tensorrt", "min_batch": 0},
        {"library": "tensorrt", "min_batch": 4, "opt_batch": 2},
        {"library": "tensorrt-rtx", "opt_batch": 64, "max_batch": 32},
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, Any]) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigError, match=r"--compute-capability 8\.6|min <= opt <= max"):
        BuildOptions(**options)


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt-rtx"])
def test_a_missing_library_names_its_extra(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is built."""
    for module in MODULES[library]:
        monkeypatch.setitem(sys.modules, module, None)
    load_library.cache_clear()
    with pytest.raises(EngineError, match=rf"framegate\[{library}\]"):
        load_library(library)


def test_every_flag_is_documented(capsys: Any) -> None:
    """In docs/tensorrt.md."""
    with pytest.raises(SystemExit):
        main(["tensorrt", "--help"])
    flags = set(re.findall(r"(--[a-z0-9-]+)", capsys.readouterr().out)) - {"--help"}
    document = (Path(__file__).parents[2] / "docs" / "tensorrt.md").read_text()
    assert len(flags) > 10
    assert flags <= set(re.findall(r"(--[a-z0-9-]+)", document))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """The one that the runtime finds, with the fake library."""
    device = FakeDevice()
    library = fake_tensorrt(device)
    monkeypatch.setattr(engine_tensorrt, "load_library", lambda _: library)
    monkeypatch.setattr(plan_module, "load_library", lambda _: library)
    find = partial(engine_tensorrt.open_tensorrt_engine, find_device=lambda: device)
    monkeypatch.setattr(engine_tensorrt, "open_tensorrt_engine", find)
    monkeypatch.setattr(open_device, "open_device", lambda: device)
    return device


@pytest.mark.usefixtures("device")
def test_a_plan_answers_as_its_file_does(tmp_path: Path) -> None:
    """The gate's way through the runtime, over the fake library: every sample, in order, whatever the batch."""
    plan = make_plan(tmp_path / "engine.plan", "utility", "quality", batches=(2, 3, 8))
    samples = Samples({PIXELS.name: np.random.default_rng(1).integers(0, 256, (7, *PIXELS.shape), np.uint8)})
    answers = plan_answers(plan, samples, 3)
    expected = onnx_answers(tmp_path / "engine.onnx", samples)
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(answers[name], values)


Build = Callable[[Path], None]


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """An ONNX file that says fp16."""
    return sound(make_engine(tmp_path / "half.onnx", "utility", "quality"), precision="fp16")


@pytest.fixture
def built_of(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Sets what the builder makes a plan of, whatever it is given; the fake library has no builder of its own."""
    assert device
    monkeypatch.setattr(plan_module, "inspect_engine", lambda *_: layers(TENSORRT_11, "Half", "FP16"))

    def set_source(onnx: Path) -> None:
        content = MAGIC + json.dumps((1, 4, 8)).encode() + b"\n" + onnx.read_bytes()
        monkeypatch.setattr(plan_module, "compile_onnx", lambda *_: (content, Precision(10, 0)))

    return set_source


def tensorrt(half: Path, *options: object) -> int:
    batches = ["--opt-batch", "4", "--max-batch", "8"]
    output = ["--output", str(half.with_name("engine.plan"))]
    return main(["tensorrt", str(half), *output, *batches, "--pictures", PHOTOS, *map(str, options)])


def test_a_plan_that_answers_otherwise_is_not_written(half: Path, built_of: Build, capsys: Any) -> None:
    """The command runs the plan and holds it to its ONNX file: no plan, no manifest, no list of layers, no draft."""
    listing = half.with_name("layers.json")
    built_of(brighter(half, 1.1, precision="fp16"))
    before = sorted(half.parent.iterdir())

    assert tensorrt(half, "--layers", listing) == 2
    assert "is not what was trained: output 'usefulness': difference" in capsys.readouterr().err
    assert sorted(half.parent.iterdir()) == before

    built_of(half)
    assert tensorrt(half, "--layers", listing) == 0
    assert "answers as its ONNX file does on 12 samples" in capsys.readouterr().out
    assert json.loads(listing.read_text())["Layers"]
    assert tensorrt(half, "--layers", listing) == 0  # what it wrote, it replaces


def test_the_plans_manifest_replaces_no_other_file(half: Path, built_of: Build, capsys: Any) -> None:
    """NAME.json may be a checkpoint's; names that clash are told before any work."""
    checkpoint = half.with_name("engine.json")
    checkpoint.write_text('{"format": "framegate/checkpoint/1"}')
    built_of(half)

    assert tensorrt(half) == 2
    assert "is not a plan's manifest" in capsys.readouterr().err
    assert checkpoint.read_text() == '{"format": "framegate/checkpoint/1"}'
    assert not half.with_name("engine.plan").exists()
    checkpoint.unlink()
    for option in ("--layers", "--timing-cache"):
        for clash in (checkpoint, half.with_name("engine.plan"), half):
            assert tensorrt(half, option, clash) == 2
            assert "is the same file as" in capsys.readouterr().err
    other = half.with_name("other.json")
    other.write_text("{}")
    assert tensorrt(half, "--layers", other) == 2
    assert "is not a list of layers" in capsys.readouterr().err


def test_an_output_that_no_head_reads_is_refused(half: Path) -> None:
    """Serving takes no plan that has one, so none is built."""
    options = BuildOptions(library="tensorrt")
    assert read_source(half, options).precision == "fp16"
    manifest = read_manifest(half)
    assert manifest is not None
    sound(half, heads=manifest.heads[:1])

    with pytest.raises(EngineError, match="no head reads its output 'opinions'"):
        read_source(half, options)
