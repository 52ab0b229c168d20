"""Stations that load, and garbage that must not do worse than be refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import edge.station
from edge.judge import judge
from edge.station import Job, JsonlOutput, PpocrModel, Station, example_station, load_station
from models.errors import ConfigError


@pytest.fixture
def station(tmp_path: Path) -> Station:
    (tmp_path / "station.toml").write_text(example_station(), "utf-8")
    return load_station(tmp_path / "station.toml")


def test_the_example_is_what_it_says(station: Station, tmp_path: Path) -> None:
    assert station.station.deadline_ms == 800
    assert station.job.lot == "L2611A"
    assert station.camera("top").queue == 8
    assert [region.name for region in station.regions_of("top")] == ["label", "cap"]
    assert station.regions_of("top")[0].box == (40, 60, 600, 420)
    model = station.models["print"]
    assert isinstance(model, PpocrModel)
    assert model.det == "zoo:ppocrv4-det-onnx"
    assert model.cores == (2, 3)
    output = station.outputs[0]
    assert isinstance(output, JsonlOutput)
    assert output.path == str(tmp_path / "verdicts.jsonl")
    assert {rule.kind for rule in station.rules} == {
        "code", "date", "text", "pattern", "any", "count", "presence"}  # fmt: skip
    with pytest.raises(KeyError):
        station.camera("side")


def test_the_commented_parts_of_the_example_are_valid_too(tmp_path: Path) -> None:
    lines = example_station().splitlines()
    opened = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines]
    place = opened.index("[bundle]")  # needs a box: tests/edge/loop/test_changeover.py has one
    assert opened[place + 1].startswith("root = ")
    del opened[place : place + 2]
    text = "\n".join(opened) + '\n[[regions]]\nname = "lid"\ncamera = "top"\nmodel = "surface"\n'
    (tmp_path / "station.toml").write_text(text, "utf-8")
    station = load_station(tmp_path / "station.toml")
    assert station.rules[-1].kind == "no_defect"
    assert station.models["surface"].finds == "defects"
    assert [output.kind for output in station.outputs] == [
        "jsonl", "modbus", "serial", "gpio", "mqtt", "webhook"]  # fmt: skip


def test_what_the_example_calls_the_default_is_the_default(tmp_path: Path) -> None:
    text = example_station()
    bare = [line for line in text.splitlines() if not line.startswith(("policy", "queue", "stall"))]
    (tmp_path / "station.toml").write_text("\n".join(bare), "utf-8")
    (tmp_path / "full.toml").write_text(text, "utf-8")
    assert load_station(tmp_path / "station.toml") == load_station(tmp_path / "full.toml")


def test_a_station_cannot_be_changed_but_for_its_job(station: Station) -> None:
    with pytest.raises(ValidationError):
        station.job = Job()  # type: ignore[misc]
    changed = station.with_job(Job(lot="B"))
    assert (changed.job.lot, station.job.lot) == ("B", "L2611A")
    assert changed.rules == station.rules


def test_a_password_is_not_in_the_repr(station: Station) -> None:
    assert "video0" not in repr(station)


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    text = example_station().replace("zoo:ppocrv4-rec-onnx", "own/rec.onnx")
    text = text.replace("zoo:ppocr-keys", "/abs/keys.txt").replace("verdicts.jsonl", "~/v.jsonl")
    (tmp_path / "station.toml").write_text(text, "utf-8")
    station = load_station(tmp_path / "station.toml")
    model = station.models["print"]
    assert isinstance(model, PpocrModel)
    assert model.rec == str(tmp_path / "own" / "rec.onnx")
    assert model.dictionary == "/abs/keys.txt"
    output = station.outputs[0]
    assert isinstance(output, JsonlOutput)
    assert output.path == os.path.expanduser("~/v.jsonl")


def test_rules_of_a_camera_are_judged_as_they_are(station: Station) -> None:
    rules = station.rules_of("top")
    assert rules == station.rules
    assert station.rules_of("side") == ()
    found = judge(rules, {}, station.job, date(2026, 3, 1))
    assert {reason.code for reason in found.reasons} == {"no_result"}


def test_a_box_may_reach_the_edge_of_the_picture(tmp_path: Path) -> None:
    text = example_station().replace("[40, 60, 600, 420]", "[0, 0, 1280, 720]")
    (tmp_path / "station.toml").write_text(text, "utf-8")
    assert load_station(tmp_path / "station.toml").regions[0].box == (0, 0, 1280, 720)


def test_crlf_and_a_byte_order_mark_change_nothing(station: Station, tmp_path: Path) -> None:
    text = "\ufeff" + example_station().replace("\n", "\r\n")
    (tmp_path / "windows.toml").write_bytes(text.encode("utf-8"))
    assert load_station(tmp_path / "windows.toml") == station


KEYS = st.sampled_from(
    ["station", "job", "cameras", "models", "regions", "rules", "outputs", "name", "source", "kind",
     "family", "region", "pattern", "zone", "box", "labels", "formats", "min", "x y", ""]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["text", "date", "ppocr", "a", "(a", "v4l2:/dev/video0", "folder:x"]),
        st.text(max_size=5),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.dates(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=30,
)


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    if isinstance(value, list):
        return "[" + ",\n".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    return value.isoformat() if isinstance(value, date) else repr(value)


def load(text: str) -> None:
    """Load it or be refused in so many lines."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "station.toml"
        file.write_text(text, "utf-8", newline="")
        try:
            load_station(file)
        except ConfigError as error:
            faults = error.faults
        else:
            return
        assert faults
        assert all(each.isprintable() and each.startswith(str(file)) for each in faults)


@given(st.dictionaries(KEYS, VALUES, max_size=7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_is_loaded_or_refused(table: dict[str, Any]) -> None:
    load("\n".join(f"{toml(key)} = {toml(value)}" for key, value in table.items()))


@given(st.data())
@settings(max_examples=40)
def test_any_slip_of_the_keyboard_is_loaded_or_refused(data: st.DataObject) -> None:
    text = example_station()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 30))
        put = data.draw(st.text(st.sampled_from("[]{}\"'=.,#\n 0-aé\u2028"), max_size=3))
        text = text[:place] + put + text[place + gone :]
    load(text)


@given(st.text(max_size=60))
@settings(max_examples=50)
def test_any_text_is_loaded_or_refused(text: str) -> None:
    load(text)


@pytest.mark.parametrize("value", ["0x" + "f" * 9000, "[" * 300 + "]" * 300, "1e999", "-0.0"])
def test_odd_values_are_told_in_one_line(value: str) -> None:
    load(f"[station]\nname = {value}\ndeadline_ms = {value}\n[[cameras]]\nstall_s = {value}\n")


def test_the_station_is_read_without_an_engine() -> None:
    """A check on an office machine needs no inference engine, and starts quickly."""
    code = "import sys, edge.station; print('onnxruntime' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_all_is_public() -> None:
    modules = {path.stem for path in Path(edge.station.__file__).parent.glob("*.py")}
    public = {name for name in vars(edge.station) if not name.startswith("_")}
    assert public - modules - {"annotations"} == set(edge.station.__all__)
