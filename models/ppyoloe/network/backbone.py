"""CSPRepResNet: from a picture to feature maps of strides 8, 16 and 32."""

from __future__ import annotations

from typing import TypeAlias

import paddle
from paddle import nn

from models.ppyoloe.network.blocks import BasicBlock, ConvBN, EffectiveSE
from models.ppyoloe.network.variants import Variant

__all__ = ["CSPRepResNet", "CSPResStage"]

Tensor: TypeAlias = paddle.Tensor

CHANNELS = (64, 128, 256, 512, 1024)
"""Of the stem and the four stages, at width 1."""

BLOCKS = (3, 6, 6, 3)
"""In each stage, at depth 1."""


class CSPResStage(nn.Layer):
    """Halves the picture, sends half of the channels through the blocks, weighs and mixes them."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int, *, alpha: bool) -> None:
        super().__init__()
        middle = (channels_in + channels_out) // 2
        self.conv_down = ConvBN(channels_in, middle, 3, stride=2)
        self.conv1 = ConvBN(middle, middle // 2, 1)
        self.conv2 = ConvBN(middle, middle // 2, 1)
        self.blocks = nn.Sequential(
            *(BasicBlock(middle // 2, shortcut=True, alpha=alpha) for _ in range(blocks))
        )
        self.attn = EffectiveSE(middle)
        self.conv3 = ConvBN(middle, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / 2, W / 2)``."""
        x = self.conv_down(x)
        both = paddle.concat([self.conv1(x), self.blocks(self.conv2(x))], axis=1)
        return self.conv3(self.attn(both))


class CSPRepResNet(nn.Layer):
    """The backbone.

    Attributes
    ----------
    channels
        Of the maps of stride 8, 16 and 32.

    Source: PP-YOLOE, https://arxiv.org/abs/2203.16250, section 2.2.
    """

    def __init__(self, variant: Variant, *, plus: bool) -> None:
        super().__init__()
        widths = [max(round(c * variant.width), 1) for c in CHANNELS]
        depths = [max(round(b * variant.depth), 1) for b in BLOCKS]
        half = widths[0] // 2
        self.stem = nn.Sequential(
            ("conv1", ConvBN(3, half, 3, stride=2)),
            ("conv2", ConvBN(half, half, 3)),
            ("conv3", ConvBN(half, widths[0], 3)),
        )
        self.stages = nn.Sequential(
            *(
                (str(i), CSPResStage(widths[i], widths[i + 1], depth, alpha=plus))
                for i, depth in enumerate(depths)
            )
        )
        self.channels = tuple(widths[-3:])

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)`` to three maps ``(N, C, H / s, W / s)`` with s of 8, 16, 32."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[-3:]
