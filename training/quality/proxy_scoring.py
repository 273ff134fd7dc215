"""Scores of the proxy's pictures: from what metrics say of each beside its reference, to means and votes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.data.split import Split
from training.files import write_whole
from training.generator import generator
from training.metrics.votes import mean_and_deviation, voted
from training.quality.calibration import Calibration, calibrate
from training.quality.fidelity import Fidelity
from training.quality.opinions import Opinions
from training.quality.proxy_set import HEADER, RATINGS, ProxyHeader, ProxyRow, ratings_bytes

CALIBRATION = "calibration.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A picture that is written and compared, without a score yet."""

    name: str
    reference: str
    content: str
    kind: str
    strength: float
    level: float
    split: Split
    fidelity: Fidelity


def measured_of(row: ProxyRow) -> Measured:
    """A picture of a set that was built already."""
    return Measured(
        row.name,
        row.reference,
        row.content,
        row.kind,
        row.strength,
        row.level,
        "test" if row.split == "test" else "train",
        Fidelity(row.vsi, row.mdsi, row.haarpsi),
    )


def write_scores(
    folder: Path, header: ProxyHeader, measured: Sequence[Measured], scores: Opinions | Calibration | None
) -> None:
    """Write a set's files but its pictures.

    Args:
        folder: of the set.
        header: what it was built of; which scores it has is told there.
        measured: its pictures.
        scores: people's opinions to fit the scores to, or a fit of another set; None: mean ranks of the metrics.

    Raises:
        ConfigError: the opinions do not fit.
    """
    mos, calibration = _scores(measured, scores)
    told = {
        "labels": "ranks" if calibration is None else "opinions",
        "opinion_contents": () if calibration is None else calibration.contents,
        "opinions": "" if calibration is None else calibration.opinions,
    }
    (folder / CALIBRATION).unlink(missing_ok=True)
    if calibration is not None:
        write_whole(folder / CALIBRATION, calibration.model_dump_json(indent=1).encode())
    write_whole(folder / HEADER, header.model_copy(update=told).model_dump_json(indent=1).encode())
    write_whole(folder / RATINGS, ratings_bytes(_rows(measured, mos, header.votes, header.seed)))


def _scores(measured: Sequence[Measured], scores: Opinions | Calibration | None) -> tuple[Floats, Calibration | None]:
    fidelities = [one.fidelity for one in measured]
    if scores is None:
        return _ranks(fidelities), None
    calibration = scores if isinstance(scores, Calibration) else calibrate(_cells(measured), scores)
    return calibration.mos([one.kind for one in measured], fidelities), calibration


def _cells(measured: Sequence[Measured]) -> dict[tuple[str, int], list[Fidelity]]:
    cells: dict[tuple[str, int], list[Fidelity]] = defaultdict(list)
    for one in measured:
        if one.split == "test":
            cells[one.kind, int(one.level)].append(one.fidelity)
    return cells


def _ranks(fidelities: Sequence[Fidelity]) -> Floats:
    """Mean of the ranks by each metric, from 1, the worst of the set, to 5."""
    values = np.array([astuple(one) for one in fidelities]) * (1, -1, 1)
    ranks = np.mean([rankdata(values[:, place], method="average") for place in range(3)], axis=0)
    result: Floats = 1 + 4 * (ranks - ranks.min()) / max(1.0, float(np.ptp(ranks)))
    return result


def _rows(measured: Sequence[Measured], mos: Floats, votes: int, seed: int) -> list[ProxyRow]:
    shares = voted(mos, votes, generator(f"{seed}:votes"))
    means, deviations = mean_and_deviation(shares)
    return [
        _row(one, float(mean), float(deviation), [round(float(share), 6) for share in row])
        for one, mean, deviation, row in zip(measured, means, deviations, shares, strict=True)
    ]


def _row(one: Measured, mos: float, sd: float, shares: Sequence[float]) -> ProxyRow:
    c1, c2, c3, c4, c5 = shares
    return ProxyRow(
        name=one.name,
        reference=one.reference,
        content=one.content,
        kind=one.kind,
        strength=one.strength,
        level=one.level,
        split=one.split,
        vsi=one.fidelity.vsi,
        mdsi=one.fidelity.mdsi,
        haarpsi=one.fidelity.haarpsi,
        mos=round(mos, 4),
        sd=round(sd, 4),
        c1=c1,
        c2=c2,
        c3=c3,
        c4=c4,
        c5=c5,
    )
