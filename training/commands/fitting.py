"""What the commands that fit a network share: their options, and the way of a run from its record to its end."""

import argparse
import contextlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.commands.arguments import natural, positive
from training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from training.run_record import RunRecord
    from training.trainer import Plan, Trainer

AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)
KEPT_NAMES = ("run", "snapshot")
"""Of the run's own files."""


def add_recipe(parser: argparse.ArgumentParser, recipes: Mapping[str, Recipe], default: str | None) -> None:
    """Which recipe, what of it is changed, and how long; without a default, the command says which."""
    chosen = f" ({default})" if default else ""
    parser.add_argument("--recipe", default=default, help=f"{', '.join(recipes)}, or a JSON file of one{chosen}")
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


def add_run(parser: argparse.ArgumentParser, name: str) -> None:
    """What every run is told: how it computes, and where its files go."""
    parser.add_argument("--seed", type=natural, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of the fit, and as many of reading (%(default)s)")
    parser.add_argument("--device", default="cpu", help="PyTorch's name of it (%(default)s)")
    parser.add_argument("--validate", type=positive, default=2000, metavar="COUNT", help="samples (%(default)s)")
    parser.add_argument("--validate-every", type=positive, metavar="STEPS", help="default: an epoch")
    parser.add_argument("--snapshot-every", type=positive, default=200, metavar="STEPS", help="%(default)s")
    parser.add_argument("--name", default=name, help="of the checkpoint and its files (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for checkpoint, log and curves")
    parser.add_argument("--resume", action="store_true", help="go on with the run in it")


def read_recipe(
    recipes: Mapping[str, AnyRecipe], name: str, changes: list[str], epochs: float | None, device: str = "cpu"
) -> AnyRecipe:
    """A recipe by its name or from a JSON file, with changes; of one inside of another by PART.NAME.

    Its bfloat16 is float32 where the device has no instructions for it, and standard error says so; a change that asks
    for bfloat16 is obeyed.

    Raises:
        ConfigError: there is no such recipe, or it does not have what is to be changed.
    """
    from pydantic import ValidationError
    from pydantic_core import from_json

    path = Path(name)
    if name not in recipes and not path.is_file():
        raise ConfigError(f"--recipe {name}: there are {', '.join(recipes)}; or name a JSON file of one")
    kind = type(next(iter(recipes.values())))
    try:
        known = recipes[name] if name in recipes else kind.model_validate_json(path.read_bytes())
        fields: dict[str, Any] = known.model_dump()
        if not computes_bfloat16(device) and _in_float32(fields):
            print(
                f"--recipe {name}: in float32, since this CPU only emulates its bfloat16, many times slower "
                "(AVX-512 or AMX are due; --set precision=bfloat16 takes it all the same)",
                file=sys.stderr,
            )
        for change in changes:
            path_text, mark, value = change.partition("=")
            holder, key = _holder(fields, path_text)
            if not mark or key not in holder:
                raise ConfigError(f"--set {change}: NAME=VALUE is due, NAME one of {', '.join(_names(fields))}")
            try:
                holder[key] = from_json(value)
            except ValueError:  # a word
                holder[key] = value
        if epochs is not None:
            fields["epochs"] = epochs
        recipe = kind.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"--recipe {name}: {faults_of(error, 'recipe')}") from error
    if fields.get("schedule") == "plateau":  # DeepRN's recipes have it in their stages, which hold pictures out for it
        raise ConfigError(
            f"--recipe {name}: schedule plateau chooses by validations, and nothing is chosen by these; it can be "
            "constant, cosine or polynomial"
        )
    return recipe


def computes_bfloat16(device: str) -> bool:
    """Whether a device has instructions for it; of accelerators that is taken for granted."""
    import torch

    if torch.device(device).type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _in_float32(fields: dict[str, Any]) -> bool:
    """Put each bfloat16 of a recipe and its parts to float32; returns whether there was one."""
    changed = [_in_float32(part) for part in fields.values() if isinstance(part, dict)]
    if fields.get("precision") == "bfloat16":
        fields["precision"] = "float32"
        return True
    return any(changed)


