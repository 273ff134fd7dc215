"""Where a fit stands, on disk: stopped at any moment, it goes on from the last snapshot to the same weights.

``snapshot.json`` names the files it belongs to by their hashes: ``snapshot-STEP.network.safetensors`` and
``snapshot-STEP.optimizer.safetensors``. No pickle. Nothing random is kept: each step draws from its own seed.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from runtime.errors import ConfigError
from training.files import write_whole

FILE = "snapshot.json"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    """After ``step`` steps: the network's tensors, and the optimiser's, both flat by name."""

    step: int
    network: Tensors
    optimizer: Tensors


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["framegate/snapshot/1"] = "framegate/snapshot/1"
    step: int
    sha256: dict[str, str]
    """By file."""


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write it, and then remove the one before."""
    contents = {
        f"snapshot-{snapshot.step}.{part}.safetensors": save({name: value.contiguous() for name, value in own.items()})
        for part, own in (("network", snapshot.network), ("optimizer", snapshot.optimizer))
    }
    for name, content in contents.items():
        write_whole(folder / name, content)
    index = _Index(step=snapshot.step, sha256={name: _sha256(content) for name, content in contents.items()})
    write_whole(folder / FILE, index.model_dump_json(indent=2).encode() + b"\n")
    _remove_others(folder, contents)


def load_snapshot(folder: Path) -> Snapshot | None:
    """The last one, or None where none was written.

    Raises:
        ConfigError: its files are missing or were changed.
    """
    try:
        index = _Index.model_validate_json((folder / FILE).read_bytes())
        contents = [(folder / name).read_bytes() for name in index.sha256]
    except FileNotFoundError as error:
        if error.filename == str(folder / FILE):
            return None
        raise ConfigError(
            f"{error.filename}: missing, and {FILE} speaks of it; begin anew in another folder"
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{folder / FILE}: not a snapshot of this version; begin anew in another folder") from error
    if [_sha256(content) for content in contents] != list(index.sha256.values()):
        raise ConfigError(f"{folder}: the snapshot's files are not those that {FILE} speaks of; begin anew")
    network, optimizer = (load(content) for content in contents)
    return Snapshot(index.step, network, optimizer)


def _remove_others(folder: Path, names: Collection[str]) -> None:
    for path in folder.glob("snapshot-*.safetensors"):
        if path.name not in names:
            path.unlink()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
