"""Every setting of ``serve``: from flags, then ``FRAMEGATE_...``, then a TOML file, then the defaults here."""

import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from runtime.aspect import WIDE, Aspect, parse_aspect
from runtime.decode import MAX_PIXELS
from runtime.engine import Provider
from runtime.errors import ConfigError
from runtime.logs import LogFormat
from runtime.policy import Policy
from runtime.prepare import Decode
from runtime.satisfied import Satisfied, parse_satisfied
from runtime.settings_help import SettingsHelp
from stream.client import typed_option

PREFIX = "FRAMEGATE_"
TEST_PREFIX = "FRAMEGATE_TEST_"
"""Read by the project's tests only."""
KUBERNETES = re.compile(
    rf"{PREFIX}(\w+_)?((SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=|PORT=(tcp|udp|sctp)://)"
)
"""How ``NAME=value`` begins that Kubernetes puts into every pod beside a service called framegate, or
framegate-metrics: no settings."""
SECRET = ("password", "secret", "token", "proxy")
"""In a client option's name; a proxy's URL may hold a password."""

Topic = Annotated[str, Field(min_length=1)]


class Settings(BaseSettings):
    """Judge camera frames from Kafka and publish a decision for each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        cli_prog_name="python -m runtime.serve",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    engine: Annotated[list[Path], NoDecode, Field(min_length=1)] = Field(
        description="engine file (.onnx, .plan, .engine); give it again for more heads (FRAMEGATE_ENGINE: separated by "
        "commas)"
    )
    brokers: str = Field("localhost:9092", description="host:port of the brokers, separated by commas")
    input_topic: Topic = Field("frames", description="where frames come from: key = camera, value = JPEG or PNG")
    output_topic: Topic = Field("decisions", description="where decisions go")
    dead_letter_topic: Topic = Field("frames.dead-letter", description="where frames go that cannot be judged")
    kept_topic: str | None = Field(None, description="also forward the kept frames' original bytes here")
    group: Annotated[str, Field(min_length=1)] = Field("framegate", description="consumer group")
    offset_reset: Literal["earliest", "latest"] = Field("earliest", description="where a new group begins")
    provider: Provider = Field("cpu", description="what ONNX Runtime runs an .onnx engine on: cpu, cuda or tensorrt")
    decode: Decode = Field("cpu", description="where JPEGs are decoded: cpu, or gpu (with engines that run there)")
    threads: Annotated[int, Field(ge=1)] | None = Field(
        None, description="worker threads (default: the CPUs that the container may use)"
    )
    max_batch: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="frames in a micro-batch at most")
    max_wait_ms: Annotated[float, Field(ge=0, le=5_000)] = Field(
        5, description="how long a batch waits for more frames after its first"
    )
    in_flight: Annotated[int, Field(ge=1, le=64)] = Field(3, description="batches judged at the same time")
    max_pixels: Annotated[int, Field(ge=1)] = Field(MAX_PIXELS, description="a larger picture is a dead letter")
    min_utility: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="drop frames of less utility (default: the engine's threshold)"
    )
    min_mos: Annotated[float, Field(ge=1, le=5)] | None = Field(
        None, description="drop frames of a lower mean opinion score (default: the engine's threshold)"
    )
    min_satisfied: str | None = Field(
        None, description="SHARE@SCORE: drop frames that fewer viewers would give at least that score: 0.8@3"
    )
    min_clarity: Annotated[float, Field(ge=1, le=10)] | None = Field(
        None, description="drop frames that are less clear, on 1..10 (default: the engine's threshold)"
    )
    min_cover: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="drop frames that would make a poorer cover (default: none is)"
    )
    cover_aspect: str = Field(str(WIDE), description="width to height of the crops in cover decisions")
    delivery: Literal["at-least-once", "exactly-once"] = Field(
        "at-least-once", description="at-least-once, or exactly-once: a transaction for each micro-batch"
    )
    transaction_timeout_ms: Annotated[int, Field(ge=1000)] = Field(
        15_000, description="after which the broker ends a killed member's transaction"
    )
    broker_timeout_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        120, description="how long a broker that does not answer is waited for"
    )
    create_topics: bool = Field(False, description="create topics that are missing")
    metrics_host: str = Field("127.0.0.1", description="where metrics and health listen")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | Literal["off"] = Field(
        9464, description="their port; 0 takes a free one, 'off' none"
    )
    log_format: LogFormat = Field("text", description="text or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    config: Path | None = Field(None, description="TOML file with these names, and a [kafka] table")
    dry_run: bool = Field(False, description="push one frame through every stage, print its decision, exit")
    exit_when_drained: bool = Field(False, description="exit once the frames that wait at the start are done")
    kafka: dict[str, Any] = Field(
        default_factory=dict, description="kafka-python's client options: --kafka security_protocol=SASL_SSL"
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _split(cls, paths: Any) -> Any:
        return [path for path in paths.split(",") if path] if isinstance(paths, str) else paths

    @field_validator("cover_aspect")
    @classmethod
    def _readable(cls, aspect: str) -> str:
        return str(parse_aspect(aspect))

    @field_validator("min_satisfied")
    @classmethod
    def _asks_for_a_share(cls, satisfied: str | None) -> str | None:
        return None if satisfied is None else str(parse_satisfied(satisfied))

    @field_validator("kafka")
    @classmethod
    def _hide_secrets(cls, options: dict[str, Any]) -> dict[str, Any]:
        return {
            name: SecretStr(str(value)) if any(word in name for word in SECRET) else typed_option(name, value)
            for name, value in options.items()
        }

    @model_validator(mode="after")
    def _distinct_topics(self) -> "Settings":
        users: dict[str, str] = {}
        for name in ("input_topic", "output_topic", "dead_letter_topic", "kept_topic"):
            topic = getattr(self, name)
            if topic and topic in users:
                raise ValueError(f"{users[topic]} and {name} are both {topic!r}: they must differ")
            users[topic] = name
        return self

    @property
    def aspect(self) -> Aspect | None:
        """Of the covers' crops; None where the operator leaves it open, so that it asks for no engine of covers."""
        return parse_aspect(self.cover_aspect) if "cover_aspect" in self.model_fields_set else None

    @property
    def satisfied(self) -> Satisfied | None:
        """The share of viewers that ``min_satisfied`` asks for."""
        return None if self.min_satisfied is None else parse_satisfied(self.min_satisfied)

    @property
    def asked(self) -> Policy:
        """The thresholds that the operator gives; where he gives none, the engines' manifests have a word."""
        return Policy(self.min_utility, self.min_mos, self.min_clarity, self.min_cover, self.satisfied)

    @property
    def kafka_options(self) -> dict[str, Any]:
        """The ``[kafka]`` table with its secrets in the clear: for the client, never for a log."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.kafka.items()
        }


def load_settings(argv: Sequence[str] | None = None) -> Settings:
    """Read the settings of ``argv`` (default: the command line), the environment and the TOML file.

    Raises:
        ConfigError: a key is unknown, a value wrong, the file missing; names all of them.
        SystemExit: ``--help``, or a flag that the parser does not know.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _require_known_environment()
    path = _config_path(arguments)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            flags: CliSettingsSource[Any] = CliSettingsSource(
                settings_cls, cli_parse_args=arguments, formatter_class=SettingsHelp
            )
            environment = EnvSettingsSource(settings_cls)
            environment.env_vars = {
                name: value for name, value in environment.env_vars.items() if not _of_kubernetes(name, value)
            }
            files = [TomlConfigSettingsSource(settings_cls, path)] if path else []
            return flags, environment, *files

    Loaded.__doc__ = Settings.__doc__
    try:
        return Loaded()
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from error
    except SettingsError as error:
        raise ConfigError(
            f"{error}: [kafka] is --kafka name=value (a value with a comma: by one of the other ways), "
            f"{PREFIX}KAFKA__NAME=value, JSON in {PREFIX}KAFKA, or a table in the TOML file"
        ) from error


