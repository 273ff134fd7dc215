"""The decision's JSON: valid by the published schema, its id the same whenever it is made."""

import json
import math
import os
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.aspect import Aspect
from runtime.cover import Cover, Covers
from runtime.cover_crop import Box, Point
from runtime.decision import Decisions, dead_letter, load_schema, to_json
from runtime.errors import FrameError, Reason
from runtime.heads import Clarity, Quality, Result, Saliency, Utility
from runtime.pipeline import Judgement
from runtime.policy import Policy
from tests.cover_engine import cover_manifest
from tests.engines import Kind, fitting_manifest

VALIDATOR = jsonschema.Draft202012Validator(load_schema())
POLICY = Policy(0.5, 3)
TOPIC = {"topic": "frames", "partition": 3, "offset": 91, "timestamp_ms": 1763700000000}
FILE = {"file": "photos/wren.jpg"}


def quality_of(weights: list[float]) -> Quality:
    shares = [weight / sum(weights) for weight in weights]
    mos = sum(score * share for score, share in enumerate(shares, 1))
    variance = sum(share * (score - mos) ** 2 for score, share in enumerate(shares, 1))
    return Quality(mos, math.sqrt(max(0.0, variance)), tuple(shares))


utilities = st.floats(0, 1).map(Utility)
qualities = st.lists(st.floats(1e-6, 1), min_size=5, max_size=5).map(quality_of)


@settings(deadline=None, max_examples=60)
@given(
    utility=st.none() | utilities,
    quality=st.none() | qualities,
    source=st.sampled_from([TOPIC, FILE]),
    stream=st.none() | st.text(),
    frame_id=st.text(),
    width=st.integers(1, 65535),
    age_ms=st.none() | st.integers(-(10**15), 10**15),
)
def test_every_decision_is_valid(
    utility: Utility | None,
    quality: Quality | None,
    source: dict[str, Any],
    stream: str | None,
    frame_id: str,
    width: int,
    age_ms: int | None,
) -> None:
    """Utility, quality or both, of a topic or of a file: what is sent follows the published schema."""
    given_results: dict[str, Result | None] = {"utility": utility, "quality": quality}
    kinds: list[Kind] = [kind for kind in ("utility", "quality") if given_results[kind] is not None]
    results = {kind: result for kind, result in given_results.items() if result is not None}
    decisions = Decisions([fitting_manifest("engine", kinds or ["utility"])], POLICY)
    judgement = Judgement(width, 720, results, POLICY.reasons(results))

    made = decisions.make(
        judgement, id_=decisions.id(*source.values()), stream=stream, source=source, frame_id=frame_id
    )
    if age_ms is not None:
        made |= {"age_ms": age_ms, "latency_ms": 9.3}
    read = json.loads(to_json(made))

    VALIDATOR.validate(read)
    assert read["source"] == source
    assert (read["stream"], read["frame"]["id"]) == (stream, frame_id)
    assert (read["verdict"] == "drop") == bool(read["reasons"])


def test_a_decision_to_the_letter() -> None:
    """Golden bytes: consumers parse these, so a change here is a change of the schema's version."""
    decisions = Decisions([fitting_manifest("gate", ("utility", "quality"))], POLICY)
    results: dict[str, Result] = {"utility": Utility(0.123456789), "quality": Quality(3.5, 0.5, (0, 0, 0.5, 0.5, 0))}
    judgement = Judgement(1280, 720, results, ["utility-below-threshold"])

    made = decisions.make(judgement, id_="0" * 32, stream="caf\u00e9", source=TOPIC, frame_id="f-1")

    digest = fitting_manifest("gate").digest
    assert to_json(made).decode() == (
        '{"schema":"framegate/decision/1","id":"00000000000000000000000000000000","stream":"caf\u00e9",'
        '"source":{"topic":"frames","partition":3,"offset":91,"timestamp_ms":1763700000000},'
        '"frame":{"id":"f-1","width":1280,"height":720},'
        f'"engines":[{{"name":"gate","version":"1","digest":"{digest}","precision":"fp32"}}],'
        '"verdict":"drop","reasons":["utility-below-threshold"],'
        '"utility":{"score":0.123457,"threshold":0.5},'
        '"quality":{"mos":3.5,"std":0.5,"distribution":[0,0,0.5,0.5,0],"threshold":3}}'
    )


FULL = Cover(
    8.2,
    0.7123456789,
    0.12,
    Box(0.3, 0.2, 0.6, 0.8),
    Point(0.45, 0.5),
    Box(0.25, 1 / 9, 0.75, 1),
    Aspect(16, 9),
)


def made_with(cover: Cover) -> dict[str, Any]:
    """The ``cover`` of a decision that follows the schema."""
    results: dict[str, Result] = {"clarity": Clarity(8.2)}
    made = Decisions([cover_manifest()], Policy()).make(
        Judgement(1280, 720, results, [], cover), id_="0" * 32, stream=None, source=FILE, frame_id=""
    )
    VALIDATOR.validate(json.loads(to_json(made)))
    assert set(made) & {"clarity", "saliency"} == set()  # they are in the cover
    fields: dict[str, Any] = made["cover"]
    return fields


def test_a_cover_to_the_letter() -> None:
    """Golden bytes of the whole object; its order is the schema's."""
    assert to_json(made_with(FULL)).decode() == (
        '{"score":0.712346,"clarity":8.2,"object_proportion":0.12,"box":[0.3,0.2,0.6,0.8],"centre":[0.45,0.5],'
        '"crop":[0.25,0.111111,0.75,1],"aspect":"16:9"}'
    )


