"""``train``: fit a network. ``train utility``: will a machine still recognise what it sees?"""

import argparse
import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.commands.arguments import Commands, natural, positive, share
from training.utility.recipes import NETWORKS, RECIPES, UtilityRecipe

if TYPE_CHECKING:
    from torch import nn

    from training.trainer import Plan, Trainer
    from training.utility.label_set import LabelSet

KEPT_NAMES = ("run", "snapshot")
"""Of the run's own files."""
LICENCES = {"efficientnet-lite0": "Apache-2.0", "resnet18": "BSD-3-Clause"}
"""Of the weights that training begins with."""


def add(commands: Commands) -> None:
    tasks = commands.add_parser("train", help="fit a network (extra `train`)")
    parser = tasks.add_subparsers(required=True, metavar="TASK").add_parser(
        "utility", help="does a machine task still work on this frame?"
    )
    parser.add_argument("--labels", type=Path, required=True, metavar="FOLDER", help="what `label utility` wrote")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where they lie (as when they were labelled)")
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0], help="%(default)s")
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet (published ones), none (random), or torchvision's ResNet-18 as a .pth file (%(default)s)",
    )
    _add_recipe(parser)
    _add_labellers(parser)
    parser.add_argument("--seed", type=natural, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of the fit, and as many of reading (%(default)s)")
    parser.add_argument("--device", default="cpu", help="PyTorch's name of it (%(default)s)")
    parser.add_argument("--validate", type=positive, default=2000, metavar="COUNT", help="samples (%(default)s)")
    parser.add_argument("--validate-every", type=positive, metavar="STEPS", help="default: an epoch")
    parser.add_argument("--snapshot-every", type=positive, default=200, metavar="STEPS", help="%(default)s")
    parser.add_argument(
        "--threshold",
        type=share,
        default=0.5,
        metavar="SCORE",
        help="frames below it are dropped where the operator sets nothing else (%(default)s)",
    )
    parser.add_argument("--name", default="utility", help="of the checkpoint and its files (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for checkpoint, log and curves")
    parser.add_argument("--resume", action="store_true", help="go on with the run in it")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(RECIPES)
    parser.add_argument("--recipe", default="distilled", help=f"{known}, or a JSON file of one (%(default)s)")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="numbers of the recipe to change: learning_rate=0.02",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help="default: the recipe's")
    length.add_argument("--steps", type=positive, help="batches, instead of epochs")


def _add_labellers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--labelled-by", nargs="+", metavar="NAME", help="networks whose answers are learned from (default: all)"
    )
    group.add_argument("--without-family", nargs="+", metavar="FAMILY", help="all networks but those of a family")


def run(options: argparse.Namespace) -> None:
    import matplotlib  # noqa: F401 - missed before the long work
    import torch

    from training.allocator import keep_memory
    from training.lock import only_writer
    from training.progress_log import VALIDATIONS, ProgressLog, last_row
    from training.run_record import begin_run, finish_run
    from training.trainer import Plan, Trainer
    from training.utility.label_set import LabelSet
    from training.utility.training import UtilityTask, make_network

    _require_name(options.name)
    _require_device(options.device)
    keep_memory()
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe, options.set, options.epochs)
    labels = LabelSet.load(options.labels)
    labellers = _labellers(labels, options)
    network, arguments = make_network(options.network, recipe, options.weights, options.seed)
    task = UtilityTask(
        labels,
        labellers,
        options.pictures or Path(labels.header.root),
        recipe,
        seed=options.seed,
        workers=options.threads,
        validate=options.validate,
        device=options.device,
        start=network,
    )
    steps = options.steps or max(1, round(recipe.epochs * task.epoch_steps))
    plan = Plan(
        steps=steps,
        validate_every=options.validate_every or task.epoch_steps,
        snapshot_every=options.snapshot_every,
        seed=options.seed,
        workers=options.threads,
        device=options.device,
    )
    with only_writer(options.output):
        record = begin_run(options.output, _asked(options, recipe, labels, labellers, plan), resume=options.resume)
        trainer = Trainer(network, task, recipe, plan, options.output)
        print(
            f"{options.network}: {len(task.targets)} samples teach, {recipe.target} of {', '.join(labellers)}; "
            f"{steps} steps of {recipe.batch_size}, an epoch is {task.epoch_steps}"
        )
        trained = _fit(trainer, steps)
        measures = last_row(options.output, VALIDATIONS)
        measures.pop("step")
        ProgressLog(options.output, after=steps).draw()
        _save(options, trained, arguments, labels, labellers, recipe, record.commits, measures)
        finish_run(options.output, record, measures)
        for name, value in measures.items():
            print(f"{name}: {value:.4f}")
        print(f"{options.output / options.name}.safetensors, .json: the trained network")


