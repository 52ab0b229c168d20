import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.ppyoloe.score import part_curve
from tools.plots import escape_plot, training_plot


def decoded(png: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def losses(*values: float) -> list[dict[str, float]]:
    return [
        {"step": n, "loss": v, "cls": v / 2, "iou": v / 4, "dfl": v / 4, "lr": 0.01}
        for n, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    "scores",
    [[], [{"step": 1.0, "ap": None, "ap50": None}], [{"step": 1.0, "ap": 0.5, "ap50": 0.75}]],
)
def test_a_training_at_any_moment(scores: list[dict[str, float | None]]) -> None:
    for history in (losses(), losses(3.0), losses(3.0, 2.0, 1.0)):
        assert decoded(training_plot(history, scores)).shape == (600, 900, 3)


def test_what_is_plotted_is_seen() -> None:
    one = decoded(training_plot(losses(3.0, 2.0, 1.0), []))
    other = decoded(training_plot(losses(3.0, 1.0, 2.0), []))
    assert (one != other).any()


@pytest.mark.parametrize("truth", [[True, True], [False, False], [True, False]])
def test_escapes_with_and_without_sound_parts(truth: list[bool]) -> None:
    curve = part_curve(np.array(truth), np.array([0.25, 0.75], np.float32))
    assert decoded(escape_plot(curve, 0.5)).shape == (500, 900, 3)


def test_plotting_needs_no_display_and_leaves_no_state() -> None:
    code = "import sys, tools.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == "False"
