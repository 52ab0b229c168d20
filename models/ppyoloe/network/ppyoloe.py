"""PP-YOLOE as a whole, and the form of it that is exported."""

from __future__ import annotations

from typing import TypeAlias

import paddle
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

from models.ppyoloe.network.backbone import CSPRepResNet
from models.ppyoloe.network.blocks import RepVGG
from models.ppyoloe.network.head import LevelMaps, PPYOLOEHead
from models.ppyoloe.network.neck import CustomCSPPAN
from models.ppyoloe.network.variants import variant_named

__all__ = ["PPYOLOE", "STRIDES", "Deployed", "fuse"]

Tensor: TypeAlias = paddle.Tensor

STRIDES = (32, 16, 8)
"""Of the head's maps, in their order."""


class PPYOLOE(nn.Layer):
    """The network.

    Parameters
    ----------
    variant
        A name of ``VARIANTS``.
    classes
        How many.
    plus
        PP-YOLOE+, whose backbone learns how much each 1x1 branch counts.

    Source: PP-YOLOE, https://arxiv.org/abs/2203.16250; parameters are named as in PaddleDetection.
    """

    def __init__(self, variant: str, classes: int, *, plus: bool = True) -> None:
        super().__init__()
        size = variant_named(variant)
        self.backbone = CSPRepResNet(size, plus=plus)
        self.neck = CustomCSPPAN(self.backbone.channels, size)
        self.yolo_head = PPYOLOEHead(self.neck.channels, classes, repvgg=size.repvgg_head)

    def forward(self, image: Tensor) -> list[LevelMaps]:
        """``(N, 3, H, W) float32`` RGB to the head's raw maps; sides are multiples of 32."""
        return self.yolo_head(self.neck(self.backbone(image)))


class Deployed(nn.Layer):
    """What is exported: distances and scores of all anchors, no NMS."""

    def __init__(self, network: PPYOLOE) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``(1, 3, H, W)`` to distances ``(1, 4, A)`` in strides, and scores ``(1, C, A)``."""
        distances, scores = [], []
        for classes, edges in self.network(image):
            distances.append(self.network.yolo_head.distances(edges))
            scores.append(F.sigmoid(classes.flatten(2)))
        return paddle.concat(distances, axis=2), paddle.concat(scores, axis=2)


def fuse(network: nn.Layer) -> None:
    """Fuse every RepVGG block in place; the network is good for inference alone afterwards."""
    network.eval()
    for layer in network.sublayers():
        if isinstance(layer, RepVGG) and not layer.is_fused:
            layer.fuse()
