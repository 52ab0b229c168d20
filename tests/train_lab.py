"""Small sets of pictures to train on, and a training of them that can be run as a process."""

import sys
from pathlib import Path

import cv2
import numpy as np

from models.ppyoloe.dataset import Dataset, Picture, make_picture
from models.ppyoloe.train.batches import BatchPlan
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.trainer import Setup, Trainer

LABELS = ("bright", "dark")

SETUP = Setup("n", BatchPlan(size=2, sides=(64,), seed=3, pose="any"))


def square(folder: Path, number: int, side: int = 80) -> Picture:
    """Grey noise with one to three bright or dark squares; the same number gives the same."""
    rng = np.random.default_rng(number)
    image = rng.normal(120, 6, (side, side, 3))
    boxes, classes = [], []
    for _ in range(rng.integers(1, 4)):
        size = int(rng.integers(12, 25))
        x, y = (int(rng.integers(2, side - size - 2)) for _ in range(2))
        kind = int(rng.integers(2))
        image[y : y + size, x : x + size] = (230, 20)[kind]
        boxes.append((float(x), float(y), float(x + size), float(y + size)))
        classes.append(kind)
    path = folder / f"{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image.clip(0, 255).astype(np.uint8))
    return make_picture(number, path, (side, side), boxes, classes, [False] * len(boxes))


def squares(folder: Path, count: int = 8) -> Dataset:
    return Dataset(LABELS, tuple(square(folder, number) for number in range(count)))


def train(folder: Path, steps: int) -> Trainer:
    """Train to the end, or go on from ``folder/checkpoint.npz``; it is written after every step."""
    trainer = Trainer(squares(folder), SETUP, Plan(steps), folder / "checkpoint.npz")

    def each(measured: dict[str, float]) -> None:
        print(measured["step"], flush=True)
        trainer.save()

    trainer.run(each)
    return trainer


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
