"""`lineguard run` with a detector: defects decide, by class, score and millimetres."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import lineguard, lines_of, save

SpotsMaker = Callable[..., Path]

STATION = """
[station]
name = "surface"
deadline_ms = 5000
[models.surface]
family = "ppyoloe"
det = "spots.onnx"
labels = ["red", "green", "blue"]
[[cameras]]
name = "top"
source = "folder:parts"
mm_per_pixel = 0.1
[[regions]]
name = "lid"
camera = "top"
model = "surface"
[[rules]]
name = "sound"
kind = "no_defect"
region = "lid"
{limits}
[[outputs]]
kind = "jsonl"
path = "verdicts.jsonl"
"""


def parts(folder: Path) -> None:
    """A sound one, then one with a red spot of 16x16 pixels that scores 0.6."""
    sound = np.zeros((96, 128, 3), np.uint8)
    save(folder / "parts/0.png", sound)
    spotted = sound.copy()
    spotted[40:48, 64:72, 2] = 153
    save(folder / "parts/1.png", spotted)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ("", "sound: red, 1.6 mm, score 0.60"),
        ("min_size_mm = 1.5", "sound: red, 1.6 mm, score 0.60"),
        ("min_size_mm = 1.7", None),
        ("min_size_px = 16", "sound: red, 16.0 px, score 0.60"),
        ("min_score = 0.7", None),
        ('labels = ["green", "blue"]', None),
        ('labels = ["red"]\nmin_score = 0.5', "sound: red, 1.6 mm, score 0.60"),
    ],
)
def test_rules_about_defects(
    tmp_path: Path, spots: SpotsMaker, limits: str, reason: str | None
) -> None:
    spots(tmp_path)
    parts(tmp_path)
    (tmp_path / "station.toml").write_text(STATION.format(limits=limits))
    done = lineguard("run", "station.toml", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    sound, spotted = lines_of(tmp_path / "verdicts.jsonl")
    assert (sound["verdict"], sound["defects"]) == ("OK", {"lid": []})
    assert spotted["verdict"] == ("NG" if reason else "OK")
    assert [each["en"] for each in spotted["reasons"]] == ([reason] if reason else [])
    (defect,) = spotted["defects"]["lid"]
    known: dict[str, Any] = {"label": "red", "score": 0.6, "box": [60.0, 36.0, 76.0, 52.0]}
    assert defect == known


def test_millimetres_without_a_scale_are_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path)
    parts(tmp_path)
    text = STATION.format(limits="min_size_mm = 1.5").replace("mm_per_pixel = 0.1\n", "")
    (tmp_path / "station.toml").write_text(text)
    done = lineguard("run", "station.toml", cwd=tmp_path)
    assert done.code == 2
    assert "mm_per_pixel" in done.err
    assert not (tmp_path / "verdicts.jsonl").exists()
