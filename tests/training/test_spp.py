"""Spatial pyramid pooling: held to PyTorch's, and exported at a fixed and at an open size."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)

from torch import Tensor  # noqa: E402 - what follows needs torch
from torch.nn import functional  # noqa: E402

from training.models.spp import Edges, Pool, SpatialPyramid  # noqa: E402

SIDES = st.integers(1, 33)


def random_map(height: int, width: int, *, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, 4, height, width)).astype(np.float32))


@settings(deadline=None)  # the first call is slow
@given(height=SIDES, width=SIDES, levels=st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_it_is_adaptive_pooling(height: int, width: int, levels: list[int]) -> None:
    """Over every size, also one smaller than the bins; levels follow each other."""
    seen = random_map(height, width)
    pools: dict[Pool, Callable[[Tensor, int], Tensor]] = {
        "average": functional.adaptive_avg_pool2d,
        "max": functional.adaptive_max_pool2d,
    }
    for pool, adaptive in pools.items():
        pyramid = SpatialPyramid(levels, pool=pool)
        wanted = torch.cat([adaptive(seen, level).flatten(1) for level in levels], dim=1)
        assert pyramid(seen).shape == (2, 4 * pyramid.bins)
        torch.testing.assert_close(pyramid(seen), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pool", ["average", "max"])
def test_rounded_edges_are_the_koniq_teams(pool: Pool) -> None:
    """Of 8 rows in 3 bins, the edges are 0, 3, 5, 8 (8/3 and 16/3 rounded), and no row is in two bins."""
    seen = random_map(8, 7)
    edges = ([0, 3, 5, 8], [0, 2, 5, 7])
    wanted = torch.stack(
        [
            own.mean(dim=(2, 3)) if pool == "average" else own.amax(dim=(2, 3))
            for top, bottom in zip(edges[0], edges[0][1:], strict=False)
            for left, right in zip(edges[1], edges[1][1:], strict=False)
            for own in [seen[:, :, top:bottom, left:right]]
        ],
        dim=2,
    ).flatten(1)
    torch.testing.assert_close(SpatialPyramid((3,), pool=pool, edges="rounded")(seen), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pool", ["average", "max"])
def test_an_empty_bin_is_zero(pool: Pool) -> None:
    """Rounded edges of one row in 3 bins are 0, 0, 1, 1: the first and the last have nothing."""
    pooled = SpatialPyramid((3,), pool=pool, edges="rounded")(torch.full((1, 1, 1, 3), 7.0)).reshape(3, 3)
    assert pooled.tolist() == [[0, 0, 0], [7, 7, 7], [0, 0, 0]]


@pytest.mark.parametrize("edges", ["covering", "rounded"])
@pytest.mark.parametrize("pool", ["average", "max"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_it_is_exported(pool: Pool, edges: Edges, *, dynamic: bool) -> None:
    """One graph of an open size answers at all; of a fixed size, what is in which bin is a constant of the graph."""
    ort = pytest.importorskip("onnxruntime", reason=REASON)
    pytest.importorskip("onnxscript", reason=REASON)
    pyramid = SpatialPyramid((1, 3), pool=pool, edges=edges).eval()
    dimensions = {0: torch.export.Dim("batch")}
    if dynamic:
        dimensions |= {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    program = torch.onnx.export(
        pyramid, (random_map(12, 16),), dynamo=True, opset_version=20, dynamic_shapes=(dimensions,), verbose=False
    )
    model = program.model_proto
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for height, width in [(24, 32), (7, 11), (12, 16), (3, 40), (5, 4)] if dynamic else [(12, 16)]:
        for batch in (1, 3):
            seen = random_map(height, width, batch=batch, seed=height)
            (found,) = session.run(None, {name: seen.numpy()})
            np.testing.assert_allclose(found, pyramid(seen).numpy(), atol=1e-5, rtol=0)
    if not dynamic:
        assert {node.op_type for node in model.graph.node}.isdisjoint({"Range", "Shape", "Less", "Round"})


def test_a_pyramid_has_levels() -> None:
    for levels in ((), (0,), (1, -3)):
        with pytest.raises(ValueError, match="at least 1"):
            SpatialPyramid(levels)
