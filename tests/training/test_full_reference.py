"""The full-reference network: its layers and variants, its patches and tiles, and that it learns."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)

from torch.nn import functional  # noqa: E402 - what follows needs torch
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from runtime.errors import ConfigError  # noqa: E402
from tests import pictures  # noqa: E402
from tests.training.test_quality_light import folder  # noqa: E402, F401 - a fixture
from training.__main__ import main  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.commands import train_quality_fr  # noqa: E402
from training.models.full_reference import OUTPUT, PYRAMIDS, TILE_PX, VARIANTS, Stream, full_reference  # noqa: E402
from training.models.pyramid import SUMMARY, FeaturePyramid, FlatPyramid, PyramidPooling, moved_parts  # noqa: E402
from training.quality.fr_recipes import RECIPES  # noqa: E402
from training.quality.fr_samples import PairPatches, read_pair  # noqa: E402
from training.quality.fr_scoring import pooled, score_pair  # noqa: E402
from training.quality.fr_training import FullReferenceTask, Validation  # noqa: E402
from training.quality.kept_pictures import KeptPictures  # noqa: E402
from training.quality.proxy_set import read_proxy  # noqa: E402
from training.quality.rated import Rated, RatedSet  # noqa: E402
from training.quality.readers import require_references  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = RECIPES["small"].model_copy(update={"batch_size": 8, "patches": 2})


def count(network: Any) -> int:
    return sum(one.numel() for one in network.parameters())


# --- The network


def test_layers_have_the_papers_sizes() -> None:
    """Kernels 8, 8, 16, 16, 32; AlexNet's poolings leave 16 x 16; fully connected 2048, 1024, 1."""
    stream = Stream()
    assert count(stream) == 8952
    fine, middle, last = stream(torch.zeros(1, 1, TILE_PX, TILE_PX))
    assert [tuple(each.shape[1:]) for each in (fine, middle, last)] == [(8, 64, 64), (16, 32, 32), (32, 16, 16)]
    assert count(full_reference("proposed", "he").head) == 13_242_369  # 2 streams x 32 channels x 85 bins
    assert count(full_reference().head) == 5_246_977  # 3 levels x 32 channels x 16 parts
    assert 5.2e6 < count(full_reference()) < 5.4e6
    with FlopCounterMode(display=False) as counted:
        stream(torch.zeros(1, 1, TILE_PX, TILE_PX))
    assert counted.get_total_flops() / 2 == pytest.approx(11.8e6, rel=0.01)  # multiplications and additions
    layers = [one for one in full_reference().head if isinstance(one, torch.nn.Linear)]
    assert [one.out_features for one in layers] == [2048, 1024, 1]


def test_a_stream_is_convolution_normalisation_elu_and_pooling() -> None:
    """ELU after pooling, where it is cheaper, is ELU before it, as the paper draws it."""
    stream = Stream().eval()
    for layer in stream.layers:
        layer[1].running_mean.uniform_(-0.2, 0.2)
        layer[1].running_var.uniform_(0.5, 2)
    plane = torch.rand(2, 1, TILE_PX, TILE_PX)
    with torch.inference_mode():
        seen = plane
        for number, layer in enumerate(stream.layers, 1):
            seen = functional.elu(layer(seen))
            if number in (1, 2, 5):
                seen = functional.max_pool2d(seen, 2)
        torch.testing.assert_close(stream(plane)[2], seen)


def test_the_flat_pyramid_is_of_85_bins() -> None:
    """Of 1, 4, 16 and 64: the first is the mean, the last those of 2 x 2 places."""
    maps = torch.rand(2, 3, 16, 16)
    found = FlatPyramid()(maps)
    assert found.shape == (2, 3 * 85)
    torch.testing.assert_close(found[:, :3], maps.mean(dim=(2, 3)))
    torch.testing.assert_close(found[:, -3 * 64 :], functional.adaptive_avg_pool2d(maps, 8).flatten(1))


def test_the_pooled_pyramid_joins_the_maps_and_four_scales() -> None:
    """32 channels more, at the maps' own size; the first level is one value all over."""
    pool = PyramidPooling(32).eval()
    with torch.inference_mode():
        found = pool(torch.rand(2, 32, 16, 16))
    assert found.shape == (2, 64, 16, 16)
    assert (found[:, 32:40].flatten(2).std(dim=2) < 1e-6).all()


