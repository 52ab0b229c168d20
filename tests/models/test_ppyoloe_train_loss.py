from collections.abc import Callable

import numpy as np
import paddle
import pytest
from numpy.typing import NDArray

from models.ppyoloe.network.head import BINS, LevelMaps
from models.ppyoloe.train.assign import anchors_of
from models.ppyoloe.train.loss import (
    Losses,
    Truth,
    detection_loss,
    distribution_focal,
    giou,
    varifocal,
)

SIDE = 32
STRIDES = (32, 16, 8)
ANCHORS = anchors_of((SIDE, SIDE), STRIDES)
NO_BOXES = Truth(np.empty((0, 4), np.float32), np.empty(0, np.int64))
A_BOX = Truth(np.array([[1, 2, 30, 31]], np.float32), np.array([1]))

Array = NDArray[np.float64]


def tensor(values: object) -> paddle.Tensor:
    return paddle.to_tensor(np.array(values, np.float64), stop_gradient=False)


def maps(seed: int, batch: int = 1, classes: int = 2) -> list[LevelMaps]:
    rng = np.random.default_rng(seed)
    levels = []
    for stride in STRIDES:
        cells = SIDE // stride
        pair = [
            paddle.to_tensor(
                rng.normal(0, 1, (batch, channels, cells, cells)).astype(np.float32),
                stop_gradient=False,
            )
            for channels in (classes, 4 * BINS)
        ]
        levels.append((pair[0], pair[1]))
    return levels


def slope(function: Callable[[paddle.Tensor], paddle.Tensor], at: Array) -> None:
    """Compare the gradient with finite differences in every direction of ``at``, in float64."""
    x = tensor(at)
    function(x).backward()
    gradient = x.grad.numpy().ravel()
    for index in range(at.size):
        step = np.zeros(at.size)
        step[index] = 1e-5
        up, down = (float(function(tensor(at + sign * step.reshape(at.shape)))) for sign in (1, -1))
        assert gradient[index] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("logit", "target", "positive", "expected"),
    [
        (0.0, 0.5, 1, 0.5 * np.log(2)),
        (0.0, 0.0, 0, 0.75 * 0.25 * np.log(2)),
        (2.0, 0.8, 1, 0.8 * (0.8 * np.log1p(np.exp(-2)) + 0.2 * (np.log1p(np.exp(2))))),
        (-100.0, 0.0, 0, 0.0),
        (100.0, 0.0, 0, 75.0),
        (5.0, 0.0, 1, 0.0),  # an anchor that should say nothing of its class is left alone
    ],
)
def test_varifocal_by_pencil(logit: float, target: float, positive: int, expected: float) -> None:
    loss = varifocal(tensor([[logit]]), tensor([[target]]), tensor([[positive]]))
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 0),
        ((0, 0, 1, 1), (2, 0, 3, 1), 1 + 1 / 3),
        ((0, 0, 2, 2), (0, 0, 1, 1), 0.75),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 - 1 / 7 + 2 / 9),
        ((0, 0, 1, 1), (9, 9, 10, 10), 2 - 2 / 100),
    ],
)
def test_giou_by_pencil(box: object, other: object, expected: float) -> None:
    assert float(giou(tensor([box]), tensor([other]))[0]) == pytest.approx(expected, abs=1e-9)
    assert float(giou(tensor([other]), tensor([box]))[0]) == pytest.approx(expected, abs=1e-9)


def test_distribution_focal_by_pencil() -> None:
    flat = tensor(np.zeros((1, 4, BINS)))
    for distances in ([0, 2.25, 7.5, 15.9], [16, 100, -3, 15.99]):
        assert float(distribution_focal(flat, tensor([distances]))[0]) == pytest.approx(np.log(17))
    edges = np.zeros((1, 4, BINS))
    edges[0, :, 2] = np.log(3)  # 3/19 on 2, 1/19 on every other
    loss = distribution_focal(tensor(edges), tensor([[2.25] * 4]))
    assert float(loss[0]) == pytest.approx(0.75 * np.log(19 / 3) + 0.25 * np.log(19))


def test_distribution_focal_is_least_at_the_right_distribution() -> None:
    right, wrong = np.full((1, 4, BINS), -20.0), np.full((1, 4, BINS), -20.0)
    right[..., 4], right[..., 5] = np.log(0.7), np.log(0.3)
    wrong[..., 3], wrong[..., 6] = np.log(0.6), np.log(0.4)  # of nearly the same mean
    distances = tensor([[4.3] * 4])
    good, bad = (float(distribution_focal(tensor(e), distances)[0]) for e in (right, wrong))
    assert good == pytest.approx(-0.7 * np.log(0.7) - 0.3 * np.log(0.3), rel=1e-5)
    assert bad > 10


