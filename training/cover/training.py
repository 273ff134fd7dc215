"""Cover networks as something the trainer can fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.cover.cover_set import CoverSet
from training.cover.drawing import Drawing, Part
from training.cover.loss import clarity_losses, gated, mask_losses, overlap_losses
from training.cover.recipes import CoverRecipe
from training.cover.validation import Validation
from training.cover.views import Views
from training.models.clarity import OUTPUT as CLARITY
from training.models.mask_decoder import OUTPUT as SALIENCY

OLD_PARTS = ("trunk.", "encoder.")
"""Of the networks' parameters: what had weights before, and learns at the lower rate."""


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    inputs: tuple[Pixels, ...]
    """Per input of the network: (n, ..., 3) uint8 RGB."""
    scores: NDArray[np.float32]
    """(n,) in [1, 10]; NaN where unknown."""
    wanted: NDArray[np.float32]
    """(n, height, width)."""
    counted: NDArray[np.float32]
    """(n, height, width)."""


class CoverTask:
    """See ``training.trainer.Task``.

    Args:
        parts: the sets, their training splits.
        validation: after an epoch; None: nothing is validated.
        views: what the network is shown.
        tasks: that the network has, but for one that is fixed.
        recipe: what is learned, and how.
        seed: settles all that is drawn.
        device: PyTorch's name of it.

    Raises:
        ConfigError: a set has nothing to learn from, or nothing teaches one of the tasks.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        validation: Validation,
        views: Views,
        tasks: Sequence[str],
        recipe: CoverRecipe,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        _require_teachers(parts, tasks, recipe.gate)
        self._drawing = Drawing(parts, views, recipe, seed)
        self._validation, self._recipe, self._device = validation, recipe, device

    def __len__(self) -> int:
        """Samples that teach."""
        return len(self._drawing)

    @property
    def epoch_steps(self) -> int:
        """Batches with as many samples as there are."""
        return -(-len(self._drawing) // self._recipe.batch_size)

    def batch(self, step: int) -> Batch:
        size = self._recipe.batch_size
        drawn = [self._drawing.draw(place) for place in range(step * size, (step + 1) * size)]
        views = [view for _, view in drawn]
        return Batch(
            tuple(np.stack(each) for each in zip(*(view.inputs for view in views), strict=True)),
            np.array([np.nan if one.score is None else one.score for one, _ in drawn], np.float32),
            np.stack([view.wanted for view in views]),
            np.stack([view.counted for view in views]),
        )

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        logits = network.logits(*(as_tensor(pixels, self._device) for pixels in batch.inputs))
        scores, wanted, counted = (
            torch.from_numpy(own).to(self._device) for own in (batch.scores, batch.wanted, batch.counted)
        )
        parts: dict[str, Tensor] = {}
        loss = torch.zeros((), device=self._device)
        if CLARITY in logits:
            parts["clarity_loss"] = clarity_losses(logits[CLARITY], scores).mean()
            loss = loss + parts["clarity_loss"]
        if SALIENCY in logits and logits[SALIENCY].requires_grad:  # not where it is fixed: the second of two stages
            found = _at_size(network, logits[SALIENCY], wanted.shape[1:])
            masks = mask_losses(found, wanted, counted)
            if self._recipe.overlap:
                masks = masks + self._recipe.overlap * overlap_losses(found, wanted, counted)
            parts["mask_loss"] = gated(masks, scores, self._recipe.gate).mean()
            loss = loss + self._recipe.balance * parts["mask_loss"]
        return {"loss": loss, **parts}

    def validate(self, network: nn.Module) -> dict[str, float]:
        def judge(inputs: Sequence[Pixels], size: tuple[int, int]) -> dict[str, NDArray[Any]]:
            outputs = network(*(as_tensor(pixels, self._device) for pixels in inputs))
            if SALIENCY in outputs:
                outputs[SALIENCY] = _at_size(network, outputs[SALIENCY], size)
            return {name: values.float().cpu().numpy() for name, values in outputs.items()}

        return self._validation.run(judge)

    def is_new(self, parameter: str) -> bool:
        return not parameter.startswith(OLD_PARTS)


def as_tensor(pixels: Pixels, device: str) -> Tensor:
    """Channels last, uint8 -> channels first, float, in the memory order that convolutions on CPUs like best."""
    tensor = torch.from_numpy(pixels).to(device)
    last = tensor.ndim - 1
    found: Tensor = tensor.permute(*range(last - 2), last, last - 2, last - 1).float()
    return found


def training_parts(sets: Sequence[CoverSet], shares: Sequence[float]) -> list[Part]:
    """What is learned from: the sets' training splits."""
    return [Part(one.of_split("train"), share) for one, share in zip(sets, shares, strict=True)]


def _at_size(network: nn.Module, maps: Tensor, size: Sequence[int]) -> Tensor:
    """The paper's networks answer at a quarter of the size, and say where their cells lie."""
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    found: Tensor = network.enlarge(maps, tuple(size))
    return found


def _require_teachers(parts: Sequence[Part], tasks: Sequence[str], gate: float) -> None:
    """Each task needs a sample that knows its truth: else it would be saved as it began."""
    samples = [sample for part in parts for sample in part.samples.samples]
    names = ", ".join(part.samples.name for part in parts)
    if CLARITY in tasks and all(sample.score is None for sample in samples):
        raise ConfigError(f"{names}: no sample has a score, so nothing teaches clarity; train --tasks saliency alone")
    if SALIENCY in tasks and not any(
        sample.mask is not None and (sample.score is None or sample.score > gate) for sample in samples
    ):
        raise ConfigError(
            f"{names}: no sample above the gate of {gate:g} has a mask, so nothing teaches saliency; "
            "add a set with masks, or train --tasks clarity alone"
        )
