"""Full-reference networks as something the trainer can fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from runtime.manifest import Head, Input, QualityFrHead
from training.cover.training import as_tensor
from training.metrics.opinion import srocc
from training.models.full_reference import OUTPUT, TILE_PX
from training.quality.fr_recipes import FullReferenceRecipe
from training.quality.fr_samples import Batch, PairPatches, read_pair
from training.quality.fr_scoring import pooled, score_pair
from training.quality.kept_pictures import KeptPictures
from training.quality.rated import RatedSet


def full_reference_inputs() -> tuple[Input, Input]:
    """What the network is shown: tiles of the picture, and the same tiles of its reference."""
    return (
        Input(name="distorted", height=TILE_PX, width=TILE_PX, tiles=True),
        Input(name="reference", height=TILE_PX, width=TILE_PX, tiles=True, of="reference"),
    )


def full_reference_heads(pooling: float = 1.0) -> tuple[Head, ...]:
    """What it answers, and what becomes of a picture's tiles."""
    return (QualityFrHead(output=OUTPUT, pooling=pooling),)


@dataclass(frozen=True)
class Validation:
    """Pictures of contents that nothing is learned from."""

    sets: Sequence[RatedSet]
    pictures: KeptPictures
    pooling: float = 1.0

    def run(self, network: nn.Module, device: str) -> dict[str, float]:
        """``srocc``, the mean of the sets' own, and ``rmse``, in scores; NaN where there is no picture."""
        correlations, errors = [], []
        for rated in self.sets:
            truth = rated.mos5()
            found = np.array(
                [score_pair(network, *read_pair(one, self.pictures), self.pooling, device) for one in rated.pictures]
            )
            if len(truth):
                correlations.append(srocc(truth, found))
                errors.append(found - truth)
        if not errors:
            return {"srocc": float("nan"), "rmse": float("nan")}
        rmse = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
        return {"srocc": float(np.mean(correlations)), "rmse": rmse}


class FullReferenceTask:
    """See ``training.trainer.Task``."""

    def __init__(
        self, patches: PairPatches, validation: Validation, recipe: FullReferenceRecipe, *, device: str = "cpu"
    ) -> None:
        self._patches, self._validation, self._recipe, self._device = patches, validation, recipe, device

    def batch(self, step: int) -> Batch:
        return self._patches.batch(step)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Eq. 3, squared: as printed it is the error's size, and its two scores are one.

        And what the recipe asks for answers beyond the best.
        """
        found = network.raw(*(as_tensor(pixels, self._device) for pixels in (batch.distorted, batch.reference)))
        share = torch.from_numpy(batch.share).to(self._device)
        if not self._recipe.whole:
            return {"loss": nn.functional.mse_loss(found, share)}
        beyond = nn.functional.relu(found - 1).square().mean() if self._recipe.pooling > 1 else found.new_zeros(())
        found = pooled(found.reshape(-1, self._recipe.patches), self._recipe.pooling)
        error = nn.functional.mse_loss(found, share[:: self._recipe.patches])
        return {"loss": error + self._recipe.beyond * beyond}

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self._validation.run(network, self._device)

    def is_new(self, parameter: str) -> bool:
        """All are: nothing was trained before."""
        return True
