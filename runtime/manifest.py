"""What an engine carries about itself: the contract between training, export and the runtime.

In an ONNX file it is the metadata entry ``framegate.manifest``; beside a plan it is ``NAME.json``.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.errors import EngineError
from runtime.faults import faults_of
from runtime.inputs_and_heads import check_inputs_and_heads

METADATA_KEY = "framegate.manifest"

Channels = tuple[float, float, float]
Precision = Literal["fp32", "fp16", "int8"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Resize(_Part):
    """How a picture of any size becomes the input's size; ``docs/resize.md`` says why.

    First, if ``halve``: while both sides are at least twice the wanted ones, the picture is halved by the
    mean of 2x2 pixels, rounded half up (an odd last row or column is left out). Then bilinear interpolation
    with half-pixel centres, as ``cv2.resize(INTER_LINEAR)`` does it in its 8-bit arithmetic.
    """

    fit: Literal["stretch", "crop", "pad"] = "stretch"
    """``stretch`` ignores the aspect ratio; ``crop`` fills the input and cuts what hangs over, centred;
    ``pad`` fits the whole picture in and fills the rest with ``pad_value``, centred."""
    halve: bool = True
    pad_value: Annotated[int, Field(ge=0, le=255)] = 114
    scaled_decode: bool = False
    """The JPEG decoder may do the halving in its transform (1/2, 1/4, 1/8): faster, and other by 0.4 levels of
    255 in the mean (``docs/resize.md``), so the engine's maker must allow it."""

    @model_validator(mode="after")
    def _scaled_decode_is_halving(self) -> "Resize":
        if self.scaled_decode and not self.halve:
            raise ValueError("scaled_decode halves pictures, so it needs halve")
        return self


class Patches(_Part):
    """Patches of a picture at its own resolution, where a resized picture would hide blur (``docs/resize.md``).

    The picture is halved, by the mean of 2x2 pixels, while its shorter side stays at least ``least_side``: so a frame
    of 2160 lines is seen as one of 1080. Then one patch is cut out around the centre of each cell of a grid.
    """

    rows: Annotated[int, Field(gt=0, le=64)]
    columns: Annotated[int, Field(gt=0, le=64)]
    least_side: Annotated[int, Field(gt=0)] = 720

    @property
    def count(self) -> int:
        """How many patches there are of a picture, row by row."""
        return self.rows * self.columns


class Input(_Part):
    """One input of the engine: shape (batch, height, width, 3) or (batch, 3, height, width).

    With ``patches`` it is (batch, patches, height, width, 3) or (batch, patches, 3, height, width).
    """

    name: str
    dtype: Literal["uint8", "float32", "float16"] = "uint8"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]
    color: Literal["RGB", "BGR"] = "RGB"
    resize: Resize = Resize()
    patches: Patches | None = None
    """None: the input shows the whole picture. Else patches of it, each of ``height`` x ``width`` pixels; of ``resize``
    only ``scaled_decode`` may be given."""
    of: Literal["frame", "reference"] = "frame"
    """Which picture it shows: the one that is judged, or the pristine one that it is held against."""
    tiles: bool = False
    """The input shows tiles of ``height`` x ``width`` pixels at the picture's own resolution, which together cover it
    (``runtime.tiles``). Each is one sample of the batch; the head's ``pooling`` makes the picture's score of them."""
    mean: Channels | None = None
    """Per channel, in the order of ``color``, on the scale 0..255: value = (pixel - mean) / std."""
    std: Channels | None = None

    @model_validator(mode="after")
    def _normalised_exactly_if_float(self) -> "Input":
        if self.dtype == "uint8" and (self.mean is not None or self.std is not None):
            raise ValueError("a uint8 input takes the pixels as they are: leave out mean and std")
        if self.dtype != "uint8" and (self.mean is None or self.std is None):
            raise ValueError(f"a {self.dtype} input needs mean and std (on the scale 0..255)")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self

    @model_validator(mode="after")
    def _patches_are_not_resized(self) -> "Input":
        if self.patches is not None and self.resize != Resize(scaled_decode=self.resize.scaled_decode):
            raise ValueError("patches are cut out, not resized: leave out all of resize but scaled_decode")
        return self

    @model_validator(mode="after")
    def _tiles_are_the_pixels_themselves(self) -> "Input":
        if self.tiles and (self.patches is not None or self.resize != Resize()):
            raise ValueError("tiles are cut out at the picture's own resolution: leave out resize and patches")
        if self.of == "reference" and not self.tiles:
            raise ValueError("an input of the reference shows tiles: add tiles")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch."""
        count = () if self.patches is None else (self.patches.count,)
        if self.layout == "NHWC":
            return (*count, self.height, self.width, 3)
        return (*count, 3, self.height, self.width)


class UtilityHead(_Part):
    """Probability in [0, 1] that a machine task still works on this frame; output shape (batch,)."""

    kind: Literal["utility"] = "utility"
    output: str
    threshold: Annotated[float, Field(ge=0, le=1)]
    """A frame below it is dropped, unless the operator says otherwise (``--min-utility``)."""


class QualityHead(_Part):
    """Distribution of human opinions over the scores 1..5; output shape (batch, 5), rows summing to 1."""

    kind: Literal["quality"] = "quality"
    output: str
    threshold: Annotated[float, Field(ge=1, le=5)]
    """A frame whose mean opinion score is below it is dropped (``--min-mos``)."""


class ClarityHead(_Part):
    """How sharp a frame is, on the paper's scale [1, 10] (cover assessment, section 4.1); output shape (batch,)."""

    kind: Literal["clarity"] = "clarity"
    output: str
    threshold: Annotated[float, Field(ge=1, le=10)] | None = None
    """A frame below it is dropped (``--min-clarity``); None: none is, unless the operator says so."""


