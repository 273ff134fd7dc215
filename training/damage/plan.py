"""Which damages every source of a data set gets, written as text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from runtime.errors import ConfigError
from training.damage.damage import UNDAMAGED, Damage
from training.damage.kinds import kind_named
from training.generator import generator

GRAMMAR = "KIND:STRENGTH,STRENGTH,... or KIND:LOWEST..HIGHEST:COUNT or any:COUNT@KIND:LOWEST..HIGHEST,..."
"""An entry of a plan."""

_SEEDS = 2**31  # fits every integer type that a label set may keep it in


@dataclass(frozen=True, slots=True)
class Range:
    """Strengths of a kind between two bounds."""

    kind: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.kind}:{_text(self.low)}..{_text(self.high)}"

    def draw(self, rng: np.random.Generator) -> Damage:
        """A strength of a log-uniform distribution, whole or of four digits, in a range that includes its ends."""
        logarithm = rng.uniform(np.log(self.low), np.log(self.high))
        strength = float(f"{np.exp(logarithm):.4g}")
        if kind_named(self.kind).whole:
            strength = float(round(strength))
        return Damage(self.kind, min(max(strength, self.low), self.high), _seed(rng))


@dataclass(frozen=True, slots=True)
class Listed:
    """Every one of these strengths: ``jpeg:1,2,3``."""

    kind: str
    strengths: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(_text, self.strengths))}"

    def damages(self, rng: np.random.Generator) -> Iterator[Damage]:
        """One damage for each strength."""
        return (Damage(self.kind, strength, _seed(rng)) for strength in self.strengths)


@dataclass(frozen=True, slots=True)
class Drawn:
    """So many strengths out of a range: ``gaussian:0.7..7:2``."""

    bounds: Range
    count: int

    def __str__(self) -> str:
        return f"{self.bounds}:{self.count}"

    def damages(self, rng: np.random.Generator) -> Iterator[Damage]:
        """``count`` damages."""
        return (self.bounds.draw(rng) for _ in range(self.count))


@dataclass(frozen=True, slots=True)
class Mixed:
    """So many damages, each of a range that is drawn too: ``any:6@jpeg:2..60,gaussian:0.7..7``."""

    ranges: tuple[Range, ...]
    count: int

    def __str__(self) -> str:
        return f"any:{self.count}@{','.join(map(str, self.ranges))}"

    def damages(self, rng: np.random.Generator) -> Iterator[Damage]:
        """``count`` damages."""
        return (self.ranges[rng.integers(len(self.ranges))].draw(rng) for _ in range(self.count))


@dataclass(frozen=True, slots=True)
class Plan:
    """What each source gets. ``str(plan)`` is its text: ``Plan.parse([str(plan)]) == plan``."""

    entries: tuple[Listed | Drawn | Mixed, ...]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Plan":
        """Read entries (``GRAMMAR``), one or several, with blanks between, in each text.

        Raises:
            ConfigError: names the entry, the part of it that is wrong, and what is allowed there.
        """
        return cls(tuple(_entry(text) for several in texts for text in several.split()))

    def __str__(self) -> str:
        return " ".join(map(str, self.entries))

    def damages(self, rng_seed: str) -> list[Damage]:
        """One source's damages: ``UNDAMAGED``, then entry by entry.

        Settled by the plan and ``rng_seed`` alone, such as the run's seed and the source's hash: in whatever order
        sources come, each gets the same. More entries at the plan's end change nothing in those before.
        """
        rng = generator(rng_seed)
        return [UNDAMAGED, *(damage for entry in self.entries for damage in entry.damages(rng))]


def _entry(text: str) -> Listed | Drawn | Mixed:
    kind, colon, rest = text.partition(":")
    try:
        if not colon or not rest:
            raise ConfigError(f"an entry is {GRAMMAR}")
        if kind == "any":
            return _any(rest)
        return _drawn(kind, rest) if ".." in rest else _listed(kind, rest)
    except ConfigError as error:
        raise ConfigError(f"damage {text!r}: {error}") from None


def _listed(kind: str, strengths: str) -> Listed:
    return Listed(kind, tuple(_strength(kind, strength) for strength in strengths.split(",")))


def _drawn(kind: str, rest: str) -> Drawn:
    bounds, colon, count = rest.partition(":")
    if not colon:
        raise ConfigError(f"{rest!r} does not say how many to draw: {kind}:{rest}:COUNT")
    return Drawn(_range(kind, bounds), _count(count))


def _any(rest: str) -> Mixed:
    count, at, ranges = rest.partition("@")
    if not at:
        raise ConfigError(f"{rest!r} has no ranges: any:COUNT@KIND:LOWEST..HIGHEST,...")
    return Mixed(tuple(_range(*_named(text)) for text in ranges.split(",")), _count(count))


def _named(text: str) -> tuple[str, str]:
    kind, _, bounds = text.partition(":")
    return kind, bounds


def _range(kind: str, bounds: str) -> Range:
    kind_named(kind)
    low, dots, high = bounds.partition("..")
    if not dots:
        raise ConfigError(f"{bounds!r} is not a range: {kind}:LOWEST..HIGHEST")
    drawn_from = Range(kind, _strength(kind, low), _strength(kind, high))
    if drawn_from.low > drawn_from.high:
        raise ConfigError(f"{bounds!r} ends below its beginning; write {high}..{low}")
    return drawn_from


def _strength(kind: str, text: str) -> float:
    known = kind_named(kind)
    try:
        strength = float(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a number; allowed are {known.allowed}") from None
    known.check(strength)
    return strength


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{text!r} is not a count; allowed are whole numbers from 1")
    return int(text)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(_SEEDS))


def _text(strength: float) -> str:
    return str(int(strength)) if strength == int(strength) else repr(strength)


PAPER = Plan.parse(["jpeg:1,2,3,5,8,12,20,40,80"])
"""Nine levels of JPEG, as many as the paper has; it does not say which. At 224 px these make both classes."""
