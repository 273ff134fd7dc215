"""What a fit goes on from: a checkpoint, or an engine in FP32 that was exported from one."""

from collections.abc import Collection
from pathlib import Path

import onnx
import torch
from onnx.numpy_helper import to_array
from torch import Tensor, nn

from runtime.engine import peek_manifest
from runtime.errors import ConfigError
from training.checkpoint import load_checkpoint

ENGINE = ".onnx"
"""Of engines. Normalisation is folded into their convolutions, so only networks that were trained so go on from one."""


def learned_before(path: Path) -> str:
    """What the weights that a fit goes on from had learned from.

    Args:
        path: the STEM of a checkpoint, or ``ENGINE.onnx``.

    Raises:
        ConfigError: the checkpoint cannot be read, or there is no such engine.
        EngineError: the engine, or its manifest, cannot.
    """
    if path.suffix != ENGINE:
        return load_checkpoint(path).description.provenance.data
    if not path.is_file():
        raise ConfigError(f"--weights {path}: no such file")
    return peek_manifest(path).provenance.data


def take_over(network: nn.Module, path: Path) -> None:
    """Give a network the weights of a checkpoint or of an engine.

    Raises:
        ConfigError: they cannot be read, or are of other layers.
        EngineError: the engine, or its manifest, cannot be read.
    """
    weights = _weights(path, network.state_dict())
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = str(error).split("\n\t")[1].split(", ")[0]  # torch lists every layer
        raise ConfigError(f"--weights {path}: weights of other layers than the network's: {first} ...") from error


def _weights(path: Path, names: Collection[str]) -> dict[str, Tensor]:
    """By name; an engine holds its checkpoint's under their names, and more, which is left out."""
    if path.suffix != ENGINE:
        weights: dict[str, Tensor] = load_checkpoint(path).network.state_dict()
        return weights
    learned_before(path)  # a file that is no engine is named
    graph = onnx.load(path).graph
    return {one.name: torch.from_numpy(to_array(one).copy()) for one in graph.initializer if one.name in names}
