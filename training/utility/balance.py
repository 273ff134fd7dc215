"""Class balancing by augmentation with relabelling (machine-utility paper, section V), on the training split alone.

Sources get one harsher damage a round until there are as many useless samples as useful ones. Each sample is labelled
as all others are, whatever comes of it: a source that withstands it is a useful sample of a harsh damage.
"""

from collections.abc import Iterator

import numpy as np

from runtime.errors import ConfigError
from training.damage.damage import UNDAMAGED, Damage
from training.damage.kinds import kind_named
from training.damage.plan import Drawn, Listed, Plan, Range
from training.data.source import Source
from training.generator import generator
from training.utility.frames import Frames, make_frames, plan_seed
from training.utility.header import Header, LeftOut
from training.utility.journal import Journal
from training.utility.label_set import LabelSet
from training.utility.rules import USEFUL, USELESS
from training.utility.run import SOURCES_PER_SHARD, Run
from training.utility.shard import join

ROUNDS = 8
"""Harsher damages a source gets at most."""


def balance(journal: Journal, run: Run) -> None:
    """Add extra shards until the classes are as large, or every source has had ``ROUNDS`` more damages.

    Only sources that all networks recognise undamaged are taken: others never get a label by agreement.

    Raises:
        ConfigError: a picture is no longer the one that was labelled.
    """
    if not journal.labels.shards:
        return
    shards = [journal.read(number) for number in range(len(journal.labels.shards))]
    known = LabelSet(run.header, tuple(journal.sources), *join(shards))
    surplus = _surplus(known)
    places = _recognised(known)
    done = sum(not shard.sources for shard in journal.labels.shards)
    run.watcher.begin("balancing", ROUNDS * len(places), _sources(done, len(places)))
    for number, (round_, chunk) in enumerate(_chunks(places)):
        if surplus <= 0:
            break
        if number >= done:
            recorded = run.ask(_frames(journal, run, chunk, round_), extra=True)
            journal.add(recorded)
            assert recorded is not None
            surplus += _surplus(LabelSet(run.header, tuple(journal.sources), *recorded))


def harsher(plan: Plan, seed: str) -> Damage:
    """One damage of a kind of the plan, log-uniform in the harsher half (of the logarithm) of the plan's strengths.

    Args:
        plan: at least one entry.
        seed: settles kind, strength and what is random in the damage.
    """
    rng = generator(seed)
    ranges = list(_ranges(plan))
    return _harsher_half(ranges[rng.integers(len(ranges))]).draw(rng)


def _harsher_half(whole: Range) -> Range:
    kind = kind_named(whole.kind)
    middle = float(np.sqrt(whole.low * whole.high))
    middle = round(middle) if kind.whole else middle
    return Range(kind.name, whole.low, middle) if kind.harsher == "lower" else Range(kind.name, middle, whole.high)


def _ranges(plan: Plan) -> Iterator[Range]:
    for entry in plan.entries:
        if isinstance(entry, Listed):
            yield Range(entry.kind, min(entry.strengths), max(entry.strengths))
        elif isinstance(entry, Drawn):
            yield entry.bounds
        else:
            yield from entry.ranges


def _surplus(labels: LabelSet) -> int:
    """Useful samples of the training split, less the useless ones."""
    assert labels.header.balance is not None
    agreed = labels.of_split("train").agreed(labels.header.balance)
    return int((agreed == USEFUL).sum() - (agreed == USELESS).sum())


def _recognised(labels: LabelSet) -> list[int]:
    """Sources of the training split that all networks recognise, by place."""
    undamaged = labels.where(~labels.damaged).of_split("train")
    all_networks = np.all([undamaged.recognised(name) for name in undamaged.networks], axis=0)
    return [int(place) for place in undamaged.samples.source[all_networks]]


def _chunks(places: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Each extra shard's round and sources."""
    for round_ in range(ROUNDS):
        for start in range(0, len(places), SOURCES_PER_SHARD):
            yield round_, places[start : start + SOURCES_PER_SHARD]


def _sources(shards: int, places: int) -> int:
    """How many sources the first so many extra shards hold."""
    a_round = -(-places // SOURCES_PER_SHARD)
    return shards // a_round * places + shards % a_round * SOURCES_PER_SHARD if a_round else 0


def _frames(journal: Journal, run: Run, places: list[int], round_: int) -> Iterator[tuple[int, Frames]]:
    pictures = {picture.name: picture for picture in run.pictures}
    sources = [journal.sources[place] for place in places]

    def make(picture: Source) -> Frames | LeftOut:
        return make_frames(picture, run.header, lambda sha256: _damages(run.plan, run.header, sha256, round_))

    made = run.prepare(make, [pictures[source.name] for source in sources])
    for place, source, frames in zip(places, sources, made, strict=True):
        if isinstance(frames, LeftOut):
            raise ConfigError(f"{source.name} was labelled a while ago, and now: {frames.why}")
        if frames.source != source:
            raise ConfigError(f"{source.name} is another picture than when it was labelled: begin anew")
        yield place, frames


def _damages(plan: Plan, header: Header, sha256: str, round_: int) -> list[Damage]:
    return [UNDAMAGED, harsher(plan, f"{plan_seed(header, sha256)}:extra:{round_}")]
