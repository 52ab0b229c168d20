"""Faults of a station file: all at once, each on its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edge.station import example_station, load_station
from models.errors import ConfigError

HERE = Path(__file__).parent


def faults(tmp_path: Path, text: str | bytes) -> list[str]:
    """Line and words of each fault."""
    file = tmp_path / "station.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    with pytest.raises(ConfigError) as caught:
        load_station(file)
    told = list(caught.value.faults)
    assert all(each.isprintable() and each.startswith(f"{file}:") for each in told)
    return [each.removeprefix(f"{file}:") for each in told]


def changed(*changes: tuple[str, str]) -> str:
    text = example_station()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def line_in(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_ten_mistakes_give_ten_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    with pytest.raises(ConfigError) as caught:
        load_station(Path("ten_mistakes.toml"))
    assert list(caught.value.faults) == [
        "ten_mistakes.toml:4: station.deadline_ms = 5: must be at least 10 "
        "(trigger to verdict; no engine answers in 10 ms, no gate is a minute off)",
        'ten_mistakes.toml:9: cameras[0].polcy: unknown key: did you mean "policy"?',
        "ten_mistakes.toml:10: cameras[0].queue = 0: must be at least 1 "
        "(parts that may wait; each holds a whole picture in memory)",
        'ten_mistakes.toml:16: models.print.threads = "2": must be a whole number',
        'ten_mistakes.toml:20: regions[0].camera = "topp": there is none of that name in cameras: '
        'did you mean "top"?',
        "ten_mistakes.toml:23: regions[0].box = [40, 60, 600, 20]: "
        "must be [x0, y0, x1, y1] with x0 < x1 and y0 < y1",
        r'ten_mistakes.toml:30: rules[0].pattern = "LOT ?(?P<lot>\\w+": is no regular expression: '
        "missing ), unterminated subpattern at character 6",
        'ten_mistakes.toml:34: rules[1].kind = "dat": is not known: did you mean "date"?',
        'ten_mistakes.toml:42: rules[2].rules[1] = "best_before": there is none of that name in '
        'rules: did you mean "best-before"?',
        'ten_mistakes.toml:46: rules[3].name = "lot": is the name of rules[0] already',
    ]
    assert str(caught.value) == "\n".join(caught.value.faults)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("deadline_ms = 800", "", "station.deadline_ms: is missing (trigger to verdict"),
        ("deadline_ms = 800", "deadline = 800", 'deadline: unknown key: did you mean "deadline_ms'),
        ("deadline_ms = 800", "deadline_ms = 800.0", "= 800.0: must be a whole number"),
        ("deadline_ms = 800", "deadline_ms = true", "= true: must be a whole number"),
        ('"pack-line-1"', '"pack line"', "may hold letters, digits, _ and - only"),
        ('"pack-line-1"', '""', "may hold letters, digits, _ and - only"),
        ("[job]", "[jobb]", 'jobb: unknown key: did you mean "job"?'),
        ('lot = "L2611A"', 'lot = " "', "must have at least one visible character"),
        ("stall_s = 2.0", "stall_s = nan", "= nan: must be a finite number"),
        ("stall_s = 2.0", "stall_s = 0", "= 0: must be at least 0.1 (silence"),
        ("stall_s = 2.0", "stall_s = 1979-05-27", "= 1979-05-27: must be a number"),
        ("mm_per_pixel = 0.12", "mm_per_pixel = 0", "must be more than 0"),
        ('policy = "every"', 'policy = "all"', "is not known: one of every, freshest"),
        ('&fps=30"', '&fsp=30"', "unknown option 'fsp': did you mean 'fps'?"),
        ('"v4l2:', '"v4l:', "v4l"),
        ("cores = [2, 3]", "cores = [2, 2]", "names one twice"),
        ("cores = [2, 3]", "cores = 2", "must be a list in [ ]"),
        ("cores = [2, 3]", "cores = [2, -3]", "models.print.cores[1] = -3: must be at least 0"),
        ('rec = "zoo:ppocrv4-rec-onnx"', 'rec = "zoo:No"', "must be zoo: and a name in small"),
        ('rec = "zoo:ppocrv4-rec-onnx"', 'rec = ""', "must not be empty"),
        ('rec = "zoo:ppocrv4-rec-onnx"', r'rec = "a\u0000b"', "control characters"),
        ('rec = "zoo:ppocrv4-rec-onnx"', 'rec = "~nobody-of-that-name/x"', "does not exist"),
        ("box = [40, 60, 600, 420]", "box = [40, 60, 600]", "four whole numbers [x0, y0, x1, y1]"),
        ("box = [40, 60, 600, 420]", "box = [1, 2, 3, 4, 5]", "must hold at most 4"),
        ("box = [40, 60, 600, 420]", "box = [40, 60, 40, 420]", "with x0 < x1 and y0 < y1"),
        ("box = [40, 60, 600, 420]", "box = [40, 60, 600, 721]", 'camera "top" has height 720'),
        ("zone = [40, 60, 600, 240]", "zone = [0, 0, 1281, 9]", 'camera "top" has width 1280'),
        ('det = "zoo:ppocrv4-det-onnx" ', "", 'page needs a model with det, "print" has none'),
        ('kind = "code" ', "", "kind: is missing: one of text, pattern, date, code"),
        (r"(?P<lot>\w{1,20})", r"(?P<lott>\w{1,20})", "needs a named field (?P<lot>...)"),
        (r"(?P<lot>\w{1,20})", r"(?P<lot>(\w+ ?)+)", "could take minutes on one line"),
        ('"%Y-%m-%d"', '"%Y-%m-%e"', "%e is unknown"),
        ('"%Y-%m-%d"', '"%Y"', "must name year, month and day"),
        ("shelf_life_days = 365", "", "need each other"),
        ('rules = ["cap-text", "cap-shift"]', "rules = []", "must hold at least 1"),
        ('"cap-text", "cap-shift"', '"cap-text", "cap-marked"', "cap-marked > cap-marked"),
        ('name = "cap-shift"', 'name = "lot"', "is the name of rules[0] already"),
        ('kind = "jsonl"', 'kind = "json"', 'is not known: did you mean "jsonl"?'),
    ],
)
def test_one_mistake_gives_one_line_that_says_it(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    told = faults(tmp_path, changed((old, new)))
    assert len(told) == (2 if new == 'name = "lot"' else 1)  # its old name is missed as well
    assert any(says in each for each in told)


DEFECTS = """
[station]
name = "s"
deadline_ms = 100
[[cameras]]
name = "a"
source = "folder:parts/"
[[cameras]]
name = "b"
source = "folder:parts/"
[models.print]
family = "ppocr"
rec = "rec.onnx"
dictionary = "keys.txt"
[models.surface]
family = "ppyoloe"
det = "surface.onnx"
labels = ["scratch", "dent"]
[[regions]]
name = "lid"
camera = "a"
model = "surface"
[[regions]]
name = "code"
camera = "b"
model = "print"
mode = "label"
[[rules]]
name = "sound"
kind = "no_defect"
region = "lid"
[[rules]]
name = "ok"
kind = "text"
region = "code"
equals = "OK"
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "no_defect"', 'kind = "no_defect"\nmin_size_mm = 1', "has no mm_per_pixel"),
        ('kind = "no_defect"', 'kind = "no_defect"\nlabels = ["scrach"]', 'mean "scratch"?'),
        ('kind = "no_defect"', 'kind = "count"\nmin = 1\nlabel = "dnt"', 'did you mean "dent"?'),
        ('kind = "no_defect"', 'kind = "text"\nequals = "x"', "needs a model that reads print"),
        ('kind = "no_defect"\nregion = "lid"', 'kind = "no_defect"\nregion = "code"', "finds def"),
        ('model = "surface"', 'model = "surface"\nmode = "page"', "is for print, but model"),
        ('equals = "OK"', 'equals = "OK"\n[[rules]]\nname = "g"\nkind = "all"\n'
         'rules = ["ok", "sound"]', "speaks of cameras a, b"),
        ('[[cameras]]\nname = "b"', '[[cameras]]\nname = "c"\nsource = "folder:x/"\n'
         '[[cameras]]\nname = "b"', 'cameras[1]: "c" has no rule: every part would pass it'),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "good.toml").write_text(DEFECTS)
    load_station(tmp_path / "good.toml")
    assert old in DEFECTS
    told = faults(tmp_path, DEFECTS.replace(old, new, 1))
    assert any(says in each for each in told)
    assert len(told) == (2 if 'region = "code"' in new else 1)  # camera a has then no rule either


