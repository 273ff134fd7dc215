"""The cover networks: the paper's layers, the light one's two looks, and what export and training ask of both."""

from pathlib import Path

import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
timm = pytest.importorskip("timm", reason=REASON)
torchvision = pytest.importorskip("torchvision", reason=REASON)

from torch import nn  # noqa: E402 - what follows needs torch

from runtime.errors import ConfigError  # noqa: E402
from training.cover.recipes import ENCODERS  # noqa: E402
from training.models import ARCHITECTURES  # noqa: E402
from training.models.aspp import Aspp  # noqa: E402
from training.models.clarity import ClarityBranch  # noqa: E402
from training.models.cover_deeplab import TASKS, CoverDeepLab, cover_deeplab, load_imagenet_encoder  # noqa: E402
from training.models.cover_light import cover_light, freeze, load_imagenet_trunk  # noqa: E402
from training.models.depthwise import DepthwiseConv  # noqa: E402
from training.models.encoders import MULTI_GRID, load_encoder, make_encoder  # noqa: E402
from training.models.patches import PatchBranch  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def narrow(encoder: str = "efficientnet-lite0", tasks: tuple[str, ...] = TASKS) -> CoverDeepLab:
    torch.manual_seed(0)
    return cover_deeplab(encoder, tasks=tasks, width=32, separable=True)


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_clarity_branch_is_the_papers() -> None:
    """Section 3.1: conv3-256 three times, each with max pooling, the mean, FC-1: 1,770,497 parameters of 256 channels.

    From 33 x 33 to 16, 8 and 4.
    """
    branch = ClarityBranch()
    assert parameters(branch) + parameters(nn.Linear(256, 1)) == 1_770_497
    assert branch.layers(torch.zeros(1, 256, 33, 33)).shape == (1, 256, 4, 4)
    assert branch(torch.zeros(2, 256, 8, 8)).shape == (2, 256)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_resnet101_at_513_has_the_papers_sizes() -> None:
    """Output stride 16, multi-grid dilation, the pyramid's three rates, and a map of 129 x 129."""
    network = cover_deeplab("resnet101")
    low, high = network.encoder(torch.zeros(1, 3, 513, 513))
    assert (low.shape, high.shape) == ((1, 256, 129, 129), (1, 2048, 33, 33))
    assert [block.conv2.dilation[0] for block in network.encoder.features.layer4] == [2 * times for times in MULTI_GRID]
    assert [each[0].dilation[0] for each in network.aspp.around] == [6, 12, 18]
    assert network.aspp(high).shape == (1, 256, 33, 33)
    outputs = network(torch.zeros(1, 3, 513, 513))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {"clarity": (1,), "saliency": (1, 129, 129)}


@pytest.mark.parametrize("name", ENCODERS)
@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_encoders_give_maps_at_a_quarter_and_a_sixteenth(name: str) -> None:
    """For sides that strides divide, and for those of the form 16 k + 1."""
    encoder = make_encoder(name).eval()
    for side, low_side, high_side in ((128, 32, 8), (113, 29, 8)):
        low, high = encoder(torch.zeros(1, 3, side, side))
        assert low.shape == (1, encoder.low_channels, low_side, low_side)
        assert high.shape == (1, encoder.channels, high_side, high_side)


@pytest.mark.parametrize("tasks", [("clarity",), ("saliency",), TASKS])
def test_single_tasks_are_the_same_network_without_the_other_branch(tasks: tuple[str, ...]) -> None:
    """Section 4.3: the baselines of Table 2; every weight there is learns."""
    network = narrow(tasks=tasks).train()
    logits = network.logits(torch.rand(2, 3, 113, 113) * 255)
    assert tuple(logits) == tasks
    sum(values.square().mean() for values in logits.values()).backward()
    unlearned = [name for name, value in network.named_parameters() if value.grad is None]
    assert unlearned == []


