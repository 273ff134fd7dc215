"""Composed frames: what is in them, what the masks say, which side their material is on."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from runtime.opencv import cv2
from tests import pictures
from tests.training.cover_folders import Silent, cutout_png, put
from training.__main__ import main
from training.cover.build import Plan, build
from training.cover.compose import LEAST_SHARE, MOST_SHARE, Material, compose, grouped
from training.cover.composing import Composition, compose_set
from training.cover.cover_set import CoverSet
from training.cover.cutout import Cutout, load_cutouts, piece_of
from training.cover.scenery import LEAST_ENERGY, Scenery, background, gradient_energy, load_scenery
from training.data.mask import GREY

SIZE = (180, 320)
RED, BLUE = (250, 10, 10), (10, 10, 250)


def disc(side: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), side // 2 - 4, 255, -1, cv2.LINE_AA)
    return alpha


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red subjects, blue props, noise for scenery."""
    root = tmp_path_factory.mktemp("material")
    for number in range(12):
        word = "abcdefghijkl"[number] * 3
        for variant in ("", "-2", "+female"):
            put(root / f"units/{word}{variant}.png", cutout_png(disc(90 + number), RED, seed=len(variant) + 9 * number))
        put(root / f"things/{word}.png", cutout_png(disc(60), BLUE, seed=number))
        put(root / f"land/{number}.png", pictures.png(pictures.noise(400, 240, number) // 2 + 60))
    return root


def asked(material: Path, **changes: object) -> Composition:
    settings = {"count": 10, "size": SIZE, "seed": 4, "test_share": 0.4} | changes
    return Composition((material / "units",), (material / "land",), (material / "things",), **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def composed(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("composed") / "frames-of-a-game"
    compose_set(folder, asked(material), Silent())
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "sources.csv").read_text().splitlines()))


def test_subjects_cover_what_the_papers_cover(composed: Path) -> None:
    """1.5 to 10 % of every frame, as the masks count it and as the table says."""
    for row in rows(composed):
        mask = cv2.imread(str(composed / row["mask"]), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        assert mask.shape == SIZE
        assert set(np.unique(mask)) == {0, 255}
        assert LEAST_SHARE <= (mask == 255).mean() <= MOST_SHARE
        assert float(row["foreground_share"]) == pytest.approx((mask == 255).mean(), abs=1e-5)
        assert 1 <= len(row["subjects"].split("|")) <= 4


def test_a_mask_is_the_subjects_and_not_the_props(composed: Path) -> None:
    """Red is a subject and inside the mask, blue a prop and outside, but where a bar lies over them."""
    red_inside, red_outside, blue_inside, blue_outside = 0, 0, 0, 0
    for row in rows(composed):
        frame = cv2.imread(str(composed / row["frame"]), cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(str(composed / row["mask"]), cv2.IMREAD_GRAYSCALE)
        assert frame is not None
        assert mask is not None
        red = (frame[..., 0] > 190) & (frame[..., 1:] < 60).all(-1)
        blue = (frame[..., 2] > 190) & (frame[..., :2] < 60).all(-1)
        red_inside, red_outside = red_inside + red[mask == 255].sum(), red_outside + red[mask == 0].sum()
        blue_inside, blue_outside = blue_inside + blue[mask == 255].sum(), blue_outside + blue[mask == 0].sum()
    assert red_inside > 10_000
    assert red_outside < 0.005 * red_inside
    assert blue_outside > 2_000
    assert blue_inside < 0.01 * blue_outside


def test_no_material_is_on_both_sides(composed: Path) -> None:
    """Neither scenery, nor a subject or prop, nor another picture of the same: names of one first word go together."""
    used: dict[str, set[str]] = {"train": set(), "test": set()}
    for row in rows(composed):
        names = [*row["subjects"].split("|"), *filter(None, row["props"].split("|")), row["scenery"]]
        used[row["split"]] |= {Path(name).parent.name + Path(name).stem.split("-")[0].split("+")[0] for name in names}
    assert [row["split"] for row in rows(composed)] == ["train"] * 6 + ["test"] * 4
    assert used["train"]
    assert used["test"]
    assert not used["train"] & used["test"]


def test_a_seed_gives_the_same_bytes_however_many_threads(material: Path, composed: Path, tmp_path: Path) -> None:
    compose_set(tmp_path / "again", asked(material), Silent(), workers=4)
    compose_set(tmp_path / "other", asked(material, seed=5), Silent())
    files = sorted(path.relative_to(composed) for path in composed.rglob("*") if path.is_file())
    assert len(files) == 22
    assert all((tmp_path / "again" / name).read_bytes() == (composed / name).read_bytes() for name in files)
    frames = [name for name in files if name.suffix == ".jpg"]
    assert all((tmp_path / "other" / name).read_bytes() != (composed / name).read_bytes() for name in frames)


def test_frames_are_not_overwritten(material: Path, composed: Path) -> None:
    with pytest.raises(ConfigError, match="holds composed frames already"):
        compose_set(composed, asked(material), Silent())


def test_a_side_without_material_is_refused(material: Path, tmp_path: Path) -> None:
    """Not filled up from the other side."""
    one = put(tmp_path / "land/one.png", (material / "land/0.png").read_bytes()).parent
    few = Composition((material / "units",), (one,), count=10, size=SIZE, test_share=0.4)
    with pytest.raises(ConfigError, match=r"for the side (train|test) .* 0 of 1 pictures of scenery"):
        compose_set(tmp_path / "set", few, Silent())


def test_cutouts_are_never_enlarged(material: Path) -> None:
    """They would be soft in a frame that is called sharp; too small ones are refused."""
    land = load_scenery((material / "land",), SIZE)[0]
    tiny = Cutout("tiny", "tiny", np.full((10, 10, 3), 200, np.uint8), np.full((10, 10), 255, np.uint8))
    with pytest.raises(ConfigError, match="cut-outs are never enlarged"):
        compose(Material([[tiny]], land), SIZE, np.random.default_rng(0))


def test_an_edge_is_soft_and_has_no_colour_of_its_own() -> None:
    """Whatever colour a cut-out has where it is transparent must not shine through its edge."""
    pixels = np.full((60, 60, 3), (0, 255, 0), np.uint8)
    alpha = disc(60)
    pixels[alpha > 0] = RED
    piece = piece_of(Cutout("a", "a", pixels, alpha), 0.4, mirrored=False, feather_px=0.7)
    assert ((piece.coverage > 0.02) & (piece.coverage < 0.98)).sum() > 40
    pure = piece.colours / np.maximum(piece.coverage, 1e-3)[..., None]
    assert pure[piece.coverage > 0.02] == pytest.approx(np.broadcast_to(RED, pure[piece.coverage > 0.02].shape), abs=2)


def test_soft_and_small_scenery_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A soft background would be called sharp."""
    sharp = pictures.noise(400, 240)
    put(tmp_path / "land/sharp.png", pictures.png(sharp))
    put(tmp_path / "land/soft.png", pictures.png(np.asarray(cv2.GaussianBlur(sharp, (0, 0), 6), np.uint8)))
    put(tmp_path / "land/small.png", pictures.png(pictures.noise(319, 240)))
    put(tmp_path / "land/twice.png", pictures.png(sharp))
    taken, refused = load_scenery((tmp_path / "land",), SIZE)
    assert [one.name for one in taken] == ["land/sharp.png"]
    assert refused["land/soft.png"].startswith("soft or flat")
    assert "less than a frame's" in refused["land/small.png"]
    assert refused["land/twice.png"] == "the same picture as land/sharp.png"


def test_a_background_is_cut_where_there_is_detail() -> None:
    """Of a picture that is half sky, no frame is all sky."""
    pixels = np.full((240, 1280, 3), 180, np.uint8)
    pixels[:, 640:] = pictures.noise(640, 240)
    drawn = [background(Scenery("a", "", pixels), SIZE, np.random.default_rng(seed)) for seed in range(12)]
    frames = [frame for frame in drawn if frame is not None]
    assert len(frames) >= 10  # of a few tries at a time
    assert all(frame.shape == (*SIZE, 3) and gradient_energy(frame) >= LEAST_ENERGY for frame in frames)
    sky = Scenery("b", "", np.full((240, 1280, 3), 180, np.uint8))
    assert all(background(sky, SIZE, np.random.default_rng(seed)) is None for seed in range(3))


def test_cutouts_are_loaded_once_each_and_trimmed(tmp_path: Path) -> None:
    """Repeated files count once; pictures of one thing are of one group."""
    alpha = np.zeros((50, 70), np.uint8)
    alpha[10:20, 30:50] = 255
    for seed, name in enumerate(("mage", "mage+female", "mage-attack-2", "orc1")):
        put(tmp_path / f"units/human/{name}.png", cutout_png(alpha, seed=seed))
    put(tmp_path / "units/elf/copy.png", (tmp_path / "units/human/mage.png").read_bytes())
    put(tmp_path / "units/elf/empty.png", cutout_png(alpha * 0))
    found = load_cutouts((tmp_path / "units",))
    assert [[one.name for one in group] for group in grouped(found)] == [
        ["units/elf/copy.png"],
        ["units/human/mage+female.png", "units/human/mage-attack-2.png"],
        ["units/human/orc1.png"],
    ]
    assert {one.alpha.shape for one in found} == {(10, 20)}
    assert {one.area_px for one in found} == {200}


def test_composed_frames_become_a_set_with_their_sides_and_a_proxys_mark(composed: Path, tmp_path: Path) -> None:
    made = build(tmp_path / "set", Plan(composed), Silent())
    sides = {row["frame"]: row["split"] for row in rows(composed)}
    assert {one.source: one.split for one in made.samples} == sides
    assert (made.header.layout, made.header.split, made.header.proxy) == ("composed", "given", True)
    seen = made.read(made.of_split("test").samples[0])
    assert seen.mask is not None
    assert LEAST_SHARE <= float(seen.mask.mean()) <= MOST_SHARE


# --- The commands


def test_the_commands_compose_and_build(material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What they print says what was taken, and how much of it."""
    frames, folder = tmp_path / "frames", tmp_path / "set"
    told = ["build", "compose", "--cutouts", str(material / "units"), "--scenery", str(material / "land")]
    assert main([*told, "--count", "5", "--size", "320x180", "--seed", "4", "--output", str(frames)]) == 0
    assert "5 frames, 1 of them for the test" in capsys.readouterr().out
    assert json.loads((frames / "compose.json").read_text())["proxy"] is True
    levels = ["--levels", "0:10,2:4"]
    assert main(["build", "cover", "--pictures", str(frames), "--output", str(folder), *levels]) == 0
    assert "5 pictures read as composed, 10 samples: 8 to train, 2 to test (split: given)" in capsys.readouterr().out
    assert len(CoverSet.load(folder)) == 10


def test_the_papers_split_says_what_it_is(material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["build", "cover", "--pictures", str(material / "units"), "--output", str(tmp_path / "set")]
    assert main([*told, "--split", "image"]) == 0
    shown = capsys.readouterr().out
    assert "read as alpha" in shown
    assert "copies of one picture lie on both sides" in shown
    seen = CoverSet.load(tmp_path / "set")
    assert (seen.read(seen.samples[0]).pixels[0, 0] == GREY).all()


def test_a_fault_of_the_pictures_ends_the_command_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "cover", "--pictures", str(tmp_path / "none"), "--output", str(tmp_path / "set")]) == 2
    assert "is not a folder" in capsys.readouterr().err
