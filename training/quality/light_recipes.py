"""How the network that is served is fitted on two CPU cores."""

from typing import Annotated

from pydantic import Field

from training.recipe import Recipe


class LightRecipe(Recipe):
    """What ``Recipe`` does not know. A batch holds pairs of pictures, so its size is even."""

    least_window: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of a picture's height and width, what is shown at least."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    votes: Annotated[float, Field(ge=0)] = 1.0
    """What DeepRN's loss (Huber, on the shares of the votes) counts; it sees shares, not their order."""
    cumulative: Annotated[float, Field(ge=0)] = 2.0
    """What the squared earth mover's distance counts (NIMA, Eq. 1): a vote of 1 for 5 is a greater error than for 2."""
    rank: Annotated[float, Field(ge=0)] = 0.5
    """What the order within pairs counts."""
    huber_delta: Annotated[float, Field(gt=0)] = 1 / 9


RECIPES: dict[str, LightRecipe] = {
    "light": LightRecipe(
        optimizer="adamw",
        learning_rate=3e-4,
        head_rate=3,
        weight_decay=0.01,
        batch_size=32,
        epochs=6,
        schedule="cosine",
        last_rate=0.01,
        warmup=0.03,
        clip_norm=5.0,
        ema_decay=0.998,
        precision="bfloat16",
    ),
}
