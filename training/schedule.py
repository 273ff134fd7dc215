"""How fast a network learns at each step."""

import math

from training.recipe import Recipe


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """The part of the recipe's learning rate at a step, counted from 0, of so many: in (0, 1].

    A straight warm-up from one step's part, then the schedule.
    """
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, steps - warmup)
    left = (1 - done) ** recipe.power if recipe.schedule == "polynomial" else (1 + math.cos(math.pi * done)) / 2
    return recipe.last_rate + (1 - recipe.last_rate) * left


def mean_decay(recipe: Recipe, step: int) -> float:
    """What the running mean of the weights keeps at a step: less at first, so that it forgets where it began."""
    return min(recipe.ema_decay, (step + 1) / (step + 10))
