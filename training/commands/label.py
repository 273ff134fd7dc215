"""``label``: pictures and networks to labels. ``label utility``: does a machine still recognise what it sees?"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from runtime.errors import ConfigError
from training.commands.arguments import Commands, positive, share
from training.commands.progress import progress_bar
from training.damage.kinds import KINDS
from training.damage.plan import PAPER, Plan
from training.data.coco import read_coco
from training.data.folder import read_folder
from training.data.imagenet import read_imagenet
from training.data.source import Source
from training.networks.description import Description, read_description, shipped_names
from training.networks.network import Network, open_network
from training.utility.header import PSEUDO_TRUTH, TRUE_LABELS, Header, Labeller, Labels, LeftOut, Task, Truth
from training.utility.label_set import LabelSet, Shares
from training.utility.labelling import label
from training.utility.rules import Rule
from training.utility.run import Run

HARDLY_ANY = 0.1
"""Of the undamaged pictures, recognised: below it the truth is in doubt."""
DOUBT = (
    "recognises hardly any: do the names or annotations tell the true classes (a number in a name counts as one), and "
    "does the network's description fit? --pseudo-truth goes without true labels"
)
REMEDY = "pip install 'framegate[cpu]', or 'framegate[train]' for PyTorch's networks"


def add(commands: Commands) -> None:
    label = commands.add_parser("label", help="ask networks about damaged pictures, and keep what they answer")
    systems = label.add_subparsers(required=True, dest="system", metavar="SYSTEM")
    parser = systems.add_parser("utility", help="is a picture still useful to a machine?")
    _add_data(parser)
    _add_networks(parser)
    parser.add_argument(
        "--damage",
        nargs="+",
        action="extend",
        metavar="ENTRY",
        help="KIND:STRENGTH,STRENGTH,... for each of these, KIND:LOWEST..HIGHEST:COUNT for so many drawn from a range, "
        f"any:COUNT@KIND:LOWEST..HIGHEST,... for so many of several kinds (default: {PAPER}, nine levels as the "
        f"paper has); the kinds are {', '.join(KINDS)}",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (%(default)s)")
    parser.add_argument(
        "--balance",
        choices=("paper", "relative", "correctness"),
        metavar="RULE",
        help="up to eight more and harsher damages for each picture of the training split, until as many samples are "
        "useless by this rule as are useful (paper, relative or correctness; default: none)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="a run in it is gone on with")
    parser.set_defaults(command=run, remedy=REMEDY)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="undamaged pictures")
    parser.add_argument(
        "--layout",
        choices=("imagenet", "coco", "folder"),
        default="folder",
        help="folder: classes in the names, if any; imagenet: the validation set, flat or in folders (%(default)s)",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="coco: instances_*.json; imagenet, where it lies flat: the ground truth, or a list of files and classes",
    )
    parser.add_argument(
        "--pseudo-truth",
        action="store_true",
        help="judge each network by its own answer on the undamaged picture, not by true labels (the default where no "
        "picture has one)",
    )
    parser.add_argument("--limit", type=positive, metavar="COUNT", help="so many pictures, chosen by --seed")
    parser.add_argument(
        "--side",
        type=positive,
        metavar="PIXELS",
        help="shrink larger pictures to this shorter side before any damage (default: 256 for classifiers, as it is "
        "for detectors)",
    )
    parser.add_argument(
        "--test-share", type=share, default=0.2, help="of pictures, by their content's hash (%(default)s)"
    )
    parser.add_argument("--workers", type=positive, default=1, help="threads that read and damage (%(default)s)")


def _add_networks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--networks",
        nargs="+",
        action="extend",
        required=True,
        metavar="NETWORK",
        help="classifiers or detectors, not both: names of shipped descriptions "
        f"({', '.join(shipped_names())}), description files, torchvision:NAME",
    )
    parser.add_argument("--weights", type=Path, default=Path(), metavar="FOLDER", help="where their files are (here)")
    parser.add_argument("--threads", type=positive, default=1, help="threads that a network uses (%(default)s)")


def run(options: argparse.Namespace) -> None:
    plan = _plan(options.damage)
    descriptions = [read_description(asked) for asked in options.networks]
    _require_alike(descriptions)
    pictures = _chosen(_read(options), options.limit, options.seed)
    networks = [open_network(one, options.weights, threads=options.threads) for one in descriptions]
    header = _header(options, str(plan), pictures, networks)
    console = Console(stderr=True)
    with progress_bar(console) as progress:
        labels = label(options.output, Run(header, pictures, plan, networks, _Bar(progress, console), options.workers))
    _tell(options.output, labels)


class _Bar:
    """Shows a run on the terminal; names what is left out, on a terminal or not."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._task = progress.add_task("")

    def begin(self, phase: str, total: int, done: int) -> None:
        self._progress.update(self._task, description=phase, total=total, completed=done)

    def advance(self) -> None:
        self._progress.advance(self._task)

    def left_out(self, picture: LeftOut) -> None:
        self._progress.advance(self._task)
        self._console.print(f"left out: {picture.name}: {picture.why}", markup=False, highlight=False, soft_wrap=True)


