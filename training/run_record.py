"""``run.json``: what a training run was asked for, with what it ran, and what came of it."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from runtime.errors import ConfigError
from training.commit import current_commit
from training.files import write_whole

FILE = "run.json"
PACKAGES = ("torch", "timm", "torchvision", "numpy", "opencv-python-headless", "safetensors")


class RunRecord(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["framegate/training/1"] = "framegate/training/1"
    asked: dict[str, JsonValue]
    """All that the weights depend on; a run is gone on with under an equal one only."""
    commits: tuple[str, ...] = ()
    """Of the code, where it was a Git checkout: more than one where it was gone on with after a commit."""
    versions: dict[str, str] = {}
    """Of Python and the packages; of the last that ran."""
    measures: dict[str, float | None] = {}
    """The last validation's; empty until the run has come to its end. None: no sample told."""


def begin_run(folder: Path, asked: dict[str, JsonValue], *, resume: bool) -> RunRecord:
    """Write ``run.json``, or hold the one that is there to what is asked.

    Raises:
        ConfigError: there is a run already and it is not to be resumed, or it was asked for something else.
    """
    asked = json.loads(json.dumps(asked))
    known = _read(folder / FILE)
    if known is None:
        record = RunRecord(asked=asked)
    elif not resume:
        raise ConfigError(f"{folder} holds a training run already; --resume goes on with it, or name another folder")
    else:
        wanted, there = _flat(asked), _flat(known.asked)
        faults = [
            f"{name}: asked for {wanted.get(name)!r}, there is {there.get(name)!r}"
            for name in sorted(wanted.keys() | there.keys())
            if wanted.get(name) != there.get(name)
        ]
        if faults:
            raise ConfigError(f"{folder} holds another training run: {'; '.join(faults)}; name another folder")
        record = known
    commit = current_commit()
    commits = record.commits if commit is None or commit in record.commits else (*record.commits, commit)
    record = record.model_copy(update={"commits": commits, "versions": _versions()})
    _write(folder / FILE, record)
    return record


def finish_run(folder: Path, record: RunRecord, measures: dict[str, float]) -> None:
    """Add what came of it."""
    finite = {name: value if value == value else None for name, value in measures.items()}  # noqa: PLR0124 - NaN
    _write(folder / FILE, record.model_copy(update={"measures": finite}))


def sets_of_run(folder: Path) -> str:
    """What a run in this folder learned from: names and digests of its sets; nothing, where no run is recorded there.

    Raises:
        ConfigError: what is there is no record.
    """
    record = _read(folder / FILE)
    sets = record.asked.get("set") if record else None
    if not isinstance(sets, dict):
        return ""
    return ", ".join(f"{name} {own['digest'] if isinstance(own, dict) else own}" for name, own in sets.items())


def _flat(asked: dict[str, JsonValue], above: str = "") -> dict[str, JsonValue]:
    """What is asked inside of something goes by both names: ``recipe.batch_size``."""
    flat: dict[str, JsonValue] = {}
    for name, value in asked.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return flat


def _read(path: Path) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigError(f"{path}: there, and not a training run of this version; name another folder") from error


def _write(path: Path, record: RunRecord) -> None:
    write_whole(path, record.model_dump_json(indent=2).encode() + b"\n")


def _versions() -> dict[str, str]:
    found: dict[str, Any] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
