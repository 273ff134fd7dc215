"""A trained network on disk: ``STEM.safetensors`` holds its weights, ``STEM.json`` says what they are. No pickle."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from runtime.errors import ConfigError
from runtime.faults import faults_of
from runtime.inputs_and_heads import check_inputs_and_heads
from runtime.manifest import Head, Input, Provenance
from training.files import write_whole
from training.models import ARCHITECTURES

WEIGHTS, DESCRIPTION = ".safetensors", ".json"
ONE_INPUT = "framegate/checkpoint/1"
"""The earlier format: ``input`` was what the one member of ``inputs`` is now."""


class Description(BaseModel):
    """What a network is, but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    version: str
    architecture: str
    """A name in ``training.models.ARCHITECTURES``."""
    arguments: dict[str, JsonValue] = {}
    """What the architecture is called with, by name."""
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    """uint8, NHWC, RGB: what an engine made of it takes, in the order in which the network's ``forward`` does.

    The network itself takes each as float pixels of 0..255, channels first: (batch, 3, height, width), and patches as
    (batch, patches, 3, height, width).
    """
    heads: Annotated[tuple[Head, ...], Field(min_length=1)]
    """Each reads the network's output of that name."""
    dynamic_size: bool = False
    """Whether the network takes whole pictures of other heights and widths than its input's."""
    provenance: Provenance

    @model_validator(mode="after")
    def _inputs_are_pixels(self) -> "Description":
        for spec in self.inputs:
            if (spec.dtype, spec.layout, spec.color) != ("uint8", "NHWC", "RGB"):
                raise ValueError(f"input {spec.name}: uint8, NHWC and RGB are due; the network normalises for itself")
        check_inputs_and_heads(self.inputs, self.heads)
        return self


class _File(Description):
    format: Literal["framegate/checkpoint/2"] = "framegate/checkpoint/2"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the weights' file."""


@dataclass(frozen=True)
class Checkpoint:
    """A network in evaluation mode, with its weights, and what it is."""

    description: Description
    network: nn.Module


def save_checkpoint(stem: Path, checkpoint: Checkpoint) -> None:
    """Write ``STEM.safetensors`` and ``STEM.json``.

    Each file is replaced whole; stopped between the two, the JSON's hash tells that they do not belong together.
    """
    weights = save({name: value.contiguous() for name, value in checkpoint.network.state_dict().items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    text = _File(**checkpoint.description.model_dump(), sha256=sha256).model_dump_json(indent=2, exclude_none=True)
    write_whole(checkpoint_file(stem, WEIGHTS), weights)
    write_whole(checkpoint_file(stem, DESCRIPTION), text.encode() + b"\n")


def load_checkpoint(stem: Path) -> Checkpoint:
    """Read a checkpoint by its stem (either file's name will do, too).

    Raises:
        ConfigError: a file is missing, was changed or is no checkpoint's, the architecture is unknown, or the
            weights are not its own.
    """
    bare = stem.name.removesuffix(WEIGHTS).removesuffix(DESCRIPTION)
    if not bare:
        raise ConfigError(f"{stem}: a checkpoint is STEM{WEIGHTS} beside STEM{DESCRIPTION}, named by STEM")
    stem = stem.with_name(bare)
    file = _read_description(checkpoint_file(stem, DESCRIPTION))
    weights_path = checkpoint_file(stem, WEIGHTS)
    content = _read(weights_path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ConfigError(
            f"{weights_path} is not the file that {stem.name}{DESCRIPTION} speaks of (its SHA-256 is another): "
            "take both files from the same training"
        )
    network = _build(file, stem)
    try:
        network.load_state_dict(load(content), strict=True)
    except (RuntimeError, SafetensorError) as error:
        first = " ".join(str(error).split("\n\t")[:3])  # torch lists every weight
        raise ConfigError(
            f"{weights_path}: not the weights of {file.architecture} {file.arguments}: {first}"
        ) from error
    fields = file.model_dump(exclude={"format", "sha256"})
    return Checkpoint(Description(**fields), network.eval())


def checkpoint_file(stem: Path, suffix: str) -> Path:
    """``WEIGHTS`` or ``DESCRIPTION`` of a stem; not ``with_suffix``: a stem such as net-1.0 has a dot of its own."""
    return stem.with_name(stem.name + suffix)


def is_description(document: Any) -> bool:
    """Whether a JSON document is a checkpoint's."""
    return document["format"] in (_File.model_fields["format"].default, ONE_INPUT)


def _build(file: _File, stem: Path) -> nn.Module:
    if file.architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ConfigError(f"{stem}{DESCRIPTION}: unknown architecture {file.architecture!r}; this version has {known}")
    try:
        return ARCHITECTURES[file.architecture](**file.arguments)
    except TypeError as error:
        raise ConfigError(
            f"{stem}{DESCRIPTION}: {file.architecture} does not take {file.arguments}: {error}"
        ) from error


def _read_description(path: Path) -> _File:
    content = _read(path)
    try:
        return _File.model_validate_json(content)
    except ValidationError as error:
        if _is_of_one_input(content):
            raise ConfigError(
                f"{path}: a checkpoint of an earlier version ({ONE_INPUT}): train it anew, or put its input into a "
                'list, "inputs": [...] in the place of "input": ..., and call its format framegate/checkpoint/2'
            ) from error
        faults = faults_of(error, "checkpoint")
        raise ConfigError(f"{path}: does not follow framegate/checkpoint/2: {faults}") from error


def _is_of_one_input(content: bytes) -> bool:
    try:
        document = json.loads(content)
    except ValueError:
        return False
    return isinstance(document, dict) and (document.get("format") == ONE_INPUT or "input" in document)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; a checkpoint is STEM{WEIGHTS} beside STEM{DESCRIPTION}, named by STEM"
        ) from error
