import numpy as np
import paddle
import pytest
from numpy.typing import NDArray

from models.errors import ModelError
from models.ppyoloe.decode import anchor_grid, decode
from models.ppyoloe.network import PPYOLOE, STRIDES, VARIANTS, Deployed, fuse
from models.ppyoloe.network.blocks import RepVGG


def picture(width: int, height: int, seed: int = 0) -> paddle.Tensor:
    rng = np.random.default_rng(seed)
    return paddle.to_tensor(rng.uniform(0, 1, (1, 3, height, width)).astype(np.float32))


def unsettle(network: PPYOLOE, image: paddle.Tensor) -> None:
    """Leave nothing at its initial value: weights drawn anew, statistics those of the picture."""
    rng = np.random.default_rng(7)
    for name, value in network.state_dict().items():
        if name.endswith("proj_conv.weight"):
            continue
        if value.ndim == 4:
            drawn = rng.normal(0, np.sqrt(1.5 / np.prod(value.shape[1:])), value.shape)
        elif name.endswith((".alpha", "bn.weight", "_variance")):
            drawn = rng.uniform(0.4, 1.2, value.shape)
        else:
            drawn = rng.normal(0, 0.4, value.shape)
        value.set_value(drawn.astype(np.float32))
    network.train()
    for _ in range(3):
        network(image)
    network.eval()


def outputs(network: PPYOLOE, image: paddle.Tensor) -> tuple[NDArray[np.float32], ...]:
    with paddle.no_grad():
        return tuple(out.numpy() for out in Deployed(network)(image))


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("variant", ["n", "xs", "t"])
def test_fusion_changes_nothing_but_the_layers(variant: str, plus: bool) -> None:
    image = picture(96, 64)
    network = PPYOLOE(variant, 4, plus=plus)
    unsettle(network, image)
    distances, scores = outputs(network, image)
    fuse(network)
    fused_distances, fused_scores = outputs(network, image)
    assert np.abs(distances - fused_distances).max() < 1e-4
    assert np.abs(scores - fused_scores).max() < 1e-4
    assert scores.std() > 0.01
    assert distances.std() > 0.1
    for layer in network.sublayers():
        if isinstance(layer, RepVGG):
            assert set(layer.state_dict()) == {"conv.weight", "conv.bias"}
    fuse(network)  # twice does no harm
    assert np.array_equal(outputs(network, image)[1], fused_scores)


def test_alpha_counts() -> None:
    image = picture(64, 64)
    network = PPYOLOE("n", 2)
    unsettle(network, image)
    before = outputs(network, image)[1]
    for name, value in network.state_dict().items():
        if name.endswith(".alpha"):
            value.set_value(value * 2)
    assert np.abs(outputs(network, image)[1] - before).max() > 1e-3


@pytest.mark.parametrize(("width", "height"), [(32, 32), (160, 96), (96, 224), (64, 32)])
def test_any_multiple_of_32_in_the_order_of_the_decoder(width: int, height: int) -> None:
    network = PPYOLOE("n", 3)
    network.eval()
    image = picture(width, height)
    distances, scores = outputs(network, image)
    anchors = anchor_grid(height, width)[0].shape[1]
    assert distances.shape == (1, 4, anchors)
    assert scores.shape == (1, 3, anchors)
    with paddle.no_grad():
        levels = network(image)
    shapes = [tuple(classes.shape[2:]) for classes, _ in levels]
    assert shapes == [(height // s, width // s) for s in STRIDES]
    coarse = paddle.nn.functional.sigmoid(levels[0][0]).numpy().reshape(3, -1)
    assert np.allclose(scores[0, :, : coarse.shape[1]], coarse)


def test_a_new_head_scores_one_per_cent_and_says_boxes_of_eight_strides() -> None:
    network = PPYOLOE("n", 3)
    network.eval()
    distances, scores = outputs(network, picture(64, 64))
    assert scores == pytest.approx(0.01, rel=1e-3)
    assert distances == pytest.approx(8.0, rel=1e-4)
    boxes = decode(distances[0], np.arange(distances.shape[2]), 64, 64)
    assert boxes[0].tolist() == pytest.approx([16 - 256, 16 - 256, 16 + 256, 16 + 256], rel=1e-4)


def test_distances_are_means_of_distributions() -> None:
    head = PPYOLOE("n", 1).yolo_head
    edges = np.full((1, 4, 17, 2, 2), -30, np.float32)
    edges[0, 0, 3] = 30  # left: 3 for sure
    edges[0, 1, 0, 0, 0] = edges[0, 1, 16, 0, 0] = 30  # top of the first cell: 0 or 16
    edges[0, 1, 5, 0, 1] = edges[0, 1, 5, 1] = 30
    distances = head.distances(paddle.to_tensor(edges.reshape(1, 68, 2, 2))).numpy()
    assert distances.shape == (1, 4, 4)
    assert distances[0, 0] == pytest.approx([3, 3, 3, 3], rel=1e-5)
    assert distances[0, 1] == pytest.approx([8, 5, 5, 5], rel=1e-5)
    assert distances[0, 2] == pytest.approx([8, 8, 8, 8], rel=1e-5)  # nothing said: the mean


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ModelError, match=f"variant q: there is none: use {', '.join(VARIANTS)}"):
        PPYOLOE("q", 1)
