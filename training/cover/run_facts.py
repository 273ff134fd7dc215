"""What a checkpoint's ``run.json`` says of how it was trained: what the paper's tables are made of."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.run_record import FILE, RunRecord

Task = Literal["clarity", "saliency"]
Strategy = Literal["end-to-end", "multi-stage"]


class RunFacts(BaseModel):
    """Of a run that trained a network of covers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    network: str
    """Its backbone, such as ``resnet101``; ``light``: the one that is served."""
    strategy: Strategy
    tasks: tuple[Task, ...]
    seed: int
    recipe: JsonValue = None
    """What it was trained with."""
    weights: str | None = None
    """That its encoder began with."""
    steps: int | None = None
    set: JsonValue = None
    """What it was trained on."""


def run_facts_of(stem: Path) -> RunFacts | None:
    """From the ``run.json`` in the folder of a checkpoint; None where there is none, or it trained something else.

    Raises:
        ConfigError: the file is no training run's, or lacks what the tables need.
    """
    path = stem.parent / FILE
    try:
        asked = RunRecord.model_validate_json(path.read_bytes()).asked
        return RunFacts.model_validate(asked) if asked.get("task") == "cover" else None
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigError(
            f"{path}: not of a training run of this version: {faults_of(error, FILE)}; keep it away from {stem.name}, "
            "or train anew"
        ) from error
