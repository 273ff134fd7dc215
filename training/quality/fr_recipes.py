"""How full-reference networks are fitted: the paper's settings, and what two CPU cores can do."""

from typing import Annotated

from pydantic import Field, model_validator

from training.recipe import Recipe, Share


class FullReferenceRecipe(Recipe):
    """What ``Recipe`` does not know. A batch's samples are patches of 128 x 128 pixels."""

    patches: Annotated[int, Field(ge=1)] = 4
    """Of a picture each time that it is drawn: it is read once for all of them."""
    draws: Annotated[int, Field(ge=1)] = 1
    """How often a picture is drawn in an epoch."""
    whole: bool = False
    """Whether the patches of a picture are joined to one score, which is what is learned. The paper teaches each patch
    the picture's score; but where a distortion is local, most patches show none of it."""
    pooling: Annotated[float, Field(ge=1, le=8)] = 1.0
    """How they are joined, and a picture's tiles later: see ``runtime.manifest.QualityFrHead``. The paper's is 1."""
    beyond: Annotated[float, Field(ge=0)] = 1.0
    """With ``whole``: what answers above the best score cost, squared, where ``pooling`` is more than 1. Pooling takes
    no notice of them, so that nothing else would bring them back; a network that begins there would stay there."""
    turned: bool = True
    """Patches are mirrored and turned by quarters, half of them and a quarter of them each way: no one would call them
    better or worse for it."""
    identical: Share = 0.03
    """So many of the draws show the reference as the picture, for the best score: no set holds such a pair."""
    lost: Share = 0.0
    """So many of the draws show one colour in the picture's place, for the worst score, half of them beside another
    colour: no set holds what a camera shows that went dark, or of a sky that is blown out."""

    @model_validator(mode="after")
    def _batch_is_of_whole_pictures(self) -> "FullReferenceRecipe":
        if self.batch_size % self.patches:
            raise ValueError(f"batch_size {self.batch_size} must be a multiple of patches, {self.patches}")
        if self.pooling != 1 and not self.whole:
            raise ValueError(f"pooling {self.pooling:g} joins patches, so whole=true goes with it")
        return self


RECIPES: dict[str, FullReferenceRecipe] = {
    # Section II.B. An epoch shows a picture of 512 x 384 by as many patches as it has tiles; the paper names neither.
    "paper": FullReferenceRecipe(
        optimizer="sgd",
        learning_rate=1e-3,
        momentum=0.9,
        weight_decay=1e-7,
        batch_size=128,
        epochs=100,
        draws=3,
        turned=False,
        identical=0.0,
    ),
    "small": FullReferenceRecipe(
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.01,
        decay_all=False,
        batch_size=128,
        epochs=4,
        schedule="cosine",
        last_rate=0.01,
        warmup=0.03,
        clip_norm=5.0,
        ema_decay=0.995,
    ),
    # What ships, with the variant ``similarity``: pictures are judged as a whole, their worst tiles count most.
    "whole": FullReferenceRecipe(
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.01,
        decay_all=False,
        batch_size=64,
        epochs=6,
        whole=True,
        pooling=2,
        lost=0.03,
        precision="bfloat16",
        schedule="cosine",
        last_rate=0.01,
        warmup=0.03,
        clip_norm=5.0,
        ema_decay=0.998,
    ),
}
