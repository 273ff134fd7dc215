"""The machine-utility paper's network: ResNet-18 with two outputs, useless and useful (section IV)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError
from training.models.confidence import OUTPUT

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, of pixels in 0..255."""
_LAST = "fc."


class ResNetUtility(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> ``utility`` (batch,): the second class's probability."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is served."""
        return {OUTPUT: torch.sigmoid(self.logits(pixels)[OUTPUT])}

    def logits(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is trained: ``utility`` (batch,), float32, the second output less the first.

        Its sigmoid is the second's softmax: binary cross-entropy of it is the paper's cross-entropy of both.
        """
        useless, useful = self.network((pixels - self.mean) / self.std).float().unbind(dim=1)
        return {OUTPUT: useful - useless}


def resnet18_utility() -> ResNetUtility:
    """The network without trained weights.

    Raises:
        ConfigError: torchvision is not installed.
    """
    try:
        from torchvision.models import resnet18  # noqa: PLC0415 - belongs to the extra `train`
    except ImportError as error:
        raise ConfigError(
            f"ResNet-18 needs the package {error.name!r}: install the extra `train` (pip install 'framegate[train]')"
        ) from error
    network = ResNetUtility(resnet18(weights=None, num_classes=2))
    network.eval()
    return network


def load_resnet18(network: ResNetUtility, path: Path | None) -> None:
    """Give all layers but the last the weights trained on ImageNet.

    Args:
        network: to be trained.
        path: torchvision's state dict (``resnet18-f37072fd.pth``); None: torchvision's own, from its cache or its site.

    Raises:
        ConfigError: they cannot be had, or are another network's.
    """
    weights = _published() if path is None else read_weights(path)
    kept = {name: value for name, value in weights.items() if not name.startswith(_LAST)}
    own = {name: value for name, value in network.network.state_dict().items() if name.startswith(_LAST)}
    try:
        network.network.load_state_dict({**kept, **own}, strict=True)
    except RuntimeError as error:
        first = " ".join(str(error).split("\n\t")[:3])  # torch lists every weight
        raise ConfigError(f"{path}: not torchvision's ResNet-18: {first}") from error


def _published() -> Mapping[str, Tensor]:
    from torchvision.models import ResNet18_Weights  # noqa: PLC0415 - the network needed it already

    try:
        weights: Mapping[str, Tensor] = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise ConfigError(
            f"torchvision's weights of ResNet-18 cannot be fetched ({error}); give the file by --weights FILE.pth, "
            "or --weights none to begin with random ones (far worse)"
        ) from error
    return weights


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a state dict's file, by name.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except Exception as error:  # torch's errors of a foreign file have no common base
        raise ConfigError(f"{path} is no file of weights that torch reads safely: {error}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ConfigError(f"{path} holds no state dict: names and their weights are due")
    return weights
