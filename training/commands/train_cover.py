"""``train cover``: how sharp is the picture, and where is its object?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from runtime.errors import ConfigError
from training.commands import fitting
from training.commands.arguments import Commands
from training.commands.origin import of_held_out, provenance, weights_sha256
from training.cover.recipes import ENCODERS, LIGHT, NETWORKS, RECIPES, CoverRecipe
from training.cover.run_facts import Strategy, Task

if TYPE_CHECKING:
    from training.cover.cover_set import CoverSet
    from training.cover.networks import Made
    from training.trainer import Plan

STRATEGIES, BOTH = get_args(Strategy), get_args(Task)


def add(tasks: Commands) -> None:
    parser = tasks.add_parser("cover", help="how sharp is the picture, and where is its object?")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="FOLDER[=SHARE]",
        help="sets that `build cover` wrote, and how many of the samples are drawn of each (evenly by set)",
    )
    parser.add_argument(
        "--network", choices=NETWORKS, default=LIGHT, help="the one that is served, or the paper's by encoder"
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="WEIGHTS",
        help="of the encoder: imagenet (published ones), none (random), or their file; of light also the STEM of its "
        "own checkpoint, to go on from (%(default)s)",
    )
    parser.add_argument("--tasks", nargs="+", choices=BOTH, default=list(BOTH), help="one alone: a baseline (both)")
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default=STRATEGIES[0],
        help="both tasks at once, or the mask first and then clarity on what it sees (%(default)s)",
    )
    parser.add_argument(
        "--first-stage", type=Path, metavar="STEM", help="of multi-stage: a network of the mask alone, trained already"
    )
    fitting.add_recipe(parser, RECIPES, None)
    fitting.add_run(parser, "cover")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def run(options: argparse.Namespace) -> None:
    from training.cover.cover_set import CoverSet
    from training.cover.networks import make_network, with_clarity
    from training.cover.training import CoverTask, training_parts
    from training.cover.validation import Validation, held_out
    from training.trainer import Trainer

    fitting.begin(options)
    options.recipe = options.recipe or (LIGHT if options.network == LIGHT else "paper")
    recipe = fitting.read_recipe(RECIPES, options.recipe, options.set, options.epochs, options.device)
    _require_stages(options)
    folders, shares = _data(options.data)
    sets = [CoverSet.load(folder) for folder in folders]
    fitting.require_distinct([one.name for one in sets])
    for one in sets:
        one.require_files()
    made = make_network(options.network, recipe, options.tasks, options.weights, options.seed)
    if options.strategy == "multi-stage":
        made = with_clarity(made, *_first_stage(options.first_stage))
    validation = Validation(held_out(sets, options.validate, options.seed), made.whole_views, recipe.gate)
    parts = training_parts(sets, shares)
    taught = ["clarity"] if options.strategy == "multi-stage" else options.tasks
    task = CoverTask(parts, validation, made.views, taught, recipe, seed=options.seed, device=options.device)
    plan = fitting.plan_of(options, recipe.epochs, task.epoch_steps)
    with fitting.recorded(options, _asked(options, recipe, sets, shares, plan)) as record:
        trainer = Trainer(made.network, task, recipe, plan, options.output)
        print(
            f"{options.network}: {len(task)} samples teach {' and '.join(options.tasks)}; {plan.steps} steps of "
            f"{recipe.batch_size}, an epoch is {task.epoch_steps}"
        )
        _, measures = fitting.fit(trainer, plan.steps, options.output)
        _save(options, made, sets, shares, record.commits, measures)
        fitting.finish(options, record, measures)


def _require_stages(options: argparse.Namespace) -> None:
    if (options.strategy == "multi-stage") != (options.first_stage is not None):
        raise ConfigError(
            "--strategy multi-stage and --first-stage STEM go together: train the mask alone first "
            "(--tasks saliency, in a folder of its own), then name its checkpoint"
        )
    if options.strategy == "multi-stage" and (options.network == LIGHT or set(options.tasks) != set(BOTH)):
        raise ConfigError(f"--strategy multi-stage is for both tasks, of one of {', '.join(ENCODERS)}")


def _first_stage(stem: Path) -> tuple[Any, dict[str, Any]]:
    from training.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(stem)
    return checkpoint.network, dict(checkpoint.description.arguments)


def _data(texts: list[str]) -> tuple[list[Path], list[float]]:
    folders, shares = [], []
    for text in texts:
        folder, mark, share = text.rpartition("=")
        try:
            shares.append(float(share) if mark else 1.0)
        except ValueError as error:
            raise ConfigError(f"--data {text}: FOLDER=SHARE is due, the share a number") from error
        folders.append(Path(folder if mark else text))
    return folders, shares


def _asked(
    options: argparse.Namespace, recipe: CoverRecipe, sets: "list[CoverSet]", shares: list[float], plan: "Plan"
) -> dict[str, Any]:
    weights = Path(options.weights)
    return {
        "task": "cover",
        "network": options.network,
        "tasks": [task for task in BOTH if task in options.tasks],
        "strategy": options.strategy,
        "first_stage": weights_sha256(options.first_stage),
        "weights": weights.name,
        "weights_sha256": weights_sha256(options.weights),
        "set": {one.name: {"digest": one.digest, "share": share} for one, share in zip(sets, shares, strict=True)},
        "recipe": recipe.model_dump(),
        **fitting.run_fields(options, plan),
    }


def _save(
    options: argparse.Namespace,
    made: "Made",
    sets: "list[CoverSet]",
    shares: list[float],
    commits: tuple[str, ...],
    measures: dict[str, float],
) -> None:
    from training.checkpoint import Checkpoint, Description, save_checkpoint
    from training.cover.networks import LICENCES

    learned = ", ".join(
        f"{one.name}{' (proxy)' if one.header.proxy else ''} {one.digest} x {share:g}"
        for one, share in zip(sets, shares, strict=True)
    )
    description = Description(
        name=options.name,
        version="1",
        architecture=made.architecture,
        arguments=made.arguments,
        inputs=made.inputs,
        heads=made.heads,
        dynamic_size=made.dynamic_size,
        provenance=provenance(
            options, learned, commits, of_held_out(measures), licence=LICENCES[options.network], words=_words(options)
        ),
    )
    save_checkpoint(options.output / options.name, Checkpoint(description, made.network.cpu().eval()))


def _words(options: argparse.Namespace) -> list[str]:
    """The command's own words; files go by their names alone."""
    words = ["cover", "--data", *(Path(text).name for text in options.data)]
    words += ["--network", options.network, "--weights", Path(options.weights).name]
    words += ["--tasks", *options.tasks] if set(options.tasks) != set(BOTH) else []
    words += ["--strategy", options.strategy] if options.strategy != STRATEGIES[0] else []
    return [*words, *(["--first-stage", options.first_stage.name] if options.first_stage else [])]
