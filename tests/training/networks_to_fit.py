"""A network that fits in a second, what it learns, and a program that fits it: ``python -m ... FOLDER STEPS PAUSE_S``.

The task is a line through points; batches and mirroring are drawn as the real ones are, from the step's number.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.recipe import Recipe
from training.trainer import Plan, Trainer

RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=0.02,
    head_rate=2,
    weight_decay=0.01,
    decay_all=False,
    schedule="cosine",
    warmup=0.2,
    ema_decay=0.9,
    clip_norm=1.0,
)


class Line:
    """Learns a plane; dropout makes the steps draw random numbers of their own."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s
        self.validations = 0

    def batch(self, step: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(step).standard_normal((16, 4)).astype(np.float32))

    def losses(self, network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        time.sleep(self._pause_s)
        found = network(batch).squeeze(1)
        return {"loss": ((found - batch.sum(dim=1)) ** 2).mean()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert not network.training
        self.validations += 1
        probe = torch.ones(1, 4)
        return {"error": float((network(probe) - 4).abs())}

    def is_new(self, parameter: str) -> bool:
        return parameter.startswith("2.")


def make_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def make_trainer(
    folder: Path, *, steps: int = 20, seed: int = 0, recipe: Recipe = RECIPE, pause_s: float = 0.0, every: int = 5
) -> Trainer:
    plan = Plan(steps=steps, validate_every=7, snapshot_every=every, seed=seed, workers=2)
    return Trainer(make_network(), Line(pause_s), recipe, plan, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_trainer(Path(sys.argv[1]), steps=int(sys.argv[2]), pause_s=float(sys.argv[3])).fit()
