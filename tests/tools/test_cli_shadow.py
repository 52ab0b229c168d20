"""`lineguard shadow`: a second bundle on the same parts, as a user tries it."""

import contextlib
import os
import re
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_lab import make_bundle, make_key
from cli_lab import lineguard, refused, save
from conftest import SpotsMaker

from edge.loop import Line, open_models, shadow_process
from edge.loop.comparisons import Compared, Comparisons, Pair
from edge.station import load_station
from models.bundle import trust
from models.errors import LineguardError
from tools.running import station_shadow

KEY = make_key()

SECONDS = 120.0

STATION = """
[station]
name = "boards"
deadline_ms = 20000
[[cameras]]
name = "top"
source = "folder:parts?fps=20&loop=1"
[models.spots]
family = "ppyoloe"
det = "spots.onnx"
labels = ["red", "green", "blue"]
[[regions]]
name = "face"
camera = "top"
model = "spots"
[[rules]]
name = "clean"
kind = "no_defect"
region = "face"
[shadow]
bundle = "spots-1.1.0.lgb"
"""


@pytest.fixture
def lab(tmp_path: Path, spots: SpotsMaker) -> Path:
    """A station that sees faint spots, and a bundle that sees the bright one alone."""
    spots(tmp_path, threshold=0.3)
    for number, level in enumerate((0, 110, 250)):
        board = np.zeros((96, 128, 3), np.uint8)
        board[64:72, 64:72, 1] = level
        save(tmp_path / f"parts/{number}.png", board)
    (tmp_path / "candidate").mkdir()
    network = spots(tmp_path / "candidate", threshold=0.7)
    payload = {
        "board.png": (tmp_path / "parts/0.png").read_bytes(),
        "spots.json": network.with_suffix(".json").read_bytes(),
        "spots.onnx": network.read_bytes(),
    }
    model = {"family": "ppyoloe", "det": "spots.onnx", "labels": ["red", "green", "blue"]}
    golden = ({"image": "board.png", "model": "spots", "defects": []},)
    said: dict[str, Any] = {"models": {"spots": model}, "golden": golden}
    make_bundle(tmp_path, payload, key=KEY, name="spots", version="1.1.0", **said)
    trust(KEY.public, tmp_path / "config" / "lineguard" / "trusted")
    (tmp_path / "station.toml").write_text(STATION)
    return tmp_path


def compared(path: Path) -> int:
    with contextlib.suppress(LineguardError):
        store = Comparisons(path)
        try:
            return sum(len(store.latencies(pair["id"])) for pair in store.pairs())
        finally:
            store.close()
    return 0


class Sources(HTMLParser):
    """Everything that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]


@pytest.mark.slow
def test_a_run_and_its_report(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that only runs when nobody else wants the core may wait for ever on a busy machine.
    monkeypatch.setattr(shadow_process, "POLICY", os.SCHED_OTHER)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(lab / "config"))
    monkeypatch.chdir(lab)
    path = Path("station.toml")
    station = load_station(path)
    (looking_on,) = station_shadow(station, path)
    line = Line(station, open_models(station), [looking_on])
    thread = threading.Thread(target=line.run)
    thread.start()
    end = time.monotonic() + SECONDS
    while compared(lab / "station.shadow.db") < 12:
        assert time.monotonic() < end
        time.sleep(0.2)
    line.stop()
    thread.join(SECONDS)
    assert line.tally.ng > 0
    assert line.tally.ok > 0

    done = lineguard("shadow", "report", "station.toml", "--html", "out.html", "--json", cwd=lab)
    (pair,) = done.json["pairs"]
    assert (pair["station"], pair["candidate"]) == ("boards", "spots 1.1.0")
    assert pair["compared"] >= 12
    assert pair["seen"] >= pair["compared"]
    assert pair["rejects"] == 0
    assert pair["passes"] > 0
    assert pair["same_ok"] + pair["same_ng"] + pair["passes"] == pair["compared"]

    page = (lab / "out.html").read_text("utf-8")
    sources = Sources()
    sources.feed(page)
    assert sources.tags.count("img") == 2 * pair["passes"]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources.found)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)

    told = lineguard("shadow", "report", "station.toml", cwd=lab)
    assert told.code == 0
    words = f"and passes {pair['passes']:,} that the active one rejects"
    assert words in told.out
    told = lineguard("shadow", "report", "station.toml", "--language", "zh", cwd=lab)
    assert f"多放行 {pair['passes']:,} 件" in told.out

    assert lineguard("shadow", "clear", "station.toml", "--json", cwd=lab).json == {
        "cleared": pair["compared"]
    }
    assert "nothing compared yet" in lineguard("shadow", "report", "station.toml", cwd=lab).out


def outcome(verdict: str, text: str) -> dict[str, Any]:
    reasons = [] if verdict == "OK" else [
        {"rule": "lot", "code": "mismatch", "values": {"read": text, "expected": "L1"}}
    ]  # fmt: skip
    return {
        "verdict": verdict, "reasons": reasons, "fields": {"lot.lot": text}, "defects": {},
        "read": {"label": [{"text": text, "score": 0.9, "quad": [[0, 0], [9, 0], [9, 9], [0, 9]]}]},
    }  # fmt: skip


def test_print_cannot_write_into_the_page(lab: Path) -> None:
    store = Comparisons(lab / "station.shadow.db", make=True)
    print_on_it = "<script>alert(1)</script>"
    one = Compared("p-1", "t", outcome("OK", "L1"), outcome("NG", print_on_it), 1.0, 2.0, "rejects")
    store.add(Pair("s", "<b>a</b>", "a", "b", "b"), one, 1, b"no JPEG")
    store.close()
    done = lineguard("shadow", "report", "station.toml", "--html", "out.html", cwd=lab)
    assert done.code == 0
    page = (lab / "out.html").read_text("utf-8")
    sources = Sources()
    sources.feed(page)
    assert not {"script", "b", "img"} & set(sources.tags)
    assert "&lt;script&gt;alert(1)" in page


def test_what_cannot_be_reported(lab: Path) -> None:
    (error,) = refused("shadow", "report", "station.toml", cwd=lab)
    assert error == "station.shadow.db: nothing compared yet: add [shadow] and run the station"
    (error,) = refused("shadow", "clear", "station.toml", cwd=lab)
    assert "nothing compared yet" in error
    (error,) = refused("shadow", "report", "none.toml", cwd=lab)
    assert "does not exist" in error
    Comparisons(lab / "station.shadow.db", make=True).close()
    (error,) = refused("shadow", "report", "station.toml", "--html", "no/x.html", cwd=lab)
    assert "is no place for a file" in error
    (lab / "station.shadow.db").write_bytes(b"noise" * 1000)
    (error,) = refused("shadow", "report", "station.toml", cwd=lab, code=3)
    assert "cannot be used" in error
