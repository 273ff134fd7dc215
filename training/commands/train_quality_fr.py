"""``train quality-fr``: how much worse is a picture than its reference?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.commands import fitting
from training.commands.arguments import Commands, positive
from training.commands.origin import of_held_out, provenance, weights_sha256
from training.commands.quality_sets import add_reading, read_divided, reading_words, told_of
from training.quality.fr_recipes import RECIPES, FullReferenceRecipe

if TYPE_CHECKING:
    from training.quality.rated import RatedSet
    from training.trainer import Plan

VARIANTS = ("proposed", "concat", "residual_only", "distorted_only", "similarity")
PYRAMIDS = ("psp", "he")
GIB = 2**30


def add(tasks: Commands) -> None:
    parser = tasks.add_parser("quality-fr", help="how much worse is a picture than its reference?")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="sets of pictures with references"
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default=VARIANTS[0],
        help="the paper's, of its Table II, or one that also sees gradients and chroma (%(default)s)",
    )
    parser.add_argument(
        "--pyramid", choices=PYRAMIDS, default=PYRAMIDS[0], help="how the pooling of Fig. 3 is read (%(default)s)"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="STEM", help="a checkpoint to go on from, of the same layers (random weights)"
    )
    parser.add_argument(
        "--cache-gib", type=positive, default=4, help="memory for pictures that were read already (%(default)s)"
    )
    fitting.add_recipe(parser, RECIPES, "small")
    add_reading(parser)
    fitting.add_run(parser, "quality-fr")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def run(options: argparse.Namespace) -> None:
    import torch

    from training.begun import take_over
    from training.models.full_reference import TILE_PX, full_reference
    from training.quality.fr_samples import PairPatches
    from training.quality.fr_training import FullReferenceTask, Validation
    from training.quality.held_out import held_out, learned
    from training.quality.kept_pictures import KeptPictures
    from training.quality.readers import require_pictures, require_references, require_sizes
    from training.trainer import Trainer

    fitting.begin(options)
    recipe = fitting.read_recipe(RECIPES, options.recipe, options.set, options.epochs, options.device)
    torch.manual_seed(options.seed)
    network = full_reference(options.variant, options.pyramid)
    if options.weights is not None:
        take_over(network, options.weights)
    sets = read_divided(options, options.data)
    fitting.require_distinct([one.name for one in sets])
    for one in sets:
        require_references(one)
        require_sizes(one, require_pictures(one), TILE_PX)
    pictures = KeptPictures(options.cache_gib * GIB)
    patches = PairPatches([learned(one) for one in sets], recipe, pictures, options.seed)
    validation = Validation(held_out(sets, options.validate, options.seed), pictures, recipe.pooling)
    task = FullReferenceTask(patches, validation, recipe, device=options.device)
    plan = fitting.plan_of(options, recipe.epochs, patches.epoch_steps)
    with fitting.recorded(options, _asked(options, recipe, sets, plan)) as record:
        trainer = Trainer(network, task, recipe, plan, options.output)
        print(f"{len(patches)} pictures teach; {plan.steps} steps of {recipe.batch_size} patches")
        _, measures = fitting.fit(trainer, plan.steps, options.output)
        _save(options, recipe, network, sets, record.commits, measures)
        fitting.finish(options, record, measures)


def _asked(
    options: argparse.Namespace, recipe: FullReferenceRecipe, sets: "list[RatedSet]", plan: "Plan"
) -> dict[str, Any]:
    return {
        "task": "quality-fr",
        "variant": options.variant,
        "pyramid": options.pyramid,
        "weights_sha256": weights_sha256(options.weights),
        "set": {one.name: one.digest for one in sets},
        "recipe": recipe.model_dump(),
        **fitting.run_fields(options, plan),
    }


def _save(
    options: argparse.Namespace,
    recipe: FullReferenceRecipe,
    network: Any,
    sets: "list[RatedSet]",
    commits: tuple[str, ...],
    measures: dict[str, float],
) -> None:
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.quality.fr_training import full_reference_heads, full_reference_inputs

    description = Description(
        name=options.name,
        version="1",
        architecture="full-reference",
        arguments={"variant": options.variant, "pyramid": options.pyramid},
        inputs=full_reference_inputs(),
        heads=full_reference_heads(recipe.pooling),
        provenance=provenance(
            options, told_of(sets), commits, of_held_out(measures), licence="Apache-2.0", words=_words(options)
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, network.cpu().eval()))


def _words(options: argparse.Namespace) -> list[str]:
    """The command's own words; files go by their names alone."""
    words = ["quality-fr", "--data", *(folder.name for folder in options.data), *reading_words(options)]
    words += ["--variant", options.variant] if options.variant != VARIANTS[0] else []
    words += ["--pyramid", options.pyramid] if options.pyramid != PYRAMIDS[0] else []
    return [*words, *(["--weights", options.weights.name] if options.weights else [])]
