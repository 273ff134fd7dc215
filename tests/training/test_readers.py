"""The readers of data sets, on small sets of the real layouts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from tests import pictures
from training.data.coco import LABELS, read_coco
from training.data.folder import read_folder
from training.data.imagenet import read_imagenet
from training.data.imagenet_classes import (
    imagenet_classes,
    index_of_challenge_id,
    index_of_name,
    index_of_wnid,
)
from training.data.source import Box, Source

JPEG = pictures.jpeg(pictures.scene(40, 30))


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEG)


def classes(sources: Sequence[Source]) -> dict[str, int | None]:
    return {source.name: source.class_index for source in sources}


# --- ImageNet's classes


def test_the_classes_are_the_thousand_in_the_order_of_their_wordnet_ids() -> None:
    known = imagenet_classes()
    assert len(known) == 1000
    assert [one.wnid for one in known] == sorted({one.wnid for one in known})
    assert {one.challenge_id for one in known} == set(range(1, 1001))
    assert all(one.names and all(one.names) for one in known)


# The first ten of the validation set, as the devkit and as Caffe's val.txt number them.
@pytest.mark.parametrize(
    ("challenge_id", "index"),
    [
        (490, 65),
        (361, 970),
        (171, 230),
        (822, 809),
        (297, 516),
        (482, 57),
        (13, 334),
        (704, 415),
        (599, 674),
        (164, 332),
    ],
)
def test_the_devkits_numbers_are_not_the_networks_indices(challenge_id: int, index: int) -> None:
    """Both countings of the same pictures, taken from two sources."""
    assert index_of_challenge_id(challenge_id) == index


def test_ids_outside_the_thousand_have_no_index() -> None:
    assert (index_of_challenge_id(0), index_of_challenge_id(1001)) == (None, None)
    assert (index_of_wnid("n00007846"), index_of_wnid("n01440764")) == (None, 0)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tench", 0),
        ("Tinca tinca", 0),
        ("great_white_shark", 2),
        ("Great White-Shark", 2),
        ("jack-o'-lantern", 607),
        ("crayfish", 124),
        ("missile", 657),
        ("holiday", None),
        ("", None),
    ],
)
def test_a_class_is_known_by_each_of_its_names(name: str, index: int | None) -> None:
    """In any case, with any marks; where two classes share a name, it is the one that has it first."""
    assert index_of_name(name) == index


@pytest.mark.parametrize("name", ["crane", "maillot", "cardigan", "panda"])
def test_a_name_of_two_classes_is_the_name_of_none(name: str) -> None:
    """Two have it first, or none has: a guess would be a wrong label."""
    assert sum(name in (known.casefold() for known in one.names) for one in imagenet_classes()) == 2
    assert index_of_name(name) is None


# --- ImageNet


def test_imagenet_in_folders_takes_the_folders_classes(tmp_path: Path) -> None:
    put(tmp_path, "n15075141/b.JPEG", "n01440764/ILSVRC2012_val_00000293.JPEG", "n01440764/a.JPEG")
    found = read_imagenet(tmp_path)
    assert classes(found) == {
        "n01440764/ILSVRC2012_val_00000293.JPEG": 0,
        "n01440764/a.JPEG": 0,
        "n15075141/b.JPEG": 999,
    }
    assert [source.name for source in found] == sorted(source.name for source in found)
    assert all(source.path == tmp_path / source.name and source.boxes is None for source in found)


@pytest.mark.parametrize("stray", ["loose.JPEG", "n00007846/person.JPEG", "tench/a.JPEG"])
def test_imagenet_in_folders_refuses_a_picture_outside_the_classes(tmp_path: Path, stray: str) -> None:
    put(tmp_path, "n01440764/a.JPEG", stray)
    with pytest.raises(ConfigError, match=rf"{stray}.*ground truth"):
        read_imagenet(tmp_path)


def devkit(tmp_path: Path, *numbers: int) -> Path:
    path = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("".join(f"{number}\n" for number in numbers))
    return path


def test_imagenet_with_the_devkit_goes_by_the_number_in_the_name(tmp_path: Path) -> None:
    """Not by the order of the files: some may be missing."""
    truth = devkit(tmp_path, 490, 361, 171, 822)
    root = tmp_path / "val"
    put(root, "ILSVRC2012_val_00000004.JPEG", "ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG")
    assert classes(read_imagenet(root, truth)) == {
        "ILSVRC2012_val_00000001.JPEG": 65,
        "ILSVRC2012_val_00000002.JPEG": 970,
        "ILSVRC2012_val_00000004.JPEG": 809,
    }


@pytest.mark.parametrize("name", ["ILSVRC2012_val_00000003.JPEG", "ILSVRC2012_val_00000000.JPEG", "mine.JPEG"])
def test_imagenet_with_the_devkit_refuses_a_picture_it_does_not_know(tmp_path: Path, name: str) -> None:
    put(tmp_path / "val", "ILSVRC2012_val_00000001.JPEG", name)
    with pytest.raises(ConfigError, match=rf"{name} is not one of the 2 pictures"):
        read_imagenet(tmp_path / "val", devkit(tmp_path, 1, 2))


def test_imagenet_with_the_devkit_refuses_a_number_that_is_no_class(tmp_path: Path) -> None:
    put(tmp_path / "val", "ILSVRC2012_val_00000002.JPEG")
    with pytest.raises(ConfigError, match=r"line 2: 1001"):
        read_imagenet(tmp_path / "val", devkit(tmp_path, 1, 1001))


@pytest.mark.parametrize(
    "line",
    ["./data/one.JPEG, {}", "data/one.JPEG {}", "data/one.JPEG\t{}", "one.JPEG,{}", "one.JPEG  {}  ", "one.JPEG;{}"],
)
@pytest.mark.parametrize(("written", "index"), [("472", 472), ("n02951585", 473)])
def test_imagenet_with_a_list_takes_its_common_forms(tmp_path: Path, line: str, written: str, index: int) -> None:
    """The file is found from the pictures' folder or from the list's."""
    put(tmp_path, "data/one.JPEG")
    truth = tmp_path / "dataset.txt"
    truth.write_text(line.format(written) + "\n\n")
    found = read_imagenet(tmp_path / "data", truth)
    assert classes(found) == {"one.JPEG": index}
    assert found[0].path.read_bytes() == JPEG


def test_imagenet_with_a_list_takes_names_with_commas_and_blanks(tmp_path: Path) -> None:
    put(tmp_path, "a, b 1.jpg", "c,2.jpg")
    truth = tmp_path / "list.txt"
    truth.write_text("\ufeffc,2.jpg,7\na, b 1.jpg, 3\n", "utf-8")
    assert classes(read_imagenet(tmp_path, truth)) == {"a, b 1.jpg": 3, "c,2.jpg": 7}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("one.JPEG 1000\n", r"line 1: the class is 1000.*counts from 1"),
        ("one.JPEG 1\none.JPEG n00007846\n", r"line 2: the class is n00007846"),
        ("one.JPEG\n", r"line 1: 'one.JPEG' is not a file and its class"),
        ("one.JPEG 1\n\none.JPEG 1\n", r"line 2 is empty"),
        ("one.JPEG 1\none.JPEG 2\n", r"line 2: one.JPEG stands there twice"),
        ("one.JPEG 1\nno.JPEG 2\nnor.JPEG 2\n", r"2 of the files .* no.JPEG, nor.JPEG"),
        ("../outside.JPEG 1\n", r"1 of the files .* \.\./outside.JPEG"),
        ("", r"is empty"),
    ],
)
def test_imagenet_with_a_list_names_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    put(tmp_path, "set/one.JPEG", "outside.JPEG")
    (tmp_path / "set" / "list.txt").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        read_imagenet(tmp_path / "set", tmp_path / "set" / "list.txt")


@pytest.mark.parametrize("content", [None, b"\x89PNG\r\n"])
def test_imagenet_names_a_ground_truth_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there; one that is no text."""
    if content:
        (tmp_path / "truth.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"truth\.txt"):
        read_imagenet(tmp_path, tmp_path / "truth.txt")


# --- a plain folder


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("n01440764/18.JPEG", 0),
        ("n02085620-Chihuahua/n02085620_10074.jpg", 151),
        ("n01443537_goldfish/x.jpg", 1),
        ("151/x.jpg", 151),
        ("great_white_shark/0005_x.jpg", 2),
        ("Tench/x.jpg", 0),
        ("0000_tench.jpg", 0),
        ("999_x.jpg", 999),
        ("n01440764_18.JPEG", 0),
        ("great_white_shark_12.jpg", 2),
        ("white_wolf_in_snow.jpg", 270),
        ("holiday/0007_x.jpg", 7),
        ("n04536866_14473_violin.jpg", 889),
        ("n00007846_147031_person.jpg", None),
        ("n00007846/n01440764.jpg", None),
        ("n00007846_0001_tench_2.jpg", None),
        ("1000/x.jpg", None),
        ("2012_party.jpg", None),
        ("7.jpg", None),
        ("tench.jpg", None),
        ("IMG_0001.jpg", None),
        ("cats/1.jpg", None),
        ("crane/1.jpg", None),
    ],
)
def test_a_folder_takes_classes_from_names_where_there_are_any(tmp_path: Path, name: str, index: int | None) -> None:
    """From the picture's folder first, then from its own name up to an underscore; else there is none."""
    put(tmp_path, name)
    (source,) = read_folder(tmp_path)
    assert source == Source(name, tmp_path / name, index)


