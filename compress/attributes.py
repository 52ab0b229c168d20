"""Attributes of a Paddle operator, as ``framework.proto`` stores them (``OpDesc.Attr``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle.base.proto import framework_pb2

__all__ = ["attribute", "attribute_value"]

_FIELDS = {
    "INT": "i",
    "FLOAT": "f",
    "STRING": "s",
    "INTS": "ints",
    "FLOATS": "floats",
    "STRINGS": "strings",
    "BOOLEAN": "b",
    "BOOLEANS": "bools",
    "BLOCK": "block_idx",
    "LONG": "l",
    "BLOCKS": "blocks_idx",
    "LONGS": "longs",
    "FLOAT64S": "float64s",
    "VAR": "var_name",
    "VARS": "vars_name",
    "FLOAT64": "float64",
    "SCALAR": "scalar",
    "SCALARS": "scalars",
}
"""In which field of the message the value of each kind stands."""


def attribute_value(message: Any) -> Any:
    """The value of an ``OpDesc.Attr``; several values as a list."""
    kind = framework_pb2.AttrType.Name(message.type)
    value = getattr(message, _FIELDS[kind])
    return list(value) if kind.endswith("S") else value


def attribute(name: str, value: bool | int | float | str | Sequence[int]) -> Any:
    """Make an ``OpDesc.Attr`` of the kind that the value's Python type means.

    A Python float becomes Paddle's 32-bit ``FLOAT``.
    """
    message = framework_pb2.OpDesc.Attr(name=name)
    if isinstance(value, bool):
        message.type, message.b = framework_pb2.BOOLEAN, value
    elif isinstance(value, int):
        message.type, message.i = framework_pb2.INT, value
    elif isinstance(value, float):
        message.type, message.f = framework_pb2.FLOAT, value
    elif isinstance(value, str):
        message.type, message.s = framework_pb2.STRING, value
    else:
        message.type = framework_pb2.INTS
        message.ints.extend(value)
    return message