def test_longer_circles_are_told_once(tmp_path: Path) -> None:
    text = DEFECTS
    for name, inner in (("x", "y"), ("y", "z"), ("z", "x"), ("w", "x")):
        text += f'[[rules]]\nname = "{name}"\nkind = "not"\nrules = ["{inner}"]\n'
    told = faults(tmp_path, text)
    assert len(told) == 1
    assert told[0].endswith("goes round in a circle: x > y > z > x")


def test_line_numbers_survive_odd_layouts(tmp_path: Path) -> None:
    text = """\ufeff# a comment

station.name = "s" # another
station."deadline_ms" = [ # not a number
  1,
]
cameras = [
  { name = "a", queue = 0, source = "folder:x/" },

  # between
  { name = "a", source = "folder:x/", nosuch.key = 1 },
]
models = { print = { family = "ppocr", rec = "r", dictionary = "d", cores = [1, -1] } }
[["regions"]]
name = '''
two
lines'''
camera = "a"
model = "print"
mode = "fixed"
box = [ 1,
  2, # two
  3, -4 ]
[[rules]]
name = "x"
kind = "text"
region = 5
equals = "y"
[rules.sub]
k = 1
[rules.sub.deeper]
k = 1
""".replace("\n", "\r\n")
    told = faults(tmp_path, text)
    assert [each.split(":")[:2] for each in told] == [
        ["4", " station.deadline_ms = [1]"],
        ["8", " cameras[0].queue = 0"],
        ["11", " cameras[1].nosuch"],
        ["11", ' cameras[1].name = "a"'],
        ["13", " models.print.cores[1] = -1"],
        ["15", ' regions[0].name = "two\\nlines"'],
        ["23", " regions[0].box[3] = -4"],
        ["27", " rules[0].region = 5"],
        ["29", " rules[0].sub"],
    ]


