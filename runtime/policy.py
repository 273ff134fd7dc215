"""Keep or drop: the thresholds, and the reasons that name which of them a frame missed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runtime.errors import ConfigError
from runtime.heads import Quality, Result, Utility
from runtime.manifest import Manifest

UTILITY_BELOW = "utility-below-threshold"
QUALITY_BELOW = "quality-below-threshold"
REASONS = (UTILITY_BELOW, QUALITY_BELOW)


@dataclass(frozen=True)
class Policy:
    """A frame is kept if every head it was judged by reaches its threshold."""

    min_utility: float | None = None
    min_mos: float | None = None

    def reasons(self, results: Mapping[str, Result]) -> list[str]:
        """Why the frame is dropped; nothing: it is kept."""
        reasons = []
        for result in results.values():
            if isinstance(result, Utility) and self.min_utility is not None and result.score < self.min_utility:
                reasons.append(UTILITY_BELOW)
            if isinstance(result, Quality) and self.min_mos is not None and result.mos < self.min_mos:
                reasons.append(QUALITY_BELOW)
        return reasons


def policy_for(manifests: Iterable[Manifest], min_utility: float | None, min_mos: float | None) -> Policy:
    """The operator's thresholds, and the manifests' where he gives none.

    Raises:
        ConfigError: a threshold for a head that no engine has.
    """
    defaults = {head.kind: head.threshold for manifest in manifests for head in manifest.heads}
    for flag, value, kind in (("--min-utility", min_utility, "utility"), ("--min-mos", min_mos, "quality")):
        if value is not None and kind not in defaults:
            raise ConfigError(f"{flag} {value}: no engine given has a head {kind!r}; they have {sorted(defaults)}")
    return Policy(
        min_utility if min_utility is not None else defaults.get("utility"),
        min_mos if min_mos is not None else defaults.get("quality"),
    )
