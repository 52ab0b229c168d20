import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from train_lab import SETUP, squares

from models.ppyoloe.train.batches import Batch, make_batch
from models.ppyoloe.train.checkpoint import Checkpoint
from models.ppyoloe.train.loss import Truth
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.trainer import Trainer, TrainingError
from models.ppyoloe.train.weights import arrays_of
from models.ppyoloe.train.workers import learn_from, shares_of

SHARED = replace(SETUP, plan=replace(SETUP.plan, size=3), workers=2)

NONE = Truth(np.empty((0, 4), np.float32), np.empty(0, np.int64))


@given(st.integers(1, 40), st.integers(1, 8))
def test_shares_are_even_and_together_the_batch(pictures: int, count: int) -> None:
    images = np.arange(pictures, dtype=np.float32).reshape(-1, 1, 1, 1)
    shares = shares_of(Batch(7, images, (NONE,) * pictures), count)
    assert len(shares) == count
    assert {share.step for share in shares} == {7}
    assert np.concatenate([share.images for share in shares]).ravel().tolist() == list(
        range(pictures)
    )
    sizes = [len(share.truths) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [len(share.images) for share in shares]


@pytest.mark.slow
def test_gradients_are_the_mean_over_all_pictures(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    batch = make_batch(dataset, SHARED.plan, 0)
    alone = Trainer(dataset, SETUP, Plan(9), tmp_path / "alone.npz")
    wanted: dict[str, NDArray[np.float32]] = {}
    losses = []
    for share in shares_of(batch, 2):
        alone.network.clear_gradients()
        measured = learn_from(alone.network, share, aligned=False)
        losses.append(measured.losses["loss"] * measured.pictures / 3)
        for name, parameter in alone.network.named_parameters():
            if parameter.grad is not None:
                part = parameter.grad.numpy() * (measured.pictures / 3)
                wanted[name] = wanted.get(name, 0) + part
    shared = Trainer(dataset, SHARED, Plan(9), tmp_path / "shared.npz")
    shared._optimizer = _Looking(shared)
    learnt = shared.learn(batch)
    shared.close()
    assert learnt["loss"] == pytest.approx(sum(losses), rel=1e-5)
    norm = np.sqrt(sum(float((value**2).sum()) for value in wanted.values()))
    assert learnt["norm"] == pytest.approx(norm, rel=1e-4)
    cut = min(1.0, 10.0 / norm)
    seen = shared._optimizer.gradients
    assert seen.keys() == wanted.keys()
    for name, value in wanted.items():
        assert seen[name] == pytest.approx(value * cut, rel=1e-3, abs=1e-5), name


class _Looking:
    """In the optimiser's place: keeps the gradients that it is given."""

    def __init__(self, trainer: Trainer) -> None:
        self._network = trainer.network
        self.gradients: dict[str, NDArray[np.float32]] = {}

    def set_lr(self, rate: float) -> None:
        pass

    def step(self) -> None:
        self.gradients = {
            name: p.grad.numpy()
            for name, p in self._network.named_parameters()
            if p.grad is not None
        }

    def clear_grad(self) -> None:
        pass


@pytest.mark.slow
def test_two_processes_go_on_exactly_and_end_with_the_training(tmp_path: Path) -> None:
    def train(path: Path, steps: int, stop: int | None = None) -> Trainer:
        trainer = Trainer(squares(tmp_path), SHARED, Plan(steps), path)

        def each(measured: dict[str, float]) -> None:
            if measured["step"] == stop:
                trainer.save()
                raise KeyboardInterrupt

        trainer.run(each)
        trainer.save()
        return trainer

    whole = train(tmp_path / "whole.npz", 4)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut.npz", 4, stop=1)
    cut = train(tmp_path / "cut.npz", 4)
    assert multiprocessing.active_children() == []
    a, b = arrays_of(whole.network), arrays_of(cut.network)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert Checkpoint.load(tmp_path / "cut.npz").history == whole.history


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_training_with_a_word(tmp_path: Path) -> None:
    trainer = Trainer(squares(tmp_path), SHARED, Plan(50), tmp_path / "checkpoint.npz")

    def each(measured: dict[str, float]) -> None:
        trainer.save()
        if measured["step"] == 1:
            (child,) = multiprocessing.active_children()
            assert child.pid
            os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"ended \(exit codes -9.*smaller --batch"):
        trainer.run(each)
    assert multiprocessing.active_children() == []
    assert Checkpoint.load(tmp_path / "checkpoint.npz").step in (2, 3)
