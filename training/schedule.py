"""How fast a network learns at each step."""

import math
from collections.abc import Sequence

from training.recipe import Recipe


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """The part of the recipe's learning rate at a step, counted from 0, of so many: in (0, 1].

    A straight warm-up from one step's part, then the schedule.
    """
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule in {"constant", "plateau"}:
        return 1.0
    done = (step - warmup) / max(1, steps - warmup)
    left = (1 - done) ** recipe.power if recipe.schedule == "polynomial" else (1 + math.cos(math.pi * done)) / 2
    return recipe.last_rate + (1 - recipe.last_rate) * left


def plateau_share(recipe: Recipe, errors: Sequence[float]) -> float:
    """The part of the rate that is left after so many validations, by their errors: 1 without the schedule ``plateau``.

    After a drop, the patience begins anew; the least error so far stays the one to fall below.
    """
    if recipe.schedule != "plateau":
        return 1.0
    least, waited, dropped = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < least else waited + 1
        least = min(least, error)
        if waited == recipe.patience:
            waited, dropped = 0, dropped + 1
    return float(recipe.drop ** (dropped if recipe.drops is None else min(dropped, recipe.drops)))


def mean_decay(recipe: Recipe, step: int) -> float:
    """What the running mean of the weights keeps at a step: less at first, so that it forgets where it began."""
    return min(recipe.ema_decay, (step + 1) / (step + 10))
