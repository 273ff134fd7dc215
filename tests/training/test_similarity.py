"""The maps of what a picture differs from its reference in."""

import numpy as np
import pytest

REASON = "needs the train extra (pip install 'framegate[train]')"
torch = pytest.importorskip("torch", reason=REASON)

from scipy import ndimage  # noqa: E402 - comes with torch
from torch import Tensor  # noqa: E402

from training.models.full_reference import TILE_PX, full_reference  # noqa: E402
from training.models.similarity import (  # noqa: E402
    CHROMA,
    GRADIENT,
    PLANES,
    Similarity,
    gradient,
    luminance,
    unlike_chroma,
    unlike_edges,
)


def noise(side: int, seed: int) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def test_luminance_is_of_bt_601() -> None:
    """0 for black, 1 for white, .299, .587 and .114 of red, green and blue."""
    colours = torch.tensor([[0.0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    found = luminance(colours.T[None, :, :, None])[0, 0, :, 0]
    torch.testing.assert_close(found, torch.tensor([0, 1, 0.299, 0.587, 0.114]))


def test_gradients_are_scharrs() -> None:
    """As convolutions of scipy find them, the edge going on beyond the picture."""
    plane = torch.rand(1, 1, 9, 7, generator=torch.Generator().manual_seed(1))
    kernel = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16
    across, down = (ndimage.convolve(plane[0, 0].numpy(), one, mode="nearest") for one in (kernel, kernel.T))
    np.testing.assert_allclose(gradient(plane)[0, 0].numpy(), np.hypot(across, down), atol=1e-6)


def test_what_is_unlike_is_one_less_the_similarity() -> None:
    """Of edges (2ab + c) / (a^2 + b^2 + c); of chroma both products and all squares together."""
    a, b, c, d = (torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) - 0.5 for seed in range(4))
    like = (2 * a * b + GRADIENT) / (a**2 + b**2 + GRADIENT)
    torch.testing.assert_close(unlike_edges(a, b), 1 - like, atol=1e-6, rtol=1e-4)
    like = (2 * a * c + 2 * b * d + CHROMA) / (a**2 + b**2 + c**2 + d**2 + CHROMA)
    torch.testing.assert_close(unlike_chroma((a, b), (c, d)), 1 - like, atol=1e-6, rtol=1e-4)


def test_a_picture_beside_itself_differs_in_nothing() -> None:
    """All planes are 0 before they are normalised."""
    planes = Similarity().eval()(noise(32, 0), noise(32, 0))
    assert planes.shape == (1, PLANES, 32, 32)
    torch.testing.assert_close(planes, torch.zeros_like(planes))


def test_each_plane_tells_of_one_thing() -> None:
    """Brightness moves the differences of luminance; a tint of equal luminance moves those of colour alone."""
    similarity = Similarity().eval()
    grey = torch.full((1, 3, 32, 32), 120.0)
    tinted = grey + torch.tensor([58.7, -29.9, 0.0]).reshape(1, 3, 1, 1)  # .299 * 58.7 = .587 * 29.9
    light, length, gained, edges, chroma, edges_half, chroma_half = similarity(grey + 10, grey)[0].mean(dim=(1, 2))
    torch.testing.assert_close(light, length)
    assert light > 0
    torch.testing.assert_close(torch.stack([gained, edges, chroma, edges_half, chroma_half]), torch.zeros(5))
    light, length, gained, edges, chroma, edges_half, chroma_half = similarity(tinted, grey)[0].mean(dim=(1, 2))
    torch.testing.assert_close(torch.stack([light, gained, edges, edges_half]), torch.zeros(4), atol=1e-4, rtol=0)
    assert min(length, chroma, chroma_half) > 0.05


def test_planes_are_bounded() -> None:
    """Whatever is shown: what lies far beyond all that was learned from is not taken for its contrary."""
    similarity = Similarity().eval()
    similarity.normal.running_var.fill_(1e-4)
    white, black = torch.full((1, 3, 32, 32), 255.0), torch.zeros(1, 3, 32, 32)
    planes = similarity(white, black).detach()
    assert planes.abs().max() == pytest.approx(6, abs=1e-3)
    assert similarity(white, black)[0, 0].mean() > similarity(white * 0.2, black)[0, 0].mean()


def test_half_size_forgives_what_a_pixel_hides() -> None:
    """A pattern of single pixels is gone at half size, where the metrics look; at full size it is seen."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    fine = 120 + 20 * (2 * board - 1).expand(1, 3, 32, 32).float()
    planes = Similarity().eval()(fine, torch.full((1, 3, 32, 32), 120.0))[0].mean(dim=(1, 2))
    assert planes[1] > 0.05
    assert planes[5] < 1e-6


def test_a_tint_is_seen_by_the_variant_alone() -> None:
    """Two greys of one luminance: the paper's residual is 0 there."""
    torch.manual_seed(4)
    grey = torch.full((1, 3, TILE_PX, TILE_PX), 120.0)
    tinted = grey + torch.tensor([58.7, -29.9, 0.0]).reshape(1, 3, 1, 1)
    with torch.inference_mode():
        for variant, seen in (("proposed", False), ("similarity", True)):
            network = full_reference(variant)
            same = torch.allclose(network.raw(tinted, grey), network.raw(grey, grey), atol=1e-5)
            assert same != seen