@pytest.mark.parametrize("network", ["deeplab", "light"])
@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_answers_are_in_their_heads_ranges_and_do_not_depend_on_the_batch(network: str) -> None:
    """Clarity in [1, 10], the map in [0, 1]; a picture alone is judged as beside others, in any order."""
    torch.manual_seed(0)
    inputs = [torch.rand(3, 3, 128, 128) * 255]
    if network == "light":
        inputs.append(torch.rand(3, 6, 3, 64, 64) * 255)
    made = narrow() if network == "deeplab" else cover_light()
    made.eval()
    together = made(*inputs)
    backwards = made(*(each.flip(0) for each in inputs))
    alone = made(*(each[1:2] for each in inputs))
    assert ((together["clarity"] >= 1) & (together["clarity"] <= 10)).all()
    assert ((together["saliency"] >= 0) & (together["saliency"] <= 1)).all()
    for name, values in together.items():
        torch.testing.assert_close(backwards[name].flip(0), values, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone[name][0], values[1], rtol=1e-5, atol=1e-5)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_the_light_networks_map_is_half_the_picture_and_patches_may_be_any_number() -> None:
    """256 x 256 gives 128 x 128; the number and order of the patches are free: two means stand for them."""
    network = cover_light().eval()
    pixels, patches = torch.rand(1, 3, 256, 256) * 255, torch.rand(1, 5, 3, 64, 64) * 255
    one = network(pixels, patches)
    assert one["saliency"].shape == (1, 128, 128)
    other = network(pixels, patches[:, [4, 2, 0, 1, 3]])
    torch.testing.assert_close(one["clarity"], other["clarity"], rtol=1e-5, atol=1e-5)
    assert network(pixels, patches[:, :2])["clarity"].shape == (1,)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_a_patch_that_says_nothing_can_be_outweighed() -> None:
    """The weighted mean is the plain one where the weights are equal, and one patch's own where it weighs all."""
    torch.manual_seed(0)
    branch = PatchBranch().eval()
    patches = torch.rand(1, 4, 3, 64, 64) * 255
    alone = torch.stack([branch(patches[:, [place]])[0, : branch.width] for place in range(4)])
    nn.init.zeros_(branch.weight.weight)
    both = branch(patches)[0].chunk(2)
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(both[0], alone.mean(dim=0), rtol=1e-4, atol=1e-5)
    loudest = int((alone - alone.mean(0)).norm(dim=1).argmax())
    branch.weight.weight.copy_((alone[loudest] - alone.mean(0))[None] * 1e8)
    torch.testing.assert_close(branch(patches)[0].chunk(2)[1], alone[loudest], rtol=1e-3, atol=1e-4)


def test_what_is_fixed_keeps_weights_and_statistics() -> None:
    """The second stage (section 4.2): a step changes the clarity branch alone, running statistics included."""
    network = narrow()
    network.fix_shared()
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([value for value in network.parameters() if value.requires_grad], 0.1)
    network.logits(torch.rand(2, 3, 113, 113) * 255)["clarity"].square().mean().backward()
    optimizer.step()
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"clarity"}


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_both_networks_begin_with_the_trunk_that_imagenet_trained() -> None:
    """The encoder's weights are those of the package; the light trunk sees what the classifier's own layers see."""
    network, other = cover_light().eval(), cover_light().eval()
    load_imagenet_trunk(network)
    pixels = torch.rand(1, 3, 128, 128) * 255
    assert not torch.allclose(network.trunk.conv_stem(pixels), other.trunk.conv_stem(pixels))

    encoder = narrow().eval()
    load_imagenet_encoder(encoder, "efficientnet-lite0", None)
    torch.testing.assert_close(
        encoder.encoder.features.blocks[0](encoder.encoder.features.conv_stem(pixels)),
        network.trunk.blocks[0](network.trunk.conv_stem(pixels)),
    )