def test_the_name_of_the_folder_itself_is_no_class(tmp_path: Path) -> None:
    put(tmp_path / "tench", "1.jpg")
    assert classes(read_folder(tmp_path / "tench")) == {"1.jpg": None}


# --- COCO


def coco(tmp_path: Path, **changes: Any) -> tuple[Path, Path]:
    """Three pictures: two objects and a crowd in one, a box without area in another, nothing in the third."""
    put(tmp_path / "val2017", *(f"{number:012}.jpg" for number in (139, 285, 632)))
    content = {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "CC BY", "url": "https://example.org"}],
        "images": [
            {"id": number, "file_name": f"{number:012}.jpg", "width": 40, "height": 30, "license": 1}
            for number in (632, 139, 285)
        ],
        "annotations": [
            annotation(1, 285, 90, [1.5, 2.0, 10.25, 20.0]),
            annotation(2, 285, 1, [0.0, 0.0, 40.0, 30.0]),
            annotation(3, 285, 1, [0.0, 0.0, 40.0, 30.0], iscrowd=1),
            annotation(4, 139, 13, [3.0, 4.0, 0.0, 5.0]),
        ],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}, {"id": 90, "name": "toothbrush"}],
    }
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content | changes))
    return tmp_path / "val2017", path


def annotation(number: int, image: int, category: int, bbox: list[float], iscrowd: int = 0) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "area": 12.5,
        "iscrowd": iscrowd,
        "segmentation": {"counts": [1200], "size": [30, 40]} if iscrowd else [[0, 0, 1, 0, 1, 1]],
    }


