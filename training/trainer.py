"""The loop that fits a network: it knows batches, losses and steps, not what is learned.

All that is random at a step comes of the run's seed and the step's number, so a run that was stopped goes on to the
same weights, and equal runs on equal threads give equal bytes.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from runtime.errors import ConfigError
from training.feeder import made_ahead
from training.progress_log import VALIDATIONS, ProgressLog, column
from training.recipe import Recipe
from training.schedule import mean_decay, plateau_share, rate_share
from training.snapshot import Snapshot, Tensors, load_snapshot, save_snapshot

AHEAD = 3
"""Batches that wait for their step."""


class Task(Protocol):
    """What is learned."""

    def batch(self, step: int) -> Any:
        """A step's batch: settled by the step's number alone; called in worker threads, for steps ahead."""

    def losses(self, network: nn.Module, batch: Any) -> dict[str, Tensor]:
        """``loss``, which is minimised, and its parts, which are logged: scalars, whose names end in ``loss``."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Measures of a network in evaluation mode; the same names each time.

        ``error`` among them is what the schedule ``plateau`` watches.
        """

    def is_new(self, parameter: str) -> bool:
        """Whether a parameter, by name, is of the layers that learn at the recipe's ``head_rate``."""


@dataclass(frozen=True)
class Plan:
    """How long a run is, and when it does what; in steps."""

    steps: int
    validate_every: int
    """And after the last step."""
    snapshot_every: int
    seed: int = 0
    workers: int = 1
    """Threads that make batches."""
    device: str = "cpu"


class Trainer:
    """Fits one network, and keeps snapshots and logs in a folder."""

    def __init__(self, network: nn.Module, task: Task, recipe: Recipe, plan: Plan, folder: Path) -> None:
        self._network = network.to(device=plan.device, memory_format=torch.channels_last)
        self._task, self._recipe, self._plan, self._folder = task, recipe, plan, folder
        self._optimizer = _optimizer(network, task, recipe)
        self._means = {name: value.detach().clone() for name, value in _floats(network)} if recipe.ema_decay else {}
        self._left = 1.0  # of the rate, after the plateaus so far

    def fit(self, *, watch: Callable[[int], None] = lambda _: None) -> nn.Module:
        """Do the steps that are left; returns the network, in evaluation mode, with its trained weights.

        Args:
            watch: called with the steps done, first with those that an earlier run did.

        Raises:
            ConfigError: the loss is no longer finite, or the snapshot there is not this network's.
        """
        plan = self._plan
        done = self._restore()
        watch(done)
        log = ProgressLog(self._folder, after=done)
        self._left = self._after_plateaus()
        with contextlib.closing(self._batches(done)) as batches:
            for step, batch in enumerate(batches, start=done):
                log.step({"step": step + 1, **self._step(step, batch)})
                if (step + 1) % plan.validate_every == 0 or step + 1 == plan.steps:
                    log.validation({"step": step + 1, **self._validate()})
                    self._left = self._after_plateaus()
                if (step + 1) % plan.snapshot_every == 0 or step + 1 == plan.steps:
                    save_snapshot(self._folder, self._snapshot(step + 1))
                watch(step + 1)
        _swap(self._network, self._means)
        return self._network.eval()

    def _batches(self, done: int) -> Generator[Any]:
        return made_ahead(self._task.batch, range(done, self._plan.steps), workers=self._plan.workers, ahead=AHEAD)

    def _after_plateaus(self) -> float:
        """From the log, which a run that is resumed goes on with: nothing else need be kept."""
        return plateau_share(self._recipe, column(self._folder, VALIDATIONS, "error"))

    def _step(self, step: int, batch: Any) -> dict[str, float]:
        began = time.perf_counter()
        torch.manual_seed(_seed(self._plan.seed, step))
        share = self._left * rate_share(self._recipe, step, self._plan.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = group["full_rate"] * share
        self._network.train()
        with self._autocast():
            losses = self._task.losses(self._network, batch)
        losses["loss"].backward()
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average(step)
        values = {name: value.item() for name, value in losses.items()}
        if not torch.isfinite(torch.tensor(values["loss"])):
            raise ConfigError(
                f"the loss of step {step + 1} is {values['loss']}: the learning rate {self._recipe.learning_rate:g} "
                "is too high for this network; begin anew, in another folder, with a lower one or with clip_norm"
            )
        seconds = time.perf_counter() - began
        return {**values, "learning_rate": self._recipe.learning_rate * share, "step_s": seconds}

    def _autocast(self) -> Any:
        lower = self._recipe.precision == "bfloat16"
        return torch.autocast(torch.device(self._plan.device).type, torch.bfloat16, enabled=lower)

    @torch.no_grad()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
    def _average(self, step: int) -> None:
        kept = mean_decay(self._recipe, step)
        for name, value in _floats(self._network):
            if name in self._means:
                self._means[name].lerp_(value, 1 - kept)

    def _validate(self) -> dict[str, float]:
        _swap(self._network, self._means)
        with torch.inference_mode(), self._autocast():
            found = self._task.validate(self._network.eval())
        _swap(self._network, self._means)
        if self._recipe.schedule == "plateau" and "error" not in found:
            raise ConfigError(f"schedule plateau watches the error of validations, and they tell {', '.join(found)}")
        return found

    def _snapshot(self, step: int) -> Snapshot:
        network = {**self._network.state_dict(), **{f"mean:{name}": value for name, value in self._means.items()}}
        optimizer = {
            f"{place}:{name}": value
            for place, own in self._optimizer.state_dict()["state"].items()
            for name, value in own.items()
            if value is not None
        }
        return Snapshot(step, network, optimizer)

    def _restore(self) -> int:
        snapshot = load_snapshot(self._folder)
        if snapshot is None:
            return 0
        weights = {name: value for name, value in snapshot.network.items() if not name.startswith("mean:")}
        try:
            self._network.load_state_dict(weights, strict=True)
            for name, value in self._means.items():
                value.copy_(snapshot.network[f"mean:{name}"])
            self._load_optimizer(snapshot.optimizer)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ConfigError(f"{self._folder}: the snapshot there is another network's; begin anew") from error
        return snapshot.step

    def _load_optimizer(self, tensors: Tensors) -> None:
        state: dict[int, Tensors] = {}
        for name, value in tensors.items():
            place, _, own = name.partition(":")
            state.setdefault(int(place), {})[own] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})


def _optimizer(network: nn.Module, task: Task, recipe: Recipe) -> torch.optim.Optimizer:
    groups = []
    for new in (False, True):
        for plain in (False, True):
            parameters = [
                value
                for name, value in network.named_parameters()
                if value.requires_grad and task.is_new(name) == new and (value.ndim > 1 or recipe.decay_all) != plain
            ]
            rate = recipe.learning_rate * (recipe.head_rate if new else 1)
            decay = 0.0 if plain else recipe.weight_decay
            groups.append({"params": parameters, "lr": rate, "full_rate": rate, "weight_decay": decay})
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)


def _floats(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and running statistics; a counter has no mean."""
    return ((name, value) for name, value in network.state_dict().items() if value.is_floating_point())


@torch.no_grad()  # type: ignore[untyped-decorator] # as above
def _swap(network: nn.Module, means: Tensors) -> None:
    """Exchange the network's weights and their means."""
    for name, value in _floats(network):
        if name in means:
            held = value.clone()
            value.copy_(means[name])
            means[name].copy_(held)


def _seed(seed: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{step}".encode()).digest()[:7])
