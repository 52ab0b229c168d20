"""PaddleDetection's PP-YOLOE, built from its own layers, with weights that are worth comparing."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from models.errors import InputError
from models.ppyoloe.network.variants import variant_named
from models.ppyoloe.train.loss import Truth

__all__ = [
    "VERSION",
    "build",
    "decoded",
    "fuse",
    "grid",
    "load",
    "logits",
    "padded",
    "randomise",
    "with_auxiliary",
]

Float = NDArray[np.float32]
Tensor: TypeAlias = paddle.Tensor

VERSION = "2.6.0"
"""Of the wheel paddledet; what was measured belongs to it."""

ATSS_EPOCHS = 4
"""The official head assigns by ATSS before this epoch."""


def load(folder: Path) -> None:
    """Make the package ``ppdet`` of that folder importable.

    Raises
    ------
    InputError
        It is not there, or lacks something that it imports.
    """
    mend = f"python -m pip install --no-deps --target {folder} -r tools/official/requirements.txt"
    if not (folder / "ppdet").is_dir():
        raise InputError(f"{folder}: no package ppdet in it: {mend}")
    if not (folder / f"paddledet-{VERSION}.dist-info").is_dir():
        raise InputError(f"{folder}: not paddledet {VERSION}: {mend}")
    sys.path.append(str(folder))  # last, so that numpy and OpenCV stay ours
    try:
        # It prints which optional packages of its it does not find.
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("ppdet.modeling")
    except ImportError as error:
        raise InputError(f"{folder}: ppdet cannot be imported ({error}): {mend}") from error


def _module(name: str) -> Any:
    return importlib.import_module(f"ppdet.modeling.{name}")


def _parts(variant: str, classes: int, *, plus: bool) -> dict[str, nn.Layer]:
    """Backbone, neck and head with the arguments of the official configurations."""
    size = variant_named(variant)
    mult = {"width_mult": size.width, "depth_mult": size.depth}
    backbone = _module("backbones.cspresnet").CSPResNet(
        use_large_stem=True, use_alpha=plus, return_idx=[1, 2, 3], **mult
    )
    neck = _module("necks.custom_pan").CustomCSPPAN(
        in_channels=[shape.channels for shape in backbone.out_shape],
        out_channels=list(size.neck),
        act="swish",
        spp=True,
        **mult,
    )
    assigners = _module("assigners")
    head = _module("heads.ppyoloe_head").PPYOLOEHead(
        in_channels=[shape.channels for shape in neck.out_shape],
        num_classes=classes,
        static_assigner=assigners.ATSSAssigner(topk=9, num_classes=classes),
        assigner=assigners.TaskAlignedAssigner(topk=13, alpha=1.0, beta=6.0),
        nms=None,
        attn_conv="repvgg" if size.repvgg_head else "convbn",
        exclude_nms=True,
    )
    return {"backbone": backbone, "neck": neck, "yolo_head": head}


def build(variant: str, classes: int, *, plus: bool) -> nn.Layer:
    """The official network of a variant that PaddleDetection has: t, s, m, l or x."""
    parts = _parts(variant, classes, plus=plus)
    return _module("architectures.ppyoloe").PPYOLOE(**parts, post_process=None, ssod_loss=None)


def with_auxiliary(variant: str, classes: int, *, plus: bool) -> nn.Layer:
    """The same with the second neck and head that only the training of variant t uses."""
    parts = _parts(variant, classes, plus=plus)
    width = parts["neck"].out_shape[0].channels * 2
    auxiliary = _module("heads.ppyoloe_head").SimpleConvHead(
        num_classes=classes, feat_in=width, feat_out=width, fpn_strides=[32, 16, 8]
    )
    arch = _module("architectures.ppyoloe").PPYOLOEWithAuxHead
    return arch(**parts, aux_head=auxiliary, post_process=None)


def randomise(network: nn.Layer, image: Float, seed: int) -> None:
    """Leave nothing at its initial value, and keep the maps in the range of a trained network's.

    The statistics of batch normalisation become those of ``image``, ``(N, 3, H, W)``; with random
    ones the values would fade out or blow up on their way through a hundred layers. Its scales
    and shifts keep most of each swish where it is nearly straight: a deep random network that
    bends more is chaotic, and one rounding at its beginning moves its boxes by a pixel. The
    projection of the distances stays 0, 1, ... 16: it is no weight but a definition.
    """
    rng = np.random.default_rng(seed)
    for name, value in network.state_dict().items():
        if name.endswith(("_mean", "_variance", "proj_conv.weight")):
            continue
        if value.ndim == 4:
            power = 0.5 if ".pred_" in name else 2.0
            drawn = rng.normal(0, np.sqrt(power / np.prod(value.shape[1:])), value.shape)
        elif name.endswith((".alpha", "bn.weight")):
            drawn = rng.uniform(0.3, 0.9, value.shape)
        elif name.endswith("bn.bias"):
            drawn = rng.normal(1, 0.5, value.shape)
        else:
            drawn = rng.normal(0, 0.5, value.shape)
        value.set_value(drawn.astype(np.float32))
    network.eval()
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    momentum = norms[0]._momentum
    for layer in norms:
        layer.training, layer._momentum = True, 0.0
    decoded(network, image)
    for layer in norms:
        layer.training, layer._momentum = False, momentum


def decoded(network: nn.Layer, image: Float) -> tuple[Float, Float]:
    """Boxes ``(A, 4)`` xyxy in pixels and scores ``(C, A)`` of ``(1, 3, H, W)``, as it decodes.

    The network stays in the mode that it is in, and that has to be inference.
    """
    feeds = {"image": paddle.to_tensor(image), "scale_factor": paddle.ones([len(image), 2])}
    with paddle.no_grad():
        found = network(feeds)
    return found["bbox"][0].numpy(), found["bbox_num"][0].numpy()


def logits(network: nn.Layer, image: Float) -> list[tuple[Float, Float]]:
    """The head's raw maps of each stride: classes and distances, which it keeps to itself."""
    caught: list[Float] = []
    head = network.yolo_head
    pairs = list(zip(head.pred_cls, head.pred_reg, strict=True))
    hooks = [
        layer.register_forward_post_hook(lambda _, __, out: caught.append(out.numpy()))
        for pair in pairs
        for layer in pair
    ]
    try:
        decoded(network, image)
    finally:
        for hook in hooks:
            hook.remove()
    return list(zip(caught[::2], caught[1::2], strict=True))


