"""``labels.json``: what a set of labels is, what it was made with, and the hashes of its files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.files import write_whole
from training.utility.rules import Rule

FILE = "labels.json"
FORMAT = "framegate/labels/1"
Task = Literal["classification", "detection"]
Truth = Literal["true labels", "pseudo-truth: each network's answer on the undamaged picture"]
TRUE_LABELS: Truth = "true labels"
PSEUDO_TRUTH: Truth = "pseudo-truth: each network's answer on the undamaged picture"
Text = Annotated[str, BeforeValidator(lambda text: _utf8(text) if isinstance(text, str) else text)]
"""A file's name may hold bytes that are no UTF-8; JSON may not."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Labeller(_Part):
    """A network that was asked."""

    name: Annotated[str, Field(min_length=1)]
    family: str
    digest: str
    """Of its weights: ``sha256:...``."""
    description: dict[str, JsonValue] = {}
    """As it was opened: input, resizing, decoding, licence."""


class LeftOut(_Part):
    """A picture that is not in the set, and why."""

    name: Text
    why: Text


class Shard(_Part):
    """Samples and answers, in order."""

    file: str
    sha256: Sha256
    sources: int = 0
    """How many lines of the sources' file came with it."""


class Header(_Part):
    """What a run is asked for: it is resumed only under an equal one, whatever its name."""

    name: Text
    task: Task
    truth: Truth
    root: Text
    """The data set's folder, as given."""
    pictures_sha256: Sha256
    """Of the list of pictures, with what is truly in them."""
    side: Annotated[int, Field(ge=1)] | None = None
    """Shorter side to which larger pictures were shrunk, before any damage; None: as stored."""
    plan: str
    """Damages, in the words of ``training.damage.plan``."""
    seed: int = 0
    test_share: Annotated[float, Field(ge=0, le=1)]
    balance: Rule | None = None
    """The rule by which sources of the training split got harsher damages until both classes were as large."""
    networks: Annotated[tuple[Labeller, ...], Field(min_length=1)]


class Labels(Header):
    """The whole file."""

    format: Literal["framegate/labels/1"] = "framegate/labels/1"
    complete: bool
    """Whether the run came to its end."""
    commits: tuple[str, ...] = ()
    """Of the code, where it was a Git checkout: one, or more where a run was gone on with after a commit."""
    sources_sha256: Sha256
    """Of ``sources.jsonl``."""
    shards: tuple[Shard, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def header(self) -> Header:
        """What was asked for, without what came of it."""
        return Header(**{name: getattr(self, name) for name in Header.model_fields})


def read_labels(folder: Path) -> Labels:
    """Read ``labels.json`` of a folder.

    Raises:
        ConfigError: it is missing, or is no such file.
    """
    path = folder / FILE
    try:
        return Labels.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; a set of labels is the folder that `python -m training label utility` wrote"
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path}: does not follow {FORMAT}: {faults_of(error, FILE)}") from error


def write_labels(folder: Path, labels: Labels) -> bytes:
    """Write ``labels.json``, whole; returns its content."""
    content = labels.model_dump_json(indent=2).encode() + b"\n"
    write_whole(folder / FILE, content)
    return content


def differences(wanted: Header, there: Header) -> list[str]:
    """In what two headers differ, for people; a name is free, for a folder may be renamed."""
    one, other = (header.model_dump(exclude={"name", "networks", "pictures_sha256"}) for header in (wanted, there))
    found = [f"{name}: asked for {one[name]!r}, there is {other[name]!r}" for name in one if one[name] != other[name]]
    if wanted.pictures_sha256 != there.pictures_sha256:
        found.append("pictures: other files, or with another truth, are asked for than there are")
    if wanted.networks != there.networks:
        found.append(_other_networks(wanted.networks, there.networks))
    return found


def _other_networks(wanted: tuple[Labeller, ...], there: tuple[Labeller, ...]) -> str:
    asked, known = (", ".join(network.name for network in networks) for networks in (wanted, there))
    if asked != known:
        return f"networks: asked for {asked}, there is {known}"
    others = ", ".join(one.name for one, other in zip(wanted, there, strict=True) if one != other)
    return f"networks: {others} had other weights or another description"


def changed(path: Path) -> ConfigError:
    """The error for a file whose hash is not the one that ``labels.json`` lists."""
    return ConfigError(
        f"{path} is not the file that {FILE} speaks of (its SHA-256 is another): take all files from the same run"
    )
