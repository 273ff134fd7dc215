"""A trained network that answers questions about pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.networks.answer import Answer
from training.networks.description import PACKAGE, TORCHVISION, Description

Values = NDArray[Any]

RUN_PICTURES = 16
"""Pictures in one run of a network whose batch is dynamic: bounds the memory."""


class Network(Protocol):
    """Equal pictures get equal answers, alone or among others (but for the last bits of a float)."""

    @property
    def description(self) -> Description: ...

    @property
    def digest(self) -> str:
        """``sha256:...`` of its weights: equal weights, equal digest."""

    def answers(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """One answer a picture, in their order; each picture may have its own size.

        Raises:
            ConfigError: the network's outputs are not what its description says.
        """


def open_network(description: Description, weights: Path, *, threads: int = 1) -> Network:
    """Open a network and ask it about one grey picture, so that a wrong description is known at once.

    Args:
        description: what the network is.
        weights: the folder of the weights' files.
        threads: cores that one run uses.

    Raises:
        ConfigError: the weights or a package are missing (the text says where to get them), the file is another
            than the description's, or inputs or outputs differ from it.
    """
    if threads < 1:
        raise ConfigError(f"threads = {threads}: at least one is due")
    network = _open(description, weights, threads)
    network.answers([np.full((64, 96, 3), 114, np.uint8)])
    return network


def _open(description: Description, weights: Path, threads: int) -> Network:
    if description.model.startswith((PACKAGE, TORCHVISION)):
        from training.networks.torch_network import open_torch_network  # noqa: PLC0415 - needs torch

        return open_torch_network(description, weights, threads=threads)
    from training.networks.onnx_network import OnnxNetwork  # noqa: PLC0415 - needs ONNX Runtime

    return OnnxNetwork(description, weights, threads=threads)
