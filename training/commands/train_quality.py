"""``train quality``: what would people say of this picture? The network that is served."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError
from training.commands import fitting
from training.commands.arguments import Commands
from training.commands.origin import IMAGENET, RANDOM, of_held_out, provenance, weights_sha256
from training.commands.quality_sets import add_reading, read_divided, reading_words, told_of
from training.quality.light_recipes import RECIPES, LightRecipe

if TYPE_CHECKING:
    from training.quality.rated import RatedSet
    from training.trainer import Plan


def add(tasks: Commands) -> None:
    parser = tasks.add_parser("quality", help="what would people say of this picture? The network that is served")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="sets of `build quality`, or published ones",
    )
    parser.add_argument(
        "--weights",
        default=IMAGENET,
        metavar="WEIGHTS",
        help="imagenet (of the trunks), none (random), or what to go on from: the STEM of a checkpoint, or an engine's "
        "ONNX file in FP32 (%(default)s)",
    )
    fitting.add_recipe(parser, RECIPES, "light")
    add_reading(parser)
    fitting.add_run(parser, "quality")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def run(options: argparse.Namespace) -> None:
    import torch

    from training.begun import take_over
    from training.models.quality_light import load_imagenet_trunks, quality_light
    from training.quality.held_out import held_out, learned
    from training.quality.light_training import LightTask, Validation
    from training.quality.readers import require_pictures
    from training.quality.target import targets
    from training.trainer import Trainer

    fitting.begin(options)
    recipe = fitting.read_recipe(RECIPES, options.recipe, options.set, options.epochs, options.device)
    if recipe.batch_size % 2:
        raise ConfigError(f"batch_size={recipe.batch_size}: a batch holds pairs of pictures, so an even number is due")
    sets = read_divided(options, options.data)
    fitting.require_distinct([one.name for one in sets])
    for one in sets:
        require_pictures(one)
    torch.manual_seed(options.seed)
    network = quality_light(dropout=recipe.dropout)
    if options.weights == IMAGENET:
        load_imagenet_trunks(network)
    elif options.weights != RANDOM:
        take_over(network, Path(options.weights))
    teachers = [learned(one) for one in sets]
    validation = Validation(held_out(sets, options.validate, options.seed))
    task = LightTask(
        [(one, targets(one)) for one in teachers], validation, recipe, seed=options.seed, device=options.device
    )
    plan = fitting.plan_of(options, recipe.epochs, task.epoch_steps)
    with fitting.recorded(options, _asked(options, recipe, sets, plan)) as record:
        trainer = Trainer(network, task, recipe, plan, options.output)
        print(f"{len(task)} pairs teach; {plan.steps} steps of {recipe.batch_size}, an epoch is {task.epoch_steps}")
        _, measures = fitting.fit(trainer, plan.steps, options.output)
        _save(options, recipe, network, sets, record.commits, measures)
        fitting.finish(options, record, measures)


def _asked(options: argparse.Namespace, recipe: LightRecipe, sets: "list[RatedSet]", plan: "Plan") -> dict[str, Any]:
    return {
        "task": "quality",
        "weights": Path(options.weights).name,
        "weights_sha256": weights_sha256(options.weights),
        "set": {one.name: one.digest for one in sets},
        "recipe": recipe.model_dump(),
        **fitting.run_fields(options, plan),
    }


def _save(
    options: argparse.Namespace,
    recipe: LightRecipe,
    network: Any,
    sets: "list[RatedSet]",
    commits: tuple[str, ...],
    measures: dict[str, float],
) -> None:
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.quality.light_training import light_heads, light_inputs

    description = Description(
        name=options.name,
        version="1",
        architecture="quality-light",
        arguments={"dropout": recipe.dropout},
        inputs=light_inputs(),
        heads=light_heads(),
        provenance=provenance(
            options, told_of(sets), commits, of_held_out(measures), licence="Apache-2.0", words=_words(options)
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, network.cpu().eval()))


def _words(options: argparse.Namespace) -> list[str]:
    """The command's own words; files go by their names alone."""
    words = ["quality", "--data", *(folder.name for folder in options.data), *reading_words(options)]
    return [*words, *(["--weights", Path(options.weights).name] if options.weights != IMAGENET else [])]
