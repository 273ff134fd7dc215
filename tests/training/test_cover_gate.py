"""Gates of covers, as engines, as checkpoints at their input's size or the frame's own, and a published anchor."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import ConfigError, EngineError
from runtime.manifest import ClarityHead, Input, Patches, Provenance, Resize, SaliencyHead
from tests.training.cover_gates import (
    CLARITY,
    SALIENCY,
    SPEC,
    RedAndSteps,
    RedCells,
    clarity_of,
    write_anchor,
    write_engine,
)
from training.checkpoint import Checkpoint, Description, save_checkpoint
from training.cover.anchor import MEAN, STD, open_anchor
from training.cover.full_frame import LEAST_SIDE_PX, tiles
from training.cover.gate import CoverGate, open_cover_gate
from training.cover.run_facts import RunFacts
from training.models import ARCHITECTURES
from training.run_record import RunRecord

ROUNDING = 0.5 / 255 + 1e-6
"""The gateway reads maps in 8 bits."""


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write_checkpoint(
    stem: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    dynamic: bool,
    heads: tuple[ClarityHead | SaliencyHead, ...],
    architecture: str = "red-and-steps",
) -> Path:
    monkeypatch.setitem(ARCHITECTURES, "red-and-steps", RedAndSteps)
    description = Description(
        name="red",
        version="1",
        architecture=architecture,
        inputs=(SPEC,),
        heads=heads,
        dynamic_size=dynamic,
        provenance=Provenance(data="none", licence="Apache-2.0", command="tests"),
    )
    save_checkpoint(stem, Checkpoint(description, ARCHITECTURES[architecture]().eval()))
    return stem


def opened(path: Path, tile_px: int | None = None) -> CoverGate:
    return open_cover_gate(path, name="red", provider="cpu", threads=1, tile_px=tile_px)


def test_an_engine_answers_as_behind_the_gateways_preprocessing(tmp_path: Path) -> None:
    """Of its input's size nothing is resized: each answer is the one worked out by hand, in any number of pictures."""
    gate = opened(write_engine(tmp_path / "red.onnx"))
    pictures = [noise(48, 48, seed) for seed in range(19)]

    for said, pixels in zip(gate.judge(pictures), pictures, strict=True):
        assert said.clarity == pytest.approx(clarity_of(pixels), abs=1e-4)
        assert said.saliency is not None
        np.testing.assert_allclose(said.saliency, pixels[..., 0] / 255, atol=ROUNDING)
    assert gate.kinds == {"clarity", "saliency"}
    assert gate.view == "48x48 px"
    assert gate.run is None
    assert (gate.runs_on, gate.device) == ("ONNX Runtime, cpu", "cpu")


def test_the_map_of_a_padded_input_is_cut_to_the_picture(tmp_path: Path) -> None:
    """The padding is no part of the picture: a red left half stays the left half of a wide picture."""
    spec = Input(name="frames", height=48, width=48, resize=Resize(fit="pad", pad_value=255))
    gate = opened(write_engine(tmp_path / "red.onnx", spec=spec))
    wide = np.zeros((40, 160, 3), np.uint8)
    wide[:, :80, 0] = 255

    [said] = gate.judge([wide])

    assert said.saliency is not None
    assert said.saliency.shape == (40, 160)
    assert (said.saliency[:, :70] > 0.9).all()
    assert (said.saliency[:, 90:] < 0.1).all()


@pytest.mark.parametrize("head", [CLARITY, SALIENCY])
def test_a_gate_may_have_one_head(head: ClarityHead | SaliencyHead, tmp_path: Path) -> None:
    """The other answer is None."""
    gate = opened(write_engine(tmp_path / "red.onnx", heads=(head,)))

    [said] = gate.judge([noise(48, 48)])

    assert gate.kinds == {head.kind}
    assert (said.clarity is None) == (head.kind == "saliency")
    assert (said.saliency is None) == (head.kind == "clarity")


def test_answers_that_no_head_can_mean_are_refused(tmp_path: Path) -> None:
    """A probability of 2 would still have an IoU."""
    gate = opened(write_engine(tmp_path / "red.onnx", gain=2))

    with pytest.raises(EngineError, match=r"red: .*saliency.*it cannot be evaluated"):
        gate.judge([np.full((48, 48, 3), 255, np.uint8)])