def _holder(fields: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """What holds the field of a name such as ``learning_rate`` or ``classes.learning_rate``, and its own name there."""
    part, dot, own = name.partition(".")
    inside = fields.get(part)
    return (inside, own) if dot and isinstance(inside, dict) else (fields, name)


def _names(fields: dict[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        yield from (f"{name}.{own}" for own in value) if isinstance(value, dict) else [name]


def begin(options: argparse.Namespace) -> None:
    """What can be wrong or missing, before the long work; and what makes the work quick."""
    import matplotlib  # noqa: F401 - missed before the long work
    import torch

    from training.allocator import keep_memory

    _require_name(options.name)
    require_device(options.device)
    keep_memory()
    torch.set_num_threads(options.threads)


def _require_name(name: str) -> None:
    if name in KEPT_NAMES or not name or Path(name).name != name:
        raise ConfigError(
            f"--name {name}: a file's bare name is due, and {' and '.join(KEPT_NAMES)} are names of the run's own files"
        )


def require_device(name: str) -> None:
    """Raises ConfigError where PyTorch has no such device here."""
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter where PyTorch was built without it
        fault = str(error).splitlines()[0]
        raise ConfigError(
            f"--device {name}: PyTorch has none here ({fault}); leave it out to train on the CPU"
        ) from error


def plan_of(options: argparse.Namespace, epochs: float, epoch_steps: int) -> "Plan":
    """How long the run is, and when it does what: the options', or what the recipe's epochs come to."""
    from training.trainer import Plan

    return Plan(
        steps=options.steps or max(1, round(epochs * epoch_steps)),
        validate_every=options.validate_every or epoch_steps,
        snapshot_every=options.snapshot_every,
        seed=options.seed,
        workers=options.threads,
        device=options.device,
    )


def run_fields(options: argparse.Namespace, plan: "Plan") -> dict[str, Any]:
    """What a run's record says of how it computes, whatever it fits."""
    return {
        "steps": plan.steps,
        "validate": options.validate,
        "validate_every": plan.validate_every,
        "seed": plan.seed,
        "threads": options.threads,
        "device": plan.device,
    }


def require_distinct(names: Sequence[str]) -> None:
    """Raises ConfigError where two sets are called alike."""
    if len(set(names)) < len(names):
        raise ConfigError(f"--data: two sets are called alike ({', '.join(names)}), and the run's record tells by name")


@contextlib.contextmanager
def recorded(options: argparse.Namespace, asked: dict[str, Any]) -> "Iterator[RunRecord]":
    """The folder's only run, on its record."""
    from training.lock import only_writer
    from training.run_record import begin_run

    with only_writer(options.output):
        yield begin_run(options.output, asked, resume=options.resume)


def fit(trainer: "Trainer", steps: int, folder: Path) -> "tuple[nn.Module, dict[str, float]]":
    """Do the steps with a progress bar, and draw the curves; returns the network and the last validation's measures."""
    from rich.console import Console

    from training.commands.progress import progress_bar
    from training.progress_log import VALIDATIONS, ProgressLog, last_row

    with progress_bar(Console(stderr=True), transient=False) as progress:
        bar = progress.add_task("steps", total=steps)
        trained = trainer.fit(watch=lambda done: progress.update(bar, completed=done))
    measures = last_row(folder, VALIDATIONS)
    measures.pop("step")
    ProgressLog(folder, after=steps).draw()
    return trained, measures


def finish(options: argparse.Namespace, record: "RunRecord", measures: dict[str, float]) -> None:
    """Note what came of it, and say so; of measures that are no numbers, why."""
    from training.run_record import finish_run

    finish_run(options.output, record, measures)
    if any(math.isnan(value) for value in measures.values()):
        print("nan: nothing was held out (see --split-seed, of sets without sides), or all answers are one")
    for name, value in measures.items():
        print(f"{name}: {value:.4f}")
    print(f"{options.output / options.name}.safetensors, .json: the trained network")


def command_words(options: argparse.Namespace) -> list[str]:
    """How the recipe and the run were asked for, in words of the command line; files go by their names alone."""
    words = ["--recipe", Path(options.recipe).name, *(["--set", *options.set] if options.set else [])]
    words += ["--steps", str(options.steps)] if options.steps else []
    words += ["--epochs", f"{options.epochs:g}"] if options.epochs else []
    words += ["--seed", str(options.seed), "--threads", str(options.threads)]
    words += ["--device", options.device] if options.device != "cpu" else []
    return [*words, "--name", options.name, "--output", options.output.name]
