"""What the benchmarks say of a wrong command line, before they measure for minutes."""

from pathlib import Path

import pytest

from benchmarks.__main__ import main


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with the names that there are."""
    assert main(["nope"]) == 2
    assert "error: nope: no such benchmark; there are gateway, memory, " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["gateway", "--engine"], ["memory", "--engine"], ["engine", "--engine"], ["cost"], ["precision"]]
)
def test_an_engine_that_is_not_there_is_told(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every benchmark that takes one, and nothing is started."""
    pytest.importorskip("confluent_kafka", reason="the load generator, of the extra dev")

    assert main([*words, str(tmp_path / "none.onnx")]) == 2
    assert "none.onnx: no such file" in capsys.readouterr().err


def test_a_folder_without_pictures_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, the folder and what it should hold."""
    assert main(["preprocess", "--pictures", str(tmp_path)]) == 2
    assert f"{tmp_path}: no .jpg in this folder" in capsys.readouterr().err