def test_a_gate_of_something_else_is_refused(engine: Path) -> None:
    """What it has instead is named."""
    with pytest.raises(ConfigError, match="neither a clarity nor a saliency head, only utility"):
        opened(engine)


def test_a_checkpoint_answers_as_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same resizing goes before both; a picture of another size is not seen at its own."""
    engine = opened(write_engine(tmp_path / "red.onnx"))
    checkpoint = opened(write_checkpoint(tmp_path / "net-1.0", monkeypatch, dynamic=False, heads=(CLARITY, SALIENCY)))
    picture = noise(100, 70)

    [one], [other] = engine.judge([picture]), checkpoint.judge([picture])

    assert one.clarity == pytest.approx(other.clarity, abs=1e-4)
    assert one.saliency is not None
    assert other.saliency is not None
    np.testing.assert_allclose(one.saliency, other.saliency, atol=2 * ROUNDING)
    assert checkpoint.view == engine.view
    assert (checkpoint.runs_on, checkpoint.device) == ("PyTorch, cpu", "cpu")


def test_a_network_of_any_size_sees_the_whole_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is resized: clarity is that of the frame's own pixels, which its mirror image continues to 16 n + 1."""
    gate = opened(write_checkpoint(tmp_path / "net", monkeypatch, dynamic=True, heads=(CLARITY, SALIENCY)))
    pictures = [noise(145, 257), noise(200, 150, 1)]
    seen = [pictures[0], np.pad(pictures[1], ((0, 9), (0, 11), (0, 0)), "reflect")]

    for said, pixels, whole in zip(gate.judge(pictures), pictures, seen, strict=True):
        assert said.clarity == pytest.approx(clarity_of(whole), abs=1e-3)
        assert said.saliency is not None
        np.testing.assert_allclose(said.saliency, pixels[..., 0] / 255, atol=ROUNDING)
    assert gate.view == "the whole frame"


def test_a_frame_too_small_for_the_poolings_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its mirror image; its map is cut to it again."""
    gate = opened(write_checkpoint(tmp_path / "net", monkeypatch, dynamic=True, heads=(CLARITY, SALIENCY)))
    pixels = noise(90, LEAST_SIDE_PX)
    mirrored = np.concatenate([pixels, pixels[-2 : 2 * 90 - LEAST_SIDE_PX - 2 : -1]])

    [said] = gate.judge([pixels])

    assert said.clarity == pytest.approx(clarity_of(mirrored), abs=1e-3)
    assert said.saliency is not None
    np.testing.assert_allclose(said.saliency, pixels[..., 0] / 255, atol=ROUNDING)


def test_a_map_lies_where_the_network_puts_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell i of the paper's networks is at pixel 4 i: a ramp of the frame is the same ramp in the map, and a frame's
    map is of the frame's size. Resized as pixels are, all in it would be 1.5 pixels off.
    """
    monkeypatch.setitem(ARCHITECTURES, "red-cells", RedCells)
    stem = write_checkpoint(tmp_path / "net", monkeypatch, dynamic=True, heads=(SALIENCY,), architecture="red-cells")
    pixels = np.zeros((180, 250, 3), np.uint8)
    pixels[..., 0] = np.arange(250)

    for frame in (pixels, np.ascontiguousarray(pixels[:, :180].transpose(1, 0, 2))):
        [said] = opened(stem).judge([frame])

        assert said.saliency is not None
        assert said.saliency.shape == frame.shape[:2]
        inside = slice(0, -4)  # the last cells are beyond the frame
        np.testing.assert_allclose(said.saliency[inside, inside], frame[inside, inside, 0] / 255, atol=ROUNDING)


