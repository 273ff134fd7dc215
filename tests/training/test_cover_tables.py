"""The paper's Tables 1 to 3 over seeds: what may be claimed of them, and what is no table."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from training.__main__ import main
from training.cover.run_facts import RunFacts, Strategy, Task
from training.cover.tables import Trained, tables, verdict

BOTH: tuple[Task, ...] = ("clarity", "saliency")


def trained(
    seed: int,
    lcc: float,
    iou: float,
    *,
    network: str = "resnet101",
    tasks: tuple[Task, ...] = BOTH,
    strategy: Strategy = "end-to-end",
    recipe: Any = "small",
    steps: int = 100,
    data: Any = "a",
) -> Trained:
    values = {"lcc": lcc, "foreground_iou": iou, "mean_image_iou": iou - 0.01}
    facts = RunFacts(network=network, strategy=strategy, tasks=tasks, seed=seed, recipe=recipe, steps=steps, set=data)
    return Trained(f"{network}-{strategy}-{'-'.join(tasks)}-{seed}", facts, values)


def text_of(*runs: Trained) -> str:
    return "\n".join(tables(runs))


def test_table_3_with_seeds_spreads_and_the_papers_numbers() -> None:
    """Mean ± standard deviation, how many seeds, the paper's numbers beside, and in how many spreads it holds."""
    ends = [trained(seed, lcc, 0.8) for seed, lcc in enumerate((0.97, 0.98, 0.99))]
    stages = [trained(seed, lcc, 0.8, strategy="multi-stage") for seed, lcc in enumerate((0.85, 0.86, 0.87))]

    text = text_of(*ends, *stages)

    assert "### Table 3: training strategies, resnet101" in text
    assert (
        "| end-to-end | 3 | 0.9800 ± 0.0100 | 0.8000 ± 0.0000 | 0.7900 ± 0.0000 | 0.9805 | 0.7746 |\n"
        "| multi-stage | 3 | 0.8600 ± 0.0100 | 0.8000 ± 0.0000 | 0.7900 ± 0.0000 | 0.8548 | 0.7470 |" in text
    )
    assert "| end-to-end above multi-stage | LCC | +0.1257 | +0.1200 | yes (+12.0 spreads) |" in text
    assert "| end-to-end above multi-stage | mean image IoU | +0.0276 | +0.0000 | neither: below 2 spreads" in text
    assert "The paper's numbers are of its own data" in text
    assert "Table 1" not in text
    assert "Table 2" not in text


def test_table_2_holds_one_task_against_both() -> None:
    """A single-task network has no number for the task that it lacks, and makes no claim about it."""
    nan = float("nan")
    both = [trained(seed, 0.95 + seed / 1000, 0.70 + seed / 100) for seed in range(3)]
    sharp = [trained(seed, 0.94 + seed / 1000, nan, tasks=("clarity",)) for seed in range(3)]
    masks = [trained(seed, nan, 0.75 + seed / 100, tasks=("saliency",)) for seed in range(3)]

    text = text_of(*both, *sharp, *masks)

    assert "### Table 2: one task or both, resnet101" in text
    assert "| clarity only | 3 | 0.9410 ± 0.0010 | – | – | 0.9741 | – |" in text  # noqa: RUF001
    assert "| segmentation only | 3 | – | 0.7600 ± 0.0100 | 0.7500 ± 0.0100 | – | 0.7618 |" in text  # noqa: RUF001
    assert "| multi-task above clarity only | LCC | +0.0064 | +0.0100 | yes (+10.0 spreads) |" in text
    assert "| +0.0128 | -0.0500 | **no, the contrary** (-5.0 spreads) |" in text
    assert "multi-task above clarity only | IoU" not in text


def test_table_1_holds_backbones_in_the_papers_order() -> None:
    """Each pair as the paper's own numbers have it; a backbone that it lacks has a row and no claim."""
    runs = [
        trained(seed, lcc + seed / 1000, iou + seed / 1000, network=network)
        for network, lcc, iou in (("mobilenetv2", 0.95, 0.7), ("resnet101", 0.96, 0.8), ("light", 0.97, 0.9))
        for seed in range(3)
    ]

    text = text_of(*runs)

    assert "| light | 3 | 0.9710 ± 0.0010 | 0.9010 ± 0.0010 | 0.8910 ± 0.0010 | – | – |" in text  # noqa: RUF001
    assert "| mobilenetv2 above resnet101 | LCC | +0.0004 | -0.0100 | **no, the contrary** (-10.0 spreads) |" in text
    assert "| resnet101 above mobilenetv2 | IoU, y > 2.3 | +0.0143 | +0.1000 | yes (+100.0 spreads) |" in text
    assert "resnet101 above mobilenetv2 | LCC" not in text
    assert "light above" not in text
    assert "above light" not in text


