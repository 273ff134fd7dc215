"""How ``serve --help`` names what a flag takes: pydantic-settings would print Python's types."""

import argparse
from collections.abc import Callable

UNSET = " (default: None)", " (default factory: dict)"
WORDS: dict[object, str] = {
    "Path": "FILE",
    "list[Path]": "FILE",
    "str": "TEXT",
    "int": "NUMBER",
    "float": "NUMBER",
    "{int,off}": "{NUMBER,off}",
    "dict[str,Any]": "NAME=VALUE",
}


class SettingsHelp(argparse.HelpFormatter):
    """For people who run a gateway; a default that is none is not printed."""

    def _metavar_formatter(self, action: argparse.Action, default_metavar: str) -> Callable[[int], tuple[str, ...]]:
        action.metavar = WORDS.get(action.metavar, action.metavar)
        return super()._metavar_formatter(action, default_metavar)

    def _expand_help(self, action: argparse.Action) -> str:
        words = super()._expand_help(action)
        for unset in UNSET:
            words = words.removesuffix(unset)
        return words
