"""What has to be known of a trained network to ask it about a picture: a short JSON file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.errors import ConfigError
from runtime.faults import faults_of

SHIPPED = Path(__file__).parent / "descriptions"
TORCHVISION, PACKAGE = "torchvision:", "package:"

Channels = tuple[float, float, float]
Interpolation = Literal["bilinear", "bicubic"]
Name = Annotated[str, Field(min_length=1)]
Strides = Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Resize(_Part):
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    """Shrink by the mean over each pixel's area; False where the network was trained on plain interpolation."""


class ShorterSideCrop(_Resize):
    """The shorter side becomes ``shorter`` pixels, the aspect ratio stays; then the centre is cut out."""

    kind: Literal["shorter_side_crop"] = "shorter_side_crop"
    shorter: Annotated[int, Field(gt=0)]


class Letterbox(_Resize):
    """The whole picture fitted in at the top left, the aspect ratio kept; the rest is filled with a grey."""

    kind: Literal["letterbox"] = "letterbox"
    fill: Annotated[int, Field(ge=0, le=255)] = 114


class Stretch(_Resize):
    """The whole picture at the input's size, whatever its aspect ratio."""

    kind: Literal["stretch"] = "stretch"


Resize = Annotated[ShorterSideCrop | Letterbox | Stretch, Field(discriminator="kind")]


class Input(_Part):
    """A float32 input (batch, 3, height, width) or (batch, height, width, 3): (pixel - mean) / std."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]
    color: Literal["RGB", "BGR"] = "RGB"
    mean: Channels
    """In the order of ``color``, on the scale 0..255; so is ``std``."""
    std: Channels
    resize: Resize

    @model_validator(mode="after")
    def _consistent(self) -> "Input":
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        if isinstance(self.resize, ShorterSideCrop) and self.resize.shorter < max(self.height, self.width):
            raise ValueError(f"shorter = {self.resize.shorter} is less than the crop of {self.height} x {self.width}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture, without the batch."""
        return (3, self.height, self.width) if self.layout == "NCHW" else (self.height, self.width, 3)


class _ImageNet(_Part):
    offset: Annotated[int, Field(ge=0)] = 0
    """Outputs before ImageNet's first class: 1 where the network has a class "background"."""


class Logits(_ImageNet):
    """One output (batch, offset + 1000), before the softmax."""

    kind: Literal["logits"] = "logits"


class Probabilities(_ImageNet):
    """One output (batch, offset + 1000) that sums to 1."""

    kind: Literal["probabilities"] = "probabilities"


class YoloX(_Part):
    """One output (batch, cells, 85): x, y, log w, log h in strides, objectness and 80 classes in [0, 1]."""

    kind: Literal["yolox"] = "yolox"
    strides: Strides = (8, 16, 32)


class NanoDet(_Part):
    """Per stride two outputs: (batch, cells, 80) of classes in [0, 1], (batch, cells, 4 * (reg_max + 1)) of logits."""

    kind: Literal["nanodet"] = "nanodet"
    strides: Strides = (8, 16, 32)
    reg_max: Annotated[int, Field(gt=0)] = 7


class FastestDet(_Part):
    """One output (batch, 85, rows, columns): objectness, x, y, w, h, 80 classes; x to h before tanh and sigmoid."""

    kind: Literal["fastestdet"] = "fastestdet"


class Boxes(_Part):
    """Outputs ``boxes`` (n, 4): left, top, right, bottom in pixels of the input; ``labels`` (n,); ``scores`` (n,).

    A leading batch of 1 may stand before each.
    """

    kind: Literal["boxes"] = "boxes"
    labels: Literal["0..79", "1..90"] = "1..90"
    """COCO's categories in order, or the official ids, which have gaps."""


Decode = Annotated[Logits | Probabilities | YoloX | NanoDet | FastestDet | Boxes, Field(discriminator="kind")]


class Description(_Part):
    """A classifier over ImageNet-1k, or a detector of COCO's 80 categories."""

    name: Name
    family: Name
    """Networks of one family are alike in architecture: to leave a family out is to leave all of them out."""
    task: Literal["classification", "detection"]
    model: str
    """``FILE.onnx`` in the weights' folder, ``package:efficientnet-lite0`` (or 1, 2), or ``torchvision:NAME``: its
    default weights, in the weights' folder below ``checkpoints``, fetched where they are missing."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the weights' file; another file is refused."""
    licence: str
    source: str
    """Where the weights are to be had."""
    input: Input | None = None
    """None: the network takes pictures of any size, as torchvision's detectors do."""
    decode: Decode
    least_score: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Detections below it are left out."""
    nms_iou: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    """Of two detections of one class that overlap more, the one with the lower score is left out; None: the network
    has done so itself."""

    @model_validator(mode="after")
    def _consistent(self) -> "Description":
        if isinstance(self.decode, Logits | Probabilities) != (self.task == "classification"):
            raise ValueError(f"decode: {self.decode.kind} is not for {self.task}")
        whole = self.model.startswith(TORCHVISION) and self.task == "detection"
        if (self.input is None) != whole:
            raise ValueError("input: torchvision's detectors have none, every other network has one")
        return self


def shipped_names() -> list[str]:
    """The networks whose description ships."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def read_description(asked: str) -> Description:
    """The description that a command was asked for: a shipped name, a JSON file, or ``torchvision:NAME``.

    Raises:
        ConfigError: none of these, or it does not follow the format; the text names each wrong field.
    """
    if asked.startswith(TORCHVISION):
        from training.networks.torchvision_description import describe_torchvision  # noqa: PLC0415 - needs torch

        return describe_torchvision(asked.removeprefix(TORCHVISION))
    path = SHIPPED / f"{asked}.json" if asked in shipped_names() else Path(asked)
    try:
        return Description.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"network {asked!r}: {error.strerror}: give the path of a description, torchvision:NAME, "
            f"or one of {', '.join(shipped_names())}"
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path}: no description of a network: {faults_of(error, 'description')}") from error
