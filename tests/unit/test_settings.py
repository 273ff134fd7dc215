"""Settings: where they come from, what is refused, and what is never shown."""

import json
import logging
import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.settings import Settings, load_settings
from tests.command import run

Toml = Callable[[str], Path]
ENGINE = ["--engine", "a.onnx"]
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("FRAMEGATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path: Path) -> Toml:
    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_an_aspect_that_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default asks for no engine that makes covers; said, it does, also where it is the same."""
    assert load_settings(["--engine", "any.onnx"]).aspect is None
    assert load_settings(["--engine", "any.onnx", "--cover-aspect", "16:9"]).aspect == (16, 9)
    monkeypatch.setenv("FRAMEGATE_COVER_ASPECT", "1:1")
    assert load_settings(["--engine", "any.onnx"]).aspect == (1, 1)


def test_flags_then_environment_then_file_then_defaults(toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source wins over the next one, setting by setting."""
    path = toml('engine = "file.onnx"\ngroup = "file"\noutput_topic = "file"\nmax_batch = 3\n')
    monkeypatch.setenv("FRAMEGATE_GROUP", "environment")
    monkeypatch.setenv("FRAMEGATE_OUTPUT_TOPIC", "environment")

    settings = load_settings(["--config", str(path), "--output-topic", "flag"])

    assert settings.output_topic == "flag"
    assert settings.group == "environment"
    assert settings.max_batch == 3
    assert settings.engine == [Path("file.onnx")]
    assert settings.dead_letter_topic == "frames.dead-letter"


def test_the_defaults_are_the_documented_names() -> None:
    """Scripts rely on these; an engine is all that must be given."""
    settings = load_settings(ENGINE)

    assert (settings.brokers, settings.group) == ("localhost:9092", "framegate")
    assert (settings.input_topic, settings.output_topic) == ("frames", "decisions")
    assert (settings.dead_letter_topic, settings.kept_topic) == ("frames.dead-letter", None)
    assert (settings.delivery, settings.provider, settings.metrics_host) == ("at-least-once", "cpu", "127.0.0.1")


@pytest.mark.parametrize("flags", [["--config", "PATH"], ["--config=PATH"]])
def test_the_file_is_found_by_its_flag(toml: Toml, flags: list[str]) -> None:
    """In both of the forms that flags have."""
    path = str(toml('group = "file"'))

    assert load_settings([*ENGINE, *(flag.replace("PATH", path) for flag in flags)]).group == "file"


def test_the_file_is_found_by_the_environment(toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    """FRAMEGATE_CONFIG names it too; the flag goes before it."""
    monkeypatch.setenv("FRAMEGATE_CONFIG", str(toml('group = "file"')))

    assert load_settings(ENGINE).group == "file"
    with pytest.raises(ConfigError, match=r"other\.toml"):
        load_settings([*ENGINE, "--config", "other.toml"])


@pytest.mark.parametrize(
    ("flags", "environment", "engines"),
    [
        (["--engine", "a.onnx", "--engine", "b.onnx"], None, ["a.onnx", "b.onnx"]),
        (["--engine", "models/a b.onnx"], None, ["models/a b.onnx"]),
        ([], "a.onnx", ["a.onnx"]),
        ([], "a.onnx,b.onnx", ["a.onnx", "b.onnx"]),
        (["--engine", "c.onnx"], "a.onnx,b.onnx", ["c.onnx"]),
    ],
)
def test_several_engines(
    flags: list[str], environment: str | None, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flag again, or commas in the environment; the flag replaces the environment's list, not adds to it."""
    if environment:
        monkeypatch.setenv("FRAMEGATE_ENGINE", environment)

    assert load_settings(flags).engine == [Path(engine) for engine in engines]


@pytest.mark.parametrize("flag", ["--create-topics", "--dry-run", "--exit-when-drained"])
def test_switches(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch stands alone, is off by default, and can be turned off over the environment."""
    name = flag.removeprefix("--").replace("-", "_")

    assert getattr(load_settings(ENGINE), name) is False
    assert getattr(load_settings([*ENGINE, flag]), name) is True
    monkeypatch.setenv(f"FRAMEGATE_{name.upper()}", "true")
    assert getattr(load_settings(ENGINE), name) is True
    assert getattr(load_settings([*ENGINE, flag.replace("--", "--no-")]), name) is False


def test_no_engine_is_said_with_the_remedy() -> None:
    """The one setting without a default: the flag, the variable and the key stand in the text."""
    with pytest.raises(ConfigError, match=r"engine: missing; give --engine, FRAMEGATE_ENGINE or engine in the TOML"):
        load_settings([])


def test_an_unknown_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """Refused by name, also where it is the beginning of one that exists."""
    for flag in ("--output-topik", "--output-top"):
        with pytest.raises(SystemExit) as refused:
            load_settings([*ENGINE, flag, "x"])

        assert refused.value.code == 2
        assert flag in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["FRAMEGATE_OUTPUT_TOPIK", "FRAMEGATE_BROKERS__X", "framegate_brokerz", "FRAMEGATE_KAFKA_SASL_PASSWORD"]
)
def test_an_unknown_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by name, never with its value; what exists is listed."""
    monkeypatch.setenv(name, SECRET)

    with pytest.raises(ConfigError, match=rf"{name}: no such setting; .*FRAMEGATE_OUTPUT_TOPIC") as refused:
        load_settings(ENGINE)

    assert SECRET not in str(refused.value)


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests, and those that only sound like ours."""
    monkeypatch.setenv("FRAMEGATE_TEST_BROKERS", "x")
    monkeypatch.setenv("FRAMEGATES", "x")

    load_settings(ENGINE)


@pytest.mark.parametrize(
    "line", ["output_topik = 'hunter2'", "output-topic = 'hunter2'", "[sasl]\npassword = 'hunter2'"]
)
def test_an_unknown_key_in_the_file(toml: Toml, line: str) -> None:
    """Refused by name, never with its value; what exists is listed."""
    with pytest.raises(
        ConfigError, match=r"(output_topik|output-topic|sasl): no such setting; .*output_topic"
    ) as refused:
        load_settings([*ENGINE, "--config", str(toml(line))])

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--max-batch", "0"], "max_batch: .*1.*'0'"),
        (["--max-batch", "many"], "max_batch: .*integer.*'many'"),
        (["--max-wait-ms", "-1"], "max_wait_ms: .*'-1'"),
        (["--max-wait-ms", "inf"], "max_wait_ms: .*'inf'"),
        (["--broker-timeout-s", "nan"], "broker_timeout_s: .*'nan'"),
        (["--broker-timeout-s", "0"], "broker_timeout_s: .*'0'"),
        (["--in-flight", "0"], "in_flight: .*'0'"),
        (["--threads", "0"], "threads: .*'0'"),
        (["--min-utility", "1.5"], "min_utility: .*1.*'1.5'"),
        (["--min-mos", "0.5"], "min_mos: .*1.*'0.5'"),
        (["--min-clarity", "0.5"], "min_clarity: .*1.*'0.5'"),
        (["--min-cover", "1.5"], "min_cover: .*1.*'1.5'"),
        (["--cover-aspect", "wide"], "cover_aspect: an aspect is W:H, two whole numbers .*16:9.*'wide'"),
        (["--cover-aspect", "16:0"], "cover_aspect: .*'16:0'"),
        (["--delivery", "sometimes"], "delivery: .*'at-least-once' or 'exactly-once'.*'sometimes'"),
        (["--provider", "tpu"], "provider: .*'cpu', 'cuda' or 'tensorrt'.*'tpu'"),
        (["--offset-reset", "none"], "offset_reset: .*'earliest' or 'latest'.*'none'"),
        (["--log-level", "loud"], "log_level: .*'loud'"),
        (["--metrics-port", "99999"], "metrics_port: .*65535.*'99999'"),
        (["--metrics-port", "none"], "metrics_port: .*'off'.*'none'"),
        (["--output-topic", ""], "output_topic: .*1 character.*''"),
        (["--group", ""], "group: .*''"),
    ],
)
def test_a_wrong_value_is_named(flags: list[str], text: str) -> None:
    """Each error names the key, what it may be, and the value given."""
    with pytest.raises(ConfigError, match=f"(?s){text}"):
        load_settings([*ENGINE, *flags])


@pytest.mark.parametrize("value", ["0", "yes"])
def test_a_wrong_value_in_the_other_sources(toml: Toml, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text, wherever the value stands."""
    with pytest.raises(ConfigError, match=f"max_batch: .*{value}"):
        load_settings([*ENGINE, "--config", str(toml(f"max_batch = '{value}'"))])

    monkeypatch.setenv("FRAMEGATE_MAX_BATCH", value)
    with pytest.raises(ConfigError, match=f"max_batch: .*{value}"):
        load_settings(ENGINE)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Nobody should start it five times to learn of five faults."""
    with pytest.raises(ConfigError) as refused:
        load_settings(["--max-batch", "0", "--delivery", "maybe"])

    assert all(key in str(refused.value) for key in ("engine", "max_batch", "delivery"))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--output-topic", "frames"], "input_topic and output_topic are both 'frames'"),
        (["--dead-letter-topic", "frames"], "input_topic and dead_letter_topic are both 'frames'"),
        (["--dead-letter-topic", "decisions"], "output_topic and dead_letter_topic are both 'decisions'"),
        (["--kept-topic", "frames"], "input_topic and kept_topic are both 'frames'"),
    ],
)
def test_one_topic_for_two_uses_is_refused(flags: list[str], text: str) -> None:
    """Replies in the input topic would go in circles: both settings and the topic are named."""
    with pytest.raises(ConfigError, match=text):
        load_settings([*ENGINE, *flags])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read it: No such file"),
        (b"group = ", "not TOML"),
        (b"group = 'a'\ngroup = 'b'", "not TOML"),
        (b"group = '\xff'", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, text: str) -> None:
    """Missing, not TOML, not UTF-8: the flag and the path are named."""
    path = tmp_path / "gateway.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=rf"--config {path}: {text}"):
        load_settings([*ENGINE, "--config", str(path)])


def test_client_options_have_types(toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and switches from flags and environment are such; names and passwords stay text."""
    path = toml("[kafka]\nsession_timeout_ms = 7000\nssl_check_hostname = true\nsecurity_protocol = 'SSL'\n")
    monkeypatch.setenv("FRAMEGATE_KAFKA__SSL_CHECK_HOSTNAME", "False")
    monkeypatch.setenv("FRAMEGATE_KAFKA__SASL_PLAIN_USERNAME", "007")
    monkeypatch.setenv("FRAMEGATE_KAFKA__SASL_PLAIN_PASSWORD", "007")
    flags = ["--kafka", "client_id=2024-01-01", "--kafka", "heartbeat_interval_ms=3000"]

    options = load_settings([*ENGINE, "--config", str(path), *flags]).kafka_options

    assert options == {
        "session_timeout_ms": 7000,
        "security_protocol": "SSL",
        "ssl_check_hostname": False,
        "sasl_plain_username": "007",
        "sasl_plain_password": "007",
        "client_id": "2024-01-01",
        "heartbeat_interval_ms": 3000,
    }
    assert [type(options[name]) for name in ("session_timeout_ms", "ssl_check_hostname")] == [int, bool]


def test_client_options_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """FRAMEGATE_KAFKA holds the whole table where a variable for each is too many."""
    monkeypatch.setenv("FRAMEGATE_KAFKA", json.dumps({"security_protocol": "SSL", "linger_ms": 5}))

    assert load_settings(ENGINE).kafka_options == {"security_protocol": "SSL", "linger_ms": 5}


def test_a_settings_file_that_would_not_be_read_is_refused(toml: Toml, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is read in either case, and a file names no other file."""
    monkeypatch.setenv("framegate_config", "/nowhere.toml")
    with pytest.raises(ConfigError, match=r"--config /nowhere\.toml: cannot read it"):
        load_settings(ENGINE)
    path = toml("config = 'other.toml'\n")
    with pytest.raises(ConfigError, match=rf"--config {path}: it names another file"):
        load_settings([*ENGINE, "--config", str(path)])


SECRETS = ["sasl_plain_password=hunter2", "ssl_password=hunter2", "proxy_url=socks5://gate:hunter2@proxy:1080"]


@pytest.mark.parametrize("option", SECRETS)
def test_secrets_are_not_shown(option: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not in any form in which settings can be printed; the client gets them in the clear."""
    settings = load_settings([*ENGINE, "--kafka", option])
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("framegate").info("%s %r %s", settings, settings, settings.model_dump())

    shown = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()), caplog.text]
    assert [text for text in shown if SECRET in text] == []
    assert SECRET in str(settings.kafka_options)


@pytest.mark.parametrize(
    ("flags", "environment", "content"),
    [
        (["--kafka", SECRET], {}, ""),
        (["--kafka", "sasl_plain_password=a,hunter2"], {}, ""),
        (["--kafka", 'sasl_plain_password="hunter2'], {}, ""),
        ([], {"FRAMEGATE_KAFKA": '{"sasl_plain_password": "hunter2"'}, ""),
        ([], {"FRAMEGATE_KAFKA": SECRET}, ""),
        (["--max-batch", "0"], {"FRAMEGATE_KAFKA__SASL_PLAIN_PASSWORD": SECRET}, ""),
        (["--output-topic", "frames"], {"FRAMEGATE_KAFKA__SASL_PLAIN_PASSWORD": SECRET}, ""),
        ([], {}, f"kafka = '{SECRET}'"),
        ([], {}, f"sasl_plain_password = '{SECRET}'"),
    ],
)
def test_secrets_are_not_in_errors(
    flags: list[str], environment: dict[str, str], content: str, toml: Toml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is wrong: neither the text nor the traceback below it shows a password."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as refused:
        load_settings([*ENGINE, *flags, "--config", str(toml(content))])

    assert SECRET not in str(refused.value)
    error: BaseException | None = refused.value
    while error is not None:  # as a log would show the chain: the texts, not our source lines
        assert SECRET not in "".join(traceback.format_exception_only(error))
        error = error.__cause__


@pytest.mark.parametrize("flags", [["--kafka", "linger_ms"], ["--kafka", "ssl_ciphers=a,b"]])
def test_a_client_option_that_cannot_be_read(flags: list[str]) -> None:
    """The ways in which one can be given stand in the text."""
    with pytest.raises(ConfigError, match=r"kafka.*--kafka name=value.*FRAMEGATE_KAFKA__NAME=value.*TOML"):
        load_settings([*ENGINE, *flags])


def test_settings_do_not_change() -> None:
    """They are read once, at the edge."""
    settings: Any = load_settings(ENGINE)

    with pytest.raises(ValueError, match="frozen"):
        settings.group = "other"


def test_help_names_every_setting() -> None:
    """``--help`` shows each flag with what it is for."""
    done = run("runtime.serve", "--help", COLUMNS="200")
    lines = done.stdout.splitlines()

    assert done.returncode == 0
    assert (Settings.__doc__ or "") in done.stdout
    for name, field in Settings.model_fields.items():
        flag, description = f"--{name.replace('_', '-')}", field.description
        [at] = [index for index, line in enumerate(lines) if line.lstrip().startswith((f"{flag} ", f"{flag},"))]
        assert description
        assert description in " ".join(" ".join(lines[at : at + 3]).split())


def test_help_speaks_of_no_types_of_python() -> None:
    """It says what a flag takes, and no default where there is none."""
    words = run("runtime.serve", "--help", COLUMNS="200").stdout
    assert "--engine FILE" in words
    assert "--metrics-port {NUMBER,off}" in words
    assert re.findall(r"Path|\[str|dict|None|--\S+ (?:str|int|float)\b", words) == []


def test_what_kubernetes_says_of_services_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a service called framegate-metrics, too, whose port has the name of a setting; a typing error is told."""
    for name in ("FRAMEGATE", "FRAMEGATE_METRICS"):
        monkeypatch.setenv(f"{name}_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv(f"{name}_SERVICE_PORT_HTTP", "9464")
        monkeypatch.setenv(f"{name}_PORT", "tcp://10.0.0.1:9464")
        monkeypatch.setenv(f"{name}_PORT_9464_TCP_ADDR", "10.0.0.1")
    assert load_settings(ENGINE).metrics_port == 9464
    monkeypatch.setenv("FRAMEGATE_METRICS_PORT", "9000")
    assert load_settings(ENGINE).metrics_port == 9000
    monkeypatch.setenv("FRAMEGATE_METRIC_PORT", "9000")
    with pytest.raises(ConfigError, match="FRAMEGATE_METRIC_PORT: no such setting"):
        load_settings(ENGINE)
