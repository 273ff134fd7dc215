"""Which reference belongs to which picture: by their names (``docs/quality-decision.md``)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from runtime.decode import Decoder
from runtime.errors import ConfigError, FrameError, Reason
from runtime.foreign import as_frame
from runtime.full_reference import PixelPair, Pixels
from runtime.pictures import Found, find_pictures, read_bytes

SEPARATORS = "_-."
"""What follows the reference's name in that of its distorted versions: ``i01.bmp``, ``i01_08_3.bmp``."""


class Pair(NamedTuple):
    """A picture and its reference's file; None: it has none."""

    found: Found
    reference: Path | None


def pair_up(pictures: Sequence[Found], references: Path) -> list[Pair]:
    """Find each picture's reference.

    Args:
        pictures: by their paths below the folder that was searched.
        references: one file, which is the reference of all; or a folder, where a reference has its picture's path and
            name but for the ending, or, whatever the case of letters, one with which the picture's begins, followed by
            one of ``SEPARATORS``. The longest such name wins; no picture of the folder is its own reference.

    Raises:
        ConfigError: there is no such file or folder, or two references have the name in question.
    """
    if references.is_file():
        return [Pair(found, references) for found in pictures]
    if not references.is_dir():
        raise ConfigError(f"--reference {references}: no such file or folder")
    exact: dict[str, list[Path]] = {}
    folded: dict[str, list[Path]] = {}
    for each in find_pictures([references]).found:
        exact.setdefault(_stem(each), []).append(each.path)
        folded.setdefault(_stem(each).casefold(), []).append(each.path)
    return [Pair(found, _only(found, _candidates(found, exact, folded))) for found in pictures]


def outside(pictures: Iterable[Found], references: Path, searched: Iterable[Path]) -> list[Found]:
    """The pictures but for the one that is the reference, and for those in a folder of references below a searched one.

    Raises:
        ConfigError: there are no others.
    """
    own = references.resolve()
    if references.is_dir() and not any(folder.is_dir() and folder.resolve() in own.parents for folder in searched):
        return list(pictures)
    others = [found for found in pictures if not found.path.resolve().is_relative_to(own)]
    if not others:
        raise ConfigError(f"--reference {references}: all pictures found are references: there is none to judge")
    return others


def _stem(found: Found) -> str:
    return found.name.with_suffix("").as_posix()


def _candidates(found: Found, exact: dict[str, list[Path]], folded: dict[str, list[Path]]) -> list[Path]:
    stem, own = _stem(found), found.path.resolve()

    def others(paths: Sequence[Path]) -> list[Path]:
        return [path for path in paths if path.resolve() != own]  # beside itself every picture is perfect

    if same := others(exact.get(stem, ())):
        return same
    name = stem.casefold()
    begins = name.rfind("/") + 1  # folders are the same, whatever their names begin with
    for end in range(len(name), begins, -1):
        if (end == len(name) or name[end] in SEPARATORS) and (shorter := others(folded.get(name[:end], ()))):
            return shorter
    return []


def _only(found: Found, candidates: Sequence[Path]) -> Path | None:
    if len(candidates) > 1:
        raise ConfigError(
            f"--reference: {candidates[0]} and {candidates[1]} could both be the reference of {found.path}; leave one "
            "of them in the folder"
        )
    return candidates[0] if candidates else None


class PairReader:
    """Reads pairs at full size; a reference that comes again is not decoded again.

    Args:
        max_pixels: the largest picture that is decoded.
        references: as ``pair_up`` was given it, for the faults' text.
    """

    def __init__(self, max_pixels: int, references: Path) -> None:
        self._references = references
        self._max_pixels = max_pixels
        self._frames, self._pristine = Decoder(max_pixels), Decoder(max_pixels)
        self._last: tuple[Path, Pixels | FrameError] | None = None

    def read(self, pair: Pair, value: bytes) -> PixelPair | FrameError:
        """The pair's pixels, valid until the next one is read; or why it cannot be compared.

        Args:
            pair: the picture and its reference.
            value: the picture's bytes.

        Raises:
            ConfigError: the reference's file cannot be read.
        """
        if pair.reference is None:
            return FrameError(
                Reason.UNMATCHED,
                f"no other picture in {self._references} is called {_stem(pair.found)!r}, or by a beginning of it that "
                f"one of {' '.join(SEPARATORS)} follows; give the folder of the originals",
            )
        try:
            frame = self._frames.decode(as_frame(value, self._max_pixels)).pixels
        except FrameError as error:
            return error
        reference = self._reference(pair.reference)
        return reference if isinstance(reference, FrameError) else PixelPair(frame, reference)

    def _reference(self, path: Path) -> Pixels | FrameError:
        if self._last is None or self._last[0] != path:
            self._last = path, self._decoded(path)
        return self._last[1]

    def _decoded(self, path: Path) -> Pixels | FrameError:
        value = read_bytes(path)
        try:
            return self._pristine.decode(as_frame(value, self._max_pixels)).pixels
        except FrameError as error:
            return FrameError(Reason.BAD_REFERENCE, f"{path}: {error}")
