"""Sources, their damaged samples, and what each network answered: what training and evaluation read.

On disk a folder: ``labels.json`` (see ``header``), ``sources.jsonl`` (a source a line) and ``answers-NNNN.npz``.
"""

import dataclasses
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.damage.damage import UNDAMAGED, Damage
from training.data.split import Split
from training.files import write_whole
from training.utility.answers import Answers, BoxAnswers, ClassAnswers, Samples
from training.utility.header import FILE, PSEUDO_TRUTH, Header, Labels, read_labels, write_labels
from training.utility.rules import (
    LEAST_SCORE,
    NEITHER,
    USEFUL,
    USELESS,
    Rule,
    Verdicts,
    agreement,
    correctness_rule,
    majority,
    paper_rule,
    relative_rule,
)
from training.utility.shard import join, read_shard, write_shard
from training.utility.sources import SOURCES, LabelledSource, read_sources

LEAST_PSEUDO_CONFIDENCE = 0.3
"""Where its own answer on the undamaged picture stands for the truth, a classifier must be this sure of it."""


@dataclass(frozen=True)
class Shares:
    """How one rule judges a set: samples, and which part of them got which label."""

    samples: int
    useful: float
    useless: float
    grey_zone: float
    """Neither: grey for a network, networks that disagree, or a source that one does not recognise undamaged."""


