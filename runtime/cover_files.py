"""The chosen covers as files: crops of the original pixels, and what the sheet shows of them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from runtime.cover_sheet import MAX_CARDS, Card, reduced
from runtime.covers import Choice, Source
from runtime.decode import Decoder
from runtime.errors import ConfigError, FrameError
from runtime.foreign import as_frame
from runtime.pictures import Found, is_picture, printable, read_bytes, write_bytes
from runtime.preprocess import Pixels
from runtime.video import Video

QUALITY = 95


def write_covers(choices: Sequence[Choice], folder: Path, max_pixels: int) -> list[Card]:
    """Write each cover as a JPEG: its crop of the original pixels, at their own resolution.

    Args:
        choices: in the order of their ranks.
        folder: where; made if it is not there.
        max_pixels: as the pictures were judged with.

    Returns:
        A card for each that the sheet shows (``MAX_CARDS``), in the order of their ranks.

    Raises:
        ConfigError: a file cannot be written, or a picture is not what it was any more.
    """
    places = {choice.candidate.source: rank for rank, choice in enumerate(choices)}
    cards: dict[int, Card] = {}
    for source, pixels in _originals(list(places), max_pixels):
        rank = places[source]
        candidate = choices[rank].candidate
        if pixels.shape[:2] != (candidate.height, candidate.width):
            raise ConfigError(
                f"{source.path}: changed while it was assessed: from {candidate.width} x {candidate.height} pixels "
                f"to {pixels.shape[1]} x {pixels.shape[0]}"
            )
        left, top, right, bottom = candidate.crop
        part = np.ascontiguousarray(pixels[top:bottom, left:right])
        value = simplejpeg.encode_jpeg(part, QUALITY, "RGB", "444")
        write_bytes(cover_path(folder, rank + 1, source), value, "--output")
        if rank < MAX_CARDS:
            cards[rank] = _card(choices[rank], pixels, part)
    return [card for _, card in sorted(cards.items())]


def require_own_folder(folder: Path, paths: Iterable[Path], found: Iterable[Found]) -> None:
    """Before any work: covers do not come to lie among pictures, where one might replace another.

    Raises:
        ConfigError: the folder is one that is searched, or a picture lies in it.
    """
    taken = {path.resolve(): path for path in paths if path.is_dir()}
    taken |= {each.path.parent.resolve(): each.path for each in found if is_picture(each.path)}
    if folder.resolve() in taken:
        raise ConfigError(
            f"--output {folder}: the covers would lie among the pictures assessed ({taken[folder.resolve()]}): "
            "give another folder"
        )


def cover_path(folder: Path, rank: int, source: Source) -> Path:
    """``RANK-NAME.jpg``; of a video's frame ``RANK-NAME-TIME.jpg``, its time in seconds."""
    time = "" if source.time_s is None else f"-{source.time_s:.2f}s"
    return folder / f"{rank:02d}-{source.path.stem}{time}.jpg"


def source_name(source: Source) -> str:
    """As it can be printed."""
    time = "" if source.time_s is None else f" at {source.time_s:.2f} s"
    return printable(source.path) + time


def _originals(sources: Sequence[Source], max_pixels: int) -> Iterator[tuple[Source, Pixels]]:
    """The pictures' full pixels, each valid until the next one is taken; a video is read through once."""
    decoder = Decoder(max_pixels)
    for source in sources:
        if source.frame is None:
            try:
                yield source, decoder.decode(as_frame(read_bytes(source.path), max_pixels)).pixels
            except FrameError as error:
                raise ConfigError(f"{source.path}: changed while it was assessed: {error}") from error
    videos = dict.fromkeys(source.path for source in sources if source.frame is not None)
    for path in videos:
        at = {source.frame: source for source in sources if source.path == path and source.frame is not None}
        for frame in Video(path).frames(at):
            yield at[frame.number], frame.pixels


def _card(choice: Choice, picture: Pixels, part: Pixels) -> Card:
    candidate, cover = choice.candidate, choice.candidate.cover
    assert cover.crop is not None
    note = f"clarity {cover.clarity:.1f}   object {cover.object_proportion:.1%}   {part.shape[1]} x {part.shape[0]} px"
    return Card(
        reduced(picture),
        reduced(part),
        cover.box,
        cover.crop,
        source_name(candidate.source._replace(path=Path(candidate.source.path.name))),
        note if choice.distinct else f"{note}   resembles a better one",
        candidate.score,
        choice.distinct,
    )
