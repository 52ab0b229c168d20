"""Places of keys, against tomllib: every key it knows has a place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.station.lines import KeyPath, line_of, locate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILES = sorted(Path(__file__).parents[3].glob("**/[!.]*.toml"))
OWN = [file for file in FILES if not any(part.startswith(".") for part in file.parts)]


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if len(path) >= 8:
        return [path]
    if isinstance(value, dict):
        return [path, *(each for key in value for each in paths(value[key], (*path, key)))]
    if isinstance(value, list):
        return [path, *(each for n, item in enumerate(value) for each in paths(item, (*path, n)))]
    return [path]


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.name)
def test_every_key_of_the_project_s_own_files_has_a_place(file: Path) -> None:
    text = file.read_text("utf-8")
    lines = locate(text)
    assert set(paths(tomllib.loads(text))) - {()} <= set(lines)
    for path, line in lines.items():
        if isinstance(path[-1], str):
            assert path[-1] in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a.b.c = 1\na.b.d = 2", ("a", "b", "d"), 2),
        ("a.b.c = 1\na.b.d = 2", ("a", "b"), 1),
        ("\"a b\".'c.d' = 1", ("a b", "c.d"), 1),
        ('"\\u0041" = 1', ("A",), 1),
        ("a = [\n\n1, # x\n# y\n2]", ("a", 1), 5),
        ("a = [[1],\n[2,\n3]]", ("a", 1, 1), 3),
        ("a = {b = {c = 1}}", ("a", "b", "c"), 1),
        ("[[a]]\n[[a]]\n[a.b]\nc=1\n[[a.d]]\n[[a.d]]\ne=1", ("a", 1, "d", 1, "e"), 7),
        ("[[a]]\n[[a]]\n[a.b]\nc=1", ("a", 1, "b", "c"), 4),
        ("[x.a]\n[x]\nb=1", ("x", "b"), 3),
        ("a = '''\n\n'''\nb = 1", ("b",), 4),
        ("\n\n[ a . b ]", ("a", "b"), 3),
        ('a = """\n\\"""#[\n"""""\nb = 1', ("b",), 4),
        ("a = '''\n'''''\nb = 1", ("b",), 3),
        ('a = ["]", \'"\', # [\n1979-05-27 07:32:00.5, 1.5e+3]\nb = 1', ("b",), 3),
        ("a = [[[[[[[[[[\n1]]]]]]]]]]\nb = 1", ("b",), 3),
        ("a = 1", ("a", "no", "such"), 1),
        ("a = 1", ("b",), 1),
        ("# é\n雪 = 1" if False else "# é雪\n\nb = 1", ("b",), 3),
    ],
)
def test_odd_layouts(text: str, path: KeyPath, line: int) -> None:
    assert line_of(locate(text), path) == line
    tomllib.loads(text)


def test_without_tree_sitter_faults_are_told_without_lines(tmp_path: Path) -> None:
    """As on a 32-bit board."""
    station = tmp_path / "station.toml"
    station.write_text("[station]\nname = 5\n")
    script = (
        "import sys; sys.modules['tree_sitter_toml'] = None\n"
        "from edge.station.load import load_station\n"
        "try: load_station(__import__('pathlib').Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, station], capture_output=True, text=True, check=True
    )
    assert f"{station}: station.name = 5: " in done.stdout
