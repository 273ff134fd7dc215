"""How DeepRN is fitted in its two stages: the paper's settings, the KonIQ team's, and what two CPU cores can do."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.recipe import Positive, Recipe, Share

Natural = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Variants(BaseModel):
    """The changed copies of a training picture that are learned from beside it; none resamples but a rotation."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rotations: Natural = 0
    """About the centre; the blank borders are cut off. They interpolate, so they change what is learned."""
    rotation_deg: Annotated[float, Field(ge=0, le=45)] = 5.0
    """At most, to either side."""
    translations: Natural = 0
    """Horizontal or vertical; the blank border is cut off."""
    translation: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """At most, of the width or the height."""
    mirrored: bool = False
    """Left to right."""
    flipped: bool = False
    """Upside down."""

    @property
    def count(self) -> int:
        """With the picture as it is."""
        return 1 + self.rotations + self.translations + self.mirrored + self.flipped


class DeepRNRecipe(BaseModel):
    """Both stages, and the network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trunk: Literal["resnet101", "efficientnet-lite0", "efficientnet-lite2"] = "resnet101"
    frozen_layers: Natural = 81
    """The first convolutions of the trunk that stay as ImageNet left them."""
    classes: Recipe
    """The first stage: the trunk learns five classes of quality."""
    crop_px: Count = 224
    """Side of the squares that the first stage sees, cut out at the pictures' own resolution."""
    balanced: bool = False
    """Whether each class counts as much as another in the first stage, however few pictures it has."""
    shares: Recipe
    """The second stage: what was pooled of whole pictures teaches the fully connected layers."""
    variants: Variants = Variants()
    levels: tuple[Count, ...] = (3,)
    pool: Literal["average", "max"] = "average"
    edges: Literal["covering", "rounded"] = "covering"
    normalise: bool = True
    """Whether a picture's features are brought to a length of 1."""
    widths: tuple[Count, ...] = (4096, 4096, 4096)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    answer: Literal["linear", "softmax"] = "linear"
    """Of the last layer, where it is a distribution."""
    head: Literal["distribution", "mos"] = "distribution"
    """``mos``: the mean opinion score alone (DeepRN-m-Eucl)."""
    loss: Literal["huber", "euclidean"] = "huber"
    """Of shares; ``euclidean``: DeepRN-Eucl."""
    huber_delta: Positive = 1 / 9
    validation_share: Share = 0.1
    """Of the contents, where a set has no validation side of its own."""
    height_px: Count = 768
    """Of what is served, as ``width_px``."""
    width_px: Count = 1024

    @model_validator(mode="after")
    def _a_score_has_no_hubers_loss(self) -> "DeepRNRecipe":
        if self.head == "mos" and self.loss != "euclidean":
            raise ValueError(
                "head mos is learned with loss euclidean (DeepRN-m-Eucl): a delta for shares is none for it"
            )
        return self


RECIPES: dict[str, DeepRNRecipe] = {
    # Sections 3 and 4. What the paper leaves open: the first stage's crops (the KonIQ team's 224), how long both stages
    # are and how patient, and how bins are pooled.
    "paper": DeepRNRecipe(
        trunk="resnet101",
        frozen_layers=81,
        classes=Recipe(
            learning_rate=0.01, momentum=0.9, weight_decay=5e-4, batch_size=128, epochs=30, schedule="plateau"
        ),
        shares=Recipe(learning_rate=1e-3, momentum=0.9, weight_decay=4e-4, batch_size=128, epochs=30),
        variants=Variants(rotations=5, translations=5, mirrored=True, flipped=True),
    ),
    # The re-implementation that the makers of KonIQ-10k published, with what they found to work better: no rotation, a
    # delta of 1, features as they are. Its "81" are Keras' layers, which count normalisations and sums: they end with
    # ResNet's second group, the first 22 convolutions.
    "koniq-team": DeepRNRecipe(
        trunk="resnet101",
        frozen_layers=22,
        classes=Recipe(
            learning_rate=1e-4, batch_size=64, weight_decay=0, epochs=40, schedule="plateau", patience=5, drops=2
        ),
        balanced=True,
        shares=Recipe(
            learning_rate=0.01, batch_size=128, weight_decay=0, epochs=100, schedule="plateau", patience=20, drops=3
        ),
        variants=Variants(mirrored=True),
        edges="rounded",
        normalise=False,
        answer="softmax",
        huber_delta=1.0,
    ),
    # Both stages on two cores: a trunk whose weights install with a package, narrow layers, AdamW.
    "small": DeepRNRecipe(
        trunk="efficientnet-lite0",
        frozen_layers=39,
        classes=Recipe(
            optimizer="adamw",
            learning_rate=2e-4,
            head_rate=5,
            weight_decay=0.01,
            batch_size=32,
            epochs=1,
            schedule="cosine",
            warmup=0.05,
            clip_norm=5.0,
            precision="bfloat16",
        ),
        balanced=True,
        shares=Recipe(
            optimizer="adamw", learning_rate=5e-4, weight_decay=0.01, batch_size=64, epochs=20, schedule="cosine"
        ),
        variants=Variants(mirrored=True),
        normalise=False,
        widths=(512, 256, 256),
        dropout=0.3,
        answer="softmax",
        huber_delta=1.0,
        height_px=384,
        width_px=512,
    ),
}
