"""The last layer of a trained no-reference network, fitted to whole pictures as the gateway shows them.

In training a network sees pairs of pictures, a fifth of them undistorted, with four patches each; later it sees them
as they come, with nine patches. So its shares are a little off. Five by five numbers and five more, between its last
layer and the softmax, put that right, and become part of that layer.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor
from training.cover.training import as_tensor
from training.data.picture import read_picture
from training.quality.rated import RatedSet
from training.quality.samples import shown
from training.quality.target import targets

STEPS, RATE, PULL = 1500, 1e-2, 1e-3
"""Of Adam, on all pictures at once; what the distance from the identity counts."""
LEAST_PICTURES = 200


def drawn(rated: RatedSet, count: int, seed: int) -> RatedSet:
    """At most so many pictures of a set, by the seed."""
    places = np.sort(np.random.default_rng(seed).permutation(len(rated))[:count])
    return dataclasses.replace(rated, pictures=tuple(rated.pictures[place] for place in places))


def calibrate(
    network: nn.Module, inputs: Sequence[Input], rated: RatedSet, *, watch: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Change the network's last layer; returns the loss on the pictures before and after.

    The loss is the mean earth mover's distance (r = 1) and the mean Kolmogorov-Smirnov distance of the shares.

    Args:
        network: ``QualityLight``, in evaluation mode.
        inputs: what it is served.
        rated: pictures that it learned from.
        watch: called after each picture.

    Raises:
        ConfigError: there are too few pictures.
    """
    if len(rated) < LEAST_PICTURES:
        raise ConfigError(f"{rated.name}: {len(rated)} pictures are too few to calibrate on; {LEAST_PICTURES} are due")
    logits = _logits(network, inputs, rated, watch)
    wanted = torch.tensor([target.distribution for target in targets(rated)])
    before = float(_distance(logits, wanted))
    matrix, offset = torch.eye(5, requires_grad=True), torch.zeros(5, requires_grad=True)
    optimizer = torch.optim.Adam([matrix, offset], RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        pull = PULL * (matrix - torch.eye(5)).square().sum()
        (_distance(logits @ matrix + offset, wanted) + pull).backward()
        optimizer.step()
    with torch.no_grad():
        after = float(_distance(logits @ matrix + offset, wanted))
        last = network.head[-1]
        last.weight.copy_(matrix.T @ last.weight)
        last.bias.copy_(last.bias @ matrix + offset)
    return before, after


@torch.no_grad()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
def _logits(network: nn.Module, inputs: Sequence[Input], rated: RatedSet, watch: Callable[[], None]) -> Tensor:
    preprocessors = [Preprocessor(spec) for spec in inputs]
    found = []
    for picture in rated.pictures:
        slots = shown(read_picture(picture.path), preprocessors)
        found.append(network.logits(*(as_tensor(slot[None], "cpu") for slot in slots))[0])
        watch()
    return torch.stack(found)


def _distance(logits: Tensor, wanted: Tensor) -> Tensor:
    gaps = (torch.softmax(logits, dim=1) - wanted).cumsum(dim=1).abs()
    distance: Tensor = gaps.sum(dim=1).mean() + gaps.amax(dim=1).mean()
    return distance
