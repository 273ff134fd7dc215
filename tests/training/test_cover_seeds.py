"""From training to the paper's tables: what `train cover` writes is what `evaluate cover` makes rows of."""

from pathlib import Path

from tests.training.cover_gates import write_cover_set
from training.__main__ import main

TINY = [
    "--recipe",
    "small",
    "--set",
    "batch_size=2",
    "crop_px=113",
    "width=8",
    "precision=float32",
    "--weights",
    "none",
    "--threads",
    "1",
]


def train(folder: Path, name: str, *more: str) -> Path:
    """One step of the paper's network with MobileNetV2; the checkpoint's stem."""
    arguments = ["train", "cover", "--data", str(folder / "set"), "--network", "mobilenetv2", *TINY, "--steps", "1"]
    assert main([*arguments, "--validate", "2", "--output", str(folder / name), *more]) == 0
    return folder / name / "cover"


def test_runs_of_each_task_become_the_rows_of_table_2(tmp_path: Path) -> None:
    """Backbone, tasks, strategy and seed come from run.json; frames of odd sides are seen whole."""
    write_cover_set(tmp_path, count=4, size=(115, 131), split="source", seed=3)
    gates = [train(tmp_path, "both", "--seed", "4"), train(tmp_path, "clarity", "--seed", "4", "--tasks", "clarity")]
    report = tmp_path / "report"

    arguments = ["evaluate", "cover", "--set", str(tmp_path / "set"), "--gates", *map(str, gates), "--output"]
    assert main([*arguments, str(report), "--panels", "0", "--timed", "0", "--resamples", "0", "--threads", "1"]) == 0
    assert main(["evaluate", "cover-tables", "--runs", str(report), "--output", str(tmp_path / "tables.md")]) == 0

    text, tables = (report / "REPORT.md").read_text(), (tmp_path / "tables.md").read_text()
    assert f"Gate `{gates[0]}`" in text
    assert text.count("sees the whole frame") == 2
    assert tables.startswith("### Table 2: one task or both, mobilenetv2")
    for row in ("| clarity only | 1 |", "| multi-task | 1 |", "not claimed: 1 of 3 seeds |"):
        assert row in tables
        assert row in text


def test_runs_that_make_no_table_do_not_spoil_a_report(tmp_path: Path) -> None:
    """Two checkpoints of one kind and seed: the report is there, and says why there is no table."""
    write_cover_set(tmp_path, count=4, size=(115, 131), split="source", seed=3)
    first = train(tmp_path, "one", "--seed", "4")
    (tmp_path / "two").mkdir()
    for name in ("cover.json", "cover.safetensors", "run.json"):
        (tmp_path / "two" / name).write_bytes((first.parent / name).read_bytes())

    arguments = ["evaluate", "cover", "--set", str(tmp_path / "set"), "--gates", str(first)]
    arguments += [str(tmp_path / "two" / "cover"), "--output", str(tmp_path / "report")]
    assert main([*arguments, "--panels", "0", "--timed", "0", "--resamples", "0", "--threads", "1"]) == 0

    text = (tmp_path / "report" / "REPORT.md").read_text()
    assert "No table: " in text
    assert "are of the same kind and seed (4)" in text
    assert "## Blur by blur" in text
