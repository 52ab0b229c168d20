"""A station that runs while its box is flashed: who judges which part; what comes of failures."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from bundle_lab import make_bundle, make_key
from conftest import SpotsMaker
from loop_lab import Collected

from edge.display.server import serve_demo
from edge.display.state import DisplayState
from edge.io.base import Output
from edge.loop import Changeover, Line, open_models
from edge.loop.changeover import FAILED
from edge.setting import SharedModel
from edge.station import load_station
from firmware_bridge.slots import Slots
from models.bundle import open_bundle, trust
from models.errors import ConfigError, EngineError
from models.images import encode_image

KEY = make_key()
SECONDS = 30.0

STATION = """
[station]
name = "test"
deadline_ms = 5000
[bundle]
root = "box"
[[cameras]]
name = "top"
source = "folder:{parts}?fps=50&loop=1"
queue = 64
[[regions]]
name = "face"
camera = "top"
model = "spots"
[[rules]]
name = "clean"
kind = "no_defect"
region = "face"
"""


class Box:
    """Slots, and bundles of a network that sees a green spot if its threshold is low enough."""

    def __init__(self, folder: Path, spots: SpotsMaker) -> None:
        self.folder, self._spots = folder, spots
        self.root = folder / "box"
        self.slots = Slots(self.root)
        trust(KEY.public, self.root / "trusted")
        board = np.zeros((96, 128, 3), np.uint8)
        board[64:72, 64:72, 1] = 230
        self._board = encode_image(board)
        (folder / "parts").mkdir()
        (folder / "parts" / "board.png").write_bytes(self._board)
        self.station = folder / "station.toml"
        self.station.write_text(STATION.format(parts=folder / "parts"))

    def install(self, version: str, threshold: float, *, sees: bool, **fields: Any) -> None:
        """Make a bundle active, as the agent does."""
        made = self.folder / version
        made.mkdir()
        network = self._spots(made, threshold=threshold)
        (made / "board.png").write_bytes(self._board)
        payload = {
            "board.png": self._board,
            "spots.json": network.with_suffix(".json").read_bytes(),
            "spots.onnx": network.read_bytes(),
        }
        spot = {"label": "green", "score": 0.9, "box": [60.0, 60.0, 76.0, 76.0]}
        said: dict[str, Any] = {
            "models": {
                "spots": {
                    "family": "ppyoloe",
                    "det": "spots.onnx",
                    "labels": ["red", "green", "blue"],
                }
            },
            "golden": (
                {"image": "board.png", "model": "spots", "defects": [spot] if sees else []},
            ),
            **fields,
        }
        path = make_bundle(made, payload, key=KEY, name="spots", version=version, **said)
        with open_bundle(path, [KEY.public]) as bundle, self.slots.writing():
            letter = self.slots.receive(
                bundle.envelope,
                bundle.manifest,
                [made / "board.png", made / "spots.json", made / "spots.onnx"],
            )
            self.slots.begin_trial(letter)
            self.slots.pass_trial(letter, bundle.manifest.counter, "by the test")

    @contextmanager
    def running(self, *more: Output) -> Iterator[tuple[Line, Collected, list[tuple[bool, str]]]]:
        """The station at work, with ``more`` outputs; what it gave and what it told."""
        told: list[tuple[bool, str]] = []
        station = load_station(self.station)
        change = Changeover(self.station, self.root, lambda good, text: told.append((good, text)))
        out = Collected()
        line = Line(station, open_models(station), [out, change, *more])
        change.follow(line)
        thread = threading.Thread(target=line.run)
        thread.start()
        try:
            until(lambda: len(out.verdicts) > 5)
            yield line, out, told
        finally:
            line.stop()
            thread.join(SECONDS)
        assert [v.number for v in out.verdicts] == list(range(1, len(out.verdicts) + 1))


@pytest.fixture
def box(tmp_path: Path, spots: SpotsMaker) -> Box:
    made = Box(tmp_path, spots)
    made.install("1.0.0", 0.5, sees=True)
    return made


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def versions(out: Collected) -> list[str]:
    bundles = [verdict.part.setting.bundle for verdict in out.verdicts]
    return [bundle.version for bundle in bundles if bundle]


def test_a_flashed_bundle_takes_over_between_two_parts(box: Box) -> None:
    with box.running() as (line, out, told):
        assert line.setting.bundle is not None
        assert line.setting.bundle.version == "1.0.0"
        box.install("2.0.0", 0.95, sees=False)
        until(lambda: "2.0.0" in versions(out))
    seen = versions(out)
    assert seen == sorted(seen), "never back, never mixed"
    assert told == [(True, "spots 2.0.0 has taken over")]
    for verdict, version in zip(out.verdicts, seen, strict=True):
        codes = [reason.code for reason in verdict.reasons]
        assert codes in ([["defect"], []] if version == "1.0.0" else [[]]) or "stopped" in codes
    assert out.verdicts[0].reasons[0].code == "defect"
    assert out.verdicts[seen.index("2.0.0")].ok


def test_what_does_not_see_its_golden_picture_right_never_judges(box: Box) -> None:
    with box.running() as (_, out, told):
        box.install("2.0.0", 0.95, sees=True)  # as if this processor computed otherwise
        until(lambda: bool(told))
        count = len(out.verdicts)
        until(lambda: len(out.verdicts) > count + 5)
    assert set(versions(out)) == {"1.0.0"}
    assert not told[0][0]
    assert "board.png: expected green 0.90" in told[0][1]
    assert len(told) == 1, "said once"


def test_models_that_the_rules_do_not_fit_never_judge(box: Box) -> None:
    with box.running() as (_, out, told):
        text = box.station.read_text().replace('region = "face"', 'region = "face"\nlabels=["red"]')
        box.station.write_text(text.replace('model = "spots"', 'model = "dots"'))
        box.install("2.0.0", 0.95, sees=False)
        until(lambda: bool(told))
    assert set(versions(out)) == {"1.0.0"}
    assert not told[0][0]
    assert "there is none of that name in models" in told[0][1]


def test_a_bundle_that_fails_on_parts_goes_and_the_box_is_rolled_back(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect = SharedModel.inspect

    def failing(self: SharedModel, *args: Any) -> Any:
        if broken and self in broken[0].models.values():
            raise EngineError("out of memory")
        return inspect(self, *args)

    monkeypatch.setattr(SharedModel, "inspect", failing)
    broken: list[Any] = []
    with box.running() as (line, out, told):
        change = line.change_models

        def changed(*args: Any) -> Any:
            old = change(*args)
            broken.append(line.setting)
            return old

        monkeypatch.setattr(line, "change_models", changed)
        box.install("2.0.0", 0.95, sees=False)
        until(lambda: len(told) == 2)
        back = len(out.verdicts)
        until(lambda: len(out.verdicts) > back + 5)
    failed = [v for v in out.verdicts if any(r.code == "cannot_evaluate" for r in v.reasons)]
    assert len(failed) >= FAILED
    assert not any(v.ok for v in out.verdicts), "no part slipped through"
    assert versions(out)[-1] == "1.0.0"
    assert told[1] == (
        False,
        f"spots 2.0.0 failed on {FAILED} parts: face: cannot be evaluated: out of memory; "
        "the box is back at spots 1.0.0",
    )
    active = box.slots.state.active
    assert active is not None
    assert box.slots.manifest(active).version == "1.0.0"


def test_the_job_of_the_moment_stays(box: Box) -> None:
    with box.running() as (line, out, _):
        line.change_job(line.setting.station.job.model_copy(update={"lot": "L7"}))
        box.install("2.0.0", 0.95, sees=False)
        until(lambda: "2.0.0" in versions(out))
        assert line.setting.station.job.lot == "L7"
    assert out.verdicts[-1].as_record()["lot"] == "L7"


def test_a_station_without_a_confirmed_bundle_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(STATION)
    with pytest.raises(
        ConfigError, match=r"bundle\.root = .*does not exist: start `lineguard agent"
    ):
        load_station(tmp_path / "station.toml")
    Slots(tmp_path / "box")
    with pytest.raises(ConfigError) as caught:
        load_station(tmp_path / "station.toml")
    assert "holds no confirmed bundle yet: flash one" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_agent_is_told_whether_the_line_is_idle(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.loop.changeover.IDLE_S", 0.2)
    idle = box.root / "idle"
    idle.touch()
    with box.running() as (line, _, _):
        until(lambda: not idle.exists())
        line.stop()
        until(idle.exists)


def test_what_was_refused_may_be_tried_anew_once_the_box_is_back(box: Box) -> None:
    """As when somebody switches back by hand, mends the station file, and switches again."""
    with box.running() as (line, out, told):
        sound = box.station.read_text()
        box.station.write_text(sound.replace('model = "spots"', 'model = "dots"'))
        box.install("2.0.0", 0.95, sees=False)
        until(lambda: len(told) == 1)
        with box.slots.writing():
            box.slots.rollback()
        until(lambda: len(told) == 2)
        assert told[1] == (True, "the box is back at the bundle that judges")
        box.station.write_text(sound)
        with box.slots.writing():
            box.slots.rollback()
        until(lambda: "2.0.0" in versions(out))
    assert [good for good, _ in told] == [False, True, True]
    assert line.setting.bundle is not None
    assert line.setting.bundle.version == "2.0.0"


def test_the_display_switches_to_the_bundle_of_the_other_slot(box: Box) -> None:
    box.install("2.0.0", 0.95, sees=False)
    state = DisplayState(load_station(box.station))
    with (
        box.running(state) as (line, out, _),
        serve_demo(state, line, "en") as serving,
        httpx.Client(base_url=serving.address, trust_env=False, timeout=SECONDS) as http,
    ):
        known = http.get("api/v1/models")
        assert known.json()["bundle"]["version"] == "2.0.0"
        assert [(each["version"], each["active"]) for each in known.json()["slots"]] == [
            ("1.0.0", False),
            ("2.0.0", True),
        ]
        headers = {
            "Authorization": f"Bearer {serving.token}",
            "If-Match": known.headers["etag"],
        }
        answer = http.post("api/v1/models/switch", json={"version": "1.0.0"}, headers=headers)
        assert answer.status_code == 202, answer.text
        assert (answer.json()["slot"], answer.json()["active"]) == ("a", True)
        until(lambda: "1.0.0" in versions(out))
        assert http.get("api/v1/state").json()["bundle"]["version"] == "1.0.0"
        assert http.post(
            "api/v1/models/switch", json={"slot": "b"}, headers=headers
        ).status_code == 412, "of what was active before"  # fmt: skip
        series = http.get("metrics").text
        assert 'lineguard_bundle_info{manifest="' in series
        assert 'name="spots",version="1.0.0"} 1.0' in series
    seen = versions(out)
    assert seen == sorted(seen, reverse=True), "between two parts, and none was missed"
