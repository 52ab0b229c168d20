import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import train_lab
from train_lab import SETUP, squares, train

from models.errors import ImageError, InputError
from models.ppyoloe.network import PPYOLOE
from models.ppyoloe.train.batches import make_batch
from models.ppyoloe.train.checkpoint import Checkpoint
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.trainer import Trainer, TrainingError
from models.ppyoloe.train.weights import Arrays, Start, arrays_of

STEPS = 8


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def finite(arrays: Arrays) -> bool:
    return all(np.isfinite(value).all() for value in arrays.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, STEPS)
    return Checkpoint.load(folder / "checkpoint.npz")


def check_equal(found: Checkpoint, whole: Checkpoint) -> None:
    assert found.step == whole.step == STEPS
    assert found.history == whole.history
    assert same(found.network, whole.network)
    assert same(found.average, whole.average)
    assert same(found.optimizer, whole.optimizer)


@pytest.mark.slow
def test_a_training_is_repeatable_and_moves_every_weight(whole: Checkpoint, tmp_path: Path) -> None:
    fresh = Trainer(squares(tmp_path), SETUP, Plan(STEPS), tmp_path / "none.npz")
    begin = arrays_of(fresh.network)
    stuck = {name for name, value in begin.items() if np.array_equal(value, whole.network[name])}
    assert "yolo_head.proj_conv.weight" in stuck
    # No square is large enough for the coarsest anchors to say where its edges are.
    assert all(".proj_conv." in name or "_reg.0." in name for name in stuck)
    assert [m["step"] for m in whole.history["steps"]] == list(range(STEPS))
    train(tmp_path, STEPS)
    check_equal(Checkpoint.load(tmp_path / "checkpoint.npz"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 5])
def test_stopped_between_steps_it_goes_on_exactly(
    step: int, whole: Checkpoint, tmp_path: Path
) -> None:
    trainer = Trainer(squares(tmp_path), SETUP, Plan(STEPS), tmp_path / "checkpoint.npz")

    def each(measured: dict[str, float]) -> None:
        if measured["step"] == step:
            trainer.save()
        elif measured["step"] == step + 2:  # learnt, but not saved: is learnt again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(each)
    resumed = train(tmp_path, STEPS)
    assert resumed.progress == 1
    check_equal(Checkpoint.load(tmp_path / "checkpoint.npz"), whole)


