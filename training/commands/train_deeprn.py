"""``train deeprn``: what would people say of this picture? The paper's network, in its two stages."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError
from training.commands import fitting
from training.commands.arguments import Commands, positive
from training.commands.origin import IMAGENET, begun_with, of_held_out, provenance, weights_sha256
from training.commands.quality_sets import add_reading, read_divided, reading_words, told_of
from training.quality.deeprn_recipes import RECIPES, DeepRNRecipe

if TYPE_CHECKING:
    from training.models.deeprn import DeepRN
    from training.quality.rated import RatedSet
    from training.quality.teachers import Teachers

CLASSES, SHARES, FEATURES, TRUNK = "classes", "shares", "features", "trunk.safetensors"
"""In the run's folder: of the first stage, of the second, and what lies between them."""


def add(tasks: Commands) -> None:
    parser = tasks.add_parser(
        "deeprn", help="what would people say of this picture? The paper's network, in two stages"
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="sets of `build quality`, or published ones",
    )
    parser.add_argument("--recipe", default="small", help=f"{', '.join(RECIPES)}, or a JSON file of one (%(default)s)")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="numbers of the recipe to change: dropout=0.3, or of a stage: classes.epochs=3 shares.learning_rate=0.01",
    )
    parser.add_argument("--steps", type=positive, help="batches of each stage, instead of the recipe's epochs")
    parser.add_argument("--loss", choices=("huber", "euclidean"), help="of the shares (the recipe's)")
    parser.add_argument("--head", choices=("distribution", "mos"), help="mos: the mean alone, with loss euclidean")
    parser.add_argument(
        "--weights",
        default=IMAGENET,
        metavar="WEIGHTS",
        help="of the trunk: imagenet (its package's), none (random), or torchvision's file of ResNet-101 (%(default)s)",
    )
    parser.add_argument(
        "--trunk", type=Path, metavar="FILE", help=f"{TRUNK} of another run: the first stage is done; its features, too"
    )
    add_reading(parser)
    fitting.add_run(parser, "deeprn")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'", epochs=None)


def run(options: argparse.Namespace) -> None:
    from training.quality.classes import require_squares
    from training.quality.readers import require_pictures
    from training.quality.teachers import both_sides

    fitting.begin(options)
    if options.trunk is not None and options.weights != IMAGENET:
        raise ConfigError(
            f"--weights {options.weights}: of a trunk that is trained here, and --trunk gives one: leave one out"
        )
    recipe = asked_recipe(options)
    _require_weights(options, recipe)
    sets = read_divided(options, options.data)
    fitting.require_distinct([one.name for one in sets])
    sizes = {path: size for one in sets for path, size in require_pictures(one).items()}
    teachers, validation = both_sides(sets, recipe.validation_share)
    if options.trunk is None:
        require_squares({path: sizes[path] for path in (*teachers.paths, *validation.paths)}, recipe)
    validation = validation.drawn(options.validate, options.seed)
    with fitting.recorded(options, _asked(options, recipe, sets)) as record:
        trunk = options.trunk or _first_stage(options, recipe, teachers, validation)
        network, measures = _second_stage(options, recipe, teachers, validation, trunk, sets)
        _save(options, recipe, network, sets, record.commits, measures)
        fitting.finish(options, record, measures)


def asked_recipe(options: argparse.Namespace) -> DeepRNRecipe:
    """The recipe with what the options change of it."""
    changes = list(options.set)
    changes += [f"loss={options.loss}"] if options.loss else []
    changes += [f"head={options.head}"] if options.head else []
    changes += ["loss=euclidean"] if options.head == "mos" and options.loss is None else []
    return fitting.read_recipe(RECIPES, options.recipe, changes, None, options.device)


def _require_weights(options: argparse.Namespace, recipe: DeepRNRecipe) -> None:
    """Raises ConfigError where they cannot be had, before the folder holds a run that can only be deleted."""
    from training.quality.deeprn import classifier, whole_network

    if options.trunk is None:
        classifier(recipe, options.weights, options.seed)
    else:
        whole_network(recipe, options.trunk, options.seed)


def _first_stage(
    options: argparse.Namespace, recipe: DeepRNRecipe, teachers: "Teachers", validation: "Teachers"
) -> Path:
    from training.quality.classes import ClassesTask
    from training.quality.deeprn import classifier, save_trunk
    from training.trainer import Trainer

    network = classifier(recipe, options.weights, options.seed)
    task = ClassesTask(teachers, validation, recipe, seed=options.seed, device=options.device)
    plan = fitting.plan_of(options, recipe.classes.epochs, task.epoch_steps)
    folder = options.output / CLASSES
    print(
        f"first stage: {len(teachers)} pictures teach five classes of {task.counts}; {plan.steps} steps of "
        f"{recipe.classes.batch_size}, an epoch is {task.epoch_steps}"
    )
    fitting.fit(Trainer(network, task, recipe.classes, plan, folder), plan.steps, folder)
    path: Path = options.output / TRUNK
    save_trunk(path, network.trunk)
    return path


