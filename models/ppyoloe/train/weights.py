"""Weights of a network as plain arrays, from and to files that hold nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import nn

from models.errors import InputError, ModelError
from models.ppyoloe.network import PPYOLOE, Widths, widths_of
from models.ppyoloe.train.pdparams import read_pickled

__all__ = ["Arrays", "Start", "arrays_of", "load_pdparams", "put", "start_from"]

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Start:
    """First weights of a training.

    Attributes
    ----------
    arrays
        By name; of a pruned network, too.
    source
        Where they are from, for messages.
    """

    arrays: Arrays
    source: str

    def widths(self, network: PPYOLOE) -> Widths:
        """What pruning made narrower."""
        return widths_of(network, {name: value.shape for name, value in self.arrays.items()})


AUXILIARY = ("aux_head.", "aux_neck.")
"""Of PaddleDetection's tiny models: a second neck and head that only their training uses."""

LEGACY = "StructuredToParameterName@@"
"""Beside the weights in every file of ``paddle.save``: what it called them inside."""


def arrays_of(network: nn.Layer) -> Arrays:
    """Copies of all parameters and buffers by name, float32."""
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def put(network: nn.Layer, arrays: Mapping[str, NDArray[Any]], source: str) -> None:
    """Set every parameter and buffer, strictly.

    Raises
    ------
    ModelError
        A name is missing or unknown, or a shape differs; names up to three of them.
    """
    own = network.state_dict()
    faults = [f"{name} is missing" for name in own if name not in arrays]
    faults += [f"{name} is unknown" for name in arrays if name not in own]
    faults += [
        f"{name} is {list(arrays[name].shape)}, expected {list(value.shape)}"
        for name, value in own.items()
        if name in arrays and list(arrays[name].shape) != list(value.shape)
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ModelError(
            f"{source}: weights of another network ({'; '.join(faults[:3])}{more}): "
            "give the variant and the classes that it was trained with"
        )
    for name, value in own.items():
        value.set_value(np.asarray(arrays[name], np.float32))


def start_from(network: nn.Layer, arrays: Mapping[str, NDArray[Any]], source: str) -> list[str]:
    """Set what fits, for a training that starts from another; classes may differ in number.

    Returns
    -------
    Names that were left as they were: the last convolutions of the classes, if their number
    differs.

    Raises
    ------
    ModelError
        Something else than the classes' last convolutions does not fit.
    """
    own = network.state_dict()
    left = [
        name
        for name, value in own.items()
        if name.startswith("yolo_head.pred_cls.")
        and name in arrays
        and list(arrays[name].shape) != list(value.shape)
    ]
    put(network, {**arrays, **{name: own[name].numpy() for name in left}}, source)
    return left


def load_pdparams(path: Path) -> Arrays:
    """Read a ``.pdparams`` file, PaddleDetection's or ours.

    Raises
    ------
    InputError
        It cannot be read, or holds something else than weights, or weights that are no numbers.
    """
    try:
        state = read_pickled(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: no .pdparams file ({error}): check the path") from error
    if isinstance(state, dict):
        state.pop(LEGACY, None)
    if not state or not isinstance(state, dict) or not all(map(_named_weights, state.items())):
        raise InputError(f"{path}: holds no weights by name: give a network's .pdparams")
    # Weights that ship are stored in half precision; everything here computes in float32.
    with np.errstate(over="ignore"):
        arrays = {
            name: value.astype(np.float32)
            for name, value in state.items()
            if not name.startswith(AUXILIARY)
        }
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise InputError(
                f"{path}: {name} holds values that are no numbers: take an earlier file"
            )
    return arrays


def _named_weights(item: tuple[object, object]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, np.ndarray) and value.dtype.kind == "f"
