"""Networks without batch normalisation: its frozen statistics become part of the convolutions.

A fine-tuned network then trains on exactly the graph that is served, and a step has less to do.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from training.models.depthwise import DepthwiseConv


def fold(network: nn.Module) -> nn.Module:
    """Fold, in place, every batch normalisation into the convolution before it, and return the network.

    In evaluation mode the network computes the same as before. An activation that timm keeps inside the
    normalisation takes its place.

    Raises:
        ValueError: a normalisation does not follow a convolution of its width.
    """
    convolution: nn.Conv2d | None = None
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, _BatchNorm):
            if convolution is None or convolution.out_channels != module.num_features:
                raise ValueError(f"{name}: no convolution of {module.num_features} channels before it")
            weight, bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                module.running_mean,
                module.running_var,
                module.eps,
                module.weight,
                module.bias,
            )
            # Anew: the bias that it makes would not be trained.
            convolution.weight, convolution.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
            _replace(network, name, getattr(module, "act", nn.Identity()))
            convolution = None
    return network


def quicken(network: nn.Module) -> nn.Module:
    """Replace, in place, the depthwise convolutions by ``DepthwiseConv`` (same weights, same names); return it."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels:
            _replace(network, name, _quick(module))
    return network


def _quick(slow: nn.Conv2d) -> DepthwiseConv:
    quick = DepthwiseConv(
        slow.in_channels,
        slow.kernel_size[0],
        stride=slow.stride[0],
        padding=slow.padding[0],
        dilation=slow.dilation[0],
        bias=slow.bias is not None,
        same=type(slow).__name__ == "Conv2dSame",  # timm's
    )
    quick.to(slow.weight.dtype)
    with torch.no_grad():
        quick.weight.copy_(slow.weight)
        if slow.bias is not None:
            quick.bias.copy_(slow.bias)
    return quick


def _replace(network: nn.Module, name: str, module: Any) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
