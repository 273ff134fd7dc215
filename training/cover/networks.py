"""The cover networks by name: how each is made, what it is shown, and what a checkpoint says of it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError
from runtime.manifest import ClarityHead, Head, Input, Patches, Resize, SaliencyHead
from training.checkpoint import load_checkpoint
from training.cover.recipes import ENCODERS, LIGHT, OF_ENCODERS, OF_LIGHT, CoverRecipe
from training.cover.views import CropViews, ServedViews, Views
from training.models.clarity import OUTPUT as CLARITY
from training.models.cover_deeplab import TASKS, cover_deeplab, load_imagenet_encoder
from training.models.cover_light import HEIGHT_PX, PATCH_PX, WIDTH_PX, cover_light, freeze, load_imagenet_trunk
from training.models.mask_decoder import OUTPUT as SALIENCY

IMAGENET, NONE = "imagenet", "none"
"""Instead of a file: the published weights, or random ones."""
GRID = Patches(rows=4, columns=5)
TRAINING_GRID = Patches(rows=2, columns=4)
"""Fewer patches of a window that is drawn anew each time cost less, and lie everywhere in the end."""
LICENCES = {
    LIGHT: "Apache-2.0",
    "efficientnet-lite0": "Apache-2.0",
    "mobilenetv2": "Apache-2.0",
    "xception": "Apache-2.0",
    "resnet101": "BSD-3-Clause",
}
"""Of the weights that training begins with."""


@dataclass(frozen=True)
class Made:
    """A network to be trained, and all that goes with it."""

    network: nn.Module
    architecture: str
    arguments: dict[str, Any]
    """By which a checkpoint makes it again."""
    inputs: tuple[Input, ...]
    heads: tuple[Head, ...]
    dynamic_size: bool
    views: Views
    """What it learns from."""
    whole_views: Views
    """What it is validated on."""


def make_network(name: str, recipe: CoverRecipe, tasks: Sequence[str], weights: str, seed: int) -> Made:
    """A network by its name; new layers come of the seed.

    Args:
        name: one of ``recipes.NETWORKS``.
        recipe: its width and what it sees.
        tasks: of ``TASKS``; ``light`` has both.
        weights: ``imagenet``, ``none``, a file of its encoder's, or for ``light`` the stem of a checkpoint to go on
            from.
        seed: of the random weights.

    Raises:
        ConfigError: the weights cannot be had, ``light`` is asked for one task, or the recipe changes what another
            network has.
    """
    _require_read(name, recipe)
    torch.manual_seed(seed)
    return _light(recipe, tasks, weights) if name == LIGHT else _deeplab(name, recipe, tasks, weights)


def _require_read(name: str, recipe: CoverRecipe) -> None:
    """What the network does not read must not be in the recipe: nobody would notice."""
    usual = CoverRecipe()
    unread = [
        field
        for field in (OF_ENCODERS if name == LIGHT else OF_LIGHT)
        if getattr(recipe, field) != getattr(usual, field)
    ]
    if unread:
        others = ", ".join(ENCODERS) if name == LIGHT else LIGHT
        raise ConfigError(f"{', '.join(unread)}: the network {name} has no such thing, only {others}; leave it out")


def _light(recipe: CoverRecipe, tasks: Sequence[str], weights: str) -> Made:
    if set(tasks) != set(TASKS):
        raise ConfigError(f"--tasks {' '.join(tasks)}: the network {LIGHT} has both; take one of {', '.join(ENCODERS)}")
    arguments: dict[str, Any] = {"dropout": recipe.dropout}
    network = cover_light(**arguments)
    if weights == IMAGENET:
        load_imagenet_trunk(network)
    elif weights != NONE:
        network.load_state_dict(_trained_light(Path(weights)), strict=True)
    if weights != NONE:
        freeze(network, recipe.frozen_stages)  # random weights have nothing to keep
    inputs = light_inputs()
    seen = (inputs[0], inputs[1].model_copy(update={"patches": TRAINING_GRID}))
    size = (HEIGHT_PX // 2, WIDTH_PX // 2)
    return Made(
        network=network,
        architecture="cover-light",
        arguments=arguments,
        inputs=inputs,
        heads=(ClarityHead(output=CLARITY), SaliencyHead(output=SALIENCY, height=size[0], width=size[1])),
        dynamic_size=True,
        views=ServedViews(seen, size, recipe),
        whole_views=ServedViews(inputs, size, recipe),
    )


def _trained_light(stem: Path) -> Mapping[str, Tensor]:
    """The weights of a checkpoint of ``light``.

    Raises:
        ConfigError: it cannot be read, or is another network's.
    """
    checkpoint = load_checkpoint(stem)
    if checkpoint.description.architecture != "cover-light":
        raise ConfigError(
            f"--weights {stem}: a checkpoint of {checkpoint.description.architecture}; the network {LIGHT} begins with "
            "imagenet, none, or a checkpoint of its own"
        )
    weights: Mapping[str, Tensor] = checkpoint.network.state_dict()
    return weights


def light_inputs() -> tuple[Input, Input]:
    """What ``light`` is served: the whole picture, and patches of it."""
    resize = Resize(scaled_decode=True)
    return (
        Input(name="frames", height=HEIGHT_PX, width=WIDTH_PX, resize=resize),
        Input(name="patches", height=PATCH_PX, width=PATCH_PX, resize=resize, patches=GRID),
    )


def _deeplab(name: str, recipe: CoverRecipe, tasks: Sequence[str], weights: str) -> Made:
    ordered = [task for task in TASKS if task in tasks]
    arguments: dict[str, Any] = {
        "encoder": name,
        "tasks": ordered,
        "width": recipe.width,
        "separable": recipe.separable,
        "dropout": recipe.dropout,
    }
    network = cover_deeplab(**arguments)
    if weights != NONE:
        load_imagenet_encoder(network, name, None if weights == IMAGENET else Path(weights))
    side = recipe.crop_px
    with torch.inference_mode():
        outputs = network(torch.zeros(1, 3, side, side))
    heads: list[Head] = []
    if CLARITY in outputs:
        heads.append(ClarityHead(output=CLARITY))
    if SALIENCY in outputs:
        height, width = outputs[SALIENCY].shape[1:]
        heads.append(SaliencyHead(output=SALIENCY, height=height, width=width))
    views = CropViews(recipe)
    return Made(
        network=network,
        architecture="cover-deeplab",
        arguments=arguments,
        inputs=(Input(name="frames", height=side, width=side),),
        heads=tuple(heads),
        dynamic_size=True,
        views=views,
        whole_views=views,
    )


def with_clarity(made: Made, first: nn.Module, arguments: dict[str, Any]) -> Made:
    """The second of the paper's two stages (section 4.2): a clarity branch on what a segmentation network sees.

    Args:
        made: with both tasks; its encoder, pyramid and decoder become those of ``first``, and are fixed.
        first: a network with the one task of segmentation, trained.
        arguments: by which ``first`` was made.

    Raises:
        ConfigError: ``first`` is another network.
    """
    wanted = {**made.arguments, "tasks": [SALIENCY]}
    if arguments != wanted:
        raise ConfigError(f"--first-stage is a network of {arguments}, and the second stage asks for {wanted}")
    network: Any = copy.deepcopy(made.network)
    own = network.state_dict()
    network.load_state_dict({**own, **first.state_dict()}, strict=True)
    network.fix_shared()
    return Made(**{**made.__dict__, "network": network})
