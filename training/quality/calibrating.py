"""The head of a trained no-reference network, fitted to whole pictures as the gateway shows them.

In training a network sees pairs of pictures, a third of them undistorted, through windows and with four patches each;
later it sees them whole, as they come, with nine patches. So what it says is a little off. The trunks stay as they
are, and what they give of each picture is computed once; the head behind them goes on learning from that.
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
from training.models.quality_head import VOTES
from training.quality.losses import ranking_loss
from training.quality.rated import RatedSet
from training.quality.samples import ladders, level_of, shown
from training.quality.target import targets

EPOCHS, BATCH, RATE, DECAY = 20, 256, 1e-4, 0.1
"""Of AdamW; the rate falls to nothing, along a cosine. Ten times as much brings nearer still what it learns from, but
forgets what other pictures taught (``models/quality.md``)."""
PAIRS, RANK = 64, 0.5
"""Pairs of a ladder beside each batch, and what their order counts."""
LEAST_PICTURES = 200


@dataclasses.dataclass(frozen=True)
class _Seen:
    """Pictures, as the head reads them."""

    features: Tensor
    """(n, features)."""
    shares: Tensor
    """(n, 5) of the votes."""
    mos: Tensor
    """(n,) in [1, 5]."""
    level: Tensor
    """(n,) of distortion; NaN where people's scores settle the order."""


def calibrate(
    network: nn.Module,
    inputs: Sequence[Input],
    rated: RatedSet,
    *,
    seed: int = 0,
    watch: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Change the network's head; returns the distance of the shares on the pictures, before and after.

    The distance is the mean earth mover's (r = 1) and the mean Kolmogorov-Smirnov distance together; beside it counts
    the order within ladders, as in training.

    Args:
        network: ``QualityLight``, in evaluation mode.
        inputs: what it is served.
        rated: pictures that it learned from.
        seed: of the batches and what is dropped out.
        watch: called after each picture.

    Raises:
        ConfigError: there are too few pictures.
    """
    if len(rated) < LEAST_PICTURES:
        raise ConfigError(f"{rated.name}: {len(rated)} pictures are too few to calibrate on; {LEAST_PICTURES} are due")
    seen, head = _seen(network, inputs, rated, watch), network.head
    groups = [group for group in ladders(rated.pictures) if len(group) > 1]
    before = _off(head, seen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _fit(head.train(), seen, groups, np.random.default_rng(seed))
    head.eval()
    return before, _off(head, seen)


def _fit(head: nn.Module, seen: _Seen, groups: Sequence[Sequence[int]], rng: np.random.Generator) -> None:
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    batches = [batch for _ in range(EPOCHS) for batch in torch.from_numpy(rng.permutation(len(seen.mos))).split(BATCH)]
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    for batch in batches:
        optimizer.zero_grad()
        loss = _distance(head(seen.features[batch]), seen.shares[batch])
        if groups:
            loss = loss + RANK * _disorder(head, seen, groups, rng)
        loss.backward()
        optimizer.step()
        falling.step()


def _disorder(head: nn.Module, seen: _Seen, groups: Sequence[Sequence[int]], rng: np.random.Generator) -> Tensor:
    """How far pairs of pictures, one from each of some ladders, are from their order."""
    chosen = [groups[place] for place in rng.integers(len(groups), size=PAIRS)]
    pairs = torch.from_numpy(np.stack([rng.choice(group, size=2, replace=False) for group in chosen])).flatten()
    opinion = torch.softmax(head(seen.features[pairs]), dim=1) @ VOTES
    number = torch.arange(PAIRS).repeat_interleave(2)
    return ranking_loss(opinion, seen.mos[pairs], number, seen.level[pairs])


@torch.no_grad()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
def _seen(network: nn.Module, inputs: Sequence[Input], rated: RatedSet, watch: Callable[[], None]) -> _Seen:
    preprocessors = [Preprocessor(spec) for spec in inputs]
    found = []
    for picture in rated.pictures:
        slots = shown(read_picture(picture.path), preprocessors)
        found.append(network.features(*(as_tensor(slot[None], "cpu") for slot in slots))[0])
        watch()
    told = targets(rated)
    return _Seen(
        torch.stack(found),
        torch.tensor([target.distribution for target in told]),
        torch.tensor([target.mos for target in told]),
        torch.tensor([level_of(picture, rated.proxy) for picture in rated.pictures]),
    )


@torch.no_grad()  # type: ignore[untyped-decorator] # as above
def _off(head: nn.Module, seen: _Seen) -> float:
    return float(_distance(head(seen.features), seen.shares))


def _distance(logits: Tensor, wanted: Tensor) -> Tensor:
    gaps = (torch.softmax(logits, dim=1) - wanted).cumsum(dim=1).abs()
    distance: Tensor = gaps.sum(dim=1).mean() + gaps.amax(dim=1).mean()
    return distance
