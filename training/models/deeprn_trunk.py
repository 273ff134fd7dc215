"""What DeepRN's convolutions are: a classifier's, up to its last map, of a picture of any size."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from runtime.errors import ConfigError
from training.models.efficientnet_lite import MEAN as LITE_MEAN
from training.models.efficientnet_lite import STD as LITE_STD
from training.models.efficientnet_lite import efficientnet_lite, load_imagenet
from training.models.folding import fold, quicken
from training.models.resnet import MEAN, STD, read_weights

STRIDE = 32
RESNET = "resnet101"
"""The paper's."""
_LITE = {"efficientnet-lite0": 0, "efficientnet-lite2": 2}
"""Their ImageNet weights install with a package."""
LICENCES = {RESNET: "BSD-3-Clause", "efficientnet-lite0": "Apache-2.0", "efficientnet-lite2": "Apache-2.0"}
"""Of their ImageNet weights."""


class DeepRNTrunk(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> (batch, channels, height / 32, width / 32), rounded up.

    EfficientNet-Lite pads each map by what its size leaves over, which no exporter follows through five strides of an
    open size. So there, sides that ``STRIDE`` does not divide are continued by their last pixels until it does: then
    nothing is left over, and the padding is always the same.

    Frozen normalisations stay in evaluation mode when the network is put into training mode: else their statistics
    would drift away from the weights that are frozen with them.

    Args:
        name: ``resnet101``, ``efficientnet-lite0`` or ``-lite2``; it has no trained weights yet.

    Raises:
        ConfigError: the library that defines it is not installed.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.layers = _resnet101() if name == RESNET else _even(quicken(fold(_lite(_LITE[name]))))
        self.continues = name != RESNET
        self.channels = 2048 if name == RESNET else 1280
        mean, std = (MEAN, STD) if name == RESNET else ((LITE_MEAN,) * 3, (LITE_STD,) * 3)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        seen: Tensor = self.layers((self._continued(pixels) - self.mean) / self.std)
        return seen

    def _continued(self, pixels: Tensor) -> Tensor:
        if not self.continues:
            return pixels
        height, width = pixels.shape[2:]
        # Written so that an exporter sees that the sum with the side is a multiple, and not below 0.
        below, right = ((side + STRIDE - 1) // STRIDE * STRIDE - side for side in (height, width))
        return functional.pad(pixels, (0, right, 0, below), mode="replicate")

    def train(self, mode: bool = True) -> "DeepRNTrunk":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self


def load_imagenet_trunk(trunk: DeepRNTrunk, name: str, path: Path | None) -> None:
    """Give a trunk the weights of an ImageNet classifier.

    Args:
        trunk: ``DeepRNTrunk(name)``.
        name: of the trunk.
        path: torchvision's state dict of ResNet-101; None for the others, whose weights install with a package.

    Raises:
        ConfigError: they cannot be had, or are another network's.
    """
    if name != RESNET:
        if path is not None:
            raise ConfigError(f"--weights {path}: {name} has those of its package: imagenet, or none for random ones")
        trunk.layers.load_state_dict(quicken(fold(_lite(_LITE[name], trained=True))).state_dict(), strict=True)
        return
    if path is None:
        raise ConfigError(
            "no package ships ResNet-101's weights: give torchvision's state dict (resnet101-63fe2227.pth) by "
            "--weights FILE, or --weights none to begin with random ones (far worse)"
        )
    weights = {key: value for key, value in read_weights(path).items() if not key.startswith("fc.")}
    try:
        trunk.layers.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = " ".join(str(error).split("\n\t")[:3])  # torch lists every weight
        raise ConfigError(f"{path}: not torchvision's ResNet-101: {first}") from error


def freeze(trunk: DeepRNTrunk, count: int) -> list[str]:
    """Keep the first convolutions from training, with their normalisations; returns the names of the convolutions.

    They are counted along the picture's way: a shortcut's convolution is not counted, and is frozen with the last one
    of its block. So the 81 of the paper (section 3) end with the second convolution of ``layer3.19``.

    Raises:
        ConfigError: there are fewer.
    """
    ways = list(_convolutions(trunk.layers))
    if count > len(ways):
        raise ConfigError(f"frozen_layers={count}: the trunk has {len(ways)} convolutions")
    for names in ways[:count]:
        for name in names:
            trunk.layers.get_submodule(name).requires_grad_(False)
    return [names[0] for names in ways[:count]]


def _convolutions(layers: nn.Module) -> Iterator[list[str]]:
    """Each convolution of the main way: its name, and those of what is frozen with it."""
    names = [name for name, module in layers.named_modules() if _weighs(module)]
    for name in names:
        block, _, own = name.rpartition(".")
        if not own.startswith("conv"):
            continue
        beside = name.removesuffix(own) + own.replace("conv", "bn")
        shortcut = f"{block}.downsample." if own == "conv3" else None
        yield [name, *(other for other in names if other == beside or (shortcut and other.startswith(shortcut)))]


def _weighs(module: nn.Module) -> bool:
    return next(module.children(), None) is None and next(module.parameters(), None) is not None


class _ResNetLayers(nn.Module):  # type: ignore[misc] # as above
    """torchvision's ResNet up to its last map; its weights keep their names."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(network, name))

    def forward(self, pixels: Tensor) -> Tensor:
        seen = self.maxpool(self.relu(self.bn1(self.conv1(pixels))))
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(seen))))
        return last


class _LiteLayers(nn.Module):  # type: ignore[misc] # as above
    """timm's EfficientNet-Lite up to the map that its classifier averages."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name in ("conv_stem", "bn1", "blocks", "conv_head", "bn2"):
            setattr(self, name, getattr(network, name))

    def forward(self, pixels: Tensor) -> Tensor:
        last: Tensor = self.bn2(self.conv_head(self.blocks(self.bn1(self.conv_stem(pixels)))))
        return last


class _EvenConv(nn.Conv2d):  # type: ignore[misc] # as above
    """A convolution of a stride of 2, padded as TensorFlow does maps of even sides: the odd pixel right and below."""

    def forward(self, pixels: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        padded = functional.pad(pixels, (total // 2, total - total // 2) * 2)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


def _even(layers: nn.Module) -> nn.Module:
    """Replace, in place, the convolutions of a stride of 2 (same weights, same names); return the layers."""
    for name, module in list(layers.named_modules()):
        if isinstance(module, nn.Conv2d) and module.stride[0] > 1:
            even = _EvenConv(
                module.in_channels, module.out_channels, module.kernel_size, module.stride, groups=module.groups
            )
            even.weight, even.bias = module.weight, module.bias
            parent, _, own = name.rpartition(".")
            setattr(layers.get_submodule(parent), own, even)
    return layers


def _resnet101() -> nn.Module:
    try:
        from torchvision.models import resnet101  # noqa: PLC0415 - belongs to the extra `train`
    except ImportError as error:
        raise ConfigError(
            f"ResNet-101 needs the package {error.name!r}: install the extra `train` (pip install 'framegate[train]')"
        ) from error
    return _ResNetLayers(resnet101(weights=None))


def _lite(number: int, *, trained: bool = False) -> nn.Module:
    whole = efficientnet_lite(number)
    if trained:
        load_imagenet(whole, number)
    return _LiteLayers(whole).eval()
