"""``python -m runtime.assess --reference``: pictures and videos beside what they were made of, with a real engine."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from runtime import assess
from runtime.assess_videos import worst_mean
from runtime.contact_sheet import TILE_HEIGHT, TILE_WIDTH
from runtime.decision import load_schema
from runtime.opencv import cv2
from runtime.sheet import GAP, MARGIN, title_band
from tests.command import run
from tests.cover_engine import make_cover_engine
from tests.engines import brightness, make_engine
from tests.film import write_film
from tests.full_reference_engine import TILE, make_comparing_engine, tile_score
from tests.pictures import bmp, jpeg, noise, png, scene, with_exif

WIDTH, HEIGHT = 4 * TILE, 3 * TILE
"""So that every pixel is in one tile, and a picture's score is its mean difference's."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of engines: fr, strict (fr with a threshold of 4.5), utility, quality, cover."""
    folder = tmp_path_factory.mktemp("engines")
    make_comparing_engine(folder / "fr.onnx")
    make_comparing_engine(folder / "strict.onnx", threshold=4.5)
    make_engine(folder / "utility.onnx")
    make_engine(folder / "quality.onnx", "quality")
    make_cover_engine(folder / "cover.onnx")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """``references`` with two originals; ``pictures`` with versions of them, and one of each fault."""
    references, pictures = tmp_path / "references", tmp_path / "pictures"
    for folder in (references, pictures / "park"):
        folder.mkdir(parents=True)
    (references / "park").mkdir()
    lake, tree = scene(WIDTH, HEIGHT, 1), scene(WIDTH, HEIGHT, 2)
    (references / "Lake.png").write_bytes(png(lake))
    (references / "park" / "tree.png").write_bytes(png(tree))
    (references / "bad.png").write_bytes(b"no picture")
    (references / "small.png").write_bytes(png(scene(TILE - 1, 40)))
    (pictures / "lake.png").write_bytes(png(lake))
    (pictures / "lake_dark.png").write_bytes(png(lake // 2))
    (pictures / "lake_small.png").write_bytes(png(lake[:, :-1]))
    (pictures / "park" / "tree.jpg").write_bytes(jpeg(tree // 3))
    (pictures / "bad-1.png").write_bytes(png(lake))
    (pictures / "small.png").write_bytes(png(scene(TILE - 1, 40)))
    (pictures / "stranger.png").write_bytes(png(lake))
    (pictures / "lake-torn.png").write_bytes(png(lake)[:-40])
    return tmp_path


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def judged(engine: Path, photos: Path, capsys: pytest.CaptureFixture[str], *flags: object) -> dict[str, dict[str, Any]]:
    """By the picture's name, its document."""
    arguments = ["--engine", engine, "--reference", photos / "references", photos / "pictures", "--json", *flags]
    assert assess.main([str(each) for each in arguments]) == 0
    return {Path(one["source"]["file"]).name: one for one in documents(capsys.readouterr().out)}


def test_each_picture_has_its_decision_or_its_fault(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is dropped in silence: one document a picture, by the schema, or a reason of its own."""
    found = judged(engines / "fr.onnx", photos, capsys)

    lake, tree = scene(WIDTH, HEIGHT, 1), scene(WIDTH, HEIGHT, 2)
    assert {name: one["reason"] for name, one in found.items() if "reason" in one} == {
        "bad-1.png": "bad-reference",
        "lake_small.png": "size-mismatch",
        "lake-torn.png": "truncated",
        "small.png": "too-small",
        "stranger.png": "unmatched",
    }
    scores = {}
    for name in ("lake.png", "lake_dark.png", "tree.jpg"):
        jsonschema.validate(found[name], load_schema())
        assert found[name]["frame"] == {"id": found[name]["source"]["file"], "width": WIDTH, "height": HEIGHT}
        scores[name] = found[name]["quality"]
    assert scores["lake.png"] == {"full_reference": 5.0}
    assert scores["lake_dark.png"]["full_reference"] == pytest.approx(tile_score(lake // 2, lake), abs=1e-5)
    assert scores["tree.jpg"]["full_reference"] == pytest.approx(tile_score(tree // 3, tree), abs=0.02)
    assert found["tree.jpg"]["source"] == {
        "file": str(photos / "pictures" / "park" / "tree.jpg"),
        "reference": {"file": str(photos / "references" / "park" / "tree.png")},
    }


@pytest.mark.parametrize(
    ("engine", "flags", "threshold", "dropped"),
    [
        ("fr", [], None, []),
        ("strict", [], 4.5, ["lake_dark.png", "tree.jpg"]),
        ("strict", ["--min-full-reference", "1"], 1.0, []),
        ("fr", ["--min-full-reference", "5"], 5.0, ["lake_dark.png", "tree.jpg"]),  # on the edge: kept
    ],
)
def test_a_threshold_drops(
    engines: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    engine: str,
    flags: list[str],
    threshold: float | None,
    dropped: list[str],
) -> None:
    """The operator's, else the engine's, else none; the decision says which."""
    found = judged(engines / f"{engine}.onnx", photos, capsys, *flags)
    decisions = {name: one for name, one in found.items() if "verdict" in one}

    assert sorted(name for name, one in decisions.items() if one["verdict"] == "drop") == sorted(dropped)
    for name, one in decisions.items():
        jsonschema.validate(one, load_schema())
        assert one["reasons"] == (["full-reference-below-threshold"] if name in dropped else [])
        assert one["quality"].get("min_full_reference") == threshold


def test_other_engines_judge_the_picture_as_always(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their fields, thresholds and masks stand beside; both kinds of quality are in one section."""
    flags = ["--engine", engines / "utility.onnx", "--engine", engines / "quality.onnx", "--min-satisfied", "0.9@4"]
    found = judged(engines / "fr.onnx", photos, capsys, *flags)
    alone = [str(each) for each in (*flags, photos / "pictures" / "lake_dark.png", "--json")]
    assert assess.main(alone) == 0
    [expected] = documents(capsys.readouterr().out)

    one = found["lake_dark.png"]
    jsonschema.validate(one, load_schema())
    assert one["utility"] == expected["utility"]
    beside = one["quality"].pop("full_reference")
    assert beside == pytest.approx(tile_score(scene(WIDTH, HEIGHT, 1) // 2, scene(WIDTH, HEIGHT, 1)), abs=1e-5)
    assert one["quality"] == expected["quality"]
    assert one["reasons"] == expected["reasons"] != []
    assert [each["name"] for each in one["engines"]] == ["utility", "quality", "fr"]
    assert found["stranger.png"]["reason"] == "unmatched"


def test_one_reference_for_all(engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the pictures are called; upright, as they are seen."""
    lake = scene(WIDTH, HEIGHT, 1)
    side = photos / "side.jpg"
    side.write_bytes(with_exif(jpeg(lake), 6))
    reference = photos / "turned.png"
    reference.write_bytes(png(np.rot90(lake, -1).copy()))
    arguments = ["--engine", engines / "fr.onnx", "--reference", reference, side, "--json"]

    assert assess.main([str(each) for each in arguments]) == 0
    [one] = documents(capsys.readouterr().out)
    assert one["quality"]["full_reference"] > 4.9
    assert (one["frame"]["width"], one["frame"]["height"]) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("beside", [[], ["utility"]])
def test_bitmaps(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: list[str]) -> None:
    """As sets of judged pictures have them: judged like PNGs of the same pixels, and shown; a torn one is told of."""
    lake = scene(WIDTH, HEIGHT, 1)
    (tmp_path / "references").mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "references" / "I01.BMP").write_bytes(bmp(lake))
    (tmp_path / "pictures" / "i01_01_1.bmp").write_bytes(bmp(lake // 2))
    (tmp_path / "pictures" / "i01_01_2.png").write_bytes(png(lake // 2))
    (tmp_path / "pictures" / "i01_01_3.bmp").write_bytes(bmp(lake)[:-40])
    sheet = tmp_path / "sheet.png"
    flags = [part for name in beside for part in ("--engine", engines / f"{name}.onnx")]
    found = judged(engines / "fr.onnx", tmp_path, capsys, "--contact-sheet", sheet, *flags)

    assert found["i01_01_3.bmp"]["reason"] == "truncated"
    bitmap, other = found["i01_01_1.bmp"], found["i01_01_2.png"]
    assert bitmap["quality"] == other["quality"]
    assert bitmap["quality"]["full_reference"] == pytest.approx(tile_score(lake // 2, lake), abs=1e-5)
    assert bitmap.get("utility") == other.get("utility")
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    first, second = (drawn[:, left : left + TILE_WIDTH] for left in (MARGIN, MARGIN + TILE_WIDTH + GAP))
    below = slice(title_height() + 60, title_height() + 60 + TILE_HEIGHT)
    np.testing.assert_array_equal(first[below], second[below])
    assert first[below].std() > 10


def title_height() -> int:
    return len(title_band("", "", 1000))


def test_references_below_the_pictures_are_told_of(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are what is held against, not what is judged."""
    arguments = ["--engine", engines / "fr.onnx", "--reference", photos / "references", photos, "--json"]

    assert assess.main([str(each) for each in arguments]) == 0
    captured = capsys.readouterr()
    judged = [Path(one["source"]["file"]) for one in documents(captured.out)]
    assert len(judged) == 8
    assert not any(path.is_relative_to(photos / "references") for path in judged)
    assert f"left out: 4 in {photos / 'references'}, the references" in captured.err


def test_a_reference_among_the_pictures_is_told_of(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is given as both is the reference alone: beside itself every picture is perfect."""
    reference, *others = sorted(path for path in (photos / "references").iterdir() if path.is_file())
    arguments = ["--engine", engines / "fr.onnx", "--reference", reference, reference, *others, "--json"]

    assess.main([str(each) for each in arguments])
    captured = capsys.readouterr()
    assert [Path(one["source"]["file"]) for one in documents(captured.out)] == others
    assert f"left out: {reference}, the reference\n" in captured.err


def test_the_table_and_the_sheet(engines: Path, photos: Path, tmp_path: Path) -> None:
    """A column for each score and each share that is asked for; a sheet with every picture; as a process."""
    engine = [part for name in ("fr", "quality") for part in ("--engine", engines / f"{name}.onnx")]
    flags = ["--reference", photos / "references", "--contact-sheet", tmp_path / "sheet.png"]
    done = run("runtime.assess", *engine, *flags, "--min-satisfied", "0.1@3", photos / "pictures", COLUMNS="400")

    assert done.returncode == 0, done.stderr
    header = done.stdout.splitlines()[1]
    assert re.search("full reference|quality", header)
    assert "votes of 3 up" in header
    assert "5.000" in next(line for line in done.stdout.splitlines() if "lake.png" in line)
    assert "unmatched: no other picture in" in done.stdout
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--plot", "p.png", "a.png"], "--plot p.png: belongs to --reference"),
        (["--min-full-reference", "3", "a.png"], "--min-full-reference 3.0: belongs to --reference"),
        (["--every-s", "3", "a.png"], "--every-s 3.0: belongs to --covers N or a --reference VIDEO"),
        (["--reference", "nowhere", "a.png"], "--reference nowhere: no such file or folder"),
        (["--reference", ".", "--covers", "3", "a.png"], "--reference .: not with --covers"),
        (["--reference", ".", "--decode", "gpu", "a.png"], "--decode gpu: not with --reference"),
        (["--reference", ".", "--plot", "p.png", "a.png"], "--plot p.png: of videos alone"),
        (["--reference", ".", "a.mp4"], "a.mp4: a video, which is held against a video"),
        (
            ["--reference", "film.mp4", "a.png"],
            "--reference film.mp4: a video's; one video is held against it, not a.png",
        ),
        (["--reference", "film.mp4", "./film.mp4"], "film.mp4: it is the video itself"),
        (["--reference", "film.mp4", "a.mp4", "b.mp4"], "held against it, not a.mp4, b.mp4"),
        (["--reference", "film.mp4", "--masks", "m", "a.mp4"], "--masks m: of pictures"),
        (["--reference", ".", "--aspect", "1:1", "a.png"], "the aspect 1:1 of covers: no engine given has a head"),
        (
            ["--reference", "film.mp4", "--plot", "x.png", "--contact-sheet", "./x.png", "a.mp4"],
            "--contact-sheet x.png: the plot would replace it",
        ),
        (["--reference", ".", "--min-full-reference", "6", "a.png"], "a number from 1 to 5 is due"),
    ],
)
def test_flags_that_do_not_go_together(
    engines: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    text: str,
) -> None:
    """Exit 2 with the flag's name, before any picture is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(noise(20, 20)))
    (tmp_path / "film.mp4").write_bytes(b"")

    assert assess.main(["--engine", str(engines / "fr.onnx"), *flags]) == 2
    assert text in capsys.readouterr().err


def test_an_engine_that_compares_needs_references(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without them it is refused, with what is missing; and so are references without such an engine."""
    assert assess.main(["--engine", str(engines / "fr.onnx"), str(photos / "pictures")]) == 2
    assert "it compares pictures with references" in capsys.readouterr().err

    flags = ["--reference", str(photos / "references"), str(photos / "pictures")]
    assert assess.main(["--engine", str(engines / "utility.onnx"), *flags]) == 2
    assert "none of them does" in capsys.readouterr().err


# Videos


def frames(
    count: int, fault: int | None = None, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Iterator[NDArray[np.uint8]]:
    """Flat grey, so that a codec keeps them; a little darker than their reference, and frame ``fault`` much."""
    for number in range(count):
        yield np.full((*size, 3), 20 if number == fault else 100 + 2 * number, np.uint8)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """``original.avi`` of 20 frames, 10 a second; ``sent.avi`` with a fault at 1.3 s; ``short.avi``; ``large.avi``."""
    write_film(tmp_path / "original.avi", (np.minimum(each + 20, 255) for each in frames(20)), 10)
    write_film(tmp_path / "sent.avi", frames(20, 13), 10)
    write_film(tmp_path / "short.avi", frames(12), 10)
    write_film(tmp_path / "large.avi", frames(5, size=(2 * HEIGHT, WIDTH)), 10)
    return tmp_path


def compared(
    engines: Path, films: Path, capsys: pytest.CaptureFixture[str], *flags: object
) -> tuple[list[dict[str, Any]], str]:
    """The documents, and what standard error says."""
    arguments = ["--engine", engines / "fr.onnx", "--reference", films / "original.avi", "--json"]
    plot = ["--plot", films / "plot.png"]
    assert assess.main([str(each) for each in (*arguments, *plot, *flags)]) == 0
    captured = capsys.readouterr()
    return documents(captured.out), captured.err


def test_a_video_is_compared_frame_by_frame(engines: Path, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One decision a frame, with its number and time; the fault is where it is; a plot beside."""
    found, said = compared(engines, films, capsys, films / "sent.avi")

    assert [one["source"]["frame"] for one in found] == list(range(20))
    assert [one["source"]["time_s"] for one in found] == pytest.approx([number / 10 for number in range(20)])
    for one in found:
        jsonschema.validate(one, load_schema())
        assert one["source"]["reference"] == {"file": str(films / "original.avi")}
    scores = [one["quality"]["full_reference"] for one in found]
    assert len({one["id"] for one in found}) == 20
    assert np.delete(scores, 13) == pytest.approx(5 - 4 * 20 / 255, abs=0.05)
    assert scores[13] == pytest.approx(5 - 4 * 126 / 255, abs=0.05)
    assert f"plot: {films / 'plot.png'}" in said
    plot = cv2.imread(str(films / "plot.png"))
    assert plot is not None
    assert plot.shape == (400, 1000, 3)


def test_one_frame_of_so_many_seconds(engines: Path, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first of each period, and the same scores as among all."""
    every, _ = compared(engines, films, capsys, films / "sent.avi")
    some, _ = compared(engines, films, capsys, films / "sent.avi", "--every-s", "0.5")

    assert [one["source"]["frame"] for one in some] == [0, 5, 10, 15]
    for one in some:
        assert one["quality"] == every[one["source"]["frame"]]["quality"]


def test_a_shorter_video_ends_the_comparison(engines: Path, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error says how many frames each has."""
    found, said = compared(engines, films, capsys, films / "short.avi")

    assert len(found) == 12
    assert f"short.avi has 12 frames and {films / 'original.avi'} 20: the first 12 were held against each other" in said


def test_other_engines_judge_a_videos_frames(engines: Path, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The frames themselves: nothing is lost on their way to them."""
    found, _ = compared(engines, films, capsys, films / "sent.avi", "--engine", engines / "utility.onnx")

    alone, _ = compared(engines, films, capsys, films / "sent.avi")
    for one, other, grey in zip(found, alone, frames(20, 13), strict=True):
        assert one["quality"] == other["quality"]
        assert one["utility"]["score"] == pytest.approx(brightness(grey), abs=0.01)


def test_the_summary_of_a_video(engines: Path, films: Path) -> None:
    """How many frames, their mean, that of the worst, and when the worst was; the worst frames on the sheet."""
    done = run(
        "runtime.assess",
        *("--engine", engines / "fr.onnx", "--reference", films / "original.avi", films / "sent.avi"),
        *("--contact-sheet", films / "sheets" / "sheet.png", "--min-full-reference", "4"),
        COLUMNS="200",
    )

    assert done.returncode == 0, done.stderr
    rows = dict(line.strip("│ ").split("│", 1) for line in done.stdout.splitlines() if line.startswith("│"))
    told = {name.strip(): value.strip() for name, value in rows.items()}
    assert (told["frames"], told["dropped"], told["not judged"]) == ("20", "1", "0")
    assert float(told["mean"]) == pytest.approx(5 - 4 * (19 * 20 + 126) / 20 / 255, abs=0.05)
    assert float(told["mean of the worst 5%"]) == pytest.approx(5 - 4 * 126 / 255, abs=0.05)
    assert told["worst moment"].endswith("at 1.30 s")
    assert sorted(path.name for path in (films / "sheets").iterdir()) == ["sent-quality.png", "sheet.png"]


def test_a_videos_name_is_no_markup(engines: Path, films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed as it is, also where a part of it looks like a colour."""
    video = (films / "short.avi").rename(films / "[red]sent.avi")
    flags = ["--reference", films / "original.avi", "--plot", films / "plot.png"]

    assert assess.main([str(each) for each in ("--engine", engines / "fr.onnx", *flags, video)]) == 0
    assert "[red]sent.avi" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("video", "reference", "text"),
    [
        ("large.avi", "original.avi", r"frames of 64 x 96 pixels, and those of its reference .* are 64 x 48"),
        ("tiny.avi", "small.avi", "frames of 8 x 8 pixels; the engine compares tiles of 16 x 16"),
        ("none.avi", "original.avi", "neither a picture's name nor a video"),
    ],
)
def test_videos_that_cannot_be_compared(
    engines: Path, films: Path, capsys: pytest.CaptureFixture[str], video: str, reference: str, text: str
) -> None:
    """Exit 2: every frame would have the same fault."""
    for name in ("tiny.avi", "small.avi"):
        write_film(films / name, frames(3, size=(8, 8)), 10)
    (films / "none.avi").write_bytes(b"none")
    arguments = ["--engine", engines / "fr.onnx", "--reference", films / reference, films / video]

    assert assess.main([str(each) for each in arguments]) == 2
    assert re.search(text, capsys.readouterr().err)


def test_the_worst_are_a_twentieth_and_at_least_one() -> None:
    """Rounded; the mean of those."""
    assert worst_mean([3.0]) == 3.0
    assert worst_mean([float(score) for score in range(100, 0, -1)]) == 3.0  # of 1 to 5
