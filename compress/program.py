"""A Paddle inference program as a rewrite sees it: operators in order, variables, parameters.

::

    program = load_program(Path("ppocrv4_det.pdmodel"))
    for op in program.of_type("dropout"):
        program.bypass(op, "X", "Out")

Operators are changed through the program's methods alone, which keep who makes and who takes each
variable. A parameter that several operators share is never changed: see :meth:`Program.replace`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle.base.proto import framework_pb2

from compress.attributes import attribute, attribute_value
from edge.engines import Array, TensorSpec
from edge.engines.nb import PADDLE_DTYPES

__all__ = ["Op", "Program"]

_LOD_TENSOR = framework_pb2.VarType.LOD_TENSOR
_NUMBERS = {name: number for number, name in PADDLE_DTYPES.items()}


@dataclass(eq=False)
class Op:
    """One operator.

    Attributes
    ----------
    type
        As Paddle calls it, ``conv2d``.
    inputs, outputs
        Names of variables by the operator's own names for them: ``{"X": ["tmp_3"]}``.
    attributes
        As in the file; :meth:`get` reads one.
    """

    type: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        made = ", ".join(name for names in self.outputs.values() for name in names)
        return f"{self.type} that makes {made}"

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute."""
        found = self.attributes.get(name)
        return default if found is None else attribute_value(found)

    def put(self, **values: bool | int | float | str | Sequence[int]) -> None:
        """Set attributes; the kind follows from the Python type."""
        for name, value in values.items():
            self.attributes[name] = attribute(name, value)

    def input(self, slot: str) -> str:
        """The only variable of an input; empty if it has none or several."""
        names = self.inputs.get(slot, [])
        return names[0] if len(names) == 1 else ""

    def output(self, slot: str) -> str:
        """The only variable of an output; empty if it has none or several."""
        names = self.outputs.get(slot, [])
        return names[0] if len(names) == 1 else ""

    def reads(self) -> list[str]:
        """Every variable that it takes, as often as it takes it."""
        return [name for names in self.inputs.values() for name in names]

    def makes(self) -> list[str]:
        """Every variable that it makes."""
        return [name for names in self.outputs.values() for name in names]


