"""What a fit goes on from: a checkpoint, or an engine in FP32 that was exported from one."""

from collections.abc import Collection
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Begun:
    """Weights by their names, and what they learned from."""

    weights: dict[str, Tensor]
    data: str


def read_begun(path: Path, names: Collection[str]) -> Begun:
    """Read a checkpoint by its stem, or an engine's file.

    Args:
        path: STEM, or ``ENGINE.onnx``, which holds its checkpoint's weights under their names.
        names: of the weights that are due; what else an engine's graph holds is left out.

    Raises:
        ConfigError: the checkpoint cannot be read.
        EngineError: the engine, or its manifest, cannot.
    """
    if path.suffix == ENGINE:
        if not path.is_file():
            raise ConfigError(f"--weights {path}: no such file")
        data = peek_manifest(path).provenance.data
        return Begun(_weights_of_graph(path, names), data)
    checkpoint = load_checkpoint(path)
    return Begun(checkpoint.network.state_dict(), checkpoint.description.provenance.data)


def take_over(network: nn.Module, path: Path) -> None:
    """Give a network the weights of a checkpoint or of an engine.

    Raises:
        ConfigError: they cannot be read, or are of other layers.
        EngineError: see ``read_begun``.
    """
    weights = read_begun(path, network.state_dict()).weights
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = str(error).split("\n\t")[1].split(", ")[0]  # torch lists every layer
        raise ConfigError(f"--weights {path}: weights of other layers than the network's: {first} ...") from error


def _weights_of_graph(path: Path, names: Collection[str]) -> dict[str, Tensor]:
    graph = onnx.load(path).graph
    return {one.name: torch.from_numpy(to_array(one).copy()) for one in graph.initializer if one.name in names}
