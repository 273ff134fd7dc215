"""``set.json``: what a cover set is made of, and how its pictures are read."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.cover.levels import Level
from training.data.mask import MaskKind
from training.files import write_whole

FILE = "set.json"
FORMAT: Literal["framegate/cover-set/1"] = "framegate/cover-set/1"
SplitRule = Literal["source", "image", "train", "test", "given"]
"""By the source's hash: all blurred copies of a picture on one side. By image: each copy on its own, as the paper does,
so copies of a picture are on both. All on one side. As the data set itself has it."""


class CoverHeader(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["framegate/cover-set/1"] = FORMAT
    name: str
    root: str
    """The folder that the manifest's paths start from; a relative one starts from the set's folder."""
    layout: str
    """The reader of the sources: salient, voc, alpha, pictures; ``manifest`` where there was a manifest only."""
    masks: MaskKind | None
    """How the masks are stored; None: there is none in the set."""
    blur: Literal["on-read", "written"]
    """Whether pictures are blurred when they are read, or hold the blur already."""
    halve: bool = False
    """Whether pictures are halved when they are read, before the blur: see ``halving``."""
    levels: tuple[Level, ...]
    """None at all: the pictures are not scored."""
    split: SplitRule
    test_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """With the splits by source and by image."""
    seed: int = 0
    proxy: bool = False
    """Whether the set stands in for another that cannot be had; results on it are no results on that."""
    without: tuple[str, ...] = ()
    """Digests of the sets whose pictures were left out."""
    left_out: dict[str, str] = {}
    """Pictures that were there and are not used, with the reason."""
    sha256: dict[str, str] = {}
    """Of each picture and mask that is read, by its path below ``root``; empty where nobody took them."""
    sources: dict[str, str] = {}
    """With written blur: SHA-256 of the pictures that the set was made of, by the manifest's source."""

    @property
    def picture_digests(self) -> frozenset[str]:
        """SHA-256 of the undamaged pictures, and of whatever else the set lists."""
        return frozenset(self.sources.values()) | frozenset(self.sha256.values())

    @property
    def facts(self) -> bytes:
        """What decides the set's content: all but its name and place."""
        return json.dumps(self.model_dump(mode="json", exclude={"name", "root"}), sort_keys=True).encode()


def read_header(folder: Path) -> CoverHeader | None:
    """``set.json`` of a folder; None where there is none.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    path = folder / FILE
    try:
        return CoverHeader.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigError(f"{path} does not follow {FORMAT}: {faults_of(error, FILE)}") from error


def write_header(folder: Path, header: CoverHeader) -> None:
    """Write ``set.json``, whole."""
    write_whole(folder / FILE, header.model_dump_json(indent=1).encode() + b"\n")


def digest_of(header: CoverHeader, manifest: bytes) -> str:
    """``sha256:`` and the name of a set's content, wherever it lies and whatever it is called."""
    return "sha256:" + hashlib.sha256(header.facts + b"\n" + manifest).hexdigest()