def test_a_cover_of_one_head() -> None:
    """Clarity alone has no place and no score; saliency alone no clarity and no score; no object is null."""
    crop = Box(0, 0, 1, 1)

    assert made_with(Cover(8.2)) == {"clarity": 8.2}
    assert made_with(Cover(object_proportion=0.001, crop=crop, aspect=Aspect(1, 1))) == {
        "object_proportion": 0.001,
        "box": None,
        "centre": None,
        "crop": [0, 0, 1, 1],
        "aspect": "1:1",
    }


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    width=st.integers(1, 65535),
    height=st.integers(1, 65535),
    clarity=st.none() | st.floats(1, 10),
)
def test_every_cover_is_valid(seed: int, share: float, width: int, height: int, clarity: float | None) -> None:
    """Whatever the map and the picture's size: the cover's fields follow the schema."""
    cells = (np.random.default_rng(seed).random((9, 16)) < share).astype(np.uint8) * np.uint8(255)
    results: dict[str, Result] = {"saliency": Saliency(cells)}
    if clarity is not None:
        results["clarity"] = Clarity(clarity)
    cover = Covers([cover_manifest()], Aspect(4, 3)).of(results, (width, height))

    assert cover is not None
    assert made_with(cover)["aspect"] == "4:3"


places = st.tuples(st.sampled_from(["frames", "frame", "frames2"]), st.integers(0, 20), st.integers(0, 2**63 - 1))


@settings(deadline=None)
@given(st.sets(places, min_size=2, max_size=20))
def test_an_id_is_one_frames_own(frames: set[tuple[str, int, int]]) -> None:
    """The same frame and engines give the same id in every process; two frames never share one."""
    ids = {frame: Decisions([fitting_manifest("a")], POLICY).id(*frame) for frame in frames}
    again = {frame: Decisions([fitting_manifest("a")], Policy()).id(*frame) for frame in frames}

    assert ids == again
    assert len(set(ids.values())) == len(frames)
    assert Decisions([fitting_manifest("a")], POLICY).id("frames", 1, 23) != Decisions(
        [fitting_manifest("a")], POLICY
    ).id("frames", 12, 3)


def test_an_id_is_the_same_tomorrow() -> None:
    """A golden id: a restarted or upgraded gateway must repeat those that it sent before."""
    assert Decisions([fitting_manifest("a")], POLICY).id("frames", 3, 91) == "ed3f3312a30e4be2d5e22b52e3d16a84"


def test_an_id_changes_with_the_engines() -> None:
    """Other weights judge anew: another digest, or one engine more, is another decision."""
    first, second = fitting_manifest("a"), fitting_manifest("b", ("quality",))

    ids = {Decisions(manifests, POLICY).id("frames", 0, 0) for manifests in ([first], [second], [first, second])}

    assert len(ids) == 3
    renamed = first.model_copy(update={"name": "other", "version": "2"})
    assert Decisions([renamed], POLICY).id("frames", 0, 0) in ids


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_nan_is_ever_sent(bad: float) -> None:
    """JSON has none: rather a traceback here than a broken reader there."""
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"utility": {"score": bad}})


def test_a_picture_that_cannot_be_judged() -> None:
    """What ``assess --json`` prints of it: schema, source and reason."""
    read = json.loads(to_json(dead_letter(FILE, FrameError(Reason.TRUNCATED, "ends early"))))

    assert read == {
        "schema": "framegate/dead-letter/1",
        "source": FILE,
        "reason": "truncated",
        "detail": "ends early",
    }


def test_a_file_name_that_is_no_text() -> None:
    """A name that is not UTF-8 (Python marks its bytes) has an id, and comes back from the JSON as it is."""
    path = os.fsdecode(b"\xff.jpg")

    read = json.loads(to_json({"file": path}))

    assert os.fsencode(read["file"]) == b"\xff.jpg"
    assert len(Decisions([fitting_manifest("a")], POLICY).id("file", path)) == 32


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "maybe"},
        {"utility": {"score": 1.01, "threshold": 0.5}},
        {"quality": {"mos": 5.5, "std": 0, "distribution": [0, 0, 0, 0, 1], "threshold": 3}},
        {"reasons": ["ugly"]},
        {"source": {"topic": "frames"}},
        {"id": "short"},
        {"beauty": 1},
        {"cover": {}},
        {"cover": {"clarity": 0.5}},
        {"cover": {"score": 0.5}},
        {"cover": {"clarity": 5, "box": None}},
        {"cover": {"clarity": 5, "object_proportion": 0.1}},
        {"cover": {"object_proportion": 0.1, "box": [0, 0, 1], "centre": None, "crop": [0, 0, 1, 1], "aspect": "1:1"}},
        {"cover": {"object_proportion": 0.1, "box": None, "centre": None, "crop": None, "aspect": "1:1"}},
        {"cover": {"object_proportion": 0.1, "box": None, "centre": None, "crop": [0, 0, 1, 1], "aspect": "0:1"}},
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    """A schema that takes everything would test nothing."""
    decisions = Decisions([fitting_manifest("a")], POLICY)
    made = decisions.make(
        Judgement(8, 8, {"utility": Utility(0.5)}, []), id_="0" * 32, stream=None, source=TOPIC, frame_id=""
    )
    VALIDATOR.validate(made)

    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**made, **wrong})