def test_the_feature_pyramid_is_the_one_of_its_paper() -> None:
    """Laterals, nearest enlargement, sums and smoothing, written out, and then means over 4 x 4 parts."""
    torch.manual_seed(1)
    channels = (8, 16, 64)
    levels = FeaturePyramid(channels, 64)
    maps = [torch.randn(2, own, side, side) for own, side in zip(channels, (64, 32, 16), strict=True)]
    with torch.inference_mode():
        seen = [lateral(own) for lateral, own in zip(levels.laterals, maps, strict=True)]
        for level in (1, 0):
            seen[level] = seen[level] + functional.interpolate(seen[level + 1], scale_factor=2, mode="nearest")
        wanted = [
            functional.adaptive_avg_pool2d(smooth(own), SUMMARY).flatten(1)
            for smooth, own in zip(levels.smooth, seen, strict=True)
        ]
        torch.testing.assert_close(levels(maps), torch.cat(wanted, dim=1), atol=1e-4, rtol=1e-4)
    assert moved_parts(16, 1).sum() == pytest.approx(4 + 2 * (4 - 1 / 4))  # what lies beyond the side is 0


def test_the_command_knows_every_variant() -> None:
    """It lists them itself, so that its help needs no PyTorch."""
    assert (train_quality_fr.VARIANTS, train_quality_fr.PYRAMIDS) == (VARIANTS, PYRAMIDS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tiles_score_is_its_own(variant: str) -> None:
    """In [1, 5], and the same alone and in any batch, to 1e-5."""
    torch.manual_seed(2)
    network = full_reference(variant)
    distorted, reference = (torch.rand(5, 3, TILE_PX, TILE_PX) * 255 for _ in range(2))
    with torch.inference_mode():
        together = network(distorted, reference)[OUTPUT]
        alone = torch.cat([network(distorted[at : at + 1], reference[at : at + 1])[OUTPUT] for at in range(5)])
        back = network(distorted.flip(0), reference.flip(0))[OUTPUT].flip(0)
    assert together.shape == (5,)
    assert ((together >= 1) & (together <= 5)).all()
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
    torch.testing.assert_close(back, together, atol=1e-5, rtol=0)


def test_variants_see_what_they_are_named_for() -> None:
    """The one that sees residuals does not know the picture, and the one that sees the picture not its reference."""
    torch.manual_seed(3)
    distorted = torch.rand(1, 3, TILE_PX, TILE_PX) * 200
    step = torch.full_like(distorted, 20)
    with torch.inference_mode():
        residual = full_reference("residual_only")
        one, two = residual(distorted, distorted + step)[OUTPUT], residual(distorted / 2, distorted / 2 + step)[OUTPUT]
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)
        alone = full_reference("distorted_only")
        torch.testing.assert_close(alone(distorted, distorted)[OUTPUT], alone(distorted, distorted + step)[OUTPUT])


def test_names_that_are_none_are_refused() -> None:
    """With those that there are; a pyramid for a variant that has none, too."""
    with pytest.raises(ConfigError, match="'all': the full-reference network comes as proposed, concat"):
        full_reference("all")
    with pytest.raises(ConfigError, match="concat has no pyramid"):
        full_reference("concat", "he")


# --- Patches and tiles


def test_a_pictures_score_is_the_mean_of_its_tiles() -> None:
    """Each as if it were alone."""
    network = full_reference()
    distorted, reference = (pictures.noise(300, 128, seed) for seed in (0, 1))
    parts = [
        score_pair(network, distorted[:, left : left + TILE_PX], reference[:, left : left + TILE_PX])
        for left in (0, 128, 172)
    ]
    assert score_pair(network, distorted, reference) == pytest.approx(np.mean(parts), abs=1e-5)


def test_answers_beyond_the_best_come_back(folder: Path) -> None:  # noqa: F811 - the fixture
    """Pooling takes no notice of them, so a network that begins there would learn nothing; their own cost moves it."""
    network = full_reference()
    torch.nn.init.constant_(network.head[-1].bias, 2.0)
    samples = read_proxy(folder)
    slopes = []
    for beyond in (0.0, 1.0):
        recipe = SMALL.model_copy(update={"whole": True, "pooling": 2.0, "beyond": beyond})
        task = FullReferenceTask(
            PairPatches([samples], recipe, KeptPictures(0), 0), Validation([], KeptPictures(0)), recipe
        )
        network.zero_grad()
        task.losses(network, task.batch(0))["loss"].backward()
        slopes.append(network.head[-1].bias.grad.item())
    assert slopes[0] == 0
    assert slopes[1] > 1  # downhill is down


