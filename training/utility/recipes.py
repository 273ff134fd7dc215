"""How utility is learned: the fit's recipe, and what is taken of the labels."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.recipe import Recipe
from training.utility.rules import Rule

NETWORKS = ("efficientnet-lite0", "resnet18")
"""What can be trained; the first is small enough for a gateway on CPUs, the second the paper's."""

Target = Literal["agreement", "majority", "share_right", "kept_confidence", "blend", "confidence"]


class UtilityRecipe(Recipe):
    """What ``Recipe`` does not know."""

    target: Target = "agreement"
    """Of each sample, over the networks that give labels. ``agreement`` and ``majority``: 0 or 1 by ``rule``, other
    samples dropped (the paper). Soft, averaged by ``weighting``: ``share_right`` (1 where a network is right),
    ``kept_confidence`` (the part of the undamaged CCSP that is left, at most 1), ``blend``: the mean of both,
    ``confidence``: the mean of right and the CCSP itself, so that what is hard undamaged counts as hard."""
    rule: Rule = "paper"
    weighting: Literal["even", "reference"] = "even"
    """How much a network counts in a soft target, and in the sample's weight: ``even``, 1 where it recognises the
    source; ``reference``, its probability of the truth on the undamaged picture (under pseudo-truth, always)."""
    balance: bool = False
    """Draw useful and useless samples (target above .5, or not) equally often."""
    flip: bool = True
    """Mirror half of the samples, left to right."""
    auxiliary_weight: Annotated[float, Field(ge=0)] = 0.0
    """Of the loss of the trunk's classifier."""
    auxiliary: Literal["labellers", "start"] = "labellers"
    """What that classifier is held to, on the damaged picture: the mean of the networks' highest ten probabilities, or
    what it said itself before training, which keeps what it knows."""
    frozen_stages: Annotated[int, Field(ge=0, le=7)] = 0
    """How many of EfficientNet-Lite0's seven stages, from the picture on, stay as ImageNet left them: they see what
    pictures are made of already, and at their sizes learning takes the longest."""
    stages: bool = False
    """Whether its head reads each channel's mean and deviation after the stages, too."""
    statistics: Annotated[int, Field(ge=0, le=1000)] = 10
    """Highest class probabilities that the head reads; 0: none."""
    prior: bool = False
    """Whether the head begins at the classifier's highest probability, and corrects it (needs ``statistics``)."""
    hidden: Annotated[int, Field(ge=1)] = 128
    """Width of the head."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before each of its two layers."""

    @model_validator(mode="after")
    def _prior_is_read(self) -> Self:
        if self.prior and not self.statistics:
            raise ValueError("prior: the head needs the classifier's probabilities; let statistics be 1 or more")
        return self


RECIPES: dict[str, UtilityRecipe] = {
    # Section V: SGD at 1e-4, balanced classes. Momentum, weight decay and batches are not in the paper: usual ones.
    "paper": UtilityRecipe(balance=True),
    # A low rate, a frozen beginning and a classifier that is held to itself: what the trunk knows of pictures is what
    # carries over to networks that gave no labels; at 3e-4 its own confidence was lost.
    "distilled": UtilityRecipe(
        optimizer="adamw",
        learning_rate=5e-5,
        head_rate=20,
        weight_decay=0.01,
        batch_size=32,
        epochs=1,
        schedule="cosine",
        warmup=0.05,
        clip_norm=5.0,
        ema_decay=0.99,
        precision="bfloat16",
        target="confidence",
        weighting="reference",
        auxiliary="start",
        auxiliary_weight=1,
        frozen_stages=3,
        stages=True,
        prior=True,
        dropout=0.3,
    ),
}
