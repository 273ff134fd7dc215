"""Encoders of the cover networks: two maps of a picture, one fine and one deep, at an output stride of 16."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError
from training.models.efficientnet_lite import MEAN as LITE_MEAN
from training.models.efficientnet_lite import STD as LITE_STD
from training.models.efficientnet_lite import efficientnet_lite0, load_imagenet
from training.models.folding import fold, quicken
from training.models.resnet import MEAN, STD, read_weights

STRIDE = 16
LOW, HIGH = 1, 4
"""Places of timm's maps at 1/4 and at 1/16."""
MULTI_GRID = (1, 2, 4)
"""What the dilation of ResNet's last blocks is multiplied by (DeepLabv3)."""

Channels = tuple[float, float, float]
LITE = "efficientnet-lite0"
"""Its normalisations are folded into its convolutions, as the gateway's other networks of that trunk."""
_TIMM = {"mobilenetv2": "mobilenetv2_100", "xception": "xception65", LITE: "tf_efficientnet_lite0"}


class Encoder(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> the maps at 1/4 and at 1/16.

    Args:
        features: gives the maps by stride, the finest first.
        low_channels: of the map at 1/4.
        channels: of the map at 1/16.
        mean: of the pixels that its weights know, per channel.
        std: likewise.
    """

    def __init__(self, features: nn.Module, low_channels: int, channels: int, mean: Channels, std: Channels) -> None:
        super().__init__()
        self.features, self.low_channels, self.channels = features, low_channels, channels
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.features((pixels - self.mean) / self.std)
        return low, high


class ResNetFeatures(nn.Module):  # type: ignore[misc] # as above
    """torchvision's ResNet up to its last map; its weights keep their names."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(network, name))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        low = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(pixels)))))
        return low, self.layer4(self.layer3(self.layer2(low)))


def make_encoder(name: str) -> Encoder:
    """An encoder without trained weights.

    Args:
        name: ``resnet101``, ``xception``, ``mobilenetv2`` (the paper's) or ``efficientnet-lite0``, whose ImageNet
            weights install with a package.

    Raises:
        ConfigError: torchvision or timm is not installed.
    """
    if name == "resnet101":
        return Encoder(ResNetFeatures(_resnet101()), 256, 2048, MEAN, STD)
    features = _timm_features(name)
    low_channels, channels = features.feature_info.channels()
    if name == LITE:
        return Encoder(quicken(fold(features)), low_channels, channels, (LITE_MEAN,) * 3, (LITE_STD,) * 3)
    return Encoder(features, low_channels, channels, *_pixel_scale(name))


def load_encoder(encoder: Encoder, name: str, path: Path | None) -> None:
    """Give an encoder weights trained on ImageNet.

    Args:
        encoder: ``make_encoder(name)``.
        name: of the encoder.
        path: a state dict of the classifier as its library publishes it (torchvision's ResNet-101, timm's others);
            None: the published ones, from the library's cache or its site, EfficientNet-Lite0's from its package.

    Raises:
        ConfigError: they cannot be had, or are another network's.
    """
    weights = read_weights(path) if path is not None else _published(name)
    fresh = _timm_features(name) if name == LITE else encoder.features
    weights = {_own_name(key): value for key, value in weights.items()} if name == "xception" else weights
    own = fresh.state_dict()
    missing = sorted(own.keys() - weights.keys())
    wrong = [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape]
    if missing or wrong:
        raise ConfigError(
            f"{path or 'the published weights'}: not those of {name}: "
            + (f"{missing[0]} is missing" if missing else f"{wrong[0]} has the shape {tuple(weights[wrong[0]].shape)}")
        )
    fresh.load_state_dict({key: weights[key] for key in own}, strict=True)
    if name == LITE:
        encoder.features.load_state_dict(quicken(fold(fresh)).state_dict(), strict=True)


def _own_name(published: str) -> str:
    """Timm's Xception gives its maps from a module that calls ``blocks.0`` ``blocks_0``, and ``stem.0`` ``stem_0``."""
    return re.sub(r"^(stem|blocks)\.(\d+)", r"\1_\2", published)


def _pixel_scale(name: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation of pixels in 0..255 that timm's weights were trained with."""
    from timm.models import get_pretrained_cfg  # noqa: PLC0415 - the network needed it already

    published = get_pretrained_cfg(_TIMM[name])
    mean, std = (tuple(255 * float(value) for value in each) for each in (published.mean, published.std))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _timm_features(name: str) -> nn.Module:
    try:
        import timm  # noqa: PLC0415 - belongs to the extra `export`
    except ImportError as error:
        raise ConfigError(
            f"{name} needs the package {error.name!r}: install the extra `train` (pip install 'framegate[train]')"
        ) from error
    features: nn.Module = timm.create_model(
        _TIMM[name], features_only=True, output_stride=STRIDE, out_indices=(LOW, HIGH)
    )
    return features


def _resnet101() -> nn.Module:
    try:
        from torchvision.models import resnet101  # noqa: PLC0415 - belongs to the extra `train`
    except ImportError as error:
        raise ConfigError(
            f"ResNet-101 needs the package {error.name!r}: install the extra `train` (pip install 'framegate[train]')"
        ) from error
    network = resnet101(weights=None, replace_stride_with_dilation=[False, False, True])
    for block, times in zip(network.layer4, MULTI_GRID, strict=True):
        dilation = 2 * times
        block.conv2.dilation, block.conv2.padding = (dilation, dilation), (dilation, dilation)
    return network


def _published(name: str) -> Mapping[str, Tensor]:
    if name == LITE:
        whole = efficientnet_lite0()
        load_imagenet(whole)
        lite: Mapping[str, Tensor] = whole.state_dict()
        return lite
    try:
        return _from_hub(name)
    except Exception as error:  # each library's errors of a site that does not answer are its own
        raise ConfigError(
            f"the published weights of {name} cannot be fetched ({type(error).__name__}: {error}); give a file of them "
            "by --weights FILE, or --weights none to begin with random ones (far worse)"
        ) from error


def _from_hub(name: str) -> Mapping[str, Tensor]:
    if name == "resnet101":
        from torchvision.models import ResNet101_Weights  # noqa: PLC0415 - the network needed it already

        resnet: Mapping[str, Tensor] = ResNet101_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        return resnet
    import timm  # noqa: PLC0415 - the network needed it already

    weights: Mapping[str, Tensor] = timm.create_model(_TIMM[name], pretrained=True).state_dict()
    return weights