@dataclass(frozen=True)
class LabelSet:
    """Samples and answers; every view is one, too, with the same sources.

    ``digest`` (``sha256:`` of ``labels.json``, which holds the hashes of all else) names the whole set, also in a
    view of it.
    """

    header: Header
    sources: tuple[LabelledSource, ...]
    samples: Samples
    answers: dict[str, Answers]
    """By network, in the header's order."""
    digest: str = ""

    def __len__(self) -> int:
        return len(self.samples)

    # Views

    def where(self, chosen: NDArray[np.bool_]) -> "LabelSet":
        """The samples of a mask."""
        index = np.flatnonzero(chosen)
        answers: dict[str, Answers] = {name: own.take(index) for name, own in self.answers.items()}
        return dataclasses.replace(self, samples=self.samples.take(index), answers=answers)

    def of_split(self, split: Split) -> "LabelSet":
        """The samples of one side."""
        return self.where(np.array([source.split == split for source in self.sources], bool)[self.samples.source])

    def only(self, names: Collection[str]) -> "LabelSet":
        """With the answers of these networks.

        Raises:
            ConfigError: the set has none of that name, or none would be left.
        """
        unknown = sorted(set(names) - set(self.answers))
        if unknown or not names:
            raise ConfigError(
                f"the label set {self.header.name} has the networks {', '.join(self.answers)}; "
                + (f"not {', '.join(unknown)}" if unknown else "at least one must be chosen")
            )
        return dataclasses.replace(self, answers={name: own for name, own in self.answers.items() if name in names})

    def without_families(self, families: Collection[str]) -> "LabelSet":
        """With the answers of all other families' networks: leave one family out.

        Raises:
            ConfigError: no such family, or none would be left.
        """
        unknown = sorted(set(families) - set(self.families))
        if unknown:
            known = ", ".join(sorted(set(self.families)))
            raise ConfigError(f"the label set {self.header.name} has the families {known}; not {', '.join(unknown)}")
        return self.only([name for name in self.answers if self.family(name) not in families])

    # Facts

    @property
    def networks(self) -> list[str]:
        """Names of the networks whose answers are here."""
        return list(self.answers)

    @property
    def families(self) -> list[str]:
        """Of the networks that are here, each once."""
        return list(dict.fromkeys(self.family(name) for name in self.answers))

    def family(self, network: str) -> str:
        """A network's family."""
        return next(one.family for one in self.header.networks if one.name == network)

    @property
    def damaged(self) -> NDArray[np.bool_]:
        """(samples,) Which are not the undamaged pictures themselves."""
        return np.asarray(self.samples.kind != UNDAMAGED.kind)

    def damage(self, sample: int) -> Damage:
        """What was done to the source of a sample."""
        own = self.samples
        return Damage(str(own.kind[sample]), float(own.strength[sample]), int(own.seed[sample]))

    def right(self, network: str) -> NDArray[np.bool_]:
        """(samples,) Where it predicts the true class, or finds a true box (Eq. 5; Eq. 6 with section IV)."""
        own = self.answers[network]
        return np.asarray(own.found > 0 if isinstance(own, BoxAnswers) else own.predicted == self._truth(own))

    def recognised(self, network: str) -> NDArray[np.bool_]:
        """(samples,) Whether it is right about the source undamaged; with pseudo-truth: sure of at least .3."""
        own = self.answers[network]
        if isinstance(own, BoxAnswers):
            return np.asarray(own.reference_confidence >= LEAST_SCORE)
        if self.header.truth == PSEUDO_TRUTH:
            return np.asarray(own.reference_confidence >= LEAST_PSEUDO_CONFIDENCE)
        return np.asarray(own.reference == self._truth(own))

    def _truth(self, own: ClassAnswers) -> NDArray[Any]:
        if self.header.truth == PSEUDO_TRUTH:
            return own.reference
        classes = np.array([-1 if one.class_index is None else one.class_index for one in self.sources])
        return np.asarray(classes[self.samples.source])

    # Labels

    def verdicts(self, rule: Rule) -> Verdicts:
        """(networks, samples) Each network's label by a rule of ``rules``.

        The paper's for detectors has no confidence thresholds but the one in ``right``: it is ``correctness``.
        """
        return np.stack([self._verdict(name, rule) for name in self.answers])

    def _verdict(self, name: str, rule: Rule) -> Verdicts:
        own, right, recognised = self.answers[name], self.right(name), self.recognised(name)
        if rule == "relative":
            return relative_rule(right, own.ccsp, own.reference_confidence, recognised)
        if rule == "paper" and isinstance(own, ClassAnswers):
            return paper_rule(right, own.ccsp, recognised)
        return correctness_rule(right, recognised)

    def agreed(self, rule: Rule) -> Verdicts:
        """(samples,) What all networks say; -1 is the grey zone, which the paper drops."""
        return agreement(self.verdicts(rule))

    def majority(self) -> Verdicts:
        """(samples,) Whether more networks are right than wrong; -1: as many, or none recognises the source."""
        return majority(self.verdicts("correctness"))

    def shares(self, rule: Rule) -> Shares:
        """How many samples get which label by agreement; shares are NaN in an empty set."""
        labels = self.agreed(rule)
        useful, useless, grey = (
            float((labels == value).mean()) if len(labels) else np.nan for value in (USEFUL, USELESS, NEITHER)
        )
        return Shares(len(labels), useful, useless, grey)

    # On disk

    @staticmethod
    def load(folder: Path) -> "LabelSet":
        """Read a finished set.

        Raises:
            ConfigError: a file is missing or was changed, or the run that writes it has not come to its end.
        """
        labels = read_labels(folder)
        if not labels.complete:
            raise ConfigError(f"{folder}: labelling is not finished; the same command again goes on where it stopped")
        sources = read_sources(folder, labels)
        shards = [read_shard(folder, shard, labels) for shard in labels.shards]
        if not shards:
            raise ConfigError(f"{folder} holds no sample: all {len(labels.left_out)} pictures were left out")
        digest = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
        return LabelSet(labels.header, tuple(sources), *join(shards), f"sha256:{digest}")

    def save(self, folder: Path) -> "LabelSet":
        """Write the set, as one shard; returns it with its digest."""
        shard = write_shard(folder, 0, self.samples, self.answers, len(self.sources))
        lines = b"".join(source.line() for source in self.sources)
        write_whole(folder / SOURCES, lines)
        sha256 = hashlib.sha256(lines).hexdigest()
        networks = tuple(network for network in self.header.networks if network.name in self.answers)
        header = self.header.model_copy(update={"networks": networks})
        labels = Labels(**dict(header), complete=True, sources_sha256=sha256, shards=(shard,))
        content = write_labels(folder, labels)
        return dataclasses.replace(self, digest=f"sha256:{hashlib.sha256(content).hexdigest()}")
