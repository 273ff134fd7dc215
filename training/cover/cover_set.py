"""Pictures under a ladder of blurs, with scores and masks: what cover assessment is trained and tested on.

On disk a folder: ``manifest.csv`` (a sample a row) and ``set.json`` (what it is made of). See ``docs/cover.md``.
"""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.cover import manifest
from training.cover.halving import halved, halved_mask, halvings
from training.cover.header import CoverHeader, digest_of, read_header
from training.cover.levels import Level, blurred
from training.cover.manifest import CoverSample, Manifest
from training.data.mask import Mask, decode_cutout, decode_mask, flattened
from training.data.picture import PictureError, decode_picture
from training.data.split import Split


@dataclass(frozen=True, slots=True)
class CoverPicture:
    """A sample's pixels, (height, width, 3) uint8 RGB, under its blur; its mask, (height, width) uint8, if it has one.

    In the mask 0 is background, 1 foreground, 255 to be ignored. Both are the caller's own.
    """

    pixels: Pixels
    mask: Mask | None


@dataclass(frozen=True)
class CoverSet:
    """Samples, and where their pictures are; a split is one, too, of the same digest."""

    header: CoverHeader
    samples: tuple[CoverSample, ...]
    root: Path
    """The folder that the samples' paths start from."""
    digest: str
    """``sha256:`` of what decides the set's content, not of its name or place."""
    _checked: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def load(cls, folder: Path, pictures: Path | None = None) -> "CoverSet":
        """Read a set's folder, but none of its pictures yet: see ``require_files``.

        A folder with nothing but a manifest is one whose pictures hold the blur already, with grey masks.

        Args:
            folder: of the set.
            pictures: the folder that the samples' paths start from, where it is not the one that the set was built
                from.

        Raises:
            ConfigError: no such folder, or its files are not a set's.
        """
        path = folder / manifest.FILE
        found = manifest.read_manifest(path)
        header = read_header(folder) or _foreign_header(folder, found)
        return cls(header, found.samples, pictures or folder / header.root, digest_of(header, path.read_bytes()))

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def name(self) -> str:
        """What the set is called."""
        return self.header.name

    def of_split(self, split: Split) -> "CoverSet":
        """The samples of one side; there may be none."""
        return dataclasses.replace(self, samples=tuple(one for one in self.samples if one.split == split))

    def require_files(self) -> None:
        """Make sure that every picture and mask is there, before long work.

        Raises:
            ConfigError: some are not; it names the first.
        """
        paths = sorted({path for one in self.samples for path in (one.image, one.mask) if path is not None})
        missing = [path for path in paths if not (self.root / path).is_file()]
        if missing:
            raise ConfigError(
                f"{len(missing)} of the {len(paths)} pictures and masks of the cover set {self.name} are not in "
                f"{self.root}, such as {', '.join(missing[:3])}: give the folder they were built from"
            )

    def read(self, sample: CoverSample) -> CoverPicture:
        """A sample's picture and mask. Threads may read at once.

        The first time that a file is read its SHA-256 is compared with the set's, where that has one.

        Raises:
            ConfigError: a file cannot be read, is not the one that the set was built from, or the mask has another
                size than the picture.
        """
        content = self._content(sample.image)
        path = self.root / sample.image
        own_alpha = self.header.masks == "alpha" and sample.mask == sample.image
        pixels = flattened(*decode_cutout(content, path)) if own_alpha else decode_picture(content, path)
        mask = None if sample.mask is None else self._mask(sample.mask, content if own_alpha else None)
        if mask is not None and mask.shape != pixels.shape[:2]:
            raise self._other_size(sample, pixels, mask)
        if self.header.halve:
            times = halvings(*pixels.shape[:2])
            pixels = halved(pixels, times)
            mask = None if mask is None else halved_mask(mask, times)
        return CoverPicture(blurred(pixels, sample.sigma_px) if self.header.blur == "on-read" else pixels, mask)

    def _mask(self, name: str, content: bytes | None) -> Mask:
        return decode_mask(content or self._content(name), self.header.masks or "grey", self.root / name)

    def _content(self, name: str) -> bytes:
        path = self.root / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PictureError(f"{path} cannot be read: {error.strerror}") from error
        if name not in self._checked:
            wanted = self.header.sha256.get(name)
            if wanted is not None and hashlib.sha256(content).hexdigest() != wanted:
                raise ConfigError(
                    f"{path} is not the file that the cover set {self.name} was built from (its SHA-256 is another): "
                    "build the set anew, or give the folder it was built from"
                )
            self._checked.add(name)
        return content

    def _other_size(self, sample: CoverSample, pixels: Pixels, mask: Mask) -> ConfigError:
        return ConfigError(
            f"{self.root / sample.image} has {pixels.shape[1]} x {pixels.shape[0]} pixels, its mask "
            f"{self.root / (sample.mask or '')} {mask.shape[1]} x {mask.shape[0]}: they must be of one size"
        )


def _foreign_header(folder: Path, found: Manifest) -> CoverHeader:
    """Of a folder that somebody else made: (image, mask, source, level, sigma, score), as the paper's CIA set."""
    scored = {one.level: Level(one.sigma_px, one.score) for one in found.samples if one.score is not None}
    return CoverHeader(
        name=folder.resolve().name,
        root=".",
        layout="manifest",
        masks="grey" if any(one.mask for one in found.samples) else None,
        blur="written",
        levels=tuple(scored[level] for level in sorted(scored)),
        split="given" if found.has_splits else "source",
        test_share=None if found.has_splits else manifest.FOREIGN_TEST_SHARE,
    )
