"""What was measured, as Markdown tables."""

from collections.abc import Sequence
from typing import TextIO

import numpy as np

from export.damage import COPIES
from export.damage import LIVE_DAMAGE as LIVE
from export.measure import RULES, Measured, Scores, auroc
from runtime.manifest import Manifest, Resize

NAMES = list(COPIES)
WHOLE, BLACK = NAMES.index("whole"), NAMES.index("black")
LIVE_DAMAGE = [NAMES.index(name) for name in LIVE]
"""Telling black frames is too easy to count among them."""

RESAMPLES = 500
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3)


def rules_to_measure(manifest: Manifest) -> list[Resize]:
    """Every rule, and at the end the manifest's own with and without the decoder's scaling."""
    own = manifest.inputs[0].resize
    return [*RULES, *(own.model_copy(update={"scaled_decode": scaled}) for scaled in (False, True))]


def write_report(measured: list[Measured], manifest: Manifest, threshold: float, out: TextIO) -> None:
    """Print every table; the scores are those of ``rules_to_measure``, the threshold the head's."""
    rules = rules_to_measure(manifest)
    own = rules.index(manifest.inputs[0].resize, len(RULES))
    out.write(f"Engine {manifest.name} {manifest.version}, {manifest.digest}\n")
    _write_rules(measured, out)
    _write_fits(measured, rules[own], out)
    _write_damage(measured, own, out)
    _write_kept(measured, own, out)
    _write_right(measured, own, out)
    _write_scaled_decode(measured, manifest.inputs[0].resize, threshold, out)


def separation(scores: Scores) -> float:
    """Mean AUROC of whole pictures against each live damage; ``scores`` (picture, copy) of one rule."""
    return float(np.mean([auroc(scores[:, WHOLE], scores[:, copy]) for copy in LIVE_DAMAGE]))


def _write_rules(measured: list[Measured], out: TextIO) -> None:
    rows = [
        [
            f"{rule.fit}{', halved' if rule.halve else ''}",
            *(f"{separation(m.scores[:, :, r]):.3f}" for m in measured),
            f"{max(m.scores[:, BLACK, r].max() for m in measured):.3f}",
        ]
        for r, rule in enumerate(RULES)
    ]
    _write_table(
        "AUROC of whole against damaged pictures (mean over JPEG 10, JPEG 5, blurred, dark), by resize rule",
        ["rule", *(f"{m.folder} ({len(m.scores)})" for m in measured), "highest score of black"],
        rows,
        out,
    )


def _write_fits(measured: list[Measured], own: Resize, out: TextIO) -> None:
    """What each fit gains or loses beside the manifest's, all halved, and how sure that is."""
    base = RULES.index(Resize(fit=own.fit))
    others = [r for r, rule in enumerate(RULES) if rule.halve and r != base]
    rows = [[RULES[r].fit, *(_difference(m.scores[:, :, r], m.scores[:, :, base]) for m in measured)] for r in others]
    title = f"That AUROC minus {own.fit}'s, with its 95 % interval (bootstrap over pictures)"
    _write_table(title, ["rule", *(m.folder for m in measured)], rows, out)


def _difference(scores: Scores, base: Scores) -> str:
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(scores), len(scores)) for _ in range(RESAMPLES)]
    low, high = np.quantile([separation(scores[draw]) - separation(base[draw]) for draw in draws], (0.025, 0.975))
    return f"{separation(scores) - separation(base):+.3f} [{low:+.3f}, {high:+.3f}]"


def _write_damage(measured: list[Measured], own: int, out: TextIO) -> None:
    rows = []
    for m in measured:
        scores = m.scores[:, :, own]
        rows.append(
            [m.folder, "AUROC", "", *(f"{auroc(scores[:, WHOLE], scores[:, c]):.3f}" for c in range(1, len(NAMES)))]
        )
        rows.append([m.folder, "median score", *(f"{median:.3f}" for median in np.median(scores, axis=0))])
    _write_table("By damage, with the manifest's rule", ["pictures", "", *NAMES], rows, out)


def _write_kept(measured: list[Measured], own: int, out: TextIO) -> None:
    rows = [
        [m.folder, f"{threshold}", *(f"{100 * share:.0f}" for share in (m.scores[:, :, own] >= threshold).mean(axis=0))]
        for m in measured
        for threshold in THRESHOLDS
    ]
    _write_table("Kept, in %, by threshold", ["pictures", "threshold", *NAMES], rows, out)


def _write_right(measured: list[Measured], own: int, out: TextIO) -> None:
    for m in measured:
        if m.right is None:
            continue
        scores, right, rows = m.scores[:, :, own], m.right[:, :, own], []
        for threshold in THRESHOLDS:
            kept = scores >= threshold
            shares = (kept[right].mean(), kept[~right].mean(), right[kept].mean(), right[~kept].mean())
            rows.append([m.folder, f"{threshold}", *(f"{100 * share:.1f}" for share in shares)])
        title = f"Is the class right? AUROC {auroc(scores[right], scores[~right]):.3f} over all copies; shares in %"
        columns = [
            "pictures",
            "threshold",
            "right ones kept",
            "wrong ones kept",
            "right among kept",
            "right among dropped",
        ]
        _write_table(title, columns, rows, out)


def _write_scaled_decode(measured: list[Measured], rule: Resize, threshold: float, out: TextIO) -> None:
    """What the decoder's scaling changes; what leaving out the halving would change is the yardstick."""
    unhalved = RULES.index(Resize(fit=rule.fit, halve=False))
    rows = []
    for m in measured:
        full, scaled = m.scores[:, :, -2], m.scores[:, :, -1]
        change = np.abs(full - scaled)
        flips = ((full >= threshold) != (scaled >= threshold)).mean()
        rows.append(
            [
                m.folder,
                f"{change.mean():.4f}",
                f"{np.quantile(change, 0.99):.4f}",
                f"{change.max():.4f}",
                f"{100 * flips:.2f}",
                f"{separation(full):.3f}",
                f"{separation(scaled):.3f}",
                f"{np.abs(full - m.scores[:, :, unhalved]).mean():.4f}",
            ]
        )
    _write_table(
        f"Scaled decode against full decode and halving, all copies; flips at threshold {threshold}",
        [
            "pictures",
            "mean change",
            "p99",
            "max",
            "flips, %",
            "AUROC full",
            "AUROC scaled",
            "mean change, if not halved",
        ],
        rows,
        out,
    )


def _write_table(title: str, columns: Sequence[str], rows: list[list[str]], out: TextIO) -> None:
    lines = [columns, ["---"] * len(columns), *rows]
    out.write(f"\n{title}:\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))
