"""``train utility``: will a machine still recognise what it sees?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.commands import fitting
from training.commands.arguments import Commands, share
from training.commands.origin import provenance, weights_sha256
from training.utility.recipes import NETWORKS, RECIPES, UtilityRecipe

if TYPE_CHECKING:
    from torch import nn

    from training.trainer import Plan
    from training.utility.label_set import LabelSet

LICENCES = {"efficientnet-lite0": "Apache-2.0", "resnet18": "BSD-3-Clause"}
"""Of the weights that training begins with."""


def add(tasks: Commands) -> None:
    parser = tasks.add_parser("utility", help="does a machine task still work on this frame?")
    parser.add_argument("--labels", type=Path, required=True, metavar="FOLDER", help="what `label utility` wrote")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where they lie (as when they were labelled)")
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0], help="%(default)s")
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet (published ones), none (random), or torchvision's ResNet-18 as a .pth file (%(default)s)",
    )
    fitting.add_recipe(parser, RECIPES, "distilled")
    _add_labellers(parser)
    fitting.add_run(parser, "utility")
    parser.add_argument(
        "--threshold",
        type=share,
        default=0.5,
        metavar="SCORE",
        help="frames below it are dropped where the operator sets nothing else (%(default)s)",
    )
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def _add_labellers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--labelled-by", nargs="+", metavar="NAME", help="networks whose answers are learned from (default: all)"
    )
    group.add_argument("--without-family", nargs="+", metavar="FAMILY", help="all networks but those of a family")


def run(options: argparse.Namespace) -> None:
    from training.trainer import Trainer
    from training.utility.label_set import LabelSet
    from training.utility.training import UtilityTask, make_network

    fitting.begin(options)
    recipe = fitting.read_recipe(RECIPES, options.recipe, options.set, options.epochs, options.device)
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
    plan = fitting.plan_of(options, recipe.epochs, task.epoch_steps)
    steps = plan.steps
    with fitting.recorded(options, _asked(options, recipe, labels, labellers, plan)) as record:
        trainer = Trainer(network, task, recipe, plan, options.output)
        print(
            f"{options.network}: {len(task.targets)} samples teach, {recipe.target} of {', '.join(labellers)}; "
            f"{steps} steps of {recipe.batch_size}, an epoch is {task.epoch_steps}"
        )
        trained, measures = fitting.fit(trainer, steps, options.output)
        _save(options, trained, arguments, labels, labellers, recipe, record.commits, measures)
        fitting.finish(options, record, measures)


def _labellers(labels: "LabelSet", options: argparse.Namespace) -> list[str]:
    if options.without_family:
        return labels.without_families(options.without_family).networks
    return labels.only(options.labelled_by).networks if options.labelled_by else labels.networks


def _asked(
    options: argparse.Namespace, recipe: UtilityRecipe, labels: "LabelSet", labellers: list[str], plan: "Plan"
) -> dict[str, Any]:
    return {
        "task": "utility",
        "network": options.network,
        "weights": Path(options.weights).name,
        "weights_sha256": weights_sha256(options.weights),
        "labels": labels.header.name,
        "labels_digest": labels.digest,
        "truth": labels.header.truth,
        "damage": labels.header.plan,
        "labelled_by": labellers,
        "recipe": recipe.model_dump(),
        **fitting.run_fields(options, plan),
    }


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
    from runtime.manifest import UtilityHead
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.models.confidence import OUTPUT
    from training.utility.training import INPUT

    header = labels.header
    learned = (
        f"labels {header.name} ({labels.digest}): {recipe.target} of {', '.join(labellers)}; {header.truth}; "
        f"damage {header.plan}"
    )
    description = Description(
        name=options.name,
        version="1",
        architecture=f"{options.network}-utility",
        arguments=arguments,
        inputs=(INPUT,),
        heads=(UtilityHead(output=OUTPUT, threshold=options.threshold),),
        provenance=provenance(
            options, learned, commits, measures, licence=LICENCES[options.network], words=_words(options, labellers)
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, network.cpu().eval()))


def _words(options: argparse.Namespace, labellers: list[str]) -> list[str]:
    """The command's own words; files go by their names alone."""
    words = ["utility", "--labels", options.labels.name]
    words += ["--network", options.network, "--weights", Path(options.weights).name]
    words += ["--labelled-by", *labellers]
    return [*words, *(["--threshold", f"{options.threshold:g}"] if options.threshold != 0.5 else [])]
