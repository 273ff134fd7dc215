"""The served no-reference network as something the trainer can fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from runtime.heads import OPINIONS
from runtime.manifest import Head, Input, Patches, QualityHead, Resize
from runtime.preprocess import Preprocessor
from training.cover.training import as_tensor
from training.data.picture import read_picture
from training.models.quality_head import VOTES
from training.models.quality_light import HEIGHT_PX, OUTPUT, PATCH_PX, WIDTH_PX
from training.quality.light_recipes import LightRecipe
from training.quality.losses import huber, ranking_loss, squared_emd
from training.quality.rated import RatedSet
from training.quality.samples import Batch, Pairs, shown
from training.quality.target import Target

GRID = Patches(rows=3, columns=3)
TRAINING_GRID = Patches(rows=2, columns=2)
"""Fewer patches of a window that is drawn anew each time cost less, and lie everywhere in the end."""
THRESHOLD = 2.0
"""Below it the gateway drops a frame, unless the operator says otherwise: most people call it poor."""


def light_inputs(grid: Patches = GRID) -> tuple[Input, Input]:
    """What the network is shown: the whole picture, and patches of it."""
    resize = Resize(scaled_decode=True)
    return (
        Input(name="frames", height=HEIGHT_PX, width=WIDTH_PX, resize=resize),
        Input(name="patches", height=PATCH_PX, width=PATCH_PX, resize=resize, patches=grid),
    )


def light_heads() -> tuple[Head, ...]:
    """What it answers."""
    return (QualityHead(output=OUTPUT, threshold=THRESHOLD),)


@dataclass(frozen=True)
class Validation:
    """Pictures that nothing is learned from, each seen whole, as the gateway sees it."""

    sets: Sequence[RatedSet]

    def pictures(self) -> list[tuple[Path, float, float]]:
        """Paths with their scores and the opinions of them, both in [1, 5]."""
        return [
            (picture.path, float(mos), float(opinion))
            for rated in self.sets
            for picture, mos, opinion in zip(rated.pictures, rated.mos5(), rated.opinions(), strict=True)
        ]


class LightTask:
    """See ``training.trainer.Task``.

    Args:
        sets: what is learned, with targets.
        validation: for the curves alone.
        recipe: how it is learned.
        seed: settles all that is drawn.
        device: PyTorch's name of it.

    Raises:
        ConfigError: there is nothing to learn from.
    """

    def __init__(
        self,
        sets: Sequence[tuple[RatedSet, Sequence[Target]]],
        validation: Validation,
        recipe: LightRecipe,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self._pairs = Pairs(sets, light_inputs(TRAINING_GRID), recipe.least_window, seed)
        self._validation, self._recipe, self._device = validation, recipe, device

    def __len__(self) -> int:
        """Pairs that teach."""
        return len(self._pairs)

    @property
    def epoch_steps(self) -> int:
        """Batches with as many pairs as there are."""
        return -(-2 * len(self._pairs) // self._recipe.batch_size)

    def batch(self, step: int) -> Batch:
        return self._pairs.batch(step, max(1, self._recipe.batch_size // 2))

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        features = network.features(*(as_tensor(pixels, self._device) for pixels in batch.inputs))
        with torch.autocast(torch.device(self._device).type, enabled=False):  # bfloat16's steps are half a level
            found = torch.softmax(network.head(features), dim=1)
            opinion = found @ VOTES.to(found)
        wanted, mos, pair, level = (
            torch.from_numpy(own).to(self._device) for own in (batch.distribution, batch.mos, batch.pair, batch.level)
        )
        parts = {
            "votes_loss": huber(found, wanted, self._recipe.huber_delta),
            "cumulative_loss": squared_emd(found, wanted),
            "rank_loss": ranking_loss(opinion, mos, pair, level),
        }
        recipe = self._recipe
        loss = (
            recipe.votes * parts["votes_loss"]
            + recipe.cumulative * parts["cumulative_loss"]
            + recipe.rank * parts["rank_loss"]
        )
        return {"loss": loss, **parts}

    def validate(self, network: nn.Module) -> dict[str, float]:
        preprocessors = [Preprocessor(spec) for spec in light_inputs()]
        truth, opinions, predicted = [], [], []
        for path, mos, opinion in self._validation.pictures():
            inputs = [as_tensor(slot[None], self._device) for slot in shown(read_picture(path), preprocessors)]
            shares = network(*inputs)[OUTPUT][0].float().cpu().numpy()
            truth.append(mos)
            opinions.append(opinion)
            predicted.append(float(shares @ OPINIONS))
        if not truth:  # published sets without sides of their own
            return {"srocc": float("nan"), "rmse": float("nan")}
        error = np.array(predicted) - opinions
        return {
            "srocc": float(spearmanr(truth, predicted).statistic),
            "rmse": float(np.sqrt(np.mean(error**2))),
        }

    def is_new(self, parameter: str) -> bool:
        return not parameter.startswith(("far.", "near."))
