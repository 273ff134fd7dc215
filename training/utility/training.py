"""A network that learns utility from a set of labels."""

import copy
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from runtime.errors import ConfigError
from runtime.manifest import Input, Resize
from training.data.order import Order
from training.models.confidence import OUTPUT
from training.models.efficientnet_lite import SIDE_PX
from training.models.resnet import load_resnet18, resnet18_utility
from training.models.utility import CLASSES, efficientnet_lite0_utility, freeze, load_imagenet_trunk
from training.utility.label_set import LabelSet
from training.utility.recipes import UtilityRecipe
from training.utility.samples import SamplePictures, require_sources
from training.utility.targets import Targets, targets_of
from training.utility.validation import Validation, validation_samples

INPUT = Input(name="frames", height=SIDE_PX, width=SIDE_PX, resize=Resize(fit="crop", halve=True, scaled_decode=True))
IMAGENET, NONE = "imagenet", "none"
"""Instead of a file: the weights that the network's package publishes, or random ones."""


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    pixels: NDArray[np.uint8]
    """(n, height, width, 3) RGB."""
    utility: NDArray[np.float32]
    """(n,) in [0, 1]."""
    weight: NDArray[np.float32]
    """(n,) in (0, 1]."""
    top_classes: NDArray[np.int16]
    top_probabilities: NDArray[np.float32]


class UtilityTask:
    """See ``training.trainer.Task``."""

    def __init__(
        self,
        labels: LabelSet,
        labellers: Collection[str],
        root: Path,
        recipe: UtilityRecipe,
        *,
        seed: int = 0,
        workers: int = 1,
        validate: int = 2000,
        device: str = "cpu",
        start: nn.Module | None = None,
    ) -> None:
        """Learn from the training split, validate on the test split.

        Args:
            labels: the whole set.
            labellers: its networks that give training labels.
            root: the pictures' folder.
            recipe: what is learned, and how.
            seed: settles order, mirroring, and which samples validate.
            workers: threads that make the validation's pictures.
            validate: at most so many samples of the test split.
            device: PyTorch's name of it.
            start: the network before training, for a recipe that holds the trunk's classifier to it.

        Raises:
            ConfigError: no such networks, nothing to learn from them, or pictures that are not there.
        """
        self._recipe, self._workers, self._device = recipe, workers, device
        self._start = frozen_copy(start, device) if start is not None and recipe.auxiliary == "start" else None
        require_sources(labels, root)
        train = labels.of_split("train").only(labellers)
        if not len(train):
            raise ConfigError(f"{labels.header.name} has no picture to learn from: all are of its test split")
        self._targets = targets_of(train, recipe)
        self._pictures = SamplePictures(train, root, INPUT)
        positive = self._targets.utility > 0.5
        self._order = Order(len(self._targets), seed, positive if recipe.balance else None)
        test = validation_samples(labels, validate, seed)
        self._validation = Validation(test, labellers, recipe, SamplePictures(test, root, INPUT))

    @property
    def targets(self) -> Targets:
        """What is taught."""
        return self._targets

    @property
    def epoch_steps(self) -> int:
        """Batches in which every sample has come."""
        return -(-self._order.epoch_length // self._recipe.batch_size)

    def batch(self, step: int) -> Batch:
        places, coins = self._order.batch(step, self._recipe.batch_size)
        own = self._targets
        pixels = self._pictures.batch(own.sample[places], coins if self._recipe.flip else None)
        return Batch(
            pixels,
            own.utility[places],
            own.weight[places],
            own.top_classes[places],
            own.top_probabilities[places],
        )

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        pixels = self._pixels(batch.pixels)
        logits = network.logits(pixels)
        wanted, weight = (torch.from_numpy(own).to(self._device) for own in (batch.utility, batch.weight))
        each = functional.binary_cross_entropy_with_logits(logits[OUTPUT].float(), wanted, reduction="none")
        utility = (weight * each).sum() / weight.sum()
        if not self._recipe.auxiliary_weight:
            return {"loss": utility}
        auxiliary = self._auxiliary(logits[CLASSES], pixels, batch)
        loss = utility + self._recipe.auxiliary_weight * auxiliary
        return {"loss": loss, "utility_loss": utility, "auxiliary_loss": auxiliary}

    def _auxiliary(self, classes: Tensor, pixels: Tensor, batch: Batch) -> Tensor:
        if self._start is not None:
            with torch.no_grad():
                before = torch.softmax(self._start.logits(pixels)[CLASSES], dim=1)
            divergence: Tensor = functional.kl_div(functional.log_softmax(classes, 1), before, reduction="batchmean")
            return divergence
        top_classes = torch.from_numpy(batch.top_classes.astype(np.int64)).to(self._device)
        probabilities = torch.from_numpy(batch.top_probabilities).to(self._device)
        return sparse_cross_entropy(classes, top_classes, probabilities)

    def validate(self, network: nn.Module) -> dict[str, float]:
        def score(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
            return np.asarray(network(self._pixels(pixels))[OUTPUT].float().cpu().numpy(), np.float64)

        return self._validation.run(score, workers=self._workers)

    def is_new(self, parameter: str) -> bool:
        return parameter.startswith(("head.", "network.fc."))

    def _pixels(self, pixels: NDArray[np.uint8]) -> Tensor:
        """NCHW, in the memory order of NHWC, which convolutions on CPUs like best."""
        pixels_first: Tensor = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()
        return pixels_first


def frozen_copy(network: nn.Module, device: str) -> nn.Module:
    """The network as it is now, which training does not change."""
    kept = copy.deepcopy(network).eval().requires_grad_(False)
    moved: nn.Module = kept.to(device=device, memory_format=torch.channels_last)
    return moved


def sparse_cross_entropy(logits: Tensor, classes: Tensor, probabilities: Tensor) -> Tensor:
    """Cross-entropy against probabilities of which only some are known; what is missing to 1 is left out.

    The mean over the batch.

    Args:
        logits: (batch, classes).
        classes: (batch, k) int64; a class may come more than once.
        probabilities: (batch, k), at least 0.
    """
    logarithms = functional.log_softmax(logits, dim=1)
    loss: Tensor = -(probabilities * logarithms.gather(1, classes)).sum(dim=1).mean()
    return loss


def make_network(name: str, recipe: UtilityRecipe, weights: str, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """A network to be trained, and the arguments by which a checkpoint makes it again; new layers come of the seed.

    Args:
        name: one of ``recipes.NETWORKS``; its architecture is ``NAME-utility``.
        recipe: what EfficientNet-Lite0's head is like.
        weights: ``imagenet``, ``none``, or a file of torchvision's ResNet-18.
        seed: of the random weights.

    Raises:
        ConfigError: the weights cannot be had, or the network has nothing that the recipe asks for.
    """
    torch.manual_seed(seed)
    if name == "resnet18":
        if recipe.auxiliary_weight:
            raise ConfigError(
                "auxiliary_weight: ResNet-18's last layer is the utility's own; take --recipe paper, or set it to 0"
            )
        network = resnet18_utility()
        if weights != NONE:
            load_resnet18(network, None if weights == IMAGENET else Path(weights))
        return network, {}
    if weights not in (IMAGENET, NONE):
        raise ConfigError(f"--weights {weights}: EfficientNet-Lite0 has those of its package, or none")
    arguments: dict[str, Any] = recipe.model_dump(include={"stages", "statistics", "prior", "hidden", "dropout"})
    small = efficientnet_lite0_utility(**arguments)
    if weights == IMAGENET:
        load_imagenet_trunk(small)
        freeze(small, recipe.frozen_stages)  # random weights have nothing to keep
    return small, arguments
