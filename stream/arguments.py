"""The flags that ``publish`` and ``tail`` share: which brokers, and how to talk to them."""

import argparse
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream.client import Cluster, typed_option
from stream.errors import ClientOptionError

BROKERS = "localhost:9092"
TABLE = "FRAMEGATE_KAFKA"
OPTION = f"{TABLE}__"
ANSWER_S = 15.0
"""A person waits at the terminal: a broker that does not answer is reported sooner than a service would."""


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--brokers`` and ``--config``."""
    parser.add_argument(
        "--brokers",
        metavar="HOST:PORT[,...]",
        help=f"where the brokers are (default: FRAMEGATE_BROKERS, the file's brokers, else {BROKERS})",
    )
    parser.add_argument(
        "--config",
        metavar="TOML",
        type=Path,
        help="the gateway's settings file: its brokers and its [kafka] table (security and other client options)",
    )


def open_cluster(arguments: argparse.Namespace) -> Cluster:
    """The cluster that the flags, the environment and the file name, in this order, as the gateway reads them.

    Raises:
        ClientOptionError: the file cannot be read, or a client option in it is wrong.
    """
    given = {name.upper(): value for name, value in os.environ.items()}
    path = arguments.config or given.get("FRAMEGATE_CONFIG")
    config = _read(Path(path)) if path else {}
    brokers = arguments.brokers or given.get("FRAMEGATE_BROKERS") or config.get("brokers", BROKERS)
    options = {"bootstrap_timeout_ms": int(ANSWER_S * 1000), **config.get("kafka", {}), **_client_options(given)}
    return Cluster(brokers, options, budget_s=2 * ANSWER_S)


def _client_options(given: Mapping[str, str]) -> dict[str, Any]:
    """Client options in the environment: where the gateway's password is kept too."""
    options = _json(given.get(TABLE, "{}"))
    options |= {name.removeprefix(OPTION).lower(): value for name, value in given.items() if name.startswith(OPTION)}
    return {option: typed_option(option, value) for option, value in options.items()}


def _json(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ClientOptionError(f"{TABLE}: not JSON: {error}") from error
    if not isinstance(options, dict):
        raise ClientOptionError(f'{TABLE}: JSON of client options is due, such as {{"security_protocol": "SASL_SSL"}}')
    return options


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ClientOptionError(f"--config {path}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClientOptionError(f"--config {path}: not TOML: {error}") from error
