"""``python -m runtime.assess``: pictures to documents, masks and covers, with a real engine."""

import io
import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import simplejpeg
from rich.console import Console

from runtime import assess
from runtime.aspect import WIDE
from runtime.assess_covers import Wish, assess_covers
from runtime.cover import Cover
from runtime.cover_crop import Box
from runtime.cover_files import write_covers
from runtime.cover_sheet import MAX_CARDS
from runtime.covers import Candidate, Choice, Source
from runtime.decision import load_schema
from runtime.decode import MAX_PIXELS
from runtime.errors import ConfigError
from runtime.judging import MAX_BATCH
from runtime.manifest import Input, Resize
from runtime.pictures import find_pictures
from runtime.pipeline import Pipeline, open_pipeline
from runtime.video import Video
from tests.command import run, start
from tests.cover_engine import make_cover_engine, painted
from tests.engines import make_engine
from tests.film import write_film
from tests.pictures import bmp, jpeg, png, with_exif

Assess = Callable[..., int]
SQUARE = Input(name="frames", height=100, width=100, resize=Resize(fit="pad"))
"""Another view than the cover engine's: a map read by it would lie elsewhere."""
BLUE, WHITE, GREEN = (0, 120, 255), (0, 255, 255), (0, 255, 60)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of engines: cover, clarity, saliency and utility."""
    folder = tmp_path_factory.mktemp("engines")
    make_cover_engine(folder / "cover.onnx")
    make_cover_engine(folder / "clarity.onnx", "clarity", name="clarity", spec=SQUARE)
    make_cover_engine(folder / "saliency.onnx", "saliency", name="saliency")
    make_engine(folder / "utility.onnx")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three painted pictures (one below), of which b is the clearest, and one that is none."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(jpeg(painted(640, 360, (64, 120, 192, 240), BLUE)))
    (folder / "b.png").write_bytes(png(painted(1280, 720, (800, 240, 1056, 480), WHITE)))
    (folder / "below" / "c.jpg").write_bytes(jpeg(painted(320, 180, None, GREEN)))
    (folder / "d.jpg").write_bytes(b"no picture")
    return folder


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pixels_of(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def test_one_document_a_picture_and_nothing_else(engines: Path, photos: Path) -> None:
    """On standard output: a decision by the schema, or a dead letter; exit 0 with a picture that is none."""
    done = run("runtime.assess", "--engine", engines / "cover.onnx", "--json", photos)
    lines = {Path(one["source"]["file"]).name: one for one in documents(done.stdout)}

    assert (done.returncode, done.stderr) == (0, "")
    assert list(lines) == ["a.jpg", "b.png", "c.jpg", "d.jpg"]
    for name in ("a.jpg", "b.png", "c.jpg"):
        jsonschema.validate(lines[name], load_schema())
    assert lines["d.jpg"]["reason"] == "undecodable"
    assert lines["b.png"]["cover"]["box"] == pytest.approx([800 / 1280, 240 / 720, 1056 / 1280, 480 / 720], abs=1 / 90)
    assert lines["b.png"]["cover"]["object_proportion"] == pytest.approx(256 * 240 / (1280 * 720), abs=0.003)
    assert lines["c.jpg"]["cover"]["box"] is None


def test_bitmaps_are_judged_too(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files are not frames of a camera: a BMP is judged as the PNG of its pixels, and covers are cut from it."""
    seen = painted(640, 360, (64, 120, 192, 240), BLUE)
    for name, value in (("a.bmp", bmp(seen)), ("b.png", png(seen)), ("c.bmp", bmp(seen)[:-9])):
        (tmp_path / name).write_bytes(value)
    engine = ["--engine", str(engines / "cover.onnx")]

    assert assess.main([*engine, "--json", str(tmp_path)]) == 0
    one, other, torn = documents(capsys.readouterr().out)
    assert one["cover"] == other["cover"]
    assert (one["frame"]["width"], one["frame"]["height"]) == (640, 360)
    assert torn["reason"] == "truncated"
    assert assess.main([*engine, "--json", "--max-pixels", "1000", str(tmp_path / "a.bmp")]) == 0
    assert documents(capsys.readouterr().out)[0]["reason"] == "too-large"

    covers = ["--covers", "1", "--output", str(tmp_path / "covers")]
    assert assess.main([*engine, *covers, str(tmp_path / "a.bmp"), str(tmp_path / "c.bmp")]) == 0
    assert (tmp_path / "covers" / "01-a.jpg").exists()
    assert "c.bmp: truncated: the BMP ends after" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_fault(engines: Path, photos: Path) -> None:
    """``assess --json | head -1``: it ends as other programs do, with 141 and without a word."""
    process = start("runtime.assess", "--engine", engines / "cover.onnx", photos, "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_heads_of_two_engines_make_one_cover(engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clarity of one and saliency of another, beside a utility: places are those of the engine that has both."""
    flags = ["--json", str(photos / "b.png")]
    apart = [
        part for name in ("clarity", "utility", "saliency") for part in ("--engine", str(engines / f"{name}.onnx"))
    ]

    assert assess.main([*apart, *flags]) == 0
    [several] = documents(capsys.readouterr().out)
    assert assess.main(["--engine", str(engines / "cover.onnx"), *flags]) == 0
    [one] = documents(capsys.readouterr().out)
    places = ("object_proportion", "box", "centre", "crop", "aspect")
    assert [several["cover"][place] for place in places] == [one["cover"][place] for place in places]
    of_clarity = [(each["cover"]["clarity"] - 1) / each["cover"]["score"] for each in (several, one)]
    assert of_clarity[0] == pytest.approx(of_clarity[1])
    assert several["cover"]["clarity"] != one["cover"]["clarity"]  # the padding is grey
    assert several["utility"]["score"] > 0


def test_the_table_names_every_score(engines: Path, photos: Path) -> None:
    """Clarity, the object's proportion and the cover's score stand beside the verdict."""
    done = run("runtime.assess", "--engine", engines / "cover.onnx", photos, COLUMNS="400")

    assert done.returncode == 0
    assert all(name in done.stdout for name in ("clarity", "object", "cover", "keep", "dead letter"))
    assert len(done.stdout.splitlines()) == 8


def test_thresholds_of_covers(engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each drops the pictures below it, with its reason."""
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--min-clarity", "6", "--min-cover", "0.3"]

    assert assess.main([*flags, str(photos)]) == 0
    reasons = [one["reasons"] for one in documents(capsys.readouterr().out) if "reasons" in one]
    assert reasons == [["clarity-below-threshold"], [], ["clarity-below-threshold", "cover-below-threshold"]]


def test_a_decision_holds_the_thresholds_of_its_cover(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside each score the least that was asked for; nothing where nothing was; as the schema says."""
    flags = ["--engine", str(engines / "cover.onnx"), "--json"]
    fields = []
    for own in ([], ["--min-cover", "0.3"], ["--min-clarity", "6", "--min-cover", "0"]):
        assert assess.main([*flags, *own, str(photos / "b.png")]) == 0
        [one] = documents(capsys.readouterr().out)
        jsonschema.validate(one, load_schema())
        fields.append({name: value for name, value in one["cover"].items() if name.startswith("min_")})

    assert fields == [{}, {"min_score": 0.3}, {"min_score": 0.0, "min_clarity": 6.0}]


def test_a_crop_has_the_aspect_that_is_asked_for(
    engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--aspect`` goes for decisions as for covers."""
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--aspect", "1:1"]

    assert assess.main([*flags, str(photos / "b.png")]) == 0
    [one] = documents(capsys.readouterr().out)
    left, top, right, bottom = one["cover"]["crop"]
    assert one["cover"]["aspect"] == "1:1"
    assert round((right - left) * 1280) == round((bottom - top) * 720)


def test_masks_have_the_pictures_size_and_name(engines: Path, photos: Path, tmp_path: Path) -> None:
    """8 bits, grey, below the folder as the pictures are; white where the object is; a dead letter has none."""
    masks = tmp_path / "masks"
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--masks", str(masks)]

    assert assess.main([*flags, str(photos)]) == 0
    assert sorted(path.relative_to(masks).as_posix() for path in masks.rglob("*.png")) == [
        "a.png",
        "b.png",
        "below/c.png",
    ]
    mask = pixels_of(masks / "b.png")
    assert mask.dtype == np.uint8
    assert mask.shape == (720, 1280)
    assert mask[300:420, 820:1036].min() == 255
    assert mask[:200].max() == 0
    assert pixels_of(masks / "below" / "c.png").shape == (180, 320)


def test_a_mask_is_upright(engines: Path, tmp_path: Path) -> None:
    """As the picture is seen, not as it is stored: by EXIF a camera on its side."""
    (tmp_path / "side.jpg").write_bytes(with_exif(jpeg(painted(640, 360, (0, 0, 320, 360))), 6))
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--masks", str(tmp_path / "masks")]

    assert assess.main([*flags, str(tmp_path / "side.jpg")]) == 0
    mask = pixels_of(tmp_path / "masks" / "side.png")
    assert mask.shape == (640, 360)
    assert mask[:300].min() > 200
    assert mask[340:].max() < 60


def test_masks_of_one_name(engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two pictures whose masks would be one file: refused before any work, with both names."""
    shutil.copy(photos / "b.png", photos / "below" / "c.png")
    flags = ["--engine", str(engines / "cover.onnx"), "--masks", str(tmp_path / "masks")]

    assert assess.main([*flags, str(photos)]) == 2
    said = capsys.readouterr()
    assert re.search(r"--masks .*masks: the masks of .*below/c\.jpg and .*below/c\.png would both be", said.err)
    assert said.out == ""
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize("paths", [["."], ["a.jpg"], ["below"], ["below/c.jpg"], ["../photos/./below/.."]])
def test_a_mask_never_replaces_a_picture(
    paths: list[str], engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks into a folder that is the pictures', or holds it: refused, also for pictures that are not assessed."""
    (photos / "a.png").write_bytes(b"of another camera")
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    flags = ["--engine", str(engines / "cover.onnx"), "--masks", str(photos)]

    assert assess.main([*flags, *(str(photos / path) for path in paths)]) == 2
    assert re.search(r"--masks .*photos: the picture .* lies there.*a folder for masks alone", capsys.readouterr().err)
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_masks_again(engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the searched folder, twice: the second run assesses no mask, writes the same again, and says so."""
    masks = photos / "masks"
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--masks", str(masks), str(photos)]

    assert assess.main(flags) == 0
    first = capsys.readouterr()
    written = {path: path.read_bytes() for path in masks.rglob("*.png")}
    assert assess.main(flags) == 0
    again = capsys.readouterr()

    assert again.out == first.out
    assert "left out" not in first.err
    assert f"left out: 3 in {masks}, where the results go" in again.err
    assert {path: path.read_bytes() for path in masks.rglob("*.png")} == written


def test_nothing_but_results(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds an earlier run's masks alone holds no picture: an error, not an empty table."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(png(painted(16, 9, None)))
    flags = ["--engine", str(engines / "cover.onnx"), "--masks", str(tmp_path / "masks")]

    assert assess.main([*flags, str(tmp_path)]) == 2
    assert re.search(r"no picture in this folder but those in .*masks", capsys.readouterr().err)


def test_a_picture_given_twice(engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By itself and in its folder, under another name of its path: judged once, and told."""
    twice = [str(photos / "below" / ".." / "a.jpg"), str(photos)]
    flags = ["--engine", str(engines / "cover.onnx"), "--json"]

    for own in (["--masks", str(tmp_path / "masks")], ["--covers", "9", "--output", str(tmp_path / "covers")]):
        assert assess.main([*flags, *own, *twice]) == 0
        said = capsys.readouterr()
        files = [Path(one["source"]["file"]).name for one in documents(said.out)]
        assert sorted(set(files)) == sorted(files)
        assert "a.jpg" in files
        assert "left out: 1 given or found twice" in said.err


def test_covers_again(engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a folder below the searched one, twice: the covers of the first run do not stand for election."""
    output = photos / "covers"
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--covers", "9", "--output", str(output), str(photos)]

    assert assess.main(flags) == 0
    first = capsys.readouterr()
    assert assess.main(flags) == 0
    again = capsys.readouterr()

    assert again.out == first.out
    assert f"left out: 4 in {output}, where the results go" in again.err


@pytest.mark.parametrize("paths", [["."], ["a.jpg"], ["below/..", "below"]])
def test_covers_among_the_pictures(
    paths: list[str], engines: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output that is a folder of the pictures: refused before any work, as a cover may have a picture's name."""
    before = sorted(photos.rglob("*"))
    flags = ["--engine", str(engines / "cover.onnx"), "--covers", "1", "--output", str(photos)]

    assert assess.main([*flags, *(str(photos / path) for path in paths)]) == 2
    assert re.search(r"--output .*photos: the covers would lie among the pictures", capsys.readouterr().err)
    assert sorted(photos.rglob("*")) == before


def test_videos_of_a_folder(engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --covers a folder's videos are taken, too; without, it is searched for pictures alone."""
    write_film(photos / "below" / "film.avi", [painted(320, 180, (40, 40, 120, 120), WHITE)] * 5, 10)
    flags = ["--engine", str(engines / "cover.onnx"), "--json", str(photos)]

    assert assess.main([*flags, "--covers", "9", "--output", str(tmp_path / "covers")]) == 0
    files = [Path(one["source"]["file"]).name for one in documents(capsys.readouterr().out)]
    assert sorted(files) == ["a.jpg", "b.png", "c.jpg", "film.avi"]
    assert assess.main(flags) == 0
    files = [Path(one["source"]["file"]).name for one in documents(capsys.readouterr().out)]
    assert files == ["a.jpg", "b.png", "c.jpg", "d.jpg"]


def test_names_that_look_like_markup(
    engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path is printed as it is, whatever rich reads into it."""
    odd = tmp_path / "[red]a[" / "b]"
    flags = ["--engine", str(engines / "cover.onnx"), "--json", str(photos)]

    assert assess.main([*flags, "--contact-sheet", str(odd / "sheet.png")]) == 0
    assert f"contact sheet: {odd / 'sheet.png'}" in capsys.readouterr().err
    assert assess.main([*flags, "--covers", "1", "--output", str(odd)]) == 0
    assert f"covers: {odd}; contact sheet: {odd / 'covers.png'}" in capsys.readouterr().err


def wish_of(output: Path, count: int = 1) -> Wish:
    return Wish(count, output, output / "covers.png", None, MAX_PIXELS, json=True)


def test_covers_show_how_far_they_are(engines: Path, photos: Path, tmp_path: Path) -> None:
    """On a terminal, out of the pictures and the frames that a video is expected to give."""
    film = write_film(tmp_path / "film.avi", [painted(320, 180, None)] * 25, 10)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=200)
    pictures = find_pictures([photos / "a.jpg", photos / "b.png", film]).found

    with closing(opened(engines)) as pipeline:
        assess_covers(pictures, pipeline, wish_of(tmp_path / "covers"), terminal)

    assert isinstance(terminal.file, io.StringIO)
    assert "assess" in terminal.file.getvalue()
    assert "100%" in terminal.file.getvalue()


def opened(engines: Path) -> Pipeline:
    sizes: dict[str, Any] = {"threads": 1, "max_batch": MAX_BATCH, "in_flight": 2, "max_pixels": MAX_PIXELS}
    return open_pipeline([engines / "cover.onnx"], provider="cpu", **sizes)


def test_a_picture_that_changes_meanwhile(photos: Path, tmp_path: Path) -> None:
    """Of another size when its cover is cut: an error, not a crop of the wrong place."""
    source = Source(photos / "b.png")
    cover = Cover(5.0, 0.5, 0.1, None, None, Box(0, 0, 1, 1), WIDE)
    choice = Choice(Candidate(source, 1280, 721, cover, np.zeros((8, 8, 3), np.float32)), distinct=True)

    with pytest.raises(ConfigError, match=r"b\.png: changed while it was assessed: from 1280 x 721 pixels to 1280 x 7"):
        write_covers([choice], tmp_path / "covers", MAX_PIXELS)
    assert not (tmp_path / "covers").exists()


def test_cards_of_what_the_sheet_shows(photos: Path, tmp_path: Path) -> None:
    """Every cover is written; in memory there are no more cards than the sheet has room for, the best ones'."""
    cover = Cover(5.0, 0.5, 0.1, None, None, Box(0, 0, 1, 1), WIDE)
    content = np.zeros((8, 8, 3), np.float32)
    choices = []
    for rank in range(MAX_CARDS + 3):
        path = photos / "many" / f"{rank}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(painted(16, 9, None)))
        choices.append(Choice(Candidate(Source(path), 16, 9, cover, content), distinct=True))

    cards = write_covers(choices, tmp_path / "covers", MAX_PIXELS)

    assert [card.title for card in cards] == [f"{rank}.jpg" for rank in range(MAX_CARDS)]
    assert len(list((tmp_path / "covers").iterdir())) == MAX_CARDS + 3


def test_covers_of_a_folder(engines: Path, photos: Path, tmp_path: Path) -> None:
    """The best ones, cut from the original pixels; a sheet; one document each; what is left out is told."""
    output = tmp_path / "covers"
    done = run(
        "runtime.assess", "--engine", engines / "cover.onnx", "--covers", 2, "--json", "--output", output, photos
    )
    first, second = documents(done.stdout)

    assert done.returncode == 0
    assert [Path(one["source"]["file"]).name for one in (first, second)] == ["b.png", "a.jpg"]
    assert first["cover"]["score"] > second["cover"]["score"]
    assert "left out: " in done.stderr
    assert "d.jpg: undecodable" in done.stderr
    assert sorted(path.name for path in output.iterdir()) == ["01-b.jpg", "02-a.jpg", "covers.png"]
    left, top, right, bottom = first["crop_px"]
    crop = np.asarray(simplejpeg.decode_jpeg((output / "01-b.jpg").read_bytes()), np.uint8)
    original = painted(1280, 720, (800, 240, 1056, 480), WHITE)[top:bottom, left:right]
    assert first["file"] == str(output / "01-b.jpg")
    assert crop.shape == original.shape
    assert np.abs(crop.astype(int) - original).mean() < 2


def test_covers_unlike_each_other(
    engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the best one gives way to the others; asked for all, it comes last and is marked."""
    shutil.copy(photos / "b.png", photos / "b2.png")
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--output", str(tmp_path / "covers"), str(photos)]

    assert assess.main(["--covers", "3", *flags]) == 0
    said = capsys.readouterr()
    assert [Path(one["source"]["file"]).name for one in documents(said.out)] == ["b.png", "a.jpg", "c.jpg"]
    assert "differ enough" not in said.err
    assert assess.main(["--covers", "9", *flags]) == 0
    said = capsys.readouterr()
    assert [one["distinct"] for one in documents(said.out)] == [True, True, True, False]
    assert "--covers 9: only 4 to choose from" in said.err
    assert "only 3 differ enough in what they show; numbers 4 resemble" in said.err


def test_covers_of_a_video(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One frame a second is judged; names and documents carry its time; the crop is of that very frame."""
    scenes = [painted(320, 180, (40, 40, 120, 120), colour) for colour in (BLUE, WHITE, GREEN)]
    film = write_film(tmp_path / "film.avi", [scene for scene in scenes for _ in range(10)], 10)
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--output", str(tmp_path / "covers")]

    assert assess.main(["--covers", "2", *flags, str(film)]) == 0
    first, second = documents(capsys.readouterr().out)
    assert first["source"] == {"file": str(film), "frame": 10, "time_s": 1.0}
    assert second["source"]["frame"] in (0, 20)
    assert Path(first["file"]).name == "01-film-1.00s.jpg"
    [frame] = Video(film).frames([10])
    left, top, right, bottom = first["crop_px"]
    crop = np.asarray(simplejpeg.decode_jpeg(Path(first["file"]).read_bytes()), np.uint8)
    assert np.abs(crop.astype(int) - frame.pixels[top:bottom, left:right]).mean() < 2


def test_covers_as_a_table(engines: Path, photos: Path, tmp_path: Path) -> None:
    """For people: a row each with rank, file, score and size; yellow is left to terminals."""
    done = run(
        *("runtime.assess", "--engine", engines / "cover.onnx", "--covers", 2, "--aspect", "1:1"),
        *("--output", tmp_path / "out", "--contact-sheet", tmp_path / "sheet.png", photos),
        COLUMNS="160",
    )

    assert done.returncode == 0
    assert all(name in done.stdout for name in ("rank", "score", "clarity", "object", "01-b.jpg", "02-a.jpg"))
    assert (tmp_path / "sheet.png").exists()
    assert not (tmp_path / "out" / "covers.png").exists()


def test_dropped_pictures_are_no_covers(
    engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a threshold drops is left out and counted."""
    flags = ["--engine", str(engines / "cover.onnx"), "--json", "--output", str(tmp_path / "covers"), str(photos)]

    assert assess.main(["--covers", "3", "--min-clarity", "6", *flags]) == 0
    said = capsys.readouterr()
    assert [Path(one["source"]["file"]).name for one in documents(said.out)] == ["b.png"]
    assert "left out: 2 of 4 are below a threshold" in said.err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--covers", "2", "--engine", "clarity.onnx"], r"--covers 2: .*'saliency'; they have \['clarity'\]"),
        (["--covers", "2", "--engine", "utility.onnx"], r"--covers 2: .*'clarity' or 'saliency'.*--engine"),
        (["--masks", "m", "--engine", "clarity.onnx"], r"--masks m: no engine given has a head 'saliency'"),
        (["--masks", "m", "--covers", "1", "--engine", "cover.onnx"], r"--masks m: not with --covers"),
        (["--contact-sheet", "s.txt", "--engine", "cover.onnx"], r"--contact-sheet s.txt: .* ends in .png is due"),
        (["--output", "o", "--engine", "cover.onnx"], r"--output o: belongs to --covers"),
        (["--every-s", "1", "--engine", "cover.onnx"], r"--every-s 1.0: belongs to --covers"),
        (["--covers", "1", "--min-clarity", "10", "--engine", "cover.onnx"], r"--covers 1: nothing to choose from"),
        (["--covers", "1", "--every-s", "2", "--engine", "cover.onnx"], r"--every-s 2: there is no video among"),
        (["--aspect", "16:9", "--engine", "clarity.onnx"], r"the aspect 16:9 .*'saliency'; they have \['clarity'\]"),
        (["--min-clarity", "nan", "--engine", "cover.onnx"], r"--min-clarity nan: a number from 1 to 10 is due"),
        (["--min-cover", "7", "--engine", "cover.onnx"], r"--min-cover 7.0: a number from 0 to 1 is due"),
        (["--min-cover", "0.5", "--engine", "utility.onnx"], r"--min-cover 0.5: no engine given has a head 'clarity'"),
    ],
)
def test_what_cannot_be_done_is_said(
    flags: list[str], text: str, engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, the flag and what is there in the text, nothing on standard output, nothing written."""
    arguments = [str(engines / flag) if flag.endswith(".onnx") else flag for flag in flags]
    before = sorted(tmp_path.rglob("*"))

    assert assess.main([*arguments, str(photos)]) == 2
    said = capsys.readouterr()
    assert re.search(text, said.err)
    assert said.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--aspect", "wide"], "'wide': an aspect is W:H"),
        (["--covers", "0"], "'0': a whole number from 1 on is due"),
        (["--covers", "many"], "'many': a whole number from 1 on is due"),
        (["--threads", "0"], "'0': a whole number from 1 on is due"),
        (["--threads", "-3"], "'-3': a whole number from 1 on is due"),
        (["--every-s", "0"], "'0': seconds above 0 are due"),
        (["--every-s", "nan"], "'nan': seconds above 0 are due"),
    ],
)
def test_a_wrong_value_is_refused(flags: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the value and what is due, before anything is opened."""
    with pytest.raises(SystemExit) as refused:
        assess.main(["--engine", "none.onnx", *flags, "none"])

    assert refused.value.code == 2
    assert text in capsys.readouterr().err


def test_a_video_that_is_none(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no picture by its name and no video by its content: exit 2, before a picture is judged."""
    (tmp_path / "film.mp4").write_bytes(b"no film")

    assert assess.main(["--engine", str(engines / "cover.onnx"), "--covers", "1", str(tmp_path / "film.mp4")]) == 2
    assert "film.mp4: neither a picture's name nor a video that OpenCV can open" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(
    engines: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the folder should be: exit 2 with the path."""
    (tmp_path / "file").write_text("")
    flags = ["--engine", str(engines / "cover.onnx"), "--json"]

    for own in (["--covers", "1", "--output", str(tmp_path / "file")], ["--masks", str(tmp_path / "file")]):
        assert assess.main([*flags, *own, str(photos / "b.png")]) == 2
        assert re.search(rf"{own[-2]}: .*file.*: cannot write it", capsys.readouterr().err)


def test_a_contact_sheet_without_utility(engines: Path, photos: Path, tmp_path: Path) -> None:
    """The cover's score is the bar; the sheet's path is told on standard error."""
    sheet = tmp_path / "sheet.png"
    done = run("runtime.assess", "--engine", engines / "cover.onnx", "--json", "--contact-sheet", sheet, photos)

    assert done.returncode == 0
    assert str(sheet) in done.stderr.replace("\n", "")
    assert len(documents(done.stdout)) == 4
    assert pixels_of(sheet).shape[2] == 3