def test_pooling_is_minkowskis_mean_of_what_tiles_lack() -> None:
    """With 2, one tile of four that lacks everything makes the picture lack half; with 1 it is the mean."""
    shares = torch.tensor([[1.0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5]])
    torch.testing.assert_close(pooled(shares, 1), torch.tensor([0.75, 0.5]))
    torch.testing.assert_close(pooled(shares, 2), torch.tensor([0.5, 0.5]), atol=1e-3, rtol=0)
    best = torch.ones(1, 4, requires_grad=True)
    pooled(best, 2).sum().backward()
    assert torch.isfinite(best.grad).all()


def test_the_worst_tiles_count_most_where_the_head_says_so() -> None:
    """As the gateway does it: never above the mean, and equal to it where all tiles are alike."""
    torch.manual_seed(5)
    network = full_reference()
    distorted, reference = (pictures.noise(300, 128, seed) for seed in (0, 1))
    assert score_pair(network, distorted, reference, 2) < score_pair(network, distorted, reference)
    one, other = (pixels[:, :TILE_PX] for pixels in (distorted, reference))
    assert score_pair(network, one, other, 2) == pytest.approx(score_pair(network, one, other), abs=1e-6)


def rated(tmp_path: Path, distorted: tuple[int, int], reference: tuple[int, int]) -> Rated:
    for name, size in (("d.png", distorted), ("r.png", reference)):
        cv2.imwrite(str(tmp_path / name), pictures.noise(*size))
    return Rated("d.png", tmp_path / "d.png", tmp_path / "r.png", "r", 3.0)


def test_pairs_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    """Of two sizes, smaller than a tile, without a reference."""
    with pytest.raises(ConfigError, match=r"of 200 x 150 pixels and its reference .*r\.png of 150 x 150"):
        read_pair(rated(tmp_path, (200, 150), (150, 150)), KeptPictures(0))
    with pytest.raises(ConfigError, match=r"of 200 x 127 pixels; the network sees tiles of 128 x 128"):
        read_pair(rated(tmp_path, (200, 127), (200, 127)), KeptPictures(0))
    alone = Rated("a.png", tmp_path / "d.png", None, "a", 3.0)
    with pytest.raises(ConfigError, match=r"1 of 1 pictures have no reference, such as a\.png"):
        require_references(RatedSet("some", (alone,), (1, 5)))


def test_patches_lie_at_one_place_of_both(folder: Path) -> None:  # noqa: F811 - the fixture
    """The undistorted pictures' residuals are 0 wherever they are cut; a step is settled by its number."""
    samples = read_proxy(folder).where(lambda one: one.level == 0)
    patches = PairPatches([samples], SMALL, KeptPictures(1 << 20), seed=1)
    batch = patches.batch(3)
    assert batch.distorted.shape == (8, TILE_PX, TILE_PX, 3)
    np.testing.assert_array_equal(batch.distorted, batch.reference)
    again = PairPatches([samples], SMALL, KeptPictures(0), seed=1)
    np.testing.assert_array_equal(again.batch(3).distorted, batch.distorted)
    assert not np.array_equal(again.batch(4).distorted, batch.distorted)


def test_pictures_that_show_one_colour_are_the_worst(folder: Path) -> None:  # noqa: F811 - the fixture
    """Beside their reference, and beside another colour that no one would take for theirs."""
    recipe = SMALL.model_copy(update={"lost": 1.0, "identical": 0.0, "batch_size": 64})
    batch = PairPatches([read_proxy(folder)], recipe, KeptPictures(0), 0).batch(0)
    assert (batch.share == 0).all()
    assert (batch.distorted == batch.distorted[:, :1, :1]).all()
    flat = (batch.reference == batch.reference[:, :1, :1]).all(axis=(1, 2, 3))
    assert 10 < flat.sum() < 54
    apart = np.abs(batch.distorted[flat, 0, 0].astype(int) - batch.reference[flat, 0, 0])
    assert apart.min() >= 48
    shades = {int(one) for one in batch.distorted[:, 0, 0].reshape(-1)}
    assert {0, 255} < shades


# --- The command


