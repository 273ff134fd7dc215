"""Keep or drop: the thresholds, and the reasons that name which of them a frame missed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from runtime.cover import Cover
from runtime.errors import ConfigError
from runtime.heads import Clarity, FullReference, Quality, Result, Utility
from runtime.manifest import Manifest, head_threshold
from runtime.satisfied import Satisfied

UTILITY_BELOW = "utility-below-threshold"
QUALITY_BELOW = "quality-below-threshold"
CLARITY_BELOW = "clarity-below-threshold"
COVER_BELOW = "cover-below-threshold"
SATISFIED_BELOW = "satisfied-below-threshold"
FULL_REFERENCE_BELOW = "full-reference-below-threshold"
REASONS = (UTILITY_BELOW, QUALITY_BELOW, CLARITY_BELOW, COVER_BELOW, SATISFIED_BELOW, FULL_REFERENCE_BELOW)

BOUNDS = {
    "min_utility": (0, 1),
    "min_mos": (1, 5),
    "min_clarity": (1, 10),
    "min_cover": (0, 1),
    "min_full_reference": (1, 5),
}
"""What each threshold is of."""
DEFAULTS = {
    "min_utility": "utility",
    "min_mos": "quality",
    "min_clarity": "clarity",
    "min_full_reference": "quality_fr",
}
"""The head whose manifest may have each."""
HEADS = {name: (kind,) for name, kind in DEFAULTS.items()} | {
    "min_cover": ("clarity", "saliency"),
    "min_satisfied": ("quality",),
}
"""The heads that each is about."""


@dataclass(frozen=True)
class Policy:
    """A frame is kept if every score that has a threshold reaches it; None: there is no threshold."""

    min_utility: float | None = None
    min_mos: float | None = None
    min_clarity: float | None = None
    min_cover: float | None = None
    min_satisfied: Satisfied | None = None
    min_full_reference: float | None = None

    def reasons(self, results: Mapping[str, Result], cover: Cover | None = None) -> list[str]:
        """Why the frame is dropped; nothing: it is kept."""
        reasons = [reason for result in results.values() for reason in self._missed(result)]
        if cover is not None and _below(cover.score, self.min_cover):
            reasons.append(COVER_BELOW)
        return reasons

    def _missed(self, result: Result) -> Iterator[str]:
        if isinstance(result, Utility) and _below(result.score, self.min_utility):
            yield UTILITY_BELOW
        if isinstance(result, Quality) and _below(result.mos, self.min_mos):
            yield QUALITY_BELOW
        if isinstance(result, Quality) and self.min_satisfied and self.min_satisfied.misses(result.distribution):
            yield SATISFIED_BELOW
        if isinstance(result, Clarity) and _below(result.score, self.min_clarity):
            yield CLARITY_BELOW
        if isinstance(result, FullReference) and _below(result.score, self.min_full_reference):
            yield FULL_REFERENCE_BELOW


def policy_for(manifests: Iterable[Manifest], asked: Policy | None = None) -> Policy:
    """The operator's thresholds, and the manifests' where he gives none.

    Raises:
        ConfigError: a threshold for a head that no engine has, or one that its scores cannot have.
    """
    asked = asked or Policy()
    defaults: dict[str, float | None] = {
        head.kind: head_threshold(head) for manifest in manifests for head in manifest.heads
    }
    for name, kinds in HEADS.items():
        _require_possible(name, getattr(asked, name), kinds, defaults)
    own = {name: defaults.get(kind) for name, kind in DEFAULTS.items() if getattr(asked, name) is None}
    return replace(asked, **own)  # type: ignore[arg-type] # of numbers alone


def _require_possible(
    name: str, value: float | Satisfied | None, kinds: Iterable[str], heads: Mapping[str, float | None]
) -> None:
    if value is None:
        return
    flag = f"--{name.replace('_', '-')}"
    for kind in kinds:
        if kind not in heads:
            raise ConfigError(f"{flag} {value}: no engine given has a head {kind!r}; they have {sorted(heads)}")
    if isinstance(value, Satisfied):
        return
    low, high = BOUNDS[name]
    if not low <= value <= high:  # nor is NaN
        raise ConfigError(f"{flag} {value}: a number from {low} to {high} is due")


def _below(score: float | None, threshold: float | None) -> bool:
    return score is not None and threshold is not None and score < threshold
