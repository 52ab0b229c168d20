"""A program triggers a camera over REST."""

from __future__ import annotations

from datetime import datetime

from display_lab import Lab, served

from edge.station.triggers import SoftwareTrigger, TriggerTable, VisionTrigger

PATH = "api/v1/trigger?camera=top"


def set_trigger(lab: Lab, trigger: TriggerTable | None) -> None:
    station = lab.line.setting.station
    cameras = tuple(each.model_copy(update={"trigger": trigger}) for each in station.cameras)
    object.__setattr__(lab.line.setting, "station", station.model_copy(update={"cameras": cameras}))


def test_a_program_triggers_the_cameras_that_are_for_programs() -> None:
    with served() as lab:
        assert lab.http.post(PATH).status_code == 401
        answer = lab.http.post(PATH, headers=lab.token)
        assert answer.status_code == 409
        assert "software" in answer.json()["mend"]
        set_trigger(lab, VisionTrigger(kind="vision"))
        assert lab.http.post(PATH, headers=lab.token).status_code == 409
        set_trigger(lab, SoftwareTrigger(kind="software"))
        answer = lab.http.post(PATH, headers=lab.token)
        assert answer.status_code == 202
        assert answer.json()["camera"] == "top"
        assert datetime.fromisoformat(answer.json()["time"]).tzinfo is not None
        lab.line.running = False
        assert lab.http.post(PATH, headers=lab.token).status_code == 503
        wrong = lab.http.post("api/v1/trigger?camera=tip", headers=lab.token)
        assert wrong.status_code == 404
        assert lab.http.post("api/v1/trigger", headers=lab.token).status_code == 422
