"""Logs on standard error, as text for people or JSON for machines. Nothing per frame."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["text", "json"]


def set_up_logging(log_format: LogFormat, level: str) -> None:
    """Log framegate at ``level`` and its libraries from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",  # UTC, with its offset
        )
        if log_format == "json"
        else logging.Formatter("{asctime} {levelname:<7} {name}: {message}", style="{")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("framegate").setLevel(level.upper())
    # It warns of every pause over 0.1 s: on busy cores that is the scheduler, and nothing can be done about it.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
