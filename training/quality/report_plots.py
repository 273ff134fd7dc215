"""Draws a report's plots into its folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.files import write_whole
from training.metrics.distribution import ks
from training.metrics.opinion import fitted
from training.quality.evaluation import at, has_shares, true_shares
from training.quality.examples import choose, draw_examples
from training.quality.measures import Judged
from training.quality.plots import scatter
from training.quality.rated import RatedSet
from training.quality.report import file_name


def write_scatters(folder: Path, rated: RatedSet, judged: Sequence[Judged]) -> dict[str, str]:
    """Predicted against true, a file a method: the files' names by what they show."""
    truth, written = rated.truth(), {}
    for one in judged:
        method, scores = one.said.method, one.said.scores
        title = f"{rated.name}{' (proxy)' if rated.proxy else ''}: SROCC {one.agreement.srocc:.3f}"
        name = file_name(f"{rated.name}-{method}", ".png", "scatter-")
        write_whole(folder / name, scatter(title, method, truth, scores, fitted(truth, scores)))
        written[f"Predicted and true scores of {rated.name}: {method}"] = name
    return written


def write_examples(folder: Path, rated: RatedSet, judged: Sequence[Judged], count: int) -> dict[str, str]:
    """Distributions as in DeepRN's Fig. 3, a file a method that has some: the files' names by what they show.

    Args:
        folder: to write to.
        rated: the pictures.
        judged: what came of them.
        count: of the best, of the median and of the worst; 0: none.
    """
    known, truth = true_shares(rated)
    written: dict[str, str] = {}
    if not count or len(known) < 3:
        return written
    for one in judged:
        said = at(one.said, has_shares(rated))
        if said.shares is None:
            continue
        examples = choose(known, truth, said.shares, np.asarray(ks(truth, said.shares)), count)
        name = file_name(f"{rated.name}-{said.method}", ".png", "distributions-")
        title = f"{said.method} on {rated.name}{' (proxy)' if rated.proxy else ''}: votes, true and predicted"
        write_whole(folder / name, draw_examples(title, examples, columns=3))
        written[f"Distributions of {rated.name}: {said.method}"] = name
    return written