def test_nothing_is_claimed_of_fewer_than_three_seeds() -> None:
    """The difference stands there all the same; of one seed there is no spread."""
    text = text_of(trained(0, 0.98, 0.8), trained(0, 0.86, 0.7, strategy="multi-stage"))

    assert "| end-to-end | 1 | 0.9800 | 0.8000 | 0.7900 |" in text
    assert "| LCC | +0.1257 | +0.1200 | not claimed: 1 of 3 seeds |" in text


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        ([3, 4, 5], [1, 2, 3], "yes (+2.0 spreads)"),
        ([2.9, 3.9, 4.9], [1, 2, 3], "neither: below 2 spreads (+1.9 spreads)"),
        ([1, 2, 3], [1, 2, 2.9], "neither: below 2 spreads (+0.0 spreads)"),
        ([1, 2, 3], [2.9, 3.9, 4.9], "neither: below 2 spreads (-1.9 spreads)"),
        ([1, 2, 3], [3, 4, 5], "**no, the contrary** (-2.0 spreads)"),
        ([1, 1, 1], [1, 1, 1], "neither: below 2 spreads (+0.0 spreads)"),
        ([2, 2, 2], [1, 1, 1], "yes (+inf spreads)"),
        ([1, 2, 3, 4], [0, 1], "not claimed: 2 of 3 seeds"),
    ],
)
def test_a_difference_counts_in_pooled_standard_deviations(above: list[float], below: list[float], said: str) -> None:
    """Two at least, either way: of three seeds one is nothing rare."""
    assert verdict(above, below) == said


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"recipe": "paper"}, "recipe"),
        ({"steps": 200, "data": "b"}, "steps, set"),
    ],
)
def test_rows_of_other_conditions_are_not_compared(changes: dict[str, Any], what: str) -> None:
    """What they differ in might as well be why; the difference stands there, without a verdict."""
    ends = [trained(seed, 0.98, 0.8) for seed in range(3)]
    stages = [trained(seed, 0.86, 0.7, strategy="multi-stage", **changes) for seed in range(3)]

    text = text_of(*ends, *stages)

    assert f"| end-to-end above multi-stage | LCC | +0.1257 | +0.1200 | not compared: differ in {what} |" in text
    assert "yes (" not in text


def test_runs_that_differ_by_more_than_the_seed_make_no_row() -> None:
    """Nor do two of one seed: the spread would be of something else, or none."""
    with pytest.raises(ConfigError, match=r"differ in recipe: "):
        text_of(trained(0, 0.9, 0.7), trained(1, 0.9, 0.7, recipe="paper"))
    with pytest.raises(ConfigError, match=r"same kind and seed \(1\)"):
        text_of(trained(1, 0.9, 0.7), trained(1, 0.8, 0.7))


def test_one_kind_of_run_makes_no_table() -> None:
    """The text says what is due."""
    assert "No table" in text_of(trained(0, 0.9, 0.7), trained(1, 0.9, 0.7))


def write_report(folder: Path, selection: str, *runs: Trained | None) -> Path:
    """As ``evaluate cover`` writes it, but for what the tables do not read."""
    gates = [
        {
            "name": run.name if run else "engine",
            "run": run.facts.model_dump() if run else None,
            "measures": {
                "all levels": {"lcc": run.values["lcc"] if run else 0.5},
                "y > 2.3": {key: run.values[key] if run else 0.5 for key in ("foreground_iou", "mean_image_iou")},
            },
        }
        for run in runs
    ]
    folder.mkdir()
    document = {"format": "framegate/cover-evaluation/1", "set": {"selection": selection}, "gates": gates}
    (folder / "REPORT.json").write_text(json.dumps(document))
    return folder


def test_the_command_joins_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named by file or folder; gates without a run's facts are left out; printed, or written where --output says."""
    one = write_report(tmp_path / "one", "a", *(trained(seed, 0.98, 0.8) for seed in range(3)), None)
    staged = (trained(seed, 0.86, 0.7, strategy="multi-stage") for seed in range(3))
    other = write_report(tmp_path / "other", "a", *staged)
    arguments = ["evaluate", "cover-tables", "--runs", str(one), str(other / "REPORT.json")]

    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("### Table 3: training strategies, resnet101")
    assert "| end-to-end | 3 | 0.9800 ± 0.0000 |" in printed

    assert main([*arguments, "--output", str(tmp_path / "tables.md")]) == 0
    assert (tmp_path / "tables.md").read_text() == printed


def test_reports_of_other_samples_are_not_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for what is no report, or has no trained run in it."""
    one, other = (write_report(tmp_path / name, name, trained(0, 0.9, 0.7)) for name in ("a", "b"))
    assert main(["evaluate", "cover-tables", "--runs", str(one), str(other)]) == 2
    assert "is on other samples than" in capsys.readouterr().err

    assert main(["evaluate", "cover-tables", "--runs", str(write_report(tmp_path / "c", "c", None))]) == 2
    assert "no gate in it is a checkpoint beside its run.json" in capsys.readouterr().err

    (tmp_path / "d.json").write_text("{}")
    assert main(["evaluate", "cover-tables", "--runs", str(tmp_path / "d.json")]) == 2
    assert "is no report of `evaluate cover`" in capsys.readouterr().err

    assert main(["evaluate", "cover-tables", "--runs", str(tmp_path / "nowhere")]) == 2
    assert "No such file" in capsys.readouterr().err
