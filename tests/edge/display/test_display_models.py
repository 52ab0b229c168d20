"""``/api/v1/models``: the bundles of the box, and switching between them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from bundle_lab import PAYLOAD, make_bundle, make_key
from display_lab import Lab, served

from edge.station.bundle import active_bundle
from edge.station.schema import BundleTable
from firmware_bridge.slots import Slots
from models.bundle import open_bundle, trust

KEY = make_key()


def install(slots: Slots, folder: Path, version: str) -> None:
    """Make a bundle active, as the agent does."""
    folder.mkdir(parents=True)
    sources = []
    for number, content in enumerate(PAYLOAD.values()):
        sources.append(folder / str(number))
        sources[-1].write_bytes(content)
    path = make_bundle(folder, PAYLOAD, key=KEY, version=version)
    with open_bundle(path, [KEY.public]) as bundle, slots.writing():
        letter = slots.receive(bundle.envelope, bundle.manifest, sources)
        slots.begin_trial(letter)
        slots.pass_trial(letter, bundle.manifest.counter, "by the test")


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path / "box")
    trust(KEY.public, slots.root / "trusted")
    install(slots, tmp_path / "one", "1.0.0")
    return slots


@pytest.fixture
def lab(slots: Slots) -> Iterator[Lab]:
    """A display of a box that runs version 1.0.0."""
    with served() as lab:
        setting = lab.line.setting
        table = BundleTable(root=str(slots.root))
        station = setting.station.model_copy(update={"bundle": table})
        station = station.with_active(active_bundle(slots.root))
        lab.line.setting = replace(setting, station=station)
        yield lab


def switch(lab: Lab, etag: str | None, **change: str) -> httpx.Response:
    headers = lab.token | ({} if etag is None else {"If-Match": etag})
    return lab.http.post("api/v1/models/switch", json=change, headers=headers)


def etag(lab: Lab) -> str:
    return str(lab.http.get("api/v1/models").headers["etag"])


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == {"error", "mend"}
    return str(said["error"])


def test_slots_are_shown_with_their_versions(lab: Lab, slots: Slots, tmp_path: Path) -> None:
    said = lab.http.get("api/v1/models").json()
    assert (said["bundle"]["name"], said["bundle"]["version"]) == ("pcb", "1.0.0")
    states = [(each["slot"], each["state"], each["version"]) for each in said["slots"]]
    assert states == [("a", "CONFIRMED", "1.0.0"), ("b", "EMPTY", None)]
    assert lab.http.get("api/v1/state").json()["bundle"] == said["bundle"]
    install(slots, tmp_path / "two", "2.0.0")
    said = lab.http.get("api/v1/models").json()
    assert [each["active"] for each in said["slots"]] == [False, True]
    assert said["bundle"]["version"] == "1.0.0", "until it has taken over"
    assert said["slots"][0]["manifest"] == said["bundle"]["manifest"]


@pytest.mark.parametrize("change", [{"slot": "a"}, {"version": "1.0.0"}])
def test_a_switch_makes_the_other_slot_active(
    lab: Lab, slots: Slots, tmp_path: Path, change: dict[str, str]
) -> None:
    install(slots, tmp_path / "two", "2.0.0")
    assert slots.state.active == "b"
    answer = switch(lab, etag(lab), **change)
    assert answer.status_code == 202, answer.text
    assert answer.json() | {"manifest": ""} == {
        "slot": "a",
        "state": "CONFIRMED",
        "active": True,
        "name": "pcb",
        "version": "1.0.0",
        "manifest": "",
    }
    assert str(slots.state.active) == "a"


def test_of_two_at_once_one_is_told(lab: Lab, slots: Slots, tmp_path: Path) -> None:
    install(slots, tmp_path / "two", "2.0.0")
    seen = etag(lab)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(switch, lab, seen, slot="a") for _ in range(4)]
    codes = sorted(each.result().status_code for each in answers)
    assert codes == [202, 412, 412, 412]
    assert str(slots.state.active) == "a"


def test_what_cannot_be_is_refused(lab: Lab, slots: Slots, tmp_path: Path) -> None:
    now = etag(lab)
    said = problem(switch(lab, now, slot="b"), 409)
    assert said == "slot b is EMPTY, not CONFIRMED"
    assert "active one already" in problem(switch(lab, now, slot="a"), 409)
    assert "no slot holds version '9.9.9'" in problem(switch(lab, now, version="9.9.9"), 404)
    problem(switch(lab, None, slot="b"), 428)
    problem(switch(lab, '"old"', slot="b"), 412)
    problem(switch(lab, now), 422)
    problem(switch(lab, now, slot="a", version="1.0.0"), 422)
    problem(switch(lab, now, slot="c"), 422)
    answer = lab.http.post("api/v1/models/switch", json={"slot": "b"}, headers={"If-Match": now})
    assert problem(answer, 401) == "this needs the token"
    install(slots, tmp_path / "two", "2.0.0")
    with slots.writing():  # a host is flashing
        assert "another host or process" in problem(switch(lab, etag(lab), slot="a"), 409)
    (slots.root / "a/files/pcb/det.json").write_bytes(b"altered")
    assert "is not what its manifest says" in problem(switch(lab, etag(lab), slot="a"), 409)
    assert slots.state.active == "b"


def test_a_station_of_files_has_nothing_to_switch() -> None:
    with served() as lab:
        assert lab.http.get("api/v1/models").headers["etag"] == '"files"'
        assert "come as files" in problem(switch(lab, '"files"', slot="b"), 409)


def test_slots_that_cannot_be_read_hide_nothing_else(lab: Lab, slots: Slots) -> None:
    (slots.root / "state.json").write_text("{")
    said = lab.http.get("api/v1/models").json()
    assert (said["slots"], said["bundle"]["version"]) == ([], "1.0.0")
    assert "is spoilt" in problem(switch(lab, '"unknown"', slot="b"), 507)
