"""``evaluate``: hold gates to the truth."""

from training.commands import (
    evaluate_cover,
    evaluate_cover_tables,
    evaluate_quality,
    evaluate_quality_fr,
    evaluate_utility,
)
from training.commands.arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("evaluate", help="hold gates to the truth (extras `cpu`, `train`)")
    systems = parser.add_subparsers(required=True, dest="system", metavar="SYSTEM")
    evaluate_utility.add(systems)
    evaluate_cover.add(systems)
    evaluate_cover_tables.add(systems)
    evaluate_quality.add(systems)
    evaluate_quality_fr.add(systems)
