"""The zoo's models and our detector: what is left of them, and that they answer as before."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from compress_lab import CLOSE, lab, model, pictures

from compress.compare import largest_difference, random_feeds
from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.simplify import Simplified, simplify

pytestmark = pytest.mark.slow

NAMES = ("det", "rec", "cls", "xs")


@lru_cache
def simplified(name: str) -> tuple[Program, Simplified, Path]:
    program = load_program(model(name))
    done = simplify(program)
    path = lab() / f"{name}.simple.pdmodel"
    save_program(program, path)
    return program, done, path


@pytest.mark.parametrize("name", NAMES)
def test_answers_on_pictures_and_on_noise(name: str) -> None:
    program, _, path = simplified(name)
    (spec,) = program.inputs
    seen = [{spec.name: picture} for picture in pictures(name)]
    shape = {spec.name: seen[0][spec.name].shape}
    seen += [random_feeds(program.inputs, shape, seed) for seed in range(2)]
    assert largest_difference(model(name), path, seen) <= CLOSE


@pytest.mark.parametrize("name", NAMES)
def test_simple_is_simple(name: str) -> None:
    assert simplify(load_program(simplified(name)[2])).times == Counter()


@pytest.mark.parametrize("name", NAMES)
def test_weights_grow_by_nothing(name: str) -> None:
    done = simplified(name)[1]
    assert done.weights_after < done.weights_before


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("det", 312, 220), ("rec", 323, 194), ("cls", 184, 179), ("xs", 343, 314)],
)
def test_how_many_operators(name: str, before: int, after: int) -> None:
    done = simplified(name)[1]
    assert (done.before.total(), done.after.total()) == (before, after)
    assert done.before.total() - done.after.total() == done.removed.total()


@pytest.mark.parametrize("name", NAMES)
def test_what_must_be_gone(name: str) -> None:
    program, done, _ = simplified(name)
    gone = ("batch_norm", "dropout", "assign", "shape", "fill_constant")
    assert {kind: done.after[kind] for kind in gone} == dict.fromkeys(gone, 0)
    for op in program.of_type("elementwise_mul", "elementwise_add"):
        known = [program.parameters[n] for n in op.reads() if n in program.parameters]
        # What is left of elementwise operators with parameters is a bias, one each.
        assert all(value.ndim == 1 for value in known)
        assert all(value.size > 1 or program.shape(op.input("X"))[1] == 1 for value in known)  # type: ignore[index]


def test_the_affines_of_lcnetv3() -> None:
    for name, affines, left in (("det", 52, 22), ("rec", 56, 18)):
        done = simplified(name)[1]
        assert done.times["merge_scales"] == affines
        assert done.times["fold_out_of_convolutions"] == 28
        assert done.after["scale"] == left


def test_a_stage_that_paddle_runs_on_more_than_one_picture() -> None:
    program, _, path = simplified("rec")
    (spec,) = program.inputs
    two = np.concatenate(pictures("rec", 2))
    assert largest_difference(model("rec"), path, [{spec.name: two}]) <= CLOSE
