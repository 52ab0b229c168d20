"""The command as a user runs it, and what he may run it on."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LINEGUARD = str(Path(sys.executable).with_name("lineguard"))
"""The installed command of the interpreter that runs the tests."""

CACHE = tempfile.TemporaryDirectory(prefix="lineguard-")
"""Keeps what is learnt of broken models out of the user's cache."""

SECONDS = 50
"""More than any command of these tests takes on a busy machine: longer is a hang."""

ENV = os.environ | {"LINEGUARD_CACHE": CACHE.name}

LOT = "LOT L2611A"

STATION = """
[station]
name = "cli"
deadline_ms = 5000
[job]
lot = "L2611A"
[models.print]
family = "ppocr"
rec = "{rec}"
dictionary = "{dictionary}"
[[cameras]]
name = "top"
source = "{source}"
[[regions]]
name = "label"
camera = "top"
model = "print"
mode = "fixed"
[[rules]]
name = "lot"
kind = "code"
region = "label"
pattern = '^LOT ?(?P<lot>\\w+)$'
[[outputs]]
kind = "jsonl"
path = "{out}"
"""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines on stderr without the word ``error``; every line must begin with it."""
        lines = self.err.splitlines()
        assert all(line.startswith("error: ") for line in lines), self.err
        return [line.removeprefix("error: ") for line in lines]

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def lineguard(*args: object, cwd: Path, stdout: Any = subprocess.PIPE, **env: str) -> Done:
    """Run the command in the folder ``cwd``."""
    done = subprocess.run(
        [LINEGUARD, *map(str, args)],
        cwd=cwd,
        env=ENV | env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(*args: object, cwd: Path, code: int = 2, **env: str) -> list[str]:
    """Run a command that must fail without a trace; gives its error lines."""
    before = files(cwd)
    done = lineguard(*args, cwd=cwd, **env)
    assert done.code == code, done
    assert done.out == ""
    assert files(cwd) == before
    return done.errors


def picture(text: str = LOT, height: int = 96, width: int = 480) -> NDArray[np.uint8]:
    """One line of black print on white, ``(height, width, 3) uint8``."""
    image = np.full((height, width, 3), 255, np.uint8)
    size = height / 60
    (_, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    place = (width // 16, (height + high) // 2)
    thick = max(2, round(size * 2))
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), thick, cv2.LINE_AA)
    return image


def save(path: Path, image: NDArray[Any]) -> Path:
    """Write a picture; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def halve(path: Path, target: Path) -> Path:
    """Cut a file in half."""
    data = path.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


def write_station(
    folder: Path,
    source: str,
    *,
    rec: str = "zoo:ppocrv4-rec-onnx",
    dictionary: str = "zoo:ppocr-keys",
    out: str = "verdicts.jsonl",
) -> str:
    """A station that reads the lot of whole pictures; gives its file's name."""
    text = STATION.format(source=source, rec=rec, dictionary=dictionary, out=out)
    (folder / "station.toml").write_text(text)
    return "station.toml"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Verdicts of a file in which every line must be whole."""
    text = path.read_text("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