class SaliencyHead(_Part):
    """Probability in [0, 1] that a pixel is of the foreground, at reduced size; output shape (batch, height, width).

    The map is of what the engine's whole-picture input shows, corner to corner.
    """

    kind: Literal["saliency"] = "saliency"
    output: str
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]


class QualityFrHead(_Part):
    """Mean opinion score in [1, 5] of a frame held against its reference; output shape (batch,), one number a tile.

    Its engine has two inputs of tiles, one of the frame and one of the reference, and no other head.
    """

    kind: Literal["quality_fr"] = "quality_fr"
    output: str
    threshold: Annotated[float, Field(ge=1, le=5)] | None = None
    """A picture below it is dropped (``--min-full-reference``); None: none is, unless the operator says so."""
    pooling: Annotated[float, Field(ge=1, le=8)] = 1.0
    """How a picture's score is made of its tiles' (Minkowski's mean of what they lack of 5): 5 - mean((5 - tile) ** p)
    ** (1 / p). 1 is the mean; the more, the more the worst tiles count: people look at what is broken."""


Head = Annotated[UtilityHead | QualityHead | ClarityHead | SaliencyHead | QualityFrHead, Field(discriminator="kind")]
HeadKind = Literal["utility", "quality", "clarity", "saliency", "quality_fr"]


def head_shape(head: Head) -> tuple[int, ...]:
    """Shape of one frame's output, without the batch; its dtype is float32."""
    match head:
        case QualityHead():
            return (5,)
        case SaliencyHead(height=height, width=width):
            return (height, width)
    return ()


def head_threshold(head: Head) -> float | None:
    """What a frame's score is held against where the operator says nothing else; None: nothing."""
    return None if isinstance(head, SaliencyHead) else head.threshold


class Provenance(_Part):
    """Where the engine was trained and how it scored. Numbers of a stand-in data set say so in ``data``."""

    data: str
    metrics: dict[str, float] = {}
    licence: str
    command: str
    """The command that makes the engine anew."""


class Tolerances(_Part):
    """How far the engine may be from the network that was trained, on the same pictures.

    ``python -m export verify`` holds it to these; None leaves a measure free. Scores are compared after they are
    brought to [0, 1] by their head's range.
    """

    difference: Annotated[float, Field(ge=0, le=1)] | None = None
    """The largest difference of any score of any picture; of a map, the mean over its pixels."""
    rank_correlation: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Spearman's, at least."""
    flips: Annotated[float, Field(ge=0, le=1)] | None = None
    """The largest share of pictures that fall on the other side of the head's threshold."""
    mask_iou: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of an output that is a map: the mean over pictures of its masks' intersection over union, at least."""


class Plan(_Part):
    """What a TensorRT plan was built with: it runs with that version, on that kind of GPU, in that batch range."""

    runtime: Literal["tensorrt", "tensorrt-rtx"]
    version: str
    """Of the runtime, as its ``__version__`` says it."""
    gpu: str | None
    """The device's name, None where the plan was built without one (TensorRT-RTX compiles its kernels on the
    device that runs it)."""
    compute_capability: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None
    hardware_compatibility: str = "none"
    version_compatible: bool = False
    min_batch: Annotated[int, Field(gt=0)]
    opt_batch: Annotated[int, Field(gt=0)]
    max_batch: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the plan's file: a truncated or exchanged one is known before the device sees it."""
    onnx_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the ONNX file it was built from."""

    @model_validator(mode="after")
    def _batches_in_order(self) -> "Plan":
        if not self.min_batch <= self.opt_batch <= self.max_batch:
            raise ValueError(f"batches {self.min_batch}, {self.opt_batch}, {self.max_batch}: min <= opt <= max is due")
        return self


class Manifest(_Part):
    """Everything the runtime needs to know of an engine before its first frame."""

    format: Literal["framegate/manifest/1"] = "framegate/manifest/1"
    name: str
    version: str
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    """Of the weights: equal weights, equal digest, whatever else the file says."""
    precision: Precision = "fp32"
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    heads: Annotated[tuple[Head, ...], Field(min_length=1)]
    provenance: Provenance
    tolerances: Tolerances = Tolerances()
    plan: Plan | None = None
    """In the JSON beside a TensorRT plan only."""

    @model_validator(mode="after")
    def _inputs_and_heads_fit(self) -> "Manifest":
        check_inputs_and_heads(self.inputs, self.heads)
        return self


def compares(heads: Sequence[Head]) -> bool:
    """Whether an engine with these heads judges pictures beside their references."""
    return any(isinstance(head, QualityFrHead) for head in heads)


def whole_picture(inputs: Sequence[Input]) -> Input | None:
    """The input that shows the whole picture; None where all show patches or tiles."""
    return next((spec for spec in inputs if spec.patches is None and not spec.tiles), None)


def parse_manifest(text: str, source: str) -> Manifest:
    """Read a manifest's JSON.

    Raises:
        EngineError: it does not follow the format; the text names ``source`` and each wrong field.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        faults = faults_of(error, "manifest")
        raise EngineError(f"{source}: the manifest does not follow framegate/manifest/1: {faults}") from error