def read_recipe(name: str, changes: list[str], epochs: float | None) -> UtilityRecipe:
    """A recipe by its name or from a JSON file, with changes.

    Raises:
        ConfigError: there is no such recipe, or it does not have what is to be changed.
    """
    from pydantic import ValidationError
    from pydantic_core import from_json

    path = Path(name)
    if name not in RECIPES and not path.is_file():
        raise ConfigError(f"--recipe {name}: there are {', '.join(RECIPES)}; or name a JSON file of one")
    try:
        known = RECIPES[name] if name in RECIPES else UtilityRecipe.model_validate_json(path.read_bytes())
        fields: dict[str, Any] = known.model_dump()
        for change in changes:
            key, mark, value = change.partition("=")
            if not mark or key not in fields:
                raise ConfigError(f"--set {change}: NAME=VALUE is due, NAME one of {', '.join(fields)}")
            try:
                fields[key] = from_json(value)
            except ValueError:  # a word
                fields[key] = value
        if epochs is not None:
            fields["epochs"] = epochs
        return UtilityRecipe.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"--recipe {name}: {faults_of(error, 'recipe')}") from error


def _require_name(name: str) -> None:
    if name in KEPT_NAMES or not name or Path(name).name != name:
        raise ConfigError(
            f"--name {name}: a file's bare name is due, and {' and '.join(KEPT_NAMES)} are names of the run's own files"
        )


def _require_device(name: str) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter where PyTorch was built without it
        fault = str(error).splitlines()[0]
        raise ConfigError(
            f"--device {name}: PyTorch has none here ({fault}); leave it out to train on the CPU"
        ) from error


def _labellers(labels: "LabelSet", options: argparse.Namespace) -> list[str]:
    if options.without_family:
        return labels.without_families(options.without_family).networks
    return labels.only(options.labelled_by).networks if options.labelled_by else labels.networks


def _asked(
    options: argparse.Namespace, recipe: UtilityRecipe, labels: "LabelSet", labellers: list[str], plan: "Plan"
) -> dict[str, Any]:
    weights = Path(options.weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else None
    return {
        "task": "utility",
        "network": options.network,
        "weights": weights.name,
        "weights_sha256": sha256,
        "labels": labels.header.name,
        "labels_digest": labels.digest,
        "truth": labels.header.truth,
        "damage": labels.header.plan,
        "labelled_by": labellers,
        "recipe": recipe.model_dump(),
        "steps": plan.steps,
        "validate": options.validate,
        "validate_every": plan.validate_every,
        "seed": plan.seed,
        "threads": options.threads,
        "device": plan.device,
    }


def _fit(trainer: "Trainer", steps: int) -> "nn.Module":
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("steps", total=steps)
        return trainer.fit(watch=lambda done: progress.update(bar, completed=done))


def _save(
    options: argparse.Namespace,
    network: "nn.Module",
    arguments: dict[str, Any],
    labels: "LabelSet",
    labellers: list[str],
    recipe: UtilityRecipe,
    commits: tuple[str, ...],
    measures: dict[str, float],
) -> None:
    from runtime.manifest import Provenance, UtilityHead
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.models.confidence import OUTPUT
    from training.utility.training import INPUT

    header = labels.header
    begun = "; WARNING: begun with random weights, not ImageNet's" if options.weights == "none" else ""
    code = f"; code {', '.join(commits)}" if commits else ""
    description = Description(
        name=options.name,
        version="1",
        architecture=f"{options.network}-utility",
        arguments=arguments,
        inputs=(INPUT,),
        heads=(UtilityHead(output=OUTPUT, threshold=options.threshold),),
        provenance=Provenance(
            data=f"labels {header.name} ({labels.digest}): {recipe.target} of {', '.join(labellers)}; {header.truth}; "
            f"damage {header.plan}{code}{begun}",
            metrics={name: value for name, value in measures.items() if value == value},  # noqa: PLR0124 - NaN
            licence=LICENCES[options.network],
            command=_command(options, labellers),
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, network.cpu().eval()))


def _command(options: argparse.Namespace, labellers: list[str]) -> str:
    """The command that makes the checkpoint anew; files go by their names alone."""
    words = ["python", "-m", "training", "train", "utility", "--labels", options.labels.name]
    words += ["--network", options.network, "--weights", Path(options.weights).name]
    words += ["--recipe", Path(options.recipe).name, *(["--set", *options.set] if options.set else [])]
    words += ["--steps", str(options.steps)] if options.steps else []
    words += ["--epochs", f"{options.epochs:g}"] if options.epochs else []
    words += ["--labelled-by", *labellers, "--seed", str(options.seed), "--threads", str(options.threads)]
    words += ["--threshold", f"{options.threshold:g}"] if options.threshold != 0.5 else []
    words += ["--device", options.device] if options.device != "cpu" else []
    return shlex.join([*words, "--name", options.name, "--output", options.output.name])
