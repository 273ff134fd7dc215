"""The documentation is tested: what can be set, measured or read is written down."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from prometheus_client.metrics import MetricWrapperBase

from runtime import metrics
from runtime.decision import load_schema
from runtime.errors import Reason
from runtime.policy import REASONS
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_flag_is_documented(name: str) -> None:
    """Every setting stands in the README's table as its flag."""
    assert f"| `--{name.replace('_', '-')}` |" in README


@pytest.mark.parametrize("name", Settings.model_fields)
def test_defaults_are_documented_as_they_are(name: str) -> None:
    """The default in the README's table is the default in the code."""
    default = Settings.model_fields[name].default
    [row] = re.findall(rf"\| `--{name.replace('_', '-')}` \| (.*?) \|", README)

    if isinstance(default, bool):
        assert row == ("on" if default else "off")
    elif isinstance(default, str | int | float):
        assert row == f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
    else:
        assert not re.search(r"`\d+`", row)


def _metric_names() -> list[str]:
    collectors = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    families = [family for each in collectors for family in each.describe()]
    return sorted(f"{each.name}_total" if each.type == "counter" else each.name for each in families)


@pytest.mark.parametrize("name", _metric_names())
def test_every_metric_is_documented_with_what_to_do(name: str) -> None:
    """Every metric has a row: its meaning, and the action it calls for."""
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{name}")]

    assert all(cell.strip() for cell in row.strip("|").split("|"))


def test_all_metrics_are_found() -> None:
    """The test above looks at every metric that the module defines."""
    assert len(_metric_names()) == sum(isinstance(each, MetricWrapperBase) for each in vars(metrics).values())


@pytest.mark.parametrize("reason", [*REASONS, *(str(reason) for reason in Reason)])
def test_every_reason_is_documented(reason: str) -> None:
    """Every reason of a drop and of a dead letter has a row in the README."""
    assert f"| `{reason}` |" in README


def test_reasons_in_the_schema_are_those_in_the_code() -> None:
    """A consumer that validates never meets a reason that the schema does not know."""
    assert load_schema()["properties"]["reasons"]["items"]["enum"] == list(REASONS)


def test_the_decision_in_the_readme_is_valid() -> None:
    """The example that people copy follows the published schema."""
    [example] = re.findall(r"```json\n(\{\"schema\".*?)```", README, re.DOTALL)

    jsonschema.validate(json.loads(example), load_schema())


def test_the_cover_in_the_readme_is_valid() -> None:
    """Put into the decision above it, it follows the schema, too."""
    [decision] = re.findall(r"```json\n(\{\"schema\".*?)```", README, re.DOTALL)
    [cover] = re.findall(r"```json\n(\"cover\".*?)```", README, re.DOTALL)

    jsonschema.validate(json.loads(decision) | json.loads(f"{{{cover}}}"), load_schema())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())

    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []
