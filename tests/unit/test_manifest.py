"""The manifest: what it holds, what it refuses."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.errors import EngineError
from runtime.manifest import (
    ClarityHead,
    Head,
    Input,
    Manifest,
    Patches,
    Provenance,
    QualityFrHead,
    QualityHead,
    Resize,
    SaliencyHead,
    UtilityHead,
    compares,
    head_shape,
    head_threshold,
    parse_manifest,
    whole_picture,
)
from tests.engines import fitting_manifest
from tests.full_reference_engine import DISTORTED, PRISTINE, TILE, comparing
from tests.two_views import CLARITY, FRAMES, PATCHES, SALIENCY, two_views


def named_frames(spec: Input) -> Input:
    return spec.model_copy(update={"name": "frames"})


finite = st.floats(allow_nan=False, allow_infinity=False)
channels = st.tuples(finite, finite, finite)
deviations = st.tuples(*[st.floats(min_value=1e-3, max_value=1e3)] * 3)
resizes = st.builds(
    Resize,
    fit=st.sampled_from(["stretch", "crop", "pad"]),
    halve=st.just(True),
    pad_value=st.integers(0, 255),
    scaled_decode=st.booleans(),
)
sizes = st.integers(1, 4096)
inputs = st.one_of(
    st.builds(Input, name=st.text(), dtype=st.just("uint8"), height=sizes, width=sizes, resize=resizes),
    st.builds(
        Input,
        name=st.text(),
        dtype=st.sampled_from(["float32", "float16"]),
        layout=st.sampled_from(["NHWC", "NCHW"]),
        height=sizes,
        width=sizes,
        color=st.sampled_from(["RGB", "BGR"]),
        resize=resizes,
        mean=channels,
        std=deviations,
    ),
)
patched = st.builds(
    Input,
    name=st.text(min_size=1).filter(lambda name: name != "frames"),
    height=sizes,
    width=sizes,
    resize=st.builds(Resize, scaled_decode=st.booleans()),
    patches=st.builds(Patches, rows=st.integers(1, 64), columns=st.integers(1, 64), least_side=sizes),
)
utility = st.builds(UtilityHead, output=st.text(), threshold=st.floats(0, 1))
quality = st.builds(QualityHead, output=st.text(), threshold=st.floats(1, 5))
clarity = st.builds(ClarityHead, output=st.text(), threshold=st.one_of(st.none(), st.floats(1, 10)))
saliency = st.builds(SaliencyHead, output=st.text(), height=sizes, width=sizes)
manifests = st.builds(
    Manifest,
    name=st.text(),
    version=st.text(),
    digest=st.from_regex(r"\Asha256:[0-9a-f]{64}\Z"),
    precision=st.sampled_from(["fp32", "fp16", "int8"]),
    inputs=st.one_of(st.tuples(inputs), st.tuples(inputs.map(named_frames), patched)),
    heads=st.one_of(st.tuples(utility), st.tuples(quality), st.tuples(utility, quality), st.tuples(clarity, saliency)),
    provenance=st.builds(
        Provenance,
        data=st.text(),
        metrics=st.dictionaries(st.text(), finite),
        licence=st.text(),
        command=st.text(),
    ),
)


@settings(deadline=None, max_examples=60)
@given(manifests)
def test_a_manifest_survives_json(manifest: Manifest) -> None:
    """What is written is what is read, also without the fields that hold nothing."""
    assert parse_manifest(manifest.model_dump_json(), "x.onnx") == manifest
    assert parse_manifest(manifest.model_dump_json(exclude_none=True), "x.onnx") == manifest


def plain() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(fitting_manifest("plain", ("utility", "quality")).model_dump_json())
    return fields


def changed(path: str, value: Any) -> str:
    """The plain manifest's JSON with one field of another value."""
    fields = plain()
    *way, last = path.split(".")
    place: Any = fields
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "framegate/manifest/2"),
        ("digest", "sha256:ABC"),
        ("digest", "sha256:" + "0" * 64 + "\n"),
        ("precision", "fp8"),
        ("inputs", []),
        ("heads", []),
        ("inputs.0.height", 0),
        ("inputs.0.width", 2.5),
        ("inputs.0.dtype", "int64"),
        ("inputs.0.layout", "CHWN"),
        ("inputs.0.color", "YUV"),
        ("inputs.0.resize.fit", "squash"),
        ("inputs.0.resize.pad_value", 256),
        ("inputs.0.patches", {"rows": 0, "columns": 5}),
        ("inputs.0.patches", {"rows": 4, "columns": 65}),
        ("inputs.0.patches", {"rows": 4, "columns": 5, "least_side": 0}),
        ("heads.0.threshold", 1.01),
        ("heads.0.threshold", float("nan")),
        ("heads.1.threshold", 0.5),
        ("heads.1.output", None),
        ("provenance.metrics", {"srcc": float("inf")}),
        ("provenance.licence", None),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any) -> None:
    """The text holds the file and the way to the field, so that it is found without a manual."""
    with pytest.raises(EngineError, match=r"x\.onnx: the manifest does not follow") as refused:
        parse_manifest(changed(path, value), "x.onnx")

    steps = [step for step in path.split(".") if step not in {"srcc"}]
    assert all(step in str(refused.value) for step in steps)


@pytest.mark.parametrize("path", ["quantised", "inputs.0.mode", "inputs.0.resize.antialias", "heads.0.labels"])
def test_an_unknown_field_is_refused(path: str) -> None:
    """A field that this runtime does not know could change what a score means: it is not passed over."""
    with pytest.raises(EngineError, match=path.rpartition(".")[2]):
        parse_manifest(changed(path, "yes"), "x.onnx")


def test_every_wrong_field_is_named_at_once() -> None:
    """One run shows all that is wrong."""
    fields = plain()
    fields["precision"] = "fp8"
    fields["inputs"][0]["height"] = -1
    del fields["version"]

    with pytest.raises(EngineError, match=r"(?s)(?=.*precision)(?=.*inputs\.0\.height)(?=.*version)"):
        parse_manifest(json.dumps(fields), "x.onnx")


def test_an_unknown_kind_of_head_is_refused() -> None:
    """The kinds that are known stand in the text."""
    with pytest.raises(EngineError, match="'utility', 'quality', 'clarity', 'saliency'"):
        parse_manifest(changed("heads.0.kind", "beauty"), "x.onnx")


def test_two_heads_of_a_kind_are_refused() -> None:
    """A decision has one place for each kind."""
    with pytest.raises(EngineError, match="name a kind twice"):
        parse_manifest(changed("heads", [plain()["heads"][0]] * 2), "x.onnx")


@pytest.mark.parametrize("text", ["", "null", "{", "[1]", '"text"', "{}"])
def test_what_is_no_manifest_at_all(text: str) -> None:
    """Not JSON, or JSON of another kind: an EngineError all the same."""
    with pytest.raises(EngineError, match=r"x\.onnx"):
        parse_manifest(text, "x.onnx")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"dtype": "uint8", "std": (1, 1, 1)}, "leave out mean and std"),
        ({"dtype": "uint8", "mean": (0, 0, 0)}, "leave out mean and std"),
        ({"dtype": "float32"}, "float32 input needs mean and std"),
        ({"dtype": "float16", "mean": (0, 0, 0)}, "float16 input needs mean and std"),
        ({"dtype": "float32", "mean": (0, 0, 0), "std": (1, 0, 1)}, "std must be positive"),
        ({"dtype": "float32", "mean": (0, 0, 0), "std": (1, float("nan"), 1)}, "finite"),
    ],
)
def test_normalisation_goes_with_float_inputs_exactly(fields: dict[str, Any], text: str) -> None:
    """uint8 takes the pixels as they are; a float input must say how it wants them."""
    with pytest.raises(ValidationError, match=text):
        Input(name="frames", height=8, width=8, **fields)


def test_scaled_decoding_is_halving() -> None:
    """The decoder may only do what the resize rule does anyway."""
    with pytest.raises(ValidationError, match="needs halve"):
        Resize(halve=False, scaled_decode=True)


def test_a_sample_has_the_layouts_shape() -> None:
    """Height and width are never mistaken for one another."""
    assert Input(name="x", height=3, width=5).shape == (3, 5, 3)
    assert Input(name="x", height=4, width=5, layout="NCHW").shape == (3, 4, 5)


def test_a_sample_of_patches_has_their_number_first() -> None:
    """Row by row, each of the input's height and width, in either layout."""
    grid = Patches(rows=4, columns=5)

    assert Input(name="x", height=3, width=7, patches=grid).shape == (20, 3, 7, 3)
    assert Input(name="x", height=4, width=7, layout="NCHW", patches=grid).shape == (20, 3, 4, 7)


