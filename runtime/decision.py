"""A judgement as the JSON that consumers read: schema ``framegate/decision/1``."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.cover import Cover
from runtime.errors import FrameError
from runtime.heads import FullReference, Quality, Result, Utility
from runtime.manifest import Manifest
from runtime.pipeline import Judgement
from runtime.policy import Policy
from runtime.satisfied import satisfied_share

SCHEMA = "framegate/decision/1"
DEAD_LETTER_SCHEMA = "framegate/dead-letter/1"
DECIMALS = 6
SECTIONS = {"quality_fr": "quality"}
"""Where in a decision a head's fields stand that are not under its own name."""


def load_schema() -> dict[str, Any]:
    """The published JSON Schema of a decision."""
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "schemas" / "decision-1.json").read_text())
    return schema


class Decisions:
    """Makes decisions of one set of engines under one policy."""

    def __init__(self, manifests: Iterable[Manifest], policy: Policy) -> None:
        manifests = list(manifests)
        self._policy = policy
        self._digests = ",".join(manifest.digest for manifest in manifests)
        self._engines = [
            {field: getattr(manifest, field) for field in ("name", "version", "digest", "precision")}
            for manifest in manifests
        ]

    def id(self, *source: object) -> str:
        """The same for the same frame and engines, however often it is delivered: 32 hex digits."""
        text = "\n".join([*(str(part) for part in source), self._digests])
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]

    def make(
        self, judgement: Judgement, *, id_: str, stream: str | None, source: Mapping[str, Any], frame_id: str
    ) -> dict[str, Any]:
        """The decision of one frame; the caller adds ``age_ms`` and ``latency_ms`` where it knows them."""
        decision: dict[str, Any] = {
            "schema": SCHEMA,
            "id": id_,
            "stream": stream,
            "source": dict(source),
            "frame": {"id": frame_id, "width": judgement.width, "height": judgement.height},
            "engines": self._engines,
            "verdict": judgement.verdict,
            "reasons": judgement.reasons,
        }
        for kind, result in judgement.results.items():
            if fields := self._fields(result):
                decision.setdefault(SECTIONS.get(kind, kind), {}).update(fields)
        if judgement.cover is not None:
            decision["cover"] = cover_fields(judgement.cover, self._policy)
        return decision

    def _fields(self, result: Result) -> dict[str, Any] | None:
        """None for what ``cover`` tells."""
        match result:
            case Utility(score):
                return {"score": round(score, DECIMALS), "threshold": self._policy.min_utility}
            case Quality(mos, std, distribution):
                return {
                    "mos": round(mos, DECIMALS),
                    "std": round(std, DECIMALS),
                    "distribution": [round(share, DECIMALS) for share in distribution],
                    "threshold": self._policy.min_mos,
                    **self._satisfied(distribution),
                }
            case FullReference(score):
                fields = {"full_reference": round(score, DECIMALS)}
                if self._policy.min_full_reference is not None:
                    fields["min_full_reference"] = self._policy.min_full_reference
                return fields
        return None

    def _satisfied(self, distribution: Sequence[float]) -> dict[str, Any]:
        asked = self._policy.min_satisfied
        if asked is None:
            return {}
        share = round(satisfied_share(distribution, asked.score), DECIMALS)
        return {"satisfied": {"share": share, "score": asked.score, "threshold": asked.share}}


def cover_fields(cover: Cover, policy: Policy) -> dict[str, Any]:
    """The decision's ``cover``: what belongs to a head that no engine has is left out; no object is ``null``.

    So are thresholds that are not set.
    """
    fields: dict[str, Any] = {}
    for name, score, least, threshold in (
        ("score", cover.score, "min_score", policy.min_cover),
        ("clarity", cover.clarity, "min_clarity", policy.min_clarity),
    ):
        if score is not None:
            fields[name] = round(score, DECIMALS)
            if threshold is not None:
                fields[least] = threshold
    if cover.object_proportion is not None:
        fields["object_proportion"] = round(cover.object_proportion, DECIMALS)
        for name, place in (("box", cover.box), ("centre", cover.centre), ("crop", cover.crop)):
            fields[name] = None if place is None else [round(share, DECIMALS) for share in place]
        fields["aspect"] = str(cover.aspect)
    return fields


def dead_letter(source: Mapping[str, Any], error: FrameError) -> dict[str, Any]:
    """What is printed of a picture that cannot be judged (in Kafka, headers say it)."""
    return {
        "schema": DEAD_LETTER_SCHEMA,
        "source": dict(source),
        "reason": str(error.reason),
        "detail": error.detail,
    }


def to_json(document: Mapping[str, Any]) -> bytes:
    """Compact UTF-8; a NaN is a bug, not a number. A file name's stray bytes become escapes that JSON reads back."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.encode(errors="backslashreplace")
