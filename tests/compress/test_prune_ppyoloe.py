"""PP-YOLOE loses channels: which go together, what is left, and that it can be trained on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from train_lab import LABELS, SETUP, squares

from compress.prune.ppyoloe import layout_of, narrowed, ratio_for
from models.errors import ModelError
from models.ppyoloe.network import PPYOLOE, fuse, take_widths, widths_of
from models.ppyoloe.train.checkpoint import Checkpoint
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.trainer import Trainer
from models.ppyoloe.train.weights import Arrays, Start, arrays_of, put

CLASSES = len(LABELS)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with paddle.no_grad():
        yield


def randomised(variant: str, plus: bool) -> Arrays:
    """Weights whose running statistics and scalars are not those of a new network."""
    rng = np.random.default_rng(5)
    arrays = arrays_of(PPYOLOE(variant, CLASSES, plus=plus))
    for name, value in arrays.items():
        if name.endswith(("bn.weight", "_variance", "alpha")):
            value[:] = rng.uniform(0.5, 1.5, value.shape)
        elif name.endswith(("bn.bias", "_mean")):
            value[:] = rng.normal(0, 0.1, value.shape)
        elif ".pred_" in name and name.endswith("weight"):
            value[:] = rng.normal(0, 0.05, value.shape)
    return arrays


def network_of(variant: str, plus: bool, arrays: Arrays) -> PPYOLOE:
    network = PPYOLOE(variant, CLASSES, plus=plus)
    take_widths(network, widths_of(network, {k: v.shape for k, v in arrays.items()}))
    put(network, arrays, "test")
    network.eval()
    return network


def answers(network: PPYOLOE) -> list[np.ndarray[Any, Any]]:
    image = paddle.to_tensor(np.random.default_rng(1).normal(0, 1, (1, 3, 64, 96)), "float32")
    return [value.numpy() for level in network(image) for value in level]


@pytest.mark.parametrize(("variant", "plus"), [("n", True), ("xs", True), ("t", False)])
def test_channels_that_say_nothing_may_go(variant: str, plus: bool) -> None:
    arrays = randomised(variant, plus)
    layout = layout_of(arrays)
    ratios = {group.name: 0.4 for group in layout.groups}
    widths = {group.name: len(group_left(arrays, layout, group, ratios)) for group in layout.groups}
    rng = np.random.default_rng(2)
    for group in layout.groups:
        silent = rng.permutation(group.size)[widths[group.name] :]
        for path in group.makers:
            arrays[f"{path}.conv.weight"][silent] = 0
            for name in ("weight", "bias", "_mean"):
                arrays[f"{path}.bn.{name}"][silent] = 0
    small = narrowed(arrays, layout, ratios)
    assert sum(v.size for v in small.values()) < 0.6 * sum(v.size for v in arrays.values())
    whole, less = (answers(network_of(variant, plus, a)) for a in (arrays, small))
    for a, b in zip(whole, less, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-5)


def group_left(arrays: Arrays, layout: Any, group: Any, ratios: dict[str, float]) -> Any:
    (path, *_) = group.makers
    return narrowed(arrays, layout, ratios)[f"{path}.bn.weight"]


def test_widths_are_multiples_of_eight_and_nothing_is_lost() -> None:
    arrays = randomised("xs", True)
    layout = layout_of(arrays)
    small = narrowed(arrays, layout, {group.name: 0.99 for group in layout.groups})
    assert {len(group_left(arrays, layout, g, {g.name: 0.3})) % 8 for g in layout.groups} <= {0}
    assert min(v.shape[0] for n, v in small.items() if n.endswith("bn.weight")) == 8
    assert narrowed(arrays, layout, {}).keys() == arrays.keys()


def test_flops_are_those_of_the_network_as_it_is_exported() -> None:
    arrays = randomised("xs", True)
    network = network_of("xs", True, arrays)
    fuse(network)
    counted = 0

    def count(layer: paddle.nn.Conv2D, given: Any, made: paddle.Tensor) -> None:
        nonlocal counted
        counted += int(np.prod(layer.weight.shape)) * int(np.prod(made.shape[2:]))

    for name, layer in network.named_sublayers():
        if isinstance(layer, paddle.nn.Conv2D) and "proj_conv" not in name:
            layer.register_forward_post_hook(count)
    network(paddle.zeros([1, 3, 128, 128]))
    means = sum(
        v.size for n, v in arrays.items() if n.endswith("fc.weight")
    )  # at one place each, which the layout leaves out of what grows with the picture
    layout = layout_of(arrays)
    assert layout.flops(arrays, 128) == counted
    assert layout.flops(arrays, 256) - means == 4 * (counted - means)


@pytest.mark.parametrize("target", [0.3, 0.5, 0.8])
def test_a_target_of_flops_is_met(target: float) -> None:
    arrays = randomised("xs", True)
    layout = layout_of(arrays)
    ratio = ratio_for(arrays, layout, target)
    small = narrowed(arrays, layout, {group.name: ratio for group in layout.groups})
    assert layout.flops(small, 640) <= target * layout.flops(arrays, 640)
    assert layout.flops(small, 640) >= (target - 0.06) * layout.flops(arrays, 640)


def test_weights_of_something_else_are_refused() -> None:
    arrays = randomised("n", True)
    with pytest.raises(ModelError, match="give those of a PP-YOLOE training"):
        layout_of({"conv.weight": arrays["backbone.stem.conv1.conv.weight"]})
    arrays["neck.fpn_routes.0.conv.weight"] = arrays["neck.fpn_routes.0.conv.weight"][:, :8]
    with pytest.raises(ModelError, match=r"fpn_routes.0.conv.weight is .* expected"):
        layout_of(arrays)


def test_more_classes_are_no_pruning() -> None:
    shapes = {k: v.shape for k, v in arrays_of(PPYOLOE("n", 9)).items()}
    assert widths_of(PPYOLOE("n", 2), shapes) == {}
    assert widths_of(PPYOLOE("n", 20), shapes) == {}
    shapes["backbone.stem.conv1.bn.weight"] = (10**6,)
    assert widths_of(PPYOLOE("n", 2), shapes) == {}


def test_widths_that_do_not_go_together_are_refused() -> None:
    arrays = arrays_of(PPYOLOE("n", CLASSES))
    torn = "backbone.stem.conv1.conv.weight"
    arrays[torn] = arrays[torn][:4]
    network = PPYOLOE("n", CLASSES)
    with pytest.raises(ModelError, match=r"backbone.stem.conv1.conv.weight.*do not go together"):
        take_widths(network, widths_of(network, {k: v.shape for k, v in arrays.items()}))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_pruned_network_is_tuned_and_goes_on_from_its_checkpoint(
    workers: int, tmp_path: Path
) -> None:
    paddle.seed(1)
    arrays = arrays_of(PPYOLOE("n", CLASSES))
    layout = layout_of(arrays)
    small = narrowed(arrays, layout, {group.name: 0.5 for group in layout.groups})
    setup, path = replace(SETUP, workers=workers), tmp_path / "checkpoint.npz"

    def each(measured: dict[str, float]) -> None:
        trainer.save()

    with paddle.enable_grad():
        trainer = Trainer(squares(tmp_path), setup, Plan(2), path, Start(small, "pruned"))
        trainer.run(each)
        trainer = Trainer(squares(tmp_path), setup, Plan(4), path)
        assert trainer.step == 2
        trainer.run(each)
    saved = Checkpoint.load(path)
    assert saved.step == 4
    assert {k: v.shape for k, v in saved.network.items()} == {k: v.shape for k, v in small.items()}
    assert arrays_of(trainer.averaged()).keys() == small.keys()
    assert any(not np.array_equal(saved.network[k], small[k]) for k in small)
