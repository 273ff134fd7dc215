"""What a picture costs each gate, in one run: a ratio holds where milliseconds of a shared machine do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from runtime.decode import Pixels
from training.cover.gate import CoverGate


@dataclass(frozen=True)
class Cost:
    """Of one gate."""

    pictures: int
    median_ms: float
    """A picture at a time, from its pixels to the answers."""


def costs(gates: Sequence[CoverGate], pictures: Sequence[Pixels]) -> dict[str, Cost]:
    """By the gate's name; the gates take turns, so that a busy moment is none's alone.

    Args:
        gates: opened with one thread each.
        pictures: that each is shown, one at a time; the first of them also beforehand.
    """
    for gate in gates:
        gate.judge(pictures[:1])
    times_ms: dict[str, list[float]] = {gate.name: [] for gate in gates}
    for pixels in pictures:
        for gate in gates:
            start = perf_counter()
            gate.judge([pixels])
            times_ms[gate.name].append(1000 * (perf_counter() - start))
    return {name: Cost(len(own), median(own)) for name, own in times_ms.items()}
