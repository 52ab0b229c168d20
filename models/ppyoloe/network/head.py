"""The efficient task-aligned head: what class each anchor sees, and how far off its edges are."""

from __future__ import annotations

import math
from typing import TypeAlias

import paddle
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

from models.ppyoloe.network.blocks import ConvBN, RepVGG

__all__ = ["BINS", "ESEAttn", "LevelMaps", "PPYOLOEHead"]

Tensor: TypeAlias = paddle.Tensor

BINS = 17
"""A distance is a distribution over 0 to 16 strides (generalised focal loss, reg_max 16)."""

PRIOR = 0.01
"""Score of every class before training, so that the many empty anchors do not swamp the start."""

LevelMaps: TypeAlias = tuple[Tensor, Tensor]
"""Of one stride: class logits ``(N, C, H, W)`` and edge logits ``(N, 4 * BINS, H, W)``."""


class ESEAttn(nn.Layer):
    """Weighs channels by the mean over the picture, then mixes them."""

    def __init__(self, channels: int, *, repvgg: bool) -> None:
        super().__init__()
        small = paddle.ParamAttr(initializer=nn.initializer.Normal(std=0.001))
        self.fc = nn.Conv2D(channels, channels, 1, weight_attr=small)
        self.conv: nn.Layer
        if repvgg:
            self.conv = RepVGG(channels, channels, alpha=False)
        else:
            self.conv = ConvBN(channels, channels, 1)

    def forward(self, x: Tensor, mean: Tensor) -> Tensor:
        """``(N, channels, H, W)`` and its mean ``(N, channels, 1, 1)`` to the first's shape."""
        return self.conv(x * F.sigmoid(self.fc(mean)))


class PPYOLOEHead(nn.Layer):
    """One pair of 3x3 convolutions for each stride, coarsest first.

    Source: PP-YOLOE, https://arxiv.org/abs/2203.16250, section 2.2 (ET-head).
    """

    def __init__(self, channels: tuple[int, ...], classes: int, *, repvgg: bool) -> None:
        super().__init__()
        self.stem_cls = nn.LayerList([ESEAttn(c, repvgg=repvgg) for c in channels])
        self.stem_reg = nn.LayerList([ESEAttn(c, repvgg=repvgg) for c in channels])

        def start(bias: float) -> dict[str, paddle.ParamAttr]:
            constant = nn.initializer.Constant
            return {
                "weight_attr": paddle.ParamAttr(initializer=constant(0.0)),
                "bias_attr": paddle.ParamAttr(initializer=constant(bias)),
            }

        logit = -math.log((1 - PRIOR) / PRIOR)
        self.pred_cls = nn.LayerList(
            [nn.Conv2D(c, classes, 3, padding=1, **start(logit)) for c in channels]
        )
        self.pred_reg = nn.LayerList(
            [nn.Conv2D(c, 4 * BINS, 3, padding=1, **start(1.0)) for c in channels]
        )
        # A parameter, not a buffer, and never trained: so it stands in PaddleDetection's files.
        self.proj_conv = nn.Conv2D(BINS, 1, 1, bias_attr=False)
        steps = paddle.arange(BINS, dtype="float32").reshape([1, BINS, 1, 1])
        self.proj_conv.weight.set_value(steps)
        self.proj_conv.weight.stop_gradient = True

    def forward(self, maps: list[Tensor]) -> list[LevelMaps]:
        """Raw logits of each stride, in the order of ``maps``."""
        levels = []
        for i, x in enumerate(maps):
            mean = F.adaptive_avg_pool2d(x, (1, 1))
            classes = self.pred_cls[i](self.stem_cls[i](x, mean) + x)
            levels.append((classes, self.pred_reg[i](self.stem_reg[i](x, mean))))
        return levels

    def distances(self, edges: Tensor) -> Tensor:
        """The mean of each distribution.

        Parameters
        ----------
        edges
            ``(N, 4 * BINS, H, W)`` logits: left, top, right, bottom.

        Returns
        -------
        ``(N, 4, H * W)``, strides.
        """
        # -1 and 0 keep the exported network free of fixed sizes.
        bins = edges.reshape([0, 4, BINS, -1]).transpose([0, 2, 1, 3])
        return self.proj_conv(F.softmax(bins, axis=1)).squeeze(1)
