"""What the backbone, neck and head of PP-YOLOE are made of.

The attribute names are those of PaddleDetection's layers, since they make the names of the
parameters in ``.pdparams`` files.
"""

from __future__ import annotations

from typing import TypeAlias

import paddle
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

__all__ = ["BasicBlock", "ConvBN", "EffectiveSE", "RepVGG"]

Tensor: TypeAlias = paddle.Tensor

NO_DECAY = paddle.regularizer.L2Decay(0.0)
"""Of the scales and shifts of batch normalisation: decaying them only slows training."""


class ConvBN(nn.Layer):
    """Convolution without a bias, batch normalisation and, unless told otherwise, swish."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            channels_in, channels_out, kernel, stride, padding=kernel // 2, bias_attr=False
        )
        plain = paddle.ParamAttr(regularizer=NO_DECAY)
        self.bn = nn.BatchNorm2D(channels_out, weight_attr=plain, bias_attr=plain)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        x = self.bn(self.conv(x))
        return F.swish(x) if self.act else x

    def fused(self) -> tuple[Tensor, Tensor]:
        """Kernel and bias of the one convolution that does the same in inference."""
        scale = self.bn.weight / (self.bn._variance + self.bn._epsilon).sqrt()
        kernel = self.conv.weight * scale.reshape([-1, 1, 1, 1])
        return kernel, self.bn.bias - self.bn._mean * scale


class RepVGG(nn.Layer):
    """A 3x3 and a 1x1 branch in training, one 3x3 convolution after :meth:`fuse`.

    Parameters
    ----------
    alpha
        Learn how much the 1x1 branch counts (PP-YOLOE+).

    Source: RepVGG, https://arxiv.org/abs/2101.03697.
    """

    def __init__(self, channels_in: int, channels_out: int, *, alpha: bool) -> None:
        super().__init__()
        self.conv1 = ConvBN(channels_in, channels_out, 3, act=False)
        self.conv2 = ConvBN(channels_in, channels_out, 1, act=False)
        self.is_fused = False
        self.alpha = None
        if alpha:
            one = nn.initializer.Constant(1.0)
            self.alpha = self.create_parameter([1], default_initializer=one)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H, W)``."""
        if self.is_fused:
            return F.swish(self.conv(x))
        side = self.conv2(x)
        if self.alpha is not None:
            side = self.alpha * side
        return F.swish(self.conv1(x) + side)

    @paddle.no_grad()
    def fuse(self) -> None:
        """Become one convolution that gives the same in inference, to rounding.

        Channels are those of the weights at this time, not those at the making: pruning may have
        come in between.
        """
        kernel, bias = self.conv1.fused()
        side_kernel, side_bias = self.conv2.fused()
        if self.alpha is not None:
            side_kernel, side_bias = self.alpha * side_kernel, self.alpha * side_bias
        kernel = kernel + F.pad(side_kernel, [1, 1, 1, 1])
        self.conv = nn.Conv2D(kernel.shape[1], kernel.shape[0], 3, padding=1)
        self.conv.weight.set_value(kernel)
        self.conv.bias.set_value(bias + side_bias)
        del self.conv1, self.conv2
        self.alpha = None
        self.is_fused = True


class BasicBlock(nn.Layer):
    """A convolution and a RepVGG block, with the input added in the backbone."""

    def __init__(self, channels: int, *, shortcut: bool, alpha: bool) -> None:
        super().__init__()
        self.conv1 = ConvBN(channels, channels, 3)
        self.conv2 = RepVGG(channels, channels, alpha=alpha)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class EffectiveSE(nn.Layer):
    """Channels weighed by what the whole picture says of them.

    Source: CenterMask, https://arxiv.org/abs/1911.06667.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2D(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same."""
        # The gradient of x.mean((2, 3)), which is the same, takes five times as long on a CPU.
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, (1, 1))))
