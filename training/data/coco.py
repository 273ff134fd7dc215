"""COCO's pictures with their boxes."""

from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, ValidationError

from runtime.errors import ConfigError
from training.data.picture import PictureError, picture_size
from training.data.source import Box, Source
from training.data.text import read_text

_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
LABELS = {category: label for label, category in enumerate(sorted({*range(1, 91)} - _UNUSED_IDS))}
"""0..79 by COCO's official category id, 1..90 with gaps."""


class _Image(BaseModel):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(BaseModel):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    """Left, top, width, height, in pixels."""
    iscrowd: int = 0


class _Category(BaseModel):
    id: int
    name: str


class _Instances(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(pictures: Path, annotations: Path) -> list[Source]:
    """The annotated pictures with their boxes, sorted by name; a picture without objects has the boxes ``()``.

    Crowds are left out, and so are boxes without area, of which COCO has a few.

    Args:
        pictures: the folder of the pictures, such as ``val2017``.
        annotations: the file that belongs to it, such as ``instances_val2017.json``.

    Raises:
        ConfigError: the file is not COCO's; a picture is missing or has another size than is annotated.
    """
    instances = _read(annotations)
    boxes = _boxes(instances, annotations)
    images = sorted(instances.images, key=lambda image: image.file_name)
    sources = [Source(image.file_name, pictures / image.file_name, boxes=tuple(boxes[image.id])) for image in images]
    _check_names(sources, annotations)
    _check_pictures(sources, images, pictures, annotations)
    return sources


def _read(annotations: Path) -> _Instances:
    try:
        instances = _Instances.model_validate_json(read_text(annotations))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{annotations} is no instances_*.json of COCO: {where}: {first['msg']}") from error
    person = next((category.name for category in instances.categories if category.id == 1), None)
    if person != "person":
        raise ConfigError(f"{annotations}: category 1 is {person!r}; COCO's is 'person', and only COCO's are read")
    return instances


def _boxes(instances: _Instances, annotations: Path) -> dict[int, list[Box]]:
    boxes: dict[int, list[Box]] = {image.id: [] for image in instances.images}
    for found in instances.annotations:
        label, left, top, width, height = LABELS.get(found.category_id), *found.bbox
        if label is None or found.image_id not in boxes:
            raise ConfigError(
                f"{annotations}: annotation {found.id} is of category {found.category_id} in picture {found.image_id}; "
                "COCO has no such category, or the file no such picture"
            )
        if not found.iscrowd and width > 0 and height > 0:
            boxes[found.image_id].append(Box(label, left, top, left + width, top + height))
    return boxes


def _check_names(sources: list[Source], annotations: Path) -> None:
    names = [source.name for source in sources]
    twice = next((name for name, following in pairwise(names) if name == following), None)
    if twice is not None:
        raise ConfigError(f"{annotations} has the picture {twice} twice")


def _check_pictures(sources: list[Source], images: list[_Image], pictures: Path, annotations: Path) -> None:
    missing = [source.name for source in sources if not source.path.is_file()]
    if missing:
        raise ConfigError(
            f"{len(missing)} of the {len(sources)} pictures of {annotations} are not in {pictures}, such as "
            f"{', '.join(missing[:3])}: give the folder that belongs to it"
        )
    for source, image in zip(sources, images, strict=True):
        try:
            height, width = picture_size(source.path)
        except PictureError:
            continue  # whoever reads the picture names it; one bad file does not stop a run over thousands
        if (width, height) != (image.width, image.height):
            raise ConfigError(
                f"{source.path} has {width} x {height} pixels; its boxes in {annotations} are for "
                f"{image.width} x {image.height}: it is not COCO's picture"
            )