@pytest.mark.parametrize("variant", ["proposed", "residual_only"])
def test_it_learns_which_is_worse(folder: Path, tmp_path: Path, variant: str) -> None:  # noqa: F811
    """Blurs of contents that it has not seen are put in order after a few steps, the undistorted picture first."""
    words = ["train", "quality-fr", "--data", str(folder), "--threads", "1", "--validate", "6", "--variant", variant]
    words += ["--set", "batch_size=16", "ema_decay=0", "warmup=0.1", "--steps", "80", "--output", str(tmp_path)]
    assert main(words) == 0
    checkpoint = load_checkpoint(tmp_path / "quality-fr")
    metrics = checkpoint.description.provenance.metrics
    assert metrics["held_out_srocc"] > 0.85
    assert checkpoint.description.arguments == {"variant": variant, "pyramid": "psp"}
    assert [one.of for one in checkpoint.description.inputs] == ["frame", "reference"]
    scores: dict[str, dict[float | None, float]] = {}
    for one in read_proxy(folder).where(lambda one: one.split == "test").pictures:
        score = score_pair(checkpoint.network, *read_pair(one, KeptPictures(0)))
        scores.setdefault(one.content, {})[one.level] = score
    assert all(max(of, key=lambda level: of[level]) == 0 for of in scores.values())


def test_a_set_without_sides_is_divided_by_a_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It learns from four contents of five, and is told to be new to the fifth alone."""
    for content in range(1, 6):
        for folder_name, name in (("reference_images", f"i{content:02}"), ("distorted_images", f"i{content:02}_24_1")):
            path = tmp_path / "tid" / folder_name / f"{name}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pictures.noise(128, 128, content + len(name)))
    lines = [f"{content}.5 i{content:02}_24_1.bmp" for content in range(1, 6)]
    (tmp_path / "tid" / "mos_with_names.txt").write_text("\n".join(lines) + "\n")
    words = ["train", "quality-fr", "--data", str(tmp_path / "tid"), "--split-seed", "2"]
    words += ["--threads", "1", "--steps", "1", "--set", "batch_size=4", "--output", str(tmp_path / "run")]
    assert main(words) == 0
    assert "4 pictures teach" in capsys.readouterr().out
    provenance = load_checkpoint(tmp_path / "run" / "quality-fr").description.provenance
    assert "(split content 2)" in provenance.data
    assert "--split-seed 2" in provenance.command
    evaluate = ["evaluate", "quality-fr", "--set", str(tmp_path / "tid"), "--gates", str(tmp_path / "run/quality-fr")]
    evaluate += ["--threads", "1", "--resamples", "0", "--output"]
    told = []
    for seed in ("2", "3"):
        assert main([*evaluate, str(tmp_path / seed), "--split-seed", seed]) == 0
        told.append(capsys.readouterr().out)
    assert all("test side: 1 pictures of 1 contents" in one for one in told)
    assert ["It was trained on pictures of" in one for one in told] == [False, True]
    assert main([*words, "--split-of", "paper"]) == 2
    assert "the paper's split learns from 8073 of 10073 pictures, not of 5" in capsys.readouterr().err


def test_a_batch_is_of_whole_pictures(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """A batch that is no multiple of a picture's patches is refused by name."""
    words = ["train", "quality-fr", "--data", str(folder), "--output", str(tmp_path), "--set", "batch_size=30"]
    assert main(words) == 2
    assert "batch_size 30 must be a multiple of patches, 4" in capsys.readouterr().err


def test_a_run_may_go_on_from_another_of_the_same_layers(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its pooling is the recipe's, and the sets of both fits are told; a checkpoint of other layers is refused."""
    words = ["train", "quality-fr", "--data", str(folder), "--threads", "1", "--validate", "6", "--steps", "1"]
    words += ["--set", "batch_size=8"]
    for variant in ("proposed", "concat"):
        assert main([*words, "--variant", variant, "--output", str(tmp_path / variant)]) == 0
    further = ["--recipe", "whole", "--set", "batch_size=8", "--output", str(tmp_path / "further"), "--weights"]
    assert main([*words, *further, str(tmp_path / "proposed" / "quality-fr")]) == 0
    description = load_checkpoint(tmp_path / "further" / "quality-fr").description
    assert description.heads[0].model_dump()["pooling"] == 2
    assert "begun with quality-fr (sha256:" in description.provenance.data
    assert description.provenance.data.count(f"{read_proxy(folder).name} (proxy) sha256:") == 2  # of both fits
    assert "--weights quality-fr" in description.provenance.command
    capsys.readouterr()
    assert main([*words, *further[:-2], str(tmp_path / "other"), "--weights", str(tmp_path / "concat/quality-fr")]) == 2
    assert "weights of other layers than the network's" in capsys.readouterr().err