def test_tiles_average_the_clarity_of_a_wide_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over the tiles, each seen for itself; the mask stays that of the whole frame."""
    stem = write_checkpoint(tmp_path / "net", monkeypatch, dynamic=True, heads=(CLARITY, SALIENCY))
    pixels = noise(161, 401)  # of sides that nothing is added to
    pixels[:, 200:] //= 4
    parts = tiles(pixels, 161)

    [said], [whole] = opened(stem, 161).judge([pixels]), opened(stem).judge([pixels])

    assert said.clarity == pytest.approx(np.mean([clarity_of(part) for part in parts]), abs=1e-3)
    assert said.clarity != pytest.approx(whole.clarity, abs=1e-2)
    np.testing.assert_array_equal(said.saliency, whole.saliency)


def test_tiles_cover_the_frame_evenly() -> None:
    """As few as will do; a short side is taken whole."""
    pixels = np.arange(300 * 2248, dtype=np.uint8).reshape(300, 2248, 1).repeat(3, axis=2)

    parts = tiles(pixels, 513)

    assert [part.shape[:2] for part in parts] == [(300, 513)] * 5
    starts = [(part.ctypes.data - pixels.ctypes.data) // 3 for part in parts]
    assert starts == [0, 433, 867, 1301, 1735]


def test_a_checkpoint_brings_the_facts_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From run.json beside it; another program's run is no fact of covers, a broken file an error."""
    stem = write_checkpoint(tmp_path / "net", monkeypatch, dynamic=True, heads=(CLARITY,))
    asked = {"task": "cover", "network": "resnet101", "strategy": "end-to-end", "tasks": ["clarity"], "seed": 3}
    assert opened(stem).run is None

    (tmp_path / "run.json").write_text(RunRecord(asked=asked | {"recipe": {"steps": 5}}).model_dump_json())
    expected = RunFacts(
        network="resnet101", strategy="end-to-end", tasks=("clarity",), seed=3, recipe={"steps": 5}, set=None
    )
    assert opened(stem).run == expected

    (tmp_path / "run.json").write_text(RunRecord(asked=asked | {"task": "utility"}).model_dump_json())
    assert opened(stem).run is None

    (tmp_path / "run.json").write_text(RunRecord(asked=asked | {"strategy": "at once"}).model_dump_json())
    with pytest.raises(ConfigError, match=r"run\.json: .*strategy"):
        opened(stem)


def test_what_is_seen_is_told_of_patches_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both views of a network with two inputs; it is called with both, in their order."""

    class Two(RedAndSteps):
        def forward(self, pixels, patches):  # type: ignore[no-untyped-def, override]
            answers = super().forward(pixels)
            return {**answers, "clarity": 1 + patches.amax(dim=(1, 2, 3, 4)) / 255}

    monkeypatch.setitem(ARCHITECTURES, "two", Two)
    patches = Input(name="patches", height=16, width=16, patches=Patches(rows=2, columns=3))
    description = Description(
        name="two",
        version="1",
        architecture="two",
        inputs=(SPEC, patches),
        heads=(CLARITY, SALIENCY),
        provenance=Provenance(data="none", licence="Apache-2.0", command="tests"),
    )
    save_checkpoint(tmp_path / "two", Checkpoint(description, Two().eval()))
    picture = np.zeros((100, 120, 3), np.uint8)
    picture[25, 60] = 255  # the middle patch of the upper row; too small to be left in the whole view

    gate = opened(tmp_path / "two")

    assert gate.view == "48x48 px and 2x3 patches of 16x16 px"
    assert gate.judge([picture])[0].clarity == pytest.approx(2)


def test_an_anchor_is_shown_pictures_as_its_makers_do(tmp_path: Path) -> None:
    """RGB over the picture's maximum, ImageNet's mean and deviation, plain resize; the answer stretched to 0..1."""
    gate = open_anchor(write_anchor(tmp_path / "anchor.onnx", side=24), name="anchor", threads=1)
    pixels = noise(70, 50) // 2

    [said] = gate.judge([pixels])

    small = cv2.resize(pixels, (24, 24), interpolation=cv2.INTER_LINEAR)
    red = (small[..., 0] / int(pixels.max()) - MEAN[0]) / STD[0]
    assert said.saliency is not None
    np.testing.assert_allclose(said.saliency, (red - red.min()) / (red.max() - red.min()), atol=1e-5)
    assert said.clarity is None
    assert gate.judge([np.zeros((9, 9, 3), np.uint8)])[0].saliency.max() == 0  # type: ignore[union-attr]


def test_an_anchor_that_is_none_is_refused(tmp_path: Path) -> None:
    """No such file, no ONNX file, an engine of ours."""
    with pytest.raises(EngineError, match=r"--anchor .*nowhere\.onnx: No such file"):
        open_anchor(tmp_path / "nowhere.onnx", name="anchor", threads=1)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(EngineError, match="cannot open it"):
        open_anchor(tmp_path / "text.onnx", name="anchor", threads=1)
    with pytest.raises(EngineError, match=r"frames tensor\(uint8\).*--gates"):
        open_anchor(write_engine(tmp_path / "red.onnx"), name="anchor", threads=1)
