"""``train``: fit a network."""

from training.commands import train_cover, train_deeprn, train_quality, train_quality_fr, train_utility
from training.commands.arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("train", help="fit a network (extra `train`)")
    tasks = parser.add_subparsers(required=True, metavar="TASK")
    for task in (train_utility, train_cover, train_quality, train_quality_fr, train_deeprn):
        task.add(tasks)
