"""DeepRN's second stage as something the trainer can fit: from kept features to the shares of the votes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runtime.heads import OPINIONS
from training.data.order import Order
from training.metrics.opinion import srocc
from training.quality.deeprn_recipes import DeepRNRecipe
from training.quality.features import Features
from training.quality.losses import euclidean, huber, mos_euclidean
from training.quality.teachers import Teachers

VALIDATION_BATCH = 256


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    features: NDArray[np.float32]
    """(n, features)."""
    shares: NDArray[np.float32]
    """(n, 5)."""
    mos: NDArray[np.float32]
    """(n,) in [1, 5]."""


class SharesTask:
    """See ``training.trainer.Task``.

    Args:
        teachers: what is learned.
        features: of the teachers, one table for each of their changed copies.
        validation: what tells how it goes.
        held: the features of the validation's pictures as they are.
        recipe: of both stages.
        seed: settles all that is drawn.
        device: PyTorch's name of it.
    """

    def __init__(
        self,
        teachers: Teachers,
        features: Sequence[Features],
        validation: Teachers,
        held: Features,
        recipe: DeepRNRecipe,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self._teachers, self._features, self._validation, self._held = teachers, features, validation, held
        self._recipe, self._device = recipe, device
        self._order = Order(len(teachers) * len(features), seed)

    @property
    def epoch_steps(self) -> int:
        """Batches with each copy of each picture once."""
        return -(-self._order.epoch_length // self._recipe.shares.batch_size)

    def batch(self, step: int) -> Batch:
        places, _ = self._order.batch(step, self._recipe.shares.batch_size)
        numbers, pictures = np.divmod(places, len(self._teachers))
        rows = [self._features[number][picture] for number, picture in zip(numbers, pictures, strict=True)]
        return Batch(np.stack(rows), self._teachers.shares[pictures], self._teachers.mos[pictures])

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._loss(network(self._tensor(batch.features)), batch.shares, batch.mos)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """``error``: the loss; beside it what is asked for in the end, of the mean opinion scores."""
        lost, scores = 0.0, []
        for start in range(0, len(self._validation), VALIDATION_BATCH):
            part = slice(start, start + VALIDATION_BATCH)
            features = self._tensor(np.array(self._held[part]))  # the file is mapped read-only
            loss = self._loss(network(features), self._validation.shares[part], self._validation.mos[part])
            lost += float(loss) * len(features)
            scores.append(network.shares(features).cpu().numpy() @ OPINIONS)
        found, mos = np.concatenate(scores), self._validation.mos.astype(np.float64)
        opinions = mos if self._recipe.head == "mos" else self._validation.shares @ OPINIONS
        rmse = float(np.sqrt(np.mean((found - opinions) ** 2)))
        return {"error": lost / len(self._validation), "rmse": rmse, "srocc": srocc(mos, found)}

    def is_new(self, parameter: str) -> bool:
        return False

    def _loss(self, found: Tensor, shares: NDArray[np.float32], mos: NDArray[np.float32]) -> Tensor:
        if self._recipe.head == "mos":
            return mos_euclidean(found, self._tensor(mos))
        if self._recipe.loss == "euclidean":
            return euclidean(found, self._tensor(shares))
        return huber(found, self._tensor(shares), self._recipe.huber_delta)

    def _tensor(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values).to(self._device)
