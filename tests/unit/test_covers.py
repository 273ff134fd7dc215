"""Choosing covers: best first, unlike each other, the same every time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import covers
from runtime.aspect import Aspect
from runtime.cover import Cover
from runtime.cover_crop import Box
from runtime.covers import DISTINCT, GRID, Candidate, Content, Source, choose, content_of, difference
from runtime.decode import MAX_PIXELS, Decoder
from runtime.preprocess import Pixels
from tests.command import ROOT

WHOLE = Box(0, 0, 1, 1)
PHOTOS = sorted((ROOT / "demo" / "photos").glob("*.jpg"))


def photo(path: Path) -> Pixels:
    pixels: Pixels = Decoder(MAX_PIXELS).decode(path.read_bytes(), (128, 128)).pixels.copy()
    return pixels


def cover(score: float, crop: Box = WHOLE) -> Cover:
    return Cover(5.0, score, 0.1, None, None, crop, Aspect(16, 9))


def candidate(name: str, score: float, level: float) -> Candidate:
    """A candidate whose content is grey of one L*: two of them differ by the difference of their levels."""
    content = np.zeros((GRID, GRID, 3), np.float32)
    content[..., 0] = level
    return Candidate(Source(Path(name)), 160, 90, cover(score), content)


def names(candidates: list[Candidate], count: int) -> list[str]:
    return [choice.candidate.source.path.name for choice in choose(candidates, count)]


def test_the_best_that_differ() -> None:
    """Best first; a second one of the same scene is passed over for a poorer one of another."""
    candidates = [candidate("c", 0.5, 90), candidate("a", 0.9, 10), candidate("a again", 0.8, 15)]

    assert names(candidates, 2) == ["a", "c"]
    assert all(choice.distinct for choice in choose(candidates, 2))


def test_where_too_few_differ() -> None:
    """Then those that differ most are taken before the alike ones, and all of them are marked."""
    candidates = [
        candidate("a", 0.9, 10),
        candidate("a again", 0.8, 10),
        candidate("a moved", 0.7, 10 + 0.6 * DISTINCT),
        candidate("b", 0.6, 90),
    ]

    chosen = choose(candidates, 4)

    assert [choice.candidate.source.path.name for choice in chosen] == ["a", "b", "a moved", "a again"]
    assert [choice.distinct for choice in chosen] == [True, True, False, False]


def test_no_more_than_there_are() -> None:
    """All of them, once each; of none, none."""
    candidates = [candidate("a", 0.9, 10), candidate("same", 0.9, 10)]

    assert names(candidates, 5) == ["a", "same"]
    assert choose([], 5) == []


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), max_size=20),
    st.integers(1, 10),
)
def test_any_candidates(given_ones: list[tuple[float, float]], count: int) -> None:
    """As many as asked for or there are; the best first; those called distinct differ, and come best first."""
    candidates = [candidate(str(number), *one) for number, one in enumerate(given_ones)]
    chosen = choose(candidates, count)
    distinct = [choice.candidate for choice in chosen if choice.distinct]

    assert len(chosen) == min(count, len(candidates))
    assert len({choice.candidate.source for choice in chosen}) == len(chosen)
    assert chosen == choose(candidates, count)
    assert [one.score for one in distinct] == sorted((one.score for one in distinct), reverse=True)
    assert all(
        difference(first.content, second.content) >= DISTINCT
        for place, first in enumerate(distinct)
        for second in distinct[:place]
    )
    if candidates:
        assert distinct[0].score == max(one.score for one in candidates)


def test_no_two_are_compared_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand frames of one scene, ten wanted: each is held against a chosen one once, however often it is tried."""
    compared = list[tuple[int, int]]()

    def counted(first: Content, second: Content) -> float:
        compared.append((id(first), id(second)))
        return difference(first, second)

    monkeypatch.setattr(covers, "difference", counted)
    choose([candidate(str(number), 1 - number / 1000, number / 1000) for number in range(1000)], 10)

    assert len(set(compared)) == len(compared) <= 9 * 1000


def test_photographs_of_different_scenes_differ() -> None:
    """Each two of the demo's twelve photographs are further apart than the limit."""
    contents = [content_of(photo(path), cover(0.5)) for path in PHOTOS]

    nearest = min(difference(one, other) for place, one in enumerate(contents) for other in contents[:place])
    assert nearest > DISTINCT + 5


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_the_same_scene_is_known(path: Path) -> None:
    """Moved by a tenth of its sides, or a fifth brighter: nearer than the limit."""
    pixels = photo(path)
    content = content_of(pixels, cover(0.5))
    moved = content_of(pixels, cover(0.5, Box(0.1, 0, 1, 0.9)))
    brighter = content_of(np.clip(pixels * 1.2, 0, 255).astype(np.uint8), cover(0.5))

    assert difference(content, moved) < DISTINCT
    assert difference(content, brighter) < DISTINCT


def test_content_is_of_the_crop() -> None:
    """What lies outside the cover does not count; one pixel is enough to have content."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    left, right = (content_of(pixels, cover(0.5, box)) for box in (Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)))

    assert difference(left, right) == pytest.approx(100, abs=0.1)
    assert content_of(pixels[:1, :1], cover(0.5, Box(0.9, 0.9, 1, 1))).shape == (GRID, GRID, 3)
