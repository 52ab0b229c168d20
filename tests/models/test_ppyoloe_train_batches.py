import itertools
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from train_lab import LABELS, squares

from models.errors import ImageError
from models.ppyoloe.dataset import Dataset, make_picture
from models.ppyoloe.train.batches import Batch, BatchPlan, batches, make_batch

PLAN = BatchPlan(size=3, sides=(64, 96), seed=5, pose="any")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return squares(tmp_path_factory.mktemp("squares"))


def same(a: Batch, b: Batch) -> bool:
    return (
        a.step == b.step
        and np.array_equal(a.images, b.images)
        and all(np.array_equal(s.boxes, t.boxes) for s, t in zip(a.truths, b.truths, strict=True))
    )


def threads() -> int:
    return sum(thread.name == "batches" for thread in threading.enumerate())


def test_what_is_in_a_batch(dataset: Dataset) -> None:
    batch = make_batch(dataset, PLAN, 0)
    assert batch.images.shape in {(3, 3, 64, 64), (3, 3, 96, 96)}
    assert batch.images.dtype == np.float32
    assert batch.images.min() >= 0
    assert 0.5 < batch.images.max() <= 1
    assert len(batch.truths) == 3
    assert any(len(truth.boxes) for truth in batch.truths)


def test_pictures_are_red_green_blue(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "red.png"), np.full((64, 64, 3), (0, 0, 255), np.uint8))
    red = make_picture(1, tmp_path / "red.png", (64, 64), [], [], [])
    images = make_batch(Dataset(LABELS, (red,)), PLAN, 0).images
    middle = images[:, :, 28:36, 28:36].mean(axis=(0, 2, 3))
    assert middle[0] > middle[1] + 0.3
    assert middle[0] > middle[2] + 0.3


def test_the_same_seed_and_step_give_the_same_batch(dataset: Dataset) -> None:
    assert same(make_batch(dataset, PLAN, 4), make_batch(dataset, PLAN, 4))
    assert not same(make_batch(dataset, PLAN, 4), make_batch(dataset, replace(PLAN, seed=6), 4))
    source = batches(dataset, PLAN, 4)
    for step in (4, 5, 6):
        assert same(next(source), make_batch(dataset, PLAN, step))
    source.close()


def test_all_sides_come(dataset: Dataset) -> None:
    sides = {make_batch(dataset, PLAN, step).images.shape[2] for step in range(16)}
    assert sides == {64, 96}


def test_every_picture_comes_once_in_a_round(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.ppyoloe.train import batches as module

    seen: list[Path] = []

    def note(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        seen.append(path)
        return np.zeros((80, 80, 3), np.uint8)

    monkeypatch.setattr(module, "load_image", note)
    for step in range(8):  # 24 pictures: three rounds of eight
        make_batch(dataset, PLAN, step)
    rounds = [seen[i : i + 8] for i in range(0, 24, 8)]
    for one in rounds:
        assert Counter(one) == Counter(picture.path for picture in dataset.pictures)
    assert rounds[0] != rounds[1] != rounds[2]


def test_crowds_are_not_taught(tmp_path: Path) -> None:
    whole = squares(tmp_path, 1)
    (picture,) = whole.pictures
    crowded = replace(picture, crowd=np.ones(len(picture.boxes), np.bool_))
    batch = make_batch(replace(whole, pictures=(crowded,)), PLAN, 0)
    assert [len(truth.boxes) for truth in batch.truths] == [0, 0, 0]


def test_a_picture_that_vanished_is_named_and_no_thread_is_left(tmp_path: Path) -> None:
    own = squares(tmp_path)
    gone = own.pictures[3].path
    source = batches(own, PLAN, 0)
    next(source)
    gone.unlink()
    with pytest.raises(ImageError, match=r"3\.png: cannot be read"):
        list(itertools.islice(source, 12))
    assert threads() == 0


def test_closing_ends_the_thread(dataset: Dataset) -> None:
    source = batches(dataset, PLAN, 0)
    next(source)
    assert threads() == 1
    source.close()  # the thread waits for room meanwhile
    assert threads() == 0
    unused = batches(dataset, PLAN, 0)
    unused.close()
    assert threads() == 0


def test_an_exception_where_batches_are_used_ends_the_thread(dataset: Dataset) -> None:
    source = batches(dataset, PLAN, 0)
    next(source)
    with pytest.raises(KeyboardInterrupt):
        source.throw(KeyboardInterrupt())
    assert threads() == 0
