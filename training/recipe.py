"""How a network is fitted: the optimiser's numbers, whatever it learns."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Recipe(BaseModel):
    """One fit. A step is one batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 1e-4
    head_rate: Positive = 1.0
    """What the new layers learn at, as a multiple of the others' rate."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD; of AdamW, the first of its two."""
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    decay_all: bool = True
    """Whether biases and normalisations decay, too, as PyTorch does it of itself."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    epochs: Positive = 10.0
    schedule: Literal["constant", "cosine", "polynomial", "plateau"] = "constant"
    """``plateau``: the rate drops when the validations' ``error`` stops falling."""
    warmup: Share = 0.0
    """Share of the steps in which the rate climbs to its full height."""
    last_rate: Share = 0.0
    """What a cosine or a polynomial ends at, as a part of the full rate."""
    power: Positive = 1.0
    """Of the polynomial: the rate falls with (1 - share of the steps that are done) to this power."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Of the plateau: validations in a row without a new least error before the rate drops."""
    drop: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied by then."""
    drops: Annotated[int, Field(ge=0)] | None = None
    """How often at most; None: as often as it stops."""
    clip_norm: Positive | None = None
    """Largest norm of all gradients together."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the running mean of the weights that becomes the trained network; 0: the last weights do."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the convolutions; weights are float32 always."""
