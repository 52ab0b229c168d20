"""A network whose layers are narrower than its variant's, as pruning leaves them.

The widths stand in the weights themselves: no further file says what was pruned.
"""

from __future__ import annotations

from collections.abc import Mapping

import paddle

from models.errors import ModelError
from models.ppyoloe.network.ppyoloe import PPYOLOE, STRIDES

__all__ = ["Widths", "take_widths", "widths_of"]

Widths = dict[str, tuple[int, ...]]
"""Shapes of parameters and buffers by name."""

CLASSES = "yolo_head.pred_cls."
"""Layers whose outputs are the classes: another number of them is no pruning."""


def widths_of(network: PPYOLOE, shapes: Mapping[str, tuple[int, ...]]) -> Widths:
    """Shapes that differ from the network's in fewer channels alone: what pruning takes away.

    Empty if nothing was pruned, or if ``shapes`` are those of some other network.
    """
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if own.keys() != shapes.keys():
        return {}
    wanted = {
        name: (own[name][0], *shape[1:]) if name.startswith(CLASSES) else tuple(shape)
        for name, shape in shapes.items()
    }
    differ = {name: shape for name, shape in wanted.items() if shape != own[name]}
    for name, shape in differ.items():
        full = own[name]
        if len(shape) != len(full) or shape[2:] != full[2:]:
            return {}
        if any(not 0 < n <= most for n, most in zip(shape, full, strict=True)):
            return {}
    return differ


def take_widths(network: PPYOLOE, widths: Mapping[str, tuple[int, ...]]) -> None:
    """Give the parameters and buffers that are named these shapes, in place, with any values.

    Call it before an optimiser takes the parameters. The network is as before but for them.

    Raises
    ------
    ModelError
        One layer makes more or fewer channels than the next one takes.
    """
    if not widths:
        return
    for path, layer in network.named_sublayers():
        for own, parameter in list(layer._parameters.items()):
            shape = widths.get(f"{path}.{own}")
            if shape is not None:
                new = layer.create_parameter(list(shape), dtype=parameter.dtype)
                new.regularizer = parameter.regularizer
                new.stop_gradient = parameter.stop_gradient
                layer._parameters[own] = new
        for own, buffer in list(layer._buffers.items()):
            shape = widths.get(f"{path}.{own}")
            if shape is not None:
                layer._buffers[own] = paddle.zeros(list(shape), buffer.dtype)
    training = network.training
    network.eval()
    try:
        with paddle.no_grad():
            network(paddle.zeros([1, 3, STRIDES[0], STRIDES[0]]))
    except (ValueError, RuntimeError) as error:  # Paddle's, many lines long
        names = ", ".join(list(widths)[:3])
        raise ModelError(
            f"weights: the widths of {names} and what is beside them do not go together: "
            "give whole weights, or those that pruning wrote"
        ) from error
    finally:
        if training:
            network.train()