def test_no_password_is_shown(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        changed(
            ('name = "top"', 'name = "rtsp://user:secret@host/x"'),
            ('"v4l2:/dev/video0?width=1280&height=720&fps=30"', '"rtsp://user:secret@host/x#y=1"'),
        ),
    )
    assert len(told) >= 2
    assert not any("secret" in each for each in told)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("x = ", "1: is not TOML: Invalid value at"),
        ("[station]\nname = \n", "2: is not TOML: Invalid value at column 8"),
        ("[station]\nname = 'x'\nname = 'y'\n", "3: is not TOML: Cannot overwrite a value"),
        ("[station\n", "1: is not TOML"),
        ("a = '''\n\n", "3: is not TOML: "),
        (b"[station]\nname = '\xff'\n", "2: is not UTF-8: save it as UTF-8"),
        ("a = " + "[" * 60000, " is nested too deeply"),
        ("a = " + "1" * 5000, " is not TOML: "),
        ("#" * (128 * 1024 + 1), " is larger than 128 KiB: this is no station file"),
        (b"\x00\x01", "1: is not TOML"),
    ],
)
def test_what_is_no_toml_gives_one_line(tmp_path: Path, data: str | bytes, says: str) -> None:
    told = faults(tmp_path, data)
    assert len(told) == 1
    assert told[0].startswith(says)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    unreadable = dict.fromkeys(["loop", "a\0b", "n" * 300], "cannot be read")
    names = {"none.toml": "does not exist", ".": "is no file", "pipe": "is no file", **unreadable}
    for name, says in names.items():
        with pytest.raises(ConfigError) as caught:
            load_station(tmp_path / name)
        assert len(caught.value.faults) == 1
        assert says in str(caught.value)
        assert str(caught.value).isprintable()


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    sections = ["station", "cameras", "models", "regions", "rules"]
    told = faults(tmp_path, "")
    assert [re.match(r"1: (\w+): is missing", each)[1] for each in told] == sections  # type: ignore[index]


def test_more_faults_than_anyone_reads(tmp_path: Path) -> None:
    told = faults(tmp_path, "\n".join(f"k{number} = 1" for number in range(500)))
    assert len(told) == 101
    assert told[-1] == " and 405 faults more: mend these first"
