"""The challenge over REST: who may start it, and what is shown of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from challenge_lab import SHIFTS, Time, golden_table
from display_lab import READ_WRONG, Lab, served
from verdict_lab import OK, lab_verdict

from edge.challenge.desk import ChallengeDesk
from edge.setting import Lock
from edge.verdict import Outcome


class Held:
    """Stands in for the line: keeps the lock."""

    lock: Lock | None = None

    def hold(self, lock: Lock | None) -> None:
        self.lock = lock


class Place:
    """A display, a desk, and parts that pass both."""

    def __init__(self, lab: Lab, path: Path, **table: Any) -> None:
        self.lab, self.line = lab, Held()
        keys = {"every": "shift", **table}
        self.desk = ChallengeDesk(golden_table(**keys), SHIFTS, path, clocks=Time())
        self.desk.follow(self.line)
        lab.state.challenge = self.desk
        self.number = 0

    def passes(self, outcome: Outcome = OK) -> str:
        self.number += 1
        verdict = lab_verdict(self.number, outcome)
        setting = replace(verdict.part.setting, lock=self.line.lock)
        verdict = replace(verdict, part=replace(verdict.part, setting=setting))
        if self.line.lock is not None:
            verdict = self.line.lock.judge(verdict)
        self.lab.state.verdict(verdict)
        self.desk.verdict(verdict)
        return str(verdict.id)

    def post(self, action: str, **keys: Any) -> Any:
        body = {"action": action, "by": "Wang Li", **keys}
        return self.lab.http.post("api/v1/challenge", json=body, headers=self.lab.token)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with served() as lab:
        yield lab


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Iterator[Place]:
    place = Place(lab, tmp_path / "c.json")
    yield place
    place.desk.close()


def test_a_station_without_one_says_so(lab: Lab) -> None:
    for answer in (
        lab.http.get("api/v1/challenge"),
        lab.http.post("api/v1/challenge", json={"action": "start", "by": "x"}, headers=lab.token),
    ):
        assert answer.status_code == 404
        assert answer.json()["mend"] == "add [challenge] to its file"
    assert lab.http.get("api/v1/state").json()["challenge"] is None


def test_it_is_shown_step_by_step(place: Place) -> None:
    http = place.lab.http
    place.passes()
    state = http.get("api/v1/state").json()
    assert state["challenge"]["locked"]
    assert not state["challenge"]["running"]
    assert state["cameras"][0]["part"]["reasons"][0]["code"] == "challenge_due"
    assert (state["shift"]["ng"], state["ng_count"]) == (1, 0), "rejected, but nothing to look at"

    said = place.post("start").json()
    assert said["next"] == {"name": "good one", "camera": "top", "expected": "OK"}
    assert (said["step"], said["steps"], said["by"]) == (1, 2, "Wang Li")
    part = place.passes()
    said = http.get("api/v1/challenge").json()
    assert (said["step"], said["next"]["name"]) == (2, "bad one")
    assert [(each["part"], each["right"]) for each in said["shown"]] == [(part, True)]
    assert http.get(f"api/v1/parts/{part}").json()["golden"] == "good one"
    place.passes(READ_WRONG)
    said = http.get("api/v1/challenge").json()
    assert not said["locked"]
    assert said["last"]["ending"] == "passed"
    assert said["until"] is not None
    counts = http.get("api/v1/counters").json()
    assert (counts["parts"], counts["ng"]) == (1, 1), "golden parts count nowhere"


def test_it_needs_the_token_and_the_right_moment(place: Place) -> None:
    body = {"action": "start", "by": "Wang Li"}
    assert place.lab.http.post("api/v1/challenge", json=body).status_code == 401
    assert not place.desk.snapshot()["running"]
    assert place.post("abort").status_code == 409
    assert place.post("start").status_code == 200
    answer = place.post("start", by="Li Na")
    assert answer.status_code == 409
    assert answer.json() == {
        "error": "Wang Li is at it already", "mend": "look how the challenge stands"}  # fmt: skip
    assert place.post("abort").json()["last"]["ending"] == "aborted"


@pytest.mark.parametrize(
    "change", [{"by": ""}, {"by": "a\nb"}, {"by": "x" * 65}, {"action": "unlock"}, {"more": 1}]
)
def test_nonsense_is_refused(place: Place, change: dict[str, Any]) -> None:
    body = {"action": "start", "by": "Wang Li", **change}
    answer = place.lab.http.post("api/v1/challenge", json=body, headers=place.lab.token)
    assert answer.status_code == 422
    assert place.desk.locked


def test_drift_is_shown_and_stops_nothing(lab: Lab) -> None:
    lab.state.alarms.tell("drift", "top label brightness", "brightness 90, was 100", "亮度 90")
    fault = lab.http.get("api/v1/state").json()["faults"][0]
    assert (fault["kind"], fault["zh"]) == ("drift", "亮度 90")
    assert lab.http.get("healthz").status_code == 200
