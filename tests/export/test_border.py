"""``python -m export``: what the file system, a keyboard or a wrong name does is an error's text, not a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main as benchmark
from export.__main__ import main
from export.commands import fp16
from export.commands.targets import require_replaceable, require_suffix, require_targets
from export.manifest import attach_manifest, load_model, save_model, weights_digest
from runtime.errors import ConfigError
from runtime.manifest import METADATA_KEY, Manifest
from tests.export.conftest import ROOT
from tests.export.graphs import mean_graph
from tests.export.test_manifest import FIELDS

PHOTOS = str(ROOT / "demo" / "photos")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """float32, with its manifest."""
    model = mean_graph()
    attach_manifest(model, Manifest.model_validate(FIELDS | {"digest": weights_digest(model)}), "mean")
    save_model(model, tmp_path / "mean.onnx")
    return tmp_path / "mean.onnx"


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The text of a command that is refused."""
    assert main([str(word) for word in arguments]) == 2
    error: str = capsys.readouterr().err
    assert error.lstrip().startswith("error: ")
    return error


@pytest.mark.parametrize("command", ["fp16", "int8"])
def test_outputs_that_cannot_be_written(
    command: str, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, below a file, the input itself (by another name, too), no suffix: told before any picture is read."""
    before = engine.read_bytes()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "link.onnx").symlink_to(engine)
    for output, said in {
        tmp_path / "folder.onnx": "is a folder",
        engine / "x.onnx": "is no folder",
        engine: "which is read",
        tmp_path / "link.onnx": "which is read",
        tmp_path / "nosuffix": "ends in .onnx",
    }.items():
        assert said in told(capsys, command, engine, "--output", output, "--pictures", tmp_path / "not looked at")
    assert engine.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.onnx", "link.onnx", "mean.onnx"]


def test_targets_are_held_to_each_other(tmp_path: Path) -> None:
    """Two options, one file; None is no file."""
    with pytest.raises(ConfigError, match=r"--layers .*one\.json is the same file as --json"):
        require_targets({"--json": tmp_path / "one.json", "--layers": tmp_path / "x" / ".." / "one.json"})
    require_targets({"--json": tmp_path / "new" / "one.json", "--layers": None})
    require_suffix("--output", tmp_path / "a.plan", (".plan", ".engine"))


@pytest.mark.parametrize("content", ["[]", "7", "no json", "{}"])
def test_only_files_of_their_own_kind_are_replaced(content: str, tmp_path: Path) -> None:
    """Whatever else has that name stays."""
    path = tmp_path / "it.json"
    require_replaceable("--json", path, "a report", lambda document: document["schema"])
    path.write_text('{"schema": "mine"}')
    require_replaceable("--json", path, "a report", lambda document: document["schema"])
    path.write_text(content)
    with pytest.raises(ConfigError, match="is not a report"):
        require_replaceable("--json", path, "a report", lambda document: document["schema"])


def test_files_that_are_something_else(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON for ONNX, a folder for a file, a manifest that is no JSON or no text, a broken picture."""
    description = tmp_path / "net.json"
    description.write_text(json.dumps({"format": "framegate/checkpoint/1"}))
    assert "not an ONNX" in told(capsys, "fp16", description, "--output", tmp_path / "x.onnx", "--unverified")
    assert str(tmp_path) in told(capsys, "fp16", tmp_path, "--output", tmp_path / "x.onnx", "--unverified")

    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not text" in told(capsys, "manifest", engine, "--manifest", binary)
    assert "is a folder" in told(capsys, "manifest", engine, "--manifest", description, "--output", tmp_path)
    model = load_model(engine)
    next(entry for entry in model.metadata_props if entry.key == METADATA_KEY).value = "{broken"
    save_model(model, tmp_path / "broken.onnx")
    assert "is not JSON" in told(capsys, "manifest", tmp_path / "broken.onnx")

    pictures = tmp_path / "pictures"
    (pictures / "folder.jpg").mkdir(parents=True)
    assert "no pictures there" in told(capsys, "measure-baseline", pictures)
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert "broken.jpg" in told(capsys, "measure-baseline", pictures)


def test_what_the_system_refuses_is_an_error_of_one_line(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody could foresee, for no access right says it: exit 2, the file and the reason."""
    if not Path("/proc/self").exists():
        pytest.skip("needs Linux's /proc, in which nobody can make a file")
    error = told(capsys, "fp16", engine, "--output", "/proc/x.onnx", "--unverified")
    assert error.startswith("error: /proc/")
    assert len(error.splitlines()) == 1


def test_ctrl_c_is_no_traceback(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """130, as shells have it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fp16, "require_targets", interrupt)
    assert main(["fp16", str(engine), "--output", str(tmp_path / "x.onnx"), "--unverified"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_the_remedy_brings_what_the_proof_needs(engine: Path) -> None:
    """Without ONNX Runtime: ``verify`` names both extras."""
    program = "import sys; sys.modules.update(onnxruntime=None); from export.__main__ import main; sys.exit(main(%r))"
    words = ["verify", str(engine), str(engine), "--pictures", PHOTOS]
    done = subprocess.run(
        [sys.executable, "-c", program % words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "pip install 'framegate[cpu,export]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["half", "--engine", "nope.onnx"], "nope.onnx: No such file"), (["precision", "nope.onnx"], "nope.onnx")],
)
def test_benchmarks_tell_what_is_wrong(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a line."""
    assert benchmark(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error


def test_no_rounds_are_refused(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing has no median."""
    with pytest.raises(SystemExit, match="2"):
        benchmark(["precision", str(engine), "--rounds", "0"])
    assert "0 is not at least 1" in capsys.readouterr().err