def _second_stage(
    options: argparse.Namespace,
    recipe: DeepRNRecipe,
    teachers: "Teachers",
    validation: "Teachers",
    trunk: Path,
    sets: "list[RatedSet]",
) -> "tuple[DeepRN, dict[str, float]]":
    from rich.console import Console

    from training.commands.progress import progress_bar
    from training.quality.deeprn import feature_key, whole_network
    from training.quality.features import FeatureStore
    from training.quality.shares import SharesTask
    from training.trainer import Trainer

    network = whole_network(recipe, trunk, options.seed).to(options.device)
    key = feature_key(recipe, trunk) | {"sets": [one.digest for one in sets]}
    store = FeatureStore(trunk.parent / FEATURES, network, key, device=options.device, workers=options.threads)
    count = recipe.variants.count
    with progress_bar(Console(stderr=True), transient=False) as progress:
        bar = progress.add_task("features", total=count * len(teachers) + len(validation))

        def advance() -> None:
            progress.advance(bar)

        held = store.of(validation, watch=advance)
        features = [store.of(teachers, number, recipe.variants, watch=advance) for number in range(count)]
    task = SharesTask(teachers, features, validation, held, recipe, seed=options.seed, device=options.device)
    plan = fitting.plan_of(options, recipe.shares.epochs, task.epoch_steps)
    folder = options.output / SHARES
    print(f"second stage: {plan.steps} steps of {recipe.shares.batch_size}, an epoch is {task.epoch_steps}")
    _, measures = fitting.fit(Trainer(network.head, task, recipe.shares, plan, folder), plan.steps, folder)
    return network, measures


def _asked(options: argparse.Namespace, recipe: DeepRNRecipe, sets: "list[RatedSet]") -> dict[str, Any]:
    from training.quality.teachers import opinions_of

    return {
        "task": "deeprn",
        "weights": Path(options.weights).name,
        "weights_sha256": weights_sha256(options.weights) if Path(options.weights).is_file() else None,
        "trunk_sha256": weights_sha256(options.trunk),
        "set": {one.name: {"digest": one.digest, "shares_from": opinions_of(one)} for one in sets},
        "recipe": recipe.model_dump(),
        "steps": options.steps,
        "validate": options.validate,
        "validate_every": options.validate_every,
        "seed": options.seed,
        "threads": options.threads,
        "device": options.device,
    }


def _save(
    options: argparse.Namespace,
    recipe: DeepRNRecipe,
    network: "DeepRN",
    sets: "list[RatedSet]",
    commits: tuple[str, ...],
    measures: dict[str, float],
) -> None:
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.models.deeprn_trunk import LICENCES
    from training.quality.deeprn import ARCHITECTURE, arguments_of, deeprn_head, deeprn_input
    from training.quality.teachers import opinions_of

    learned = told_of(sets, [f"shares from {opinions_of(one)}" for one in sets])
    description = Description(
        name=options.name,
        version="1",
        architecture=ARCHITECTURE,
        arguments=arguments_of(recipe),
        inputs=(deeprn_input(recipe),),
        heads=(deeprn_head(),),
        dynamic_size=True,
        provenance=provenance(
            options,
            learned,
            commits,
            of_held_out(measures),
            licence=LICENCES[recipe.trunk],
            words=_words(options),
            begun=_begun(options),
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, network.cpu().eval()))


def _begun(options: argparse.Namespace) -> str:
    if options.trunk is None:
        return begun_with(options.weights)
    from training.run_record import sets_of_run

    learned = sets_of_run(options.trunk.parent)
    told = f"which learned from: {learned}" if learned else "whose pictures are not told"
    return f"; begun with {options.trunk.name} (sha256:{weights_sha256(options.trunk)}), {told}"


def _words(options: argparse.Namespace) -> list[str]:
    """The command's own words; files go by their names alone."""
    words = ["deeprn", "--data", *(folder.name for folder in options.data), *reading_words(options)]
    words += ["--weights", Path(options.weights).name] if options.weights != IMAGENET else []
    words += ["--trunk", options.trunk.name] if options.trunk else []
    words += ["--loss", options.loss] if options.loss else []
    return [*words, *(["--head", options.head] if options.head else [])]
