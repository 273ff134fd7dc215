"""How cover networks are fitted: the paper's settings, and what two CPU cores can do."""

from typing import Annotated

from pydantic import Field

from training.cover.levels import GATE
from training.recipe import Recipe, Share

LIGHT = "light"
"""The network that is served; the others are named by their encoders."""
ENCODERS = ("resnet101", "xception", "mobilenetv2", "efficientnet-lite0")
"""The paper's three, and one whose ImageNet weights install with a package."""
NETWORKS = (LIGHT, *ENCODERS)
OF_LIGHT = ("least_window", "frozen_stages")
"""What of a recipe is for that network alone,"""
OF_ENCODERS = ("crop_px", "object_crops", "width", "separable")
"""and what for the others."""


class CoverRecipe(Recipe):
    """What ``Recipe`` does not know."""

    crop_px: Annotated[int, Field(ge=113)] = 513
    """Side of the squares that are cut out of the pictures at their own resolution (the networks of the paper)."""
    object_crops: Share = 0.5
    """Of the squares, so many are cut around a pixel of the foreground: small objects would seldom be seen."""
    least_window: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The network ``light`` learns from windows; of the picture's height and width each has this part at least."""
    flip: bool = True
    """Mirror half of the samples, left to right."""
    jpeg: Share = 0.0
    """So many samples are compressed after the blur, at qualities of 50 to 95, as cameras' frames are."""
    balance: Annotated[float, Field(ge=0)] = 0.1
    """What the segmentation's loss counts (lambda of Eq. 3)."""
    gate: float = GATE
    """Masks are learned from pictures whose score is above it (Eq. 3)."""
    overlap: Annotated[float, Field(ge=0)] = 0.0
    """What 1 - IoU of the soft map counts beside the cross-entropy, which alone is content with fringes; not in the
    paper."""
    width: Annotated[int, Field(ge=8)] = 256
    """Channels of pyramid, branches and decoder (the networks of the paper)."""
    separable: bool = False
    """Whether their 3x3 convolutions are separable."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """After the pyramid, where both branches see it."""
    frozen_stages: Annotated[int, Field(ge=0, le=7)] = 0
    """How many of the stages of ``light``'s trunk stay as ImageNet left them."""


RECIPES: dict[str, CoverRecipe] = {
    # Section 4.2. What it leaves open is that of the code whose settings it shares (training of DeepLabv3+ on PASCAL):
    # weight decay, and the new layers' rate.
    "paper": CoverRecipe(
        optimizer="sgd",
        learning_rate=7e-3,
        head_rate=10,
        momentum=0.9,
        weight_decay=5e-4,
        batch_size=8,
        epochs=50,
        schedule="polynomial",
        power=2,
    ),
    # The paper's strategy on two cores: smaller crops, a narrow decoder, AdamW, less than an epoch.
    "small": CoverRecipe(
        optimizer="adamw",
        learning_rate=2e-4,
        head_rate=5,
        weight_decay=0.01,
        batch_size=16,
        epochs=0.1,
        schedule="polynomial",
        power=2,
        warmup=0.05,
        clip_norm=5.0,
        precision="bfloat16",
        crop_px=225,
        width=64,
        separable=True,
        dropout=0.1,
    ),
    "light": CoverRecipe(
        optimizer="adamw",
        learning_rate=3e-4,
        head_rate=5,
        weight_decay=0.01,
        batch_size=16,
        epochs=1,
        schedule="polynomial",
        power=1,
        warmup=0.03,
        clip_norm=5.0,
        ema_decay=0.998,
        precision="bfloat16",
        jpeg=0.5,
        overlap=1.0,
        dropout=0.1,
        frozen_stages=2,
    ),
}