class Program:
    """Operators in the order in which they run, their variables, and the parameters' values.

    Parameters
    ----------
    ops
        With the ``feed`` and ``fetch`` operators.
    variables
        What the file says of each variable, by name (``VarDesc``).
    parameters
        Values by name; each is among ``variables``.
    head
        The file without its block: version and versions of operators.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        variables: Mapping[str, Any],
        parameters: Mapping[str, Array],
        head: Any,
    ) -> None:
        self.ops = list(ops)
        self.variables = dict(variables)
        self.parameters = dict(parameters)
        self.head = head
        self._makers: dict[str, Op] | None = None
        self._takers: dict[str, list[Op]] = {}

    @property
    def feeds(self) -> tuple[str, ...]:
        """Names of the inputs, in their order."""
        feeds = sorted(self.of_type("feed"), key=lambda op: int(op.get("col", 0)))
        return tuple(op.output("Out") for op in feeds)

    @property
    def fetches(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        fetches = sorted(self.of_type("fetch"), key=lambda op: int(op.get("col", 0)))
        return tuple(op.input("X") for op in fetches)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, shape (``None`` where any size goes) and type of each input."""
        return tuple(
            TensorSpec(
                name,
                tuple(n if n > 0 else None for n in self.shape(name) or ()),
                np.dtype(self.dtype(name)),
            )
            for name in self.feeds
        )

    def of_type(self, *types: str) -> list[Op]:
        """Operators of these types, in order; safe to walk while the program changes."""
        return [op for op in self.ops if op.type in types]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a variable, -1 where any size goes; ``None`` if the file does not say."""
        if name in self.parameters:
            return self.parameters[name].shape
        known = self.variables.get(name)
        if known is None or known.type.type != _LOD_TENSOR:
            return None
        return tuple(int(n) for n in known.type.lod_tensor.tensor.dims)

    def dtype(self, name: str) -> str:
        """Type of a variable's elements, as numpy calls it; empty if the file does not say."""
        known = self.variables.get(name)
        if known is None or known.type.type != _LOD_TENSOR:
            return ""
        return PADDLE_DTYPES.get(known.type.lod_tensor.tensor.data_type, "")

    def maker(self, name: str) -> Op | None:
        """Which operator makes a variable; ``None`` for parameters."""
        self._index()
        return self._makers.get(name) if self._makers else None

    def takers(self, name: str) -> list[Op]:
        """Which operators take a variable, once for each time that they take it."""
        self._index()
        return self._takers.get(name, [])

    def only_taker(self, name: str) -> Op | None:
        """The operator that alone takes a variable, once; for an output that is its ``fetch``."""
        takers = self.takers(name)
        return takers[0] if len(takers) == 1 else None

    def rewire(self, op: Op, slot: str, names: Sequence[str]) -> None:
        """Have an operator take other variables."""
        op.inputs[slot] = list(names)
        self._makers = None

    def remake(self, op: Op, slot: str, name: str) -> None:
        """Have an operator make another variable."""
        op.outputs[slot] = [name]
        self._makers = None

    def insert(self, op: Op, after: Op) -> None:
        """Put in a new operator."""
        self.ops.insert(self.ops.index(after) + 1, op)
        self._makers = None

    def swap(self, first: Op, second: Op) -> None:
        """Let two neighbours of one input ``X`` and one output ``Out`` change places.

        Between them then lies what has the shape of what comes out.
        """
        first.type, second.type = second.type, first.type
        first.attributes, second.attributes = second.attributes, first.attributes
        between, out = first.output("Out"), second.output("Out")
        self.variables[between].type.CopyFrom(self.variables[out].type)

    def remove(self, *ops: Op) -> None:
        """Take operators out; what they made must be made or taken by none any more."""
        self.ops = [op for op in self.ops if op not in ops]
        self._makers = None

    def bypass(self, op: Op, slot_in: str, slot_out: str) -> bool:
        """Take out an operator that changes nothing; names of the outputs stay.

        Returns
        -------
        Whether it could be: not one that stands between an input, or an output, and another output.
        """
        source, made = op.input(slot_in), op.output(slot_out)
        if made in self.fetches:
            maker = self.maker(source)
            if maker is None or maker.type == "feed" or source in self.fetches:
                return False
            # The output keeps its name: whoever makes what it was made of makes it now.
            for slot, names in maker.outputs.items():
                maker.outputs[slot] = [made if name == source else name for name in names]
            source, made = made, source
        self.remove(op)
        self._rename_taken(made, source)
        return True

    def drop(self, names: Sequence[str]) -> None:
        """Forget variables and parameters that no operator names."""
        for name in names:
            self.variables.pop(name, None)
            self.parameters.pop(name, None)

    def new_variable(self, like: str, hint: str) -> str:
        """A variable of the shape and type of another; gives its name."""
        return self._declare(self.variables[like], hint)

    def new_parameter(self, value: NDArray[Any], hint: str) -> str:
        """A parameter; gives its name."""
        known = framework_pb2.VarDesc()
        known.type.type = _LOD_TENSOR
        known.persistable = True
        known.is_parameter = True
        name = self._declare(known, hint)
        self._set(name, value)
        return name

    def replace(self, op: Op, slot: str, value: NDArray[Any]) -> None:
        """Give an operator another value for its parameter, and no other operator that shares it.

        The parameter keeps its name if it is the operator's alone: what prunes or quantises
        later speaks of parameters by name.
        """
        name = op.input(slot)
        if len(self.takers(name)) == 1:
            self._set(name, value)
        else:
            self.rewire(op, slot, [self.new_parameter(value, name)])

    def _set(self, name: str, value: NDArray[Any]) -> None:
        tensor = self.variables[name].type.lod_tensor.tensor
        tensor.data_type = _NUMBERS[value.dtype.name]
        del tensor.dims[:]
        tensor.dims.extend(value.shape)
        self.parameters[name] = np.ascontiguousarray(value)

    def _declare(self, like: Any, hint: str) -> str:
        number, name = 0, hint
        while name in self.variables:
            number += 1
            name = f"{hint}.{number}"
        known = framework_pb2.VarDesc()
        known.CopyFrom(like)
        known.name = name
        self.variables[name] = known
        return name

    def _rename_taken(self, old: str, new: str) -> None:
        for op in self.takers(old):
            for slot, names in op.inputs.items():
                op.inputs[slot] = [new if name == old else name for name in names]
        self._makers = None

    def _index(self) -> None:
        if self._makers is not None:
            return
        self._makers, self._takers = {}, {}
        for op in self.ops:
            for name in op.makes():
                if name not in self.parameters:  # batch_norm hands its statistics on
                    self._makers[name] = op
            for name in op.reads():
                self._takers.setdefault(name, []).append(op)