def test_a_frozen_beginning_learns_nothing() -> None:
    """The stem and two stages get no gradient, all else does."""
    network = cover_light().train()
    freeze(network, 2)
    logits = network.logits(torch.rand(2, 3, 128, 128) * 255, torch.rand(2, 2, 3, 64, 64) * 255)
    sum(values.square().mean() for values in logits.values()).backward()
    still = {".".join(name.split(".")[:3]) for name, value in network.named_parameters() if value.grad is None}
    assert {name.rsplit(".", 1)[0] if "conv_stem" in name else name for name in still} == {
        "trunk.conv_stem",
        "trunk.blocks.0",
        "trunk.blocks.1",
    }


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    """The error names the file and what it lacks."""
    encoder = make_encoder("mobilenetv2")
    path = tmp_path / "weights.pth"
    torch.save({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(ConfigError, match=r"weights\.pth: not those of mobilenetv2: .* is missing"):
        load_encoder(encoder, "mobilenetv2", path)


@pytest.mark.parametrize(
    ("name", "published", "layer", "own"),
    [
        ("resnet101", "resnet101", "layer4.2.conv3.weight", "layer4.2.conv3.weight"),
        ("mobilenetv2", "mobilenetv2_100", "blocks.6.0.conv_pw.weight", "blocks.6.0.conv_pw.weight"),
        ("xception", "xception65", "blocks.0.shortcut.conv.weight", "blocks_0.shortcut.conv.weight"),
    ],
)
def test_weights_are_taken_as_their_library_publishes_them(
    tmp_path: Path, name: str, published: str, layer: str, own: str
) -> None:
    """A classifier's whole state dict, under the library's names; pixels are scaled as it was trained with."""
    classifier = torchvision.models.resnet101() if name == "resnet101" else timm.create_model(published)
    torch.save(classifier.state_dict(), tmp_path / "weights.pth")
    encoder = make_encoder(name)
    load_encoder(encoder, name, tmp_path / "weights.pth")
    torch.testing.assert_close(encoder.features.state_dict()[own], classifier.state_dict()[layer])
    half = name == "xception"
    assert encoder.mean.flatten()[0].item() == pytest.approx(127.5 if half else 123.675)
    assert encoder.std.flatten()[0].item() == pytest.approx(127.5 if half else 58.395)


@pytest.mark.parametrize("dilation", [2, 3, 6, 9])
@pytest.mark.parametrize("kernel", [3, 5])
def test_gradients_of_a_dilation_are_those_of_autograd(dilation: int, kernel: int) -> None:
    """In double precision, where the kernel lies inside the map and where it reaches over it."""
    torch.manual_seed(0)
    padding = dilation * (kernel // 2)
    network = DepthwiseConv(3, kernel, padding=padding, dilation=dilation).double()
    pixels = torch.randn(2, 3, 11, 14, dtype=torch.float64, requires_grad=True)
    plain = network.eval()(pixels)
    wanted = torch.randn_like(plain)

    def gradients() -> list[object]:
        return list(torch.autograd.grad(network(pixels), [pixels, network.weight, network.bias], wanted))

    true = gradients()
    torch.testing.assert_close(network.train()(pixels), plain, rtol=0, atol=0)
    torch.testing.assert_close(gradients(), true, rtol=1e-12, atol=1e-12)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_the_pyramid_sees_the_whole_map() -> None:
    """Its mean is part of every place: a change in one corner is seen in the other, beyond all dilations."""
    torch.manual_seed(0)
    aspp = Aspp(8, 16, rates=(1, 2)).eval()
    seen = torch.rand(1, 8, 24, 24)
    changed = seen.clone()
    changed[..., :4, :4] += 4
    assert (aspp(seen)[..., -1, -1] != aspp(changed)[..., -1, -1]).any()


def test_checkpoints_know_both() -> None:
    assert {"cover-deeplab", "cover-light"} <= ARCHITECTURES.keys()