def test_cocos_ids_have_gaps_and_its_labels_none() -> None:
    assert sorted(LABELS.values()) == list(range(80))
    assert [LABELS[category] for category in (1, 11, 13, 44, 65, 67, 70, 90)] == [0, 10, 11, 39, 59, 60, 61, 79]


def test_coco_gives_each_picture_its_boxes(tmp_path: Path) -> None:
    """Crowds and boxes without area apart; a picture without objects truly has none."""
    found = read_coco(*coco(tmp_path))
    assert [source.name for source in found] == ["000000000139.jpg", "000000000285.jpg", "000000000632.jpg"]
    assert [source.boxes for source in found] == [
        (),
        (Box(79, 1.5, 2.0, 11.75, 22.0), Box(0, 0.0, 0.0, 40.0, 30.0)),
        (),
    ]
    assert all(source.path.read_bytes() == JPEG and source.class_index is None for source in found)


def test_coco_names_pictures_that_are_missing(tmp_path: Path) -> None:
    """The folder of another year, say."""
    folder, truth = coco(tmp_path)
    (folder / "000000000285.jpg").unlink()
    with pytest.raises(ConfigError, match=r"1 of the 3 pictures .*000000000285\.jpg"):
        read_coco(folder, truth)


def test_coco_names_a_picture_of_another_size(tmp_path: Path) -> None:
    """Its boxes would lie elsewhere: COCO in another resolution, or turned."""
    folder, truth = coco(tmp_path)
    (folder / "000000000285.jpg").write_bytes(pictures.jpeg(pictures.scene(30, 40)))
    with pytest.raises(ConfigError, match=r"000000000285\.jpg has 30 x 40 pixels.*40 x 30"):
        read_coco(folder, truth)


def test_coco_leaves_a_broken_picture_to_whoever_reads_it(tmp_path: Path) -> None:
    folder, truth = coco(tmp_path)
    (folder / "000000000285.jpg").write_bytes(b"")
    assert len(read_coco(folder, truth)) == 3


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"annotations": [annotation(7, 285, 12, [0, 0, 1, 1])]}, r"annotation 7 is of category 12"),
        ({"annotations": [annotation(8, 1, 1, [0, 0, 1, 1])]}, r"annotation 8 .*picture 1;"),
        ({"annotations": [annotation(9, 285, 1, [0, 0, 1])]}, r"annotations\.0\.bbox"),
        ({"categories": [{"id": 1, "name": "car"}]}, r"category 1 is 'car'"),
        ({"images": None}, r"no instances_\*\.json of COCO: images"),
        (
            {"images": [{"id": i, "file_name": "000000000139.jpg", "width": 40, "height": 30} for i in (139, 285)]},
            "twice",
        ),
    ],
)
def test_coco_names_what_is_wrong_with_the_annotations(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_coco(*coco(tmp_path, **changes))


def test_coco_refuses_another_file(tmp_path: Path) -> None:
    folder, truth = coco(tmp_path)
    truth.write_text("image,label\n")
    with pytest.raises(ConfigError, match=r"instances_val2017\.json is no instances_"):
        read_coco(folder, truth)