def test_gradients_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    targets, positive = np.array([[0.7, 0, 0], [0, 0, 0.2]]), np.array([[1.0, 0, 0], [0, 0, 1]])
    slope(lambda x: varifocal(x, tensor(targets), tensor(positive)), rng.normal(size=(2, 3)))
    boxes = np.array([[0.0, 0, 2, 2], [0, 0, 1, 1], [3, 3, 7, 9]])
    others = np.array([[1.0, 0.5, 3, 4], [5, 6, 8, 8], [3.5, 2, 6, 8]])
    slope(lambda x: giou(x, tensor(others)).sum(), boxes)
    distances = np.array([[0.3, 4.75, 15.2, 20], [2.5, 8.1, 0.01, 11]])
    edges = rng.normal(size=(2, 4, BINS))
    slope(lambda x: distribution_focal(x, tensor(distances)).sum(), edges)


def both_ways(levels: list[LevelMaps], truths: list[Truth], aligned: bool) -> Losses:
    losses = detection_loss(levels, truths, ANCHORS, aligned=aligned)
    losses.total.backward()
    return losses


@pytest.mark.parametrize("aligned", [False, True])
def test_without_boxes_only_the_classes_are_taught(aligned: bool) -> None:
    levels = maps(0, batch=2)
    losses = both_ways(levels, [NO_BOXES, NO_BOXES], aligned)
    assert losses.boxes == 0
    assert float(losses.iou) == float(losses.dfl) == 0
    assert float(losses.total) == float(losses.cls) > 0
    scores = np.concatenate([1 / (1 + np.exp(-c.numpy().ravel())) for c, _ in levels])
    expected = (0.75 * scores**2 * -np.log1p(-scores)).sum()
    assert float(losses.cls) == pytest.approx(expected, rel=1e-4)
    for classes, edges in levels:
        assert np.isfinite(classes.grad.numpy()).all()
        assert (classes.grad.numpy() > 0).all()
        assert (edges.grad.numpy() == 0).all()


@pytest.mark.parametrize("aligned", [False, True])
def test_a_box_teaches_its_anchors_alone(aligned: bool) -> None:
    levels = maps(1, batch=2)
    losses = both_ways(levels, [NO_BOXES, A_BOX], aligned)
    assert losses.boxes > 0
    weighted = float(losses.cls) + 2.5 * float(losses.iou) + 0.5 * float(losses.dfl)
    assert float(losses.total) == pytest.approx(weighted, rel=1e-5)
    taught = 0
    for classes, edges in levels:
        assert np.isfinite(classes.grad.numpy()).all()
        assert np.isfinite(edges.grad.numpy()).all()
        assert (edges.grad.numpy()[0] == 0).all()
        taught += int((np.abs(edges.grad.numpy()[1]).sum(axis=0) > 0).sum())
    assert taught == losses.boxes


def test_the_loss_of_a_batch_follows_its_class_logits() -> None:
    """ATSS wants what the boxes say, whatever the classes are, so that the loss has a slope."""
    truths = [A_BOX, NO_BOXES]
    levels = maps(2, batch=2)
    both_ways(levels, truths, False)
    rng = np.random.default_rng(3)
    ways = [rng.normal(size=c.shape).astype(np.float32) for c, _ in levels]
    expected = sum(
        float((c.grad.numpy() * way).sum()) for (c, _), way in zip(levels, ways, strict=True)
    )
    ends = []
    for step in (1e-2, -1e-2):
        moved = [
            (c + step * paddle.to_tensor(w), e) for (c, e), w in zip(levels, ways, strict=True)
        ]
        ends.append(float(detection_loss(moved, truths, ANCHORS, aligned=False).total))
    assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(expected, rel=1e-2)


def test_perfect_predictions_cost_only_what_lies_between_two_bins() -> None:
    levels = maps(0)
    distances = (0.4, 0.3, 1, 2)  # of the first anchor of stride 16, at (8, 8)
    corners = [8 - 16 * 0.4, 8 - 16 * 0.3, 8 + 16, 8 + 16 * 2]
    truth = Truth(np.array([corners], np.float32), A_BOX.classes)
    for classes, edges in levels:
        classes.set_value(paddle.full_like(classes, -12))
        edges.set_value(paddle.zeros_like(edges))
    classes, edges = (each.numpy() for each in levels[1])
    classes[0, 1, 0, 0] = 12
    for side, distance in enumerate(distances):
        bins = edges[0, side * BINS : (side + 1) * BINS, 0, 0]
        bins[:] = -30
        low = int(distance)
        bins[low] = np.log(low + 1 - distance)
        if distance > low:
            bins[low + 1] = np.log(distance - low)
    levels[1][0].set_value(classes)
    levels[1][1].set_value(edges)
    losses = detection_loss(levels, [truth], ANCHORS, aligned=True)
    assert losses.boxes > 1
    assert float(losses.iou) < 1e-3
    assert float(losses.cls) < 1e-3
    between = [-p * np.log(p) - (1 - p) * np.log(1 - p) for p in (0.4, 0.3)]
    assert float(losses.dfl) == pytest.approx(sum(between) / 4, rel=1e-3)