@pytest.mark.slow
def test_killed_at_random_it_goes_on_exactly(whole: Checkpoint, tmp_path: Path) -> None:
    chance = random.Random(time.time())  # another instant each time; the result may not depend
    command = [sys.executable, train_lab.__file__, str(tmp_path), str(STEPS)]
    told: list[int] = []
    for lines in (1, chance.randint(1, 3), chance.randint(1, 3), STEPS + 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for count, line in enumerate(child.stdout, 1):
                told.append(int(line))
                if count == lines:
                    time.sleep(chance.random() * 0.3)  # in the middle of a step, or of a save
                    child.send_signal(signal.SIGKILL)
                    break
            child.stdout.read()
        assert child.returncode in (0, -signal.SIGKILL)
    assert child.returncode == 0
    assert set(told) == set(range(STEPS))
    check_equal(Checkpoint.load(tmp_path / "checkpoint.npz"), whole)


@pytest.mark.slow
def test_it_learns_one_batch_by_heart(tmp_path: Path) -> None:
    setup = replace(SETUP, plan=replace(SETUP.plan, size=4), rate=2e-3)
    trainer = Trainer(squares(tmp_path), setup, Plan(60), tmp_path / "checkpoint.npz")
    batch = make_batch(trainer.dataset, setup.plan, 0)
    measured = [trainer.learn(batch) for _ in range(60)]
    first, last = measured[8], measured[-1]  # both of task-aligned assignment
    assert last["loss"] < 0.6 * first["loss"]
    assert last["iou"] < 0.7 * first["iou"]
    assert finite(trainer.average)


@pytest.mark.slow
def test_no_numbers_end_the_training_and_the_checkpoint_is_good(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    trainer = Trainer(squares(tmp_path), SETUP, Plan(100), path)
    steps: list[float] = []

    def each(measured: dict[str, float]) -> None:
        steps.append(measured["step"])
        if measured["step"] == 2:
            trainer.save()
            weight = trainer.network.state_dict()["neck.fpn_stages.0.0.conv1.conv.weight"]
            weight.set_value(np.full(weight.shape, np.nan, np.float32))

    with pytest.raises(TrainingError, match=r"10 steps in a row .*\(step 12, .*checkpoint is good"):
        trainer.run(each)
    assert steps == list(range(12))
    saved = Checkpoint.load(path)
    assert saved.step == 3
    assert finite(saved.network)
    assert finite(saved.average)
    assert finite(saved.optimizer)
    again = Trainer(squares(tmp_path), SETUP, Plan(4), path)
    again.run(lambda measured: None)
    assert finite(arrays_of(again.network))


def test_one_bad_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    trainer = Trainer(squares(tmp_path), SETUP, Plan(100), tmp_path / "checkpoint.npz")
    good = make_batch(trainer.dataset, SETUP.plan, 0)
    trainer.learn(good)
    before = arrays_of(trainer.network)
    measured = trainer.learn(replace(good, images=np.full_like(good.images, np.nan)))
    assert not np.isfinite(measured["loss"])
    learnt = {k: v for k, v in before.items() if not k.endswith(("_mean", "_variance"))}
    after = arrays_of(trainer.network)
    assert same(learnt, {k: after[k] for k in learnt})
    assert np.isfinite(trainer.learn(good)["loss"])
    assert finite(arrays_of(trainer.network))
    assert finite(trainer.average)


def test_a_time_budget_ends_it(tmp_path: Path) -> None:
    plan = Plan(10**9, seconds=1.5)
    trainer = Trainer(squares(tmp_path), SETUP, plan, tmp_path / "checkpoint.npz")
    rates: list[float] = []
    trainer.run(lambda measured: rates.append(measured["lr"]))
    assert trainer.progress == 1
    assert trainer.seconds >= 1.5
    assert 1 < len(rates) == trainer.step
    trainer.run(lambda measured: pytest.fail("there is nothing left to do"))


def test_the_schedule_follows_the_steps(tmp_path: Path, whole: Checkpoint) -> None:
    rates = [measured["lr"] for measured in whole.history["steps"]]
    assert rates[0] < rates[1]
    assert rates[1:] == sorted(rates[1:], reverse=True)


def test_a_checkpoint_of_another_training_is_refused(whole: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    whole.save(path)
    other = replace(SETUP, rate=5e-3, plan=replace(SETUP.plan, size=3))
    with pytest.raises(InputError, match=r"batch was 2, is 3; rate was 0\.001, is 0\.005\)"):
        Trainer(squares(tmp_path), other, Plan(STEPS), path)
    fewer = squares(tmp_path, 7)
    with pytest.raises(InputError, match=r"\(pictures was 8, is 7\)"):
        Trainer(fewer, SETUP, Plan(STEPS), path)


def test_first_weights_come_from_outside_unless_there_is_a_checkpoint(
    whole: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.npz"
    start = Start(arrays_of(PPYOLOE("n", 2)), "elsewhere")
    first = Trainer(squares(tmp_path), SETUP, Plan(STEPS), path, start)
    assert same(arrays_of(first.network), start.arrays)
    whole.save(path)
    trainer = Trainer(squares(tmp_path), SETUP, Plan(STEPS), path, start)
    assert same(arrays_of(trainer.network), whole.network)


def test_the_average_follows_and_is_what_is_shipped(whole: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    whole.save(path)
    trainer = Trainer(squares(tmp_path), SETUP, Plan(STEPS), path)
    shipped = trainer.averaged()
    assert not shipped.training
    assert same(arrays_of(shipped), whole.average)
    assert not same(whole.average, whole.network)


def test_a_picture_that_vanished_ends_the_run(tmp_path: Path) -> None:
    own = squares(tmp_path)
    trainer = Trainer(own, SETUP, Plan(100), tmp_path / "checkpoint.npz")
    own.pictures[2].path.unlink()
    with pytest.raises(ImageError, match=r"2\.png: cannot be read"):
        trainer.run(lambda measured: None)