def _config_path(arguments: Sequence[str]) -> Path | None:
    path = next((value for name, value in os.environ.items() if name.upper() == f"{PREFIX}CONFIG"), None)
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=False):
        if flag == "--config":
            path = value
        elif flag.startswith("--config="):
            path = flag.removeprefix("--config=")
    if path is None:
        return None
    try:
        if "config" in tomllib.loads(Path(path).read_bytes().decode()):
            raise ConfigError(f"--config {path}: it names another file under config, which is not read: leave it out")
    except OSError as error:
        raise ConfigError(f"--config {path}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: not TOML: {error}") from error
    return Path(path)


def _of_kubernetes(name: str, value: str | None) -> bool:
    return KUBERNETES.match(f"{name.upper()}={value}") is not None


def _require_known_environment() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, value in os.environ.items():
        upper = name.upper()  # pydantic-settings reads either case
        if not upper.startswith(PREFIX) or upper.startswith((TEST_PREFIX, f"{PREFIX}KAFKA__")):
            continue
        if _of_kubernetes(name, value):
            continue
        if upper not in known:
            raise ConfigError(f"{name}: no such setting; there are {', '.join(sorted(known))}")


def _fault(fault: Any) -> str:
    if not fault["loc"]:
        return str(fault["msg"]).removeprefix("Value error, ")
    key = str(fault["loc"][0])  # what follows is a place in a list or a member of a union
    flag = f"--{key.replace('_', '-')}"
    if fault["type"] == "missing":
        return f"{key}: missing; give {flag}, {PREFIX}{key.upper()} or {key} in the TOML file"
    if fault["type"] == "extra_forbidden":
        return f"{key}: no such setting; there are {', '.join(Settings.model_fields)}"
    given = "" if key == "kafka" else f" (given: {fault['input']!r})"
    return f"{key}: {str(fault['msg']).removeprefix('Value error, ')}{given}"