@pytest.mark.parametrize("resize", [{"fit": "crop"}, {"fit": "pad"}, {"halve": False}, {"pad_value": 0}])
def test_patches_are_cut_not_resized(resize: dict[str, Any]) -> None:
    """What would change nothing is refused, so that nobody counts on it."""
    with pytest.raises(ValidationError, match="leave out all of resize but scaled_decode"):
        Input(name="x", height=8, width=8, resize=Resize(**resize), patches=Patches(rows=1, columns=1))


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ((FRAMES, PATCHES, PATCHES), "name one twice"),
        ((FRAMES, FRAMES.model_copy(update={"name": "more"})), "one at most shows the whole picture"),
        ((PATCHES,), "a saliency head needs an input that shows the whole picture"),
    ],
    ids=["the same name", "two whole pictures", "a map of patches"],
)
def test_inputs_that_do_not_go_together(inputs: tuple[Input, ...], text: str) -> None:
    """Each name once, one whole picture, and a map only of that."""
    with pytest.raises(ValidationError, match=text):
        two_views("two", inputs=inputs)


def test_patches_alone_are_an_engines_input_too() -> None:
    """A clarity needs no whole picture."""
    assert two_views("two", inputs=(PATCHES,), heads=(CLARITY,)).inputs == (PATCHES,)


def test_what_a_head_answers_and_is_held_to() -> None:
    """A frame's output by its head; a map has no threshold, a clarity may have none."""
    heads = (UtilityHead(output="u", threshold=0.5), QualityHead(output="q", threshold=3), CLARITY, SALIENCY)

    assert [head_shape(head) for head in heads] == [(), (5,), (), (24, 32)]
    assert [head_threshold(head) for head in heads] == [0.5, 3, None, None]
    assert head_threshold(ClarityHead(output="c", threshold=4)) == 4
    assert (head_shape(QualityFrHead(output="f")), head_threshold(QualityFrHead(output="f"))) == ((), None)


def test_an_engine_that_compares_survives_json() -> None:
    """Two inputs of tiles, one of each picture; only such a head makes an engine one that compares."""
    manifest = comparing(threshold=3)

    assert parse_manifest(manifest.model_dump_json(exclude_none=True), "engine") == manifest
    assert compares(manifest.heads)
    assert not compares(fitting_manifest("u").heads)
    assert whole_picture(manifest.inputs) is None
    assert manifest.inputs[0].shape == (TILE, TILE, 3)


@pytest.mark.parametrize(
    ("inputs", "heads", "text"),
    [
        ((DISTORTED,), None, r"two inputs of tiles, .* not distorted \(of the frame, tiles\)"),
        ((DISTORTED, DISTORTED.model_copy(update={"name": "b"})), None, r"not distorted .*, b \(of the frame, tiles\)"),
        ((PRISTINE, FRAMES), None, r"not reference \(of the reference, tiles\), frames \(of the frame\)"),
        ((DISTORTED, PRISTINE.model_copy(update={"width": 8})), None, "tiles of 16 x 16 .* of 16 x 8 .* of one size"),
        ((DISTORTED, PRISTINE), (QualityFrHead(output="f"), CLARITY), "judges tiles, and stands alone"),
        ((DISTORTED, PRISTINE), (CLARITY,), "tiles are for a head 'quality_fr' alone"),
        ((FRAMES, DISTORTED), (CLARITY,), "tiles are for a head 'quality_fr' alone"),
    ],
)
def test_what_compares_has_a_picture_and_its_reference(
    inputs: tuple[Input, ...], heads: tuple[Head, ...] | None, text: str
) -> None:
    """Both as tiles of one size, and nothing beside: any other engine could not be run."""
    with pytest.raises(ValidationError, match=text):
        comparing(inputs=inputs, heads=heads or (QualityFrHead(output="quality_fr"),))


@pytest.mark.parametrize("pooling", [0.5, 9, float("nan")])
def test_pooling_lies_between_the_mean_and_nearly_the_worst(pooling: float) -> None:
    """Below 1 the best tiles would count most; far above, one tile is nearly all."""
    with pytest.raises(ValidationError, match="pooling"):
        QualityFrHead(output="f", pooling=pooling)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"tiles": True, "resize": Resize(fit="crop")}, "leave out resize and patches"),
        ({"tiles": True, "resize": Resize(scaled_decode=True)}, "leave out resize and patches"),
        ({"tiles": True, "patches": Patches(rows=1, columns=1)}, "leave out resize and patches"),
        ({"of": "reference"}, "an input of the reference shows tiles"),
    ],
)
def test_tiles_are_the_pixels_themselves(fields: dict[str, Any], text: str) -> None:
    """What would change them is refused, and a reference that is not cut into them."""
    with pytest.raises(ValidationError, match=text):
        Input(name="x", height=8, width=8, **fields)
