"""A program as a training takes it: its teacher beside it, without what breaks Paddle's gradients.

What is trained is a copy. The values that come out go back into the program that shipped, so that
nothing of the training is left in it.
"""

from __future__ import annotations

import copy

from compress.export.lite import restore_for_lite
from compress.program import Op, Program
from models.errors import ModelError

__all__ = ["TEACHER", "branches", "logits", "parameters_of", "trainable"]

TEACHER = "teacher/"
"""Before the names of all that is the teacher's."""

_LEARNT = {
    "Filter": (),
    "X": (),
    "Y": (),
    "Scale": ("batch_norm", "layer_norm", "instance_norm"),
    "Bias": (),
    "Alpha": ("prelu",),
}
"""Inputs whose parameters learn, and of which operators alone; statistics and the scales of
fake quantisation do not."""


def trainable(student: Program, teacher: Program | None) -> Program:
    """The student, and the teacher on the same inputs with ``TEACHER`` before its names.

    Outputs are no longer fetched, inputs are fed by name.

    Raises
    ------
    ModelError
        The two do not have the same inputs and number of outputs.
    """
    whole = _prepared(student)
    if teacher is None:
        return whole
    if student.feeds != teacher.feeds or len(student.fetches) != len(teacher.fetches):
        raise ModelError(
            f"the teacher takes {', '.join(teacher.feeds)} and puts out {len(teacher.fetches)} "
            f"arrays, the student takes {', '.join(student.feeds)} and puts out "
            f"{len(student.fetches)}: give the model that the student was made from"
        )
    other = _prepared(teacher)
    keep = set(teacher.feeds)

    def name(old: str) -> str:
        return old if old in keep else TEACHER + old

    for old, known in other.variables.items():
        if old not in keep:
            renamed = copy.deepcopy(known)
            renamed.name = name(old)
            whole.variables[renamed.name] = renamed
    for old, value in other.parameters.items():
        whole.parameters[name(old)] = value
    for op in other.ops:
        inputs = {slot: [name(n) for n in names] for slot, names in op.inputs.items()}
        outputs = {slot: [name(n) for n in names] for slot, names in op.outputs.items()}
        whole.ops.append(Op(op.type, inputs, outputs, op.attributes))
    return whole


def parameters_of(student: Program) -> tuple[str, ...]:
    """Names of the parameters that learn, sorted."""
    found: set[str] = set()
    for op in student.ops:
        for slot, names in op.inputs.items():
            only = _LEARNT.get(slot)
            if only is None or (only and op.type not in only):
                continue
            found |= {n for n in names if n in student.parameters}
    return tuple(sorted(n for n in found if student.parameters[n].dtype == "float32"))


def logits(program: Program, fetch: str) -> tuple[str, str]:
    """How an output is made: ``softmax``, ``sigmoid`` or ``""``, and of which variable."""
    maker = program.maker(fetch)
    if maker is None or maker.type not in ("softmax", "sigmoid"):
        return "", fetch
    return maker.type, maker.input("X")


def branches(student: Program, teacher: Program) -> tuple[str, ...]:
    """Feature maps that both have by the same name: those from which several branches go out.

    They are what a network passes on from stage to stage. What only an attention looks at as well
    is none, nor is what is as small as one pixel.
    """
    found = []
    for op in student.ops:
        for name in op.makes():
            shape = student.shape(name)
            if shape is None or len(shape) != 4 or shape[2:] == (1, 1):
                continue
            readers = [t for t in student.takers(name) if t.type not in ("pool2d", "fetch")]
            if len(readers) > 1 and teacher.maker(name) is not None:
                found.append(name)
    return tuple(found)


def _prepared(program: Program) -> Program:
    made = copy.deepcopy(program)
    restore_for_lite(made)  # the gradient of reshape2 wants XShape as much as opt does
    made.remove(*made.of_type("feed", "fetch"))
    made.drop([n for n, v in made.variables.items() if n in ("feed", "fetch") and v.persistable])
    for op in made.of_type("batch_norm"):
        op.put(is_test=False, use_global_stats=True)  # its statistics stay
    for op in made.of_type("conv2d", "depthwise_conv2d"):
        if op.get("is_test"):  # oneDNN refuses the gradient of one that only infers
            op.put(is_test=False)
    for op in made.of_type("conv2d_transpose"):
        for name in ("output_padding", "output_size"):
            if name not in op.attributes:  # the gradient takes it for one of another type
                op.put(**{name: []})
    for op in made.of_type("matmul_v2", "matmul"):
        _untranspose(made, op)
    return made


def _untranspose(program: Program, op: Op) -> None:
    """Have an operator of its own transpose what a matrix product with a parameter transposes.

    Paddle 2.6's gradient writes beyond its memory if ``X`` of three dimensions is transposed and
    ``Y`` has two (``matmul_grad_kernel_impl.h`` folds the batch into the wrong dimension).
    """
    flag = "trans_x" if op.type == "matmul_v2" else "transpose_X"
    source = op.input("X")
    shape = program.shape(source) or ()
    if not op.get(flag) or op.input("Y") not in program.parameters or len(shape) < 3:
        return
    turned = program.new_variable(source, f"{source}.turned")
    shadow = program.new_variable(source, f"{source}.shadow")
    dims = program.variables[turned].type.lod_tensor.tensor.dims
    dims[-1], dims[-2] = dims[-2], dims[-1]
    turn = Op("transpose2", {"X": [source]}, {"Out": [turned], "XShape": [shadow]})
    turn.put(axis=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2])
    program.ops.insert(program.ops.index(op), turn)
    program.rewire(op, "X", [turned])
    op.put(**{flag: False})
