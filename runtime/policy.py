"""Keep or drop: the thresholds, and the reasons that name which of them a frame missed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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
    "--min-utility": (0, 1),
    "--min-mos": (1, 5),
    "--min-clarity": (1, 10),
    "--min-cover": (0, 1),
    "--min-full-reference": (1, 5),
}
"""What each threshold is of."""


@dataclass(frozen=True)
class Policy:
    """A frame is kept if every score that has a threshold reaches it."""

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


def policy_for(
    manifests: Iterable[Manifest],
    min_utility: float | None = None,
    min_mos: float | None = None,
    min_clarity: float | None = None,
    min_cover: float | None = None,
    min_satisfied: Satisfied | None = None,
    min_full_reference: float | None = None,
) -> Policy:
    """The operator's thresholds, and the manifests' where he gives none.

    Raises:
        ConfigError: a threshold for a head that no engine has, or one that its scores cannot have.
    """
    defaults = {head.kind: head_threshold(head) for manifest in manifests for head in manifest.heads}
    for flag, value, kinds in (
        ("--min-utility", min_utility, ["utility"]),
        ("--min-mos", min_mos, ["quality"]),
        ("--min-clarity", min_clarity, ["clarity"]),
        ("--min-cover", min_cover, ["clarity", "saliency"]),
        ("--min-satisfied", min_satisfied, ["quality"]),
        ("--min-full-reference", min_full_reference, ["quality_fr"]),
    ):
        for kind in kinds:
            if value is not None and kind not in defaults:
                raise ConfigError(f"{flag} {value}: no engine given has a head {kind!r}; they have {sorted(defaults)}")
        if value is None or isinstance(value, Satisfied):
            continue
        low, high = BOUNDS[flag]
        if not low <= value <= high:  # nor is NaN
            raise ConfigError(f"{flag} {value}: a number from {low} to {high} is due")
    return Policy(
        min_utility if min_utility is not None else defaults.get("utility"),
        min_mos if min_mos is not None else defaults.get("quality"),
        min_clarity if min_clarity is not None else defaults.get("clarity"),
        min_cover,
        min_satisfied,
        min_full_reference if min_full_reference is not None else defaults.get("quality_fr"),
    )


def _below(score: float | None, threshold: float | None) -> bool:
    return score is not None and threshold is not None and score < threshold
