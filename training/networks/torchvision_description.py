"""What torchvision says of its own networks, as a description."""

from typing import Any

from torchvision.models import get_model_builder, get_model_weights
from torchvision.transforms._presets import ImageClassification, ObjectDetection

from runtime.errors import ConfigError
from training.networks.description import (
    TORCHVISION,
    Boxes,
    Channels,
    Description,
    Input,
    Interpolation,
    Logits,
    ShorterSideCrop,
)

_INTERPOLATIONS: dict[str, Interpolation] = {"bilinear": "bilinear", "bicubic": "bicubic"}


def default_weights(name: str) -> Any:
    """Torchvision's default weights of a network: its entry in the network's enumeration.

    Raises:
        ConfigError: torchvision has no such network, or no weights of it.
    """
    try:
        return get_model_weights(name).DEFAULT
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{TORCHVISION}{name}: torchvision has no weights of that name: {error}") from error


def describe_torchvision(name: str) -> Description:
    """Describe ``torchvision:NAME`` as its default weights were made; fetches nothing.

    Raises:
        ConfigError: torchvision does not have it, or it is neither a classifier of ImageNet-1k nor a detector of COCO.
    """
    weights = default_weights(name)
    model = f"{TORCHVISION}{name}"
    # torchvision has one module an architecture: resnext50_32x4d is of the module resnet
    family = get_model_builder(name).__module__.rpartition(".")[2]
    about = {"name": name, "family": family, "model": model, "licence": "BSD-3-Clause", "source": weights.url}
    transform = weights.transforms()
    categories = len(weights.meta.get("categories", ()))
    if isinstance(transform, ObjectDetection) and categories == 91:
        return Description(**about, task="detection", decode=Boxes(), nms_iou=None)
    if isinstance(transform, ImageClassification) and categories == 1000:
        return Description(**about, task="classification", input=_input(transform), decode=Logits())
    raise ConfigError(f"{model} is neither a classifier of ImageNet-1k nor a detector of COCO")


def _input(transform: Any) -> Input:
    side = transform.crop_size[0]
    resize = ShorterSideCrop(
        shorter=transform.resize_size[0], interpolation=_INTERPOLATIONS[transform.interpolation.value]
    )
    return Input(height=side, width=side, mean=_levels(transform.mean), std=_levels(transform.std), resize=resize)


def _levels(channels: list[float]) -> Channels:
    """From the scale 0..1 to 0..255."""
    red, green, blue = (255 * value for value in channels)
    return red, green, blue
