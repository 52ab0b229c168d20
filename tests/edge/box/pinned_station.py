"""`lineguard run` that says, after its third part, where its threads run. Run as a script.

``board.toml`` is that of the box; what is said goes to ``told.json``.
"""

import json
import os
import sys
import threading
from pathlib import Path

import cv2
import numpy as np

import tools.board_file
from edge.loop import line
from edge.loop.tally import Tally
from edge.verdict import Verdict
from tools.cli import main

STATION = """
[station]
name = "pinned"
deadline_ms = 20000
[models.print]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
[[cameras]]
name = "top"
source = "folder:parts?fps=5&loop=1"
[[regions]]
name = "label"
camera = "top"
model = "print"
mode = "fixed"
[[rules]]
name = "lot"
kind = "code"
region = "label"
pattern = '^(?P<lot>LOT)$'
"""


def tell() -> None:
    """Where every thread may run: those of Python by name, then all."""
    named = {
        thread.name: sorted(os.sched_getaffinity(thread.native_id or 0))
        for thread in threading.enumerate()
    }
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    everybody = [sorted(os.sched_getaffinity(task)) for task in tasks]
    Path("told.json").write_text(json.dumps({"named": named, "all": everybody}))


class Telling(Tally):
    """Counts parts, and tells at the third."""

    def add(self, verdict: Verdict) -> None:
        super().add(verdict)
        if self.parts == 3:
            tell()


if __name__ == "__main__":
    Path("parts").mkdir()
    cv2.imwrite("parts/0.png", np.full((96, 480, 3), 255, np.uint8))
    Path("station.toml").write_text(STATION, "utf-8")
    setattr(tools.board_file, "BOARD_FILE", str(Path("board.toml").absolute()))  # noqa: B010
    setattr(line, "Tally", Telling)  # noqa: B010 - not for others to see
    sys.argv = ["lineguard", "run", "station.toml", "--parts", "4"]
    main()
