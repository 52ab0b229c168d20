"""What goes over the line when a detector's head was trained again: the delta against the whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paddle

from models.bundle import encode
from models.ppyoloe.coco import load_coco
from models.ppyoloe.config import read_config, sidecar
from models.ppyoloe.network import PPYOLOE, STRIDES
from models.ppyoloe.train.assign import anchors_of
from models.ppyoloe.train.batches import BatchPlan, make_batch
from models.ppyoloe.train.export import export_onnx
from models.ppyoloe.train.loss import Truth, detection_loss
from models.ppyoloe.train.weights import load_pdparams, start_from
from models.zoo import resolve
from tools.bench.line import Progress
from tools.line.board import ASSETS

__all__ = ["PARTS", "head_deltas"]

PARTS: dict[str, tuple[str, ...]] = {
    "classes": ("pred_cls.",),
    "classes and edges": ("pred_cls.", "pred_reg."),
    "whole head": ("",),
}
"""What is trained again, by the beginnings of its parameters' names in the head."""

STEPS, RATE, DECAY = 60, 1e-3, 0.05
"""Of AdamW, at the learning rate of a training, falling to 0: every weight of the part moves."""

BATCHES = 10
"""Batches of cuts from the boards of the simulated line; what the frozen part makes of each is
computed once."""

SIDE = 256

Features = tuple[list[paddle.Tensor], tuple[Truth, ...]]


def head_deltas(model: str, progress: Progress) -> dict[str, Any]:
    """Train parts of the head again, export, and code the result on the export from before.

    Parameters
    ----------
    model
        An ONNX file with its ``.pdparams`` beside it, as ``lineguard train`` leaves them.

    Returns
    -------
    Bytes of the whole file, and for each part, in per cent of them: its parameters as stored
    (two bytes each), and what goes over the line.
    """
    path = resolve(model)
    config = read_config(sidecar(path))
    weights = load_pdparams(path.with_suffix(".pdparams"))

    def network() -> PPYOLOE:
        made = PPYOLOE(config.variant, len(config.labels))
        start_from(made, weights, str(path))
        made.eval()
        return made

    def exported(trained: PPYOLOE) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(trained, Path(folder) / "model.onnx", config)
            return (Path(folder) / "model.onnx").read_bytes()

    features = list(_features(network()))
    before = exported(network())
    rows = {}
    for name in progress(PARTS):
        changed = network()
        parameters = _train(changed, PARTS[name], features)
        after = exported(changed)
        coding, delta = encode(after, before)
        rows[name] = {
            "parameters": parameters,
            "share": round(100 * 2 * parameters / len(after), 2),
            "coding": coding,
            "bytes": len(delta),
            "delta": round(100 * len(delta) / len(after), 2),
        }
    return {
        "model": Path(model).name,
        "bytes": len(before),
        "steps": STEPS,
        "full": round(100 * len(encode(before)[1]) / len(before), 2),
        "parts": rows,
    }


def _features(network: PPYOLOE) -> Iterator[Features]:
    """What the head sees of each batch."""
    boards = load_coco(ASSETS / "boards.json", ASSETS)
    plan = BatchPlan(4, (SIDE,), seed=0, pose="any")
    for step in range(BATCHES):
        batch = make_batch(boards, plan, step)
        with paddle.no_grad():
            maps = network.neck(network.backbone(paddle.to_tensor(batch.images)))
        yield [each.detach() for each in maps], batch.truths


def _train(network: PPYOLOE, parts: tuple[str, ...], features: list[Features]) -> int:
    """Train what ``parts`` name, in place; gives how many parameters that are."""
    head = network.yolo_head
    if "" in parts:
        head.train()  # else its batch normalisation is frozen, statistics and all
    parameters = [
        each
        for name, each in head.named_parameters()
        if name.startswith(parts) and not each.stop_gradient
    ]
    optimizer = paddle.optimizer.AdamW(RATE, parameters=parameters, weight_decay=DECAY)
    anchors = anchors_of((SIDE, SIDE), STRIDES)
    for step in range(STEPS):
        maps, truths = features[step % len(features)]
        optimizer.set_lr(RATE * (1 - step / STEPS))
        detection_loss(head(maps), truths, anchors, aligned=True).total.backward()
        optimizer.step()
        head.clear_gradients()
    return sum(each.size for each in parameters)
