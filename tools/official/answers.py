"""Same weights, same picture: how far apart the answers of both networks are."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from models.ppyoloe.decode import decode
from models.ppyoloe.network import PPYOLOE, Deployed, fuse
from models.ppyoloe.train.weights import arrays_of, load_pdparams, put, start_from
from tools.line.board import CLASSES
from tools.official import peer
from tools.official.pictures import boards

__all__ = ["BOX_PX", "SCORE", "compare_answers", "fingerprint"]

BOX_PX = 1e-2
"""By how much an edge of a box may differ, pixels."""

SCORE = 1e-4
"""By how much a score may differ."""

SMALL = ("t", "s")
"""Variants that see a large picture; the others would take minutes."""

SEED = 3

Float = NDArray[np.float32]


def fingerprint(network: nn.Layer) -> str:
    """SHA-256 of the sorted lines "name shape" of all parameters and buffers."""
    lines = sorted(f"{k} {list(v.shape)}" for k, v in network.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def compare_answers(variant: str, *, plus: bool) -> dict[str, Any]:
    """Build both, give them the same random weights and show them a board.

    Returns
    -------
    ``names``: theirs and ours are equal. ``loads``: their file fits ours strictly, with and
    without the auxiliary head of their training, and all of it but the classes' last convolutions
    where the classes differ. Largest differences: ``maps`` of the raw logits; ``box_px``,
    ``score`` in train form, and ``fused_box_px``, ``fused_score`` with both fused. What was
    compared: ``parameters``, ``size``, ``scores`` and ``side_px``, the middle 98% of them. For
    scale, ``rounding_px``: how far their own boxes move if every pixel does by one rounding.
    """
    size = (640, 640) if variant in SMALL else (416, 320)
    image, _ = boards(1, size, SEED)
    theirs = peer.build(variant, len(CLASSES), plus=plus)
    peer.randomise(theirs, image, SEED)
    ours = PPYOLOE(variant, len(CLASSES), plus=plus)
    parameters = sum(int(value.size) for value in ours.parameters())
    sha256 = fingerprint(theirs)
    names = sha256 == fingerprint(ours)
    loads = _loads(theirs, ours, variant, plus=plus)
    ours.eval()
    maps = _raw_difference(theirs, ours, image)
    box, score = _difference(theirs, ours, image)
    boxes, scores = peer.decoded(theirs, image)
    moved, _ = peer.decoded(theirs, image * np.float32(1 + 2**-23))
    peer.fuse(theirs)
    fuse(ours)
    fused_box, fused_score = _difference(theirs, ours, image)
    return {
        "variant": variant,
        "plus": plus,
        "size": list(size),
        "parameters": parameters,
        "names": names,
        "sha256": sha256,
        "loads": loads,
        "maps": maps,
        "box_px": box,
        "score": score,
        "rounding_px": float(np.abs(boxes - moved).max()),
        "fused_box_px": fused_box,
        "fused_score": fused_score,
        "scores": np.percentile(scores, [1, 99]).round(4).tolist(),
        "side_px": np.percentile(boxes[:, 2:] - boxes[:, :2], [1, 99]).round(1).tolist(),
        "fits": names
        and loads
        and max(box, fused_box) <= BOX_PX
        and max(score, fused_score) <= SCORE,
    }


def _loads(theirs: nn.Layer, ours: PPYOLOE, variant: str, *, plus: bool) -> bool:
    """Leave their weights in ours, through a file; other ways in are tried on other networks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "their.pdparams"
        paddle.save(theirs.state_dict(), str(file))
        weights = load_pdparams(file)
        put(ours, weights, file.name)
        doubled = peer.with_auxiliary(variant, len(CLASSES), plus=plus)
        paddle.save(doubled.state_dict(), str(file))
        put(PPYOLOE(variant, len(CLASSES), plus=plus), load_pdparams(file), file.name)
    other = PPYOLOE(variant, 3, plus=plus)
    before = arrays_of(other)
    left = start_from(other, weights, file.name)
    after = arrays_of(other)
    wanted = {f"yolo_head.pred_cls.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    return set(left) == wanted and all(
        np.array_equal(value, before[name] if name in left else weights[name])
        for name, value in after.items()
    )


def _raw_difference(theirs: nn.Layer, ours: PPYOLOE, image: Float) -> float:
    with paddle.no_grad():
        pairs = zip(peer.logits(theirs, image), ours(paddle.to_tensor(image)), strict=True)
    return max(
        float(np.abs(their - our.numpy()).max())
        for their_level, our_level in pairs
        for their, our in zip(their_level, our_level, strict=True)
    )


def _difference(theirs: nn.Layer, ours: PPYOLOE, image: Float) -> tuple[float, float]:
    """Of boxes in pixels, ours as a box decodes them, and of scores."""
    boxes, scores = peer.decoded(theirs, image)
    with paddle.no_grad():
        outs = Deployed(ours)(paddle.to_tensor(image))
    distances, our_scores = (out[0].numpy() for out in outs)
    our_boxes = decode(distances, np.arange(distances.shape[1]), *image.shape[2:])
    return float(np.abs(boxes - our_boxes).max()), float(np.abs(scores - our_scores).max())
