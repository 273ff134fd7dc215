"""From metrics to a mean opinion score: fitted to what people thought of each kind and level of distortion.

The metrics follow people well within a kind of distortion, and less well from one kind to another: chromatic aberration
looks worse to them than to people, less colour better. So each metric gets a logistic curve, as the Video Quality
Experts Group has it, and the mean of the three a line for each kind.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.optimize import curve_fit

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.damage.tid import KINDS_OF_TID, LADDERS, level_of_tid
from training.quality.fidelity import Fidelity
from training.quality.opinions import BEST, Opinions

TRUST = 0.5
"""How far a kind's line goes from what the metrics say to what people said: our distortions are not TID2013's own."""
PULL = 0.5
"""How much a kind's line is held to the identity: as half a level's distance from it would be, squared."""

_REMEDY = "give calibration.json of a set that was built with --opinions"

Floats = NDArray[np.float64]
Curve = tuple[float, float, float, float]


class Line(BaseModel):
    """``offset + slope * mean of the curves``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    offset: float
    slope: Annotated[float, Field(gt=0)]


class Calibration(BaseModel):
    """Fitted curves; it can be stored, so that a second set gets scores of the same scale."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    curves: Annotated[tuple[Curve, ...], Field(min_length=3, max_length=3)]
    """Of VSI, MDSI and HaarPSI."""
    lines: dict[str, Line]
    """By kind of distortion; a kind that is not there has the identity."""
    contents: tuple[str, ...]
    """Whose scores went in."""
    opinions: str = ""
    """``sha256:`` of their table; empty: fitted before it was kept."""

    def mos(self, kinds: Sequence[str], fidelities: Sequence[Fidelity]) -> Floats:
        """(n,): mean opinion scores in [1, 5]; an undistorted picture has 5."""
        means = _means(self.curves, np.array([astuple(one) for one in fidelities]))
        lines = [self.lines.get(kind, Line(offset=0, slope=1)) for kind in kinds]
        fitted = np.array([line.offset + line.slope * mean for line, mean in zip(lines, means, strict=True)])
        share = np.clip(fitted / BEST, 0, 1)
        share[[one == Fidelity(1.0, 0.0, 1.0) for one in fidelities]] = 1
        result: Floats = 1 + 4 * share
        return result

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Read a stored calibration.

        Raises:
            ConfigError: the file cannot be read, or is no calibration.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from error
        except ValidationError as error:
            faults = faults_of(error, "calibration.json")
            raise ConfigError(f"{path} is no calibration.json of a quality set: {_REMEDY} ({faults})") from error


def calibrate(cells: dict[tuple[str, int], list[Fidelity]], opinions: Opinions) -> Calibration:
    """Fit to the means of a ladder: pictures of many contents at each kind's levels.

    Args:
        cells: by our kind's name and level, the fidelities of pictures of different contents; every kind of
            ``tid.LADDERS`` at its levels.
        opinions: means of people's scores at the same kinds and levels.

    Raises:
        ConfigError: a kind or a level is not among the cells.
    """
    wanted = {
        (kind, level): opinions.mos[number, level_of_tid(kind, level)]
        for number, kinds in KINDS_OF_TID.items()
        for kind in kinds
        for level in LADDERS[kind]
    }
    if missing := [f"{kind} at level {level}" for kind, level in wanted if not cells.get((kind, level))]:
        raise ConfigError(
            f"people's scores cannot be used: no picture of the test side has {missing[0]} ({len(missing)} are missing)"
        )
    values = np.array([np.mean([astuple(one) for one in cells[cell]], axis=0) for cell in wanted])
    target = np.array(list(wanted.values()))
    curves = tuple(_curve(values[:, place], target) for place in range(3))
    means = _means(curves, values)
    of_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (kind, _), mean, mos in zip(wanted, means, target, strict=True):
        of_kind[kind].append((float(mean), float(mos)))
    lines = {kind: _line(np.array(points)) for kind, points in of_kind.items()}
    return Calibration(curves=curves, lines=lines, contents=opinions.contents, opinions=opinions.digest)


def _curve(values: Floats, target: Floats) -> Curve:
    """Equation of the VQEG's report, with four parameters."""
    spread = float(values.std())
    rising = np.corrcoef(values, target)[0, 1] > 0
    start = [BEST, 0.0, float(values.mean()), spread / 2 if rising else -spread / 2]
    try:
        fitted, _ = curve_fit(_logistic, values, target, start, maxfev=20_000)
    except RuntimeError as error:
        raise ConfigError(
            f"people's scores cannot be used: no curve leads from a metric of these pictures to them ({error}); "
            "build the set of more photographs, or without --opinions"
        ) from error
    return (float(fitted[0]), float(fitted[1]), float(fitted[2]), float(fitted[3]))


def _logistic(x: Floats, high: float, low: float, middle: float, width: float) -> Floats:
    result: Floats = low + (high - low) / (1 + np.exp(np.clip(-(x - middle) / width, -60, 60)))
    return result


def _means(curves: Sequence[Curve], values: Floats) -> Floats:
    means: Floats = np.mean([_logistic(values[:, place], *curve) for place, curve in enumerate(curves)], axis=0)
    return means


def _line(points: Floats) -> Line:
    """Least squares about the points' middle, the slope held to 1 by ``PULL``.

    So levels that people rank otherwise do not turn a kind around.
    """
    mean, mos = points[:, 0], points[:, 1]
    about, over = mean - mean.mean(), mos - mos.mean()
    slope = max(0.25, float((about @ over + PULL) / (about @ about + PULL)))
    offset = float(mos.mean() - slope * mean.mean())
    return Line(offset=TRUST * offset, slope=1 + TRUST * (slope - 1))