def grid(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[int], Tensor]:
    """Anchor boxes and points in pixels, how many each stride has, and strides, of its maps."""
    make = _module("assigners.utils").generate_anchors_for_grid_cell
    boxes, points, counts, strides = make(maps, (32, 16, 8), 5.0, 0.5)
    return boxes, points, counts, strides


def padded(truths: Sequence[Truth], *, aligned: bool) -> dict[str, Any]:
    """What is wrong with each picture, as the official head takes it.

    ``aligned`` chooses task-aligned assignment, which it does by the number of the epoch.
    """
    most = max(len(truth.boxes) for truth in truths)
    boxes = np.zeros((len(truths), most, 4), np.float32)
    classes = np.zeros((len(truths), most, 1), np.int32)
    mask = np.zeros((len(truths), most, 1), np.float32)
    for i, truth in enumerate(truths):
        count = len(truth.boxes)
        boxes[i, :count], classes[i, :count, 0], mask[i, :count] = truth.boxes, truth.classes, 1
    return {
        "gt_bbox": paddle.to_tensor(boxes),
        "gt_class": paddle.to_tensor(classes),
        "pad_gt_mask": paddle.to_tensor(mask),
        "epoch_id": ATSS_EPOCHS if aligned else 0,
    }


def fuse(network: nn.Layer) -> None:
    """Fuse its RepVGG blocks as its export does."""
    with paddle.utils.unique_name.guard():
        for layer in network.sublayers():
            if hasattr(layer, "convert_to_deploy"):
                layer.convert_to_deploy()