def _plan(texts: list[str] | None) -> Plan:
    plan = PAPER if texts is None else Plan.parse(texts)
    if not plan.entries:
        raise ConfigError("--damage: there is no damage in it")
    return plan


def _require_alike(networks: Sequence[Description]) -> None:
    names = [one.name for one in networks]
    if len(set(names)) < len(names):
        raise ConfigError(f"--networks: {', '.join(names)}: each name may stand there once")
    if len({one.task for one in networks}) > 1:
        each = ", ".join(f"{one.name} ({one.task})" for one in networks)
        raise ConfigError(f"--networks: {each}: give classifiers or detectors, each kind a run of its own")


def _read(options: argparse.Namespace) -> list[Source]:
    if options.layout == "imagenet":
        return read_imagenet(options.pictures, options.annotations)
    if options.layout == "coco":
        if options.annotations is None:
            raise ConfigError("--layout coco needs --annotations FILE: an instances_*.json")
        return read_coco(options.pictures, options.annotations)
    if options.annotations is not None:
        raise ConfigError("--annotations is for --layout imagenet or coco; a folder has its classes in the names")
    return read_folder(options.pictures)


def _chosen(pictures: list[Source], limit: int | None, seed: int) -> list[Source]:
    """So many, whatever their order: a folder's first would be of few classes."""
    if limit is None or limit >= len(pictures):
        return pictures
    chosen = sorted(pictures, key=lambda one: hashlib.sha256(f"{seed}:{one.name}".encode(errors="replace")).digest())
    return sorted(chosen[:limit], key=lambda one: one.name)


def _header(options: argparse.Namespace, plan: str, pictures: Sequence[Source], networks: Sequence[Network]) -> Header:
    task = networks[0].description.task
    labellers = tuple(
        Labeller(
            name=one.description.name,
            family=one.description.family,
            digest=one.digest,
            description=one.description.model_dump(mode="json"),
        )
        for one in networks
    )
    return Header(
        name=options.output.resolve().name,
        task=task,
        truth=_truth(options, task, pictures),
        root=str(options.pictures),
        pictures_sha256=_fingerprint(pictures),
        side=options.side or (256 if task == "classification" else None),
        plan=plan,
        seed=options.seed,
        test_share=options.test_share,
        balance=options.balance,
        networks=labellers,
    )


def _truth(options: argparse.Namespace, task: Task, pictures: Sequence[Source]) -> Truth:
    known = [one.class_index if task == "classification" else one.boxes for one in pictures]
    if options.pseudo_truth or all(truth is None for truth in known):
        return PSEUDO_TRUTH
    return TRUE_LABELS


def _fingerprint(pictures: Sequence[Source]) -> str:
    facts: list[Any] = [
        [one.name, one.class_index, None if one.boxes is None else [asdict(box) for box in one.boxes]]
        for one in pictures
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _tell(folder: Path, labels: Labels) -> None:
    found = LabelSet.load(folder)
    shown = found.where(found.damaged)
    print(f"{folder}: {len(found.sources)} pictures, {len(shown)} damaged samples, {labels.truth}")
    if labels.left_out:
        print(f"{len(labels.left_out)} pictures left out; labels.json names them")
    for name in found.networks:
        recognised = found.where(~found.damaged).recognised(name).mean()
        print(f"{name}: recognises {100 * recognised:.1f} % undamaged, right on {100 * shown.right(name).mean():.1f} %")
        if labels.truth == TRUE_LABELS and recognised < HARDLY_ANY:
            print(f"{name}: {DOUBT}")
    rules: tuple[Rule, ...] = ("paper", "relative")
    for rule in rules:
        _tell_shares(f"{rule} rule, all networks agreeing", shown.shares(rule))
    if labels.balance is not None:
        _tell_shares(
            f"training split with its undamaged pictures, {labels.balance} rule, as far as it could be balanced",
            found.of_split("train").shares(labels.balance),
        )


def _tell_shares(what: str, shares: Shares) -> None:
    print(
        f"{what}: {100 * shares.useful:.1f} % useful, {100 * shares.useless:.1f} % useless, "
        f"{100 * shares.grey_zone:.1f} % neither"
    )
