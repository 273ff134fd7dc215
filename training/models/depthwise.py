"""Depthwise convolution whose backward pass is quick on CPUs in bfloat16.

oneDNN's own backward pass in bfloat16 is slow in three places: the input's gradient of a stride of 2, the weights'
gradient of kernels wider than 3, and both of a dilation. They are made here of convolutions that have quick kernels,
and of products: the gradients are the same up to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

QUICK_WIDTH = 3
"""Kernels up to this width have a quick weights' gradient."""

Padding = tuple[int, int, int, int]
"""Zeros at the left, right, top and bottom."""


class DepthwiseConv(nn.Conv2d):  # type: ignore[misc] # torch is untyped where only serving is installed
    """``nn.Conv2d`` with one filter a channel and square kernels; while it is trained, with ``Depthwise``'s gradients.

    ``same`` pads as TensorFlow does: ceil(size / stride) outputs, the odd pixel of padding right and below.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        same: bool = False,
    ) -> None:
        if dilation > 1 and (stride > 1 or same):
            raise ValueError(f"a dilation of {dilation} goes with a stride of 1 and even padding")
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=bias)
        self.same = same

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same, smaller by ``stride``."""
        padding = self._padding(*pixels.shape[-2:])
        if self.training:
            return Depthwise.apply(pixels, self.weight, self.bias, self.stride[0], padding, self.dilation[0])
        padded, margin = _pad(pixels, padding)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, margin, self.dilation, self.groups)

    def _padding(self, height: int, width: int) -> Padding:
        kernel, stride, even = self.kernel_size[0], self.stride[0], self.padding[0]
        if not self.same:
            return (even, even, even, even)
        return (*_same(width, kernel, stride), *_same(height, kernel, stride))


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def _pad(pixels: Tensor, padding: Padding) -> tuple[Tensor, int]:
    """The picture, and what the convolution is to pad on all sides; a copy only where the sides differ."""
    if len(set(padding)) == 1:
        return pixels, padding[0]
    return functional.pad(pixels, padding), 0


