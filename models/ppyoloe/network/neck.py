"""CustomCSPPAN: lets maps of different strides tell each other what they see."""

from __future__ import annotations

from typing import TypeAlias

import paddle
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

from models.ppyoloe.network.blocks import BasicBlock, ConvBN
from models.ppyoloe.network.variants import Variant

__all__ = ["SPP", "CSPStage", "CustomCSPPAN"]

Tensor: TypeAlias = paddle.Tensor

BLOCKS = 3
"""In each stage, at depth 1."""

POOLS = (5, 9, 13)
"""Windows of the pyramid pooling, pixels of the coarsest map."""


class SPP(nn.Layer):
    """Maxima over windows of several sizes, side by side (spatial pyramid pooling)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(channels * (1 + len(POOLS)), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same."""
        pooled = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in POOLS]
        return self.conv(paddle.concat([x, *pooled], axis=1))


class CSPStage(nn.Layer):
    """Half of the channels go through the blocks, then both halves are mixed."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int, *, spp: bool) -> None:
        super().__init__()
        middle = channels_out // 2
        self.conv1 = ConvBN(channels_in, middle, 1)
        self.conv2 = ConvBN(channels_in, middle, 1)
        self.convs = nn.Sequential()
        for i in range(blocks):
            self.convs.add_sublayer(str(i), BasicBlock(middle, shortcut=False, alpha=False))
            if spp and i == (blocks - 1) // 2:
                self.convs.add_sublayer("spp", SPP(middle))
        self.conv3 = ConvBN(middle * 2, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H, W)``."""
        return self.conv3(paddle.concat([self.conv1(x), self.convs(self.conv2(x))], axis=1))


class CustomCSPPAN(nn.Layer):
    """The neck: coarse to fine (FPN), then fine to coarse (PAN).

    Attributes
    ----------
    channels
        Of the maps that go out, coarsest first.

    Source: PP-YOLOE, https://arxiv.org/abs/2203.16250, section 2.2.
    """

    def __init__(self, channels_in: tuple[int, ...], variant: Variant) -> None:
        super().__init__()
        widths = [max(round(c * variant.width), 1) for c in variant.neck]
        blocks = max(round(BLOCKS * variant.depth), 1)

        def stage(channels_in: int, channels_out: int, *, spp: bool = False) -> nn.Sequential:
            return nn.Sequential(CSPStage(channels_in, channels_out, blocks, spp=spp))

        coarse_first = channels_in[::-1]
        self.fpn_stages = nn.LayerList([stage(coarse_first[0], widths[0], spp=True)])
        self.fpn_routes = nn.LayerList()
        self.pan_stages = nn.LayerList()
        self.pan_routes = nn.LayerList()
        for i, width in enumerate(widths[1:], 1):
            above = widths[i - 1]
            self.fpn_routes.append(ConvBN(above, above // 2, 1))
            self.fpn_stages.append(stage(coarse_first[i] + above // 2, width))
            self.pan_routes.append(ConvBN(width, width, 3, stride=2))
            self.pan_stages.append(stage(above + width, above))
        self.channels = tuple(widths)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of stride 8, 16, 32 to maps of stride 32, 16, 8."""
        down = [self.fpn_stages[0](maps[-1])]
        for i, finer in enumerate(reversed(maps[:-1])):
            route = F.interpolate(self.fpn_routes[i](down[-1]), scale_factor=2.0)
            down.append(self.fpn_stages[i + 1](paddle.concat([route, finer], axis=1)))
        up = [down[-1]]
        for i in reversed(range(len(down) - 1)):
            route = self.pan_routes[i](up[-1])
            up.append(self.pan_stages[i](paddle.concat([route, down[i]], axis=1)))
        return up[::-1]
