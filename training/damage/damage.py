"""One damage, as it is recorded and made again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """A kind at a strength; the seed settles what is random in it. Equal damages give equal pixels."""

    kind: str
    """A name in ``training.damage.kinds.KINDS``, or ``none``."""
    strength: float = 0.0
    """In the kind's own unit."""
    seed: int = 0


UNDAMAGED = Damage("none")