class Depthwise(torch.autograd.Function):  # type: ignore[misc] # as above
    """``conv2d`` with as many groups as channels and square kernels."""

    @staticmethod
    def forward(
        context: Any,
        pixels: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: Padding,
        dilation: int,
    ) -> Tensor:
        """Under autocast all is in its type, else in that of ``pixels``."""
        device = pixels.device.type
        if torch.is_autocast_enabled(device):
            lower = torch.get_autocast_dtype(device)
            pixels, weight = pixels.to(lower), weight.to(lower)
            bias = None if bias is None else bias.to(lower)
        padded, margin = _pad(pixels, padding)
        context.save_for_backward(padded, weight)
        context.size, context.stride, context.padding, context.margin = pixels.shape, stride, padding, margin
        context.dilation = dilation
        return functional.conv2d(padded, weight, bias, stride, margin, dilation, len(weight))

    @staticmethod
    def backward(
        context: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        """In the forward pass's type; autograd casts to the parameters'."""
        padded, weight = context.saved_tensors
        gradient = gradient.to(padded.dtype).contiguous(memory_format=torch.channels_last)
        pixels_wanted, weight_wanted, bias_wanted = context.needs_input_grad[:3]
        if context.dilation > 1:
            to_pixels = dilated_input_gradient(gradient, weight, context.margin, context.dilation)
            to_weight = dilated_weight_gradient(gradient, padded, weight, context.margin, context.dilation)
        else:
            to_pixels = (
                input_gradient(gradient, weight, context.size, context.stride, context.padding)
                if pixels_wanted
                else None
            )
            to_weight = (
                weight_gradient(gradient, padded, weight, context.stride, context.margin) if weight_wanted else None
            )
        return to_pixels, to_weight, gradient.sum((0, 2, 3)) if bias_wanted else None, None, None, None


def input_gradient(gradient: Tensor, weight: Tensor, size: torch.Size, stride: int, padding: Padding) -> Tensor:
    """What ``conv2d``'s output gradient is to its input, of shape ``size``.

    Of a stride of 1 it is a convolution with the mirrored kernel. Of a stride of s, the pixels of each remainder of
    the row and the column by s have met every s-th row and column of the kernel alone: s * s small convolutions.
    """
    left, _, top, _ = padding
    if stride == 1 and len(set(padding)) == 1:
        return functional.conv2d(gradient, weight.flip(2, 3), None, 1, weight.shape[-1] - 1 - left, groups=len(weight))
    found = torch.empty(size, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
    for row in range(stride):
        for column in range(stride):
            first_row, first_column = (row - top) % stride, (column - left) % stride
            place = found[:, :, first_row::stride, first_column::stride]
            taps = weight[:, :, row::stride, column::stride].flip(2, 3)
            if not taps.numel():
                place.zero_()
                continue
            margins = (taps.shape[2] - 1, taps.shape[3] - 1)
            met = functional.conv2d(gradient, taps, None, 1, margins, groups=len(weight))
            met = met[:, :, (first_row + top - row) // stride :, (first_column + left - column) // stride :]
            height, width = (min(a, b) for a, b in zip(place.shape[2:], met.shape[2:], strict=True))
            if (height, width) != place.shape[2:]:
                place.zero_()  # pixels that no output saw
            place[:, :, :height, :width] = met[:, :, :height, :width]
    return found


def dilated_input_gradient(gradient: Tensor, weight: Tensor, margin: int, dilation: int) -> Tensor:
    """``input_gradient`` of a stride of 1 and a dilation: a convolution with the mirrored kernel, as much dilated."""
    reach = dilation * (weight.shape[-1] - 1)
    return functional.conv2d(gradient, weight.flip(2, 3), None, 1, reach - margin, dilation, len(weight))


def dilated_weight_gradient(gradient: Tensor, pixels: Tensor, weight: Tensor, margin: int, dilation: int) -> Tensor:
    """``weight_gradient`` of a stride of 1 and a dilation: for each tap, the pixels that it met by the gradient."""
    kernel = weight.shape[-1]
    height, width = gradient.shape[2:]
    padded = _channels_last(functional.pad(pixels, (margin,) * 4))
    taps = [
        (padded[:, :, row : row + height, column : column + width] * gradient).sum((0, 2, 3))
        for row in range(0, kernel * dilation, dilation)
        for column in range(0, kernel * dilation, dilation)
    ]
    return torch.stack(taps, dim=1).reshape(weight.shape)


def weight_gradient(gradient: Tensor, padded: Tensor, weight: Tensor, stride: int, margin: int) -> Tensor:
    """What ``conv2d``'s output gradient is to its weights (channels, 1, height, width).

    A kernel of 4 or 5 columns is put together of its left and its right 3, each on the picture as those see it.
    """
    kernel = weight.shape[-1]
    if not QUICK_WIDTH < kernel < 2 * QUICK_WIDTH:
        return _weight_gradient(gradient, padded, weight, stride, (margin, margin))
    part, shift = weight[..., :QUICK_WIDTH].contiguous(), kernel - QUICK_WIDTH
    left, right = (
        _weight_gradient(gradient, _channels_last(functional.pad(padded, sides)), part, stride, (margin, 0))
        for sides in ((margin, margin - shift), (margin - shift, margin))
    )
    return torch.cat([left, right[..., QUICK_WIDTH - shift :]], dim=-1)


def _weight_gradient(gradient: Tensor, padded: Tensor, weight: Tensor, stride: int, margins: tuple[int, int]) -> Tensor:
    channels = len(weight)
    strides, wanted = [stride, stride], [False, True, False]
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, padded, weight, [channels], strides, list(margins), [1, 1], False, [0, 0], channels, wanted
    )[1]
    return found


def _channels_last(pixels: Tensor) -> Tensor:
    return pixels.contiguous(memory_format=torch.channels_last)
