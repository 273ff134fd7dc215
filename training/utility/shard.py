"""``answers-NNNN.npz``: samples, and what each network answered on them."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.files import write_whole
from training.utility.answers import Answers, BoxAnswers, ClassAnswers, Samples, join_answers
from training.utility.header import FILE, Header, Shard, Task, changed

Recorded = tuple[Samples, dict[str, Answers]]
"""Samples, and the answers on them by network."""


def write_shard(folder: Path, number: int, samples: Samples, answers: dict[str, Answers], sources: int) -> Shard:
    """Write ``answers-NNNN.npz``; equal content gives equal bytes."""
    arrays = samples.arrays()
    for name, own in answers.items():
        arrays |= {f"{name}.{column}": values for column, values in own.arrays().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] # no array is called allow_pickle
    content = buffer.getvalue()
    file = f"answers-{number:04d}.npz"
    write_whole(folder / file, content)
    return Shard(file=file, sha256=hashlib.sha256(content).hexdigest(), sources=sources)


def read_shard(folder: Path, shard: Shard, header: Header) -> Recorded:
    """A shard's samples, and the answers by network.

    Raises:
        ConfigError: the file is missing, or another.
    """
    path = folder / shard.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; {FILE} lists it") from error
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        raise changed(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kind = _answers_of(header.task)
        answers = {network.name: kind.of(_columns(arrays, network.name)) for network in header.networks}
        return Samples.of(arrays), answers
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: not the answers that {FILE} speaks of: {error}") from error


def join(parts: Sequence[Recorded]) -> Recorded:
    """One after the other; at least one."""
    names = list(parts[0][1])
    joined = {name: join_answers([answers[name] for _, answers in parts]) for name in names}
    return Samples.join([samples for samples, _ in parts]), joined


def _answers_of(task: Task) -> type[ClassAnswers] | type[BoxAnswers]:
    return ClassAnswers if task == "classification" else BoxAnswers


def _columns(arrays: dict[str, NDArray[Any]], network: str) -> dict[str, NDArray[Any]]:
    prefix = f"{network}."
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
