"""DeepRN's networks as a recipe asks for them, and its trunk on disk between the two stages."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from runtime.errors import ConfigError
from runtime.manifest import Head, Input, QualityHead
from training.files import write_whole
from training.models.deeprn import OUTPUT, DeepRN, QualityClassifier, deeprn
from training.models.deeprn_trunk import DeepRNTrunk, freeze, load_imagenet_trunk
from training.quality.deeprn_recipes import DeepRNRecipe

ARCHITECTURE = "deeprn"
IMAGENET, NONE = "imagenet", "none"
"""Instead of a file: the weights of the trunk's package, or random ones."""
THRESHOLD = 2.0
"""Below it the gateway drops a frame, unless the operator says otherwise: most people call it poor."""


def classifier(recipe: DeepRNRecipe, weights: str, seed: int) -> QualityClassifier:
    """What the first stage fits; its last layer comes of the seed.

    Args:
        recipe: which trunk, and how much of it stays as it is; nothing does of random weights.
        weights: ``imagenet``, ``none``, or torchvision's file of ResNet-101.
        seed: of the random weights.

    Raises:
        ConfigError: the weights cannot be had, or are another network's.
    """
    torch.manual_seed(seed)
    network = QualityClassifier(DeepRNTrunk(recipe.trunk))
    if weights != NONE:
        load_imagenet_trunk(network.trunk, recipe.trunk, None if weights == IMAGENET else Path(weights))
        freeze(network.trunk, recipe.frozen_layers)
    return network


def arguments_of(recipe: DeepRNRecipe) -> dict[str, Any]:
    """By which a checkpoint makes the network again."""
    return {
        "trunk": recipe.trunk,
        "levels": list(recipe.levels),
        "pool": recipe.pool,
        "edges": recipe.edges,
        "widths": list(recipe.widths),
        "answer": "mos" if recipe.head == "mos" else recipe.answer,
        "normalise": recipe.normalise,
        "dropout": recipe.dropout,
    }


def whole_network(recipe: DeepRNRecipe, trunk: Path, seed: int) -> DeepRN:
    """What the second stage completes: a trained trunk, and fully connected layers that come of the seed.

    Args:
        recipe: of the network.
        trunk: what ``save_trunk`` wrote.
        seed: of the random weights.

    Raises:
        ConfigError: the file cannot be read, or is another trunk's.
    """
    torch.manual_seed(seed)
    network = deeprn(**arguments_of(recipe))
    try:
        network.trunk.load_state_dict(load(trunk.read_bytes()), strict=True)
    except OSError as error:
        raise ConfigError(f"{trunk}: {error.strerror}; the trunk.safetensors of a `train deeprn` run is due") from error
    except (RuntimeError, SafetensorError) as error:
        first = " ".join(str(error).split("\n\t")[:3])  # torch lists every weight
        raise ConfigError(f"{trunk}: not the trunk {recipe.trunk} that `train deeprn` writes: {first}") from error
    return network


def save_trunk(path: Path, trunk: DeepRNTrunk) -> None:
    """Write the weights of a trunk; the file is replaced whole."""
    write_whole(path, save({name: value.cpu().contiguous() for name, value in trunk.state_dict().items()}))


def feature_key(recipe: DeepRNRecipe, trunk: Path) -> dict[str, object]:
    """All that features depend on besides the pictures."""
    return {
        "trunk": recipe.trunk,
        "sha256": hashlib.sha256(trunk.read_bytes()).hexdigest(),
        "levels": list(recipe.levels),
        "pool": recipe.pool,
        "edges": recipe.edges,
    }


def deeprn_input(recipe: DeepRNRecipe) -> Input:
    """What the network is served: the whole picture."""
    return Input(name="frames", height=recipe.height_px, width=recipe.width_px)


def deeprn_head() -> Head:
    """What it answers."""
    return QualityHead(output=OUTPUT, threshold=THRESHOLD)
