"""``/api/v1/records``: what was recorded, and nothing else of the disk."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
from display_lab import READ_WRONG, Lab, served
from records_lab import START, part_verdict, record, table
from verdict_lab import OK, WRONG_LOT

from edge.display import records_api
from edge.display.answers import RecordAnswer
from edge.records.query import Records


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with served() as lab:
        keep(lab, tmp_path / "records")
        yield lab


def keep(lab: Lab, folder: Path) -> None:
    """A station that keeps records there."""
    setting = lab.line.setting
    station = setting.station.model_copy(update={"records": table(folder)})
    lab.line.setting = replace(setting, station=station.with_active(None))


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == {"error", "mend"}
    assert said["mend"]
    return str(said["error"])


def numbers(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [each["part"] for each in answer.json()["records"]]


def test_filters_are_those_of_the_command(lab: Lab, tmp_path: Path) -> None:
    hours = [START + timedelta(hours=hour) for hour in range(6)]
    verdicts = [
        part_verdict(1, OK, time_of=hours[0]),
        part_verdict(2, WRONG_LOT, time_of=hours[1]),
        part_verdict(3, OK, lot="L7", time_of=hours[2]),
        part_verdict(4, READ_WRONG, lot="L7", time_of=hours[3]),
        part_verdict(5, OK, lot=None, time_of=hours[4]),
    ]
    record(tmp_path / "records", verdicts)
    get = lab.http.get
    assert numbers(get("api/v1/records")) == [5, 4, 3, 2, 1]
    assert numbers(get("api/v1/records?lot=L7")) == [4, 3]
    assert numbers(get("api/v1/records?lot=L7&verdict=NG")) == [4]
    assert numbers(get(f"api/v1/records?part={verdicts[1].id}")) == [2]
    assert numbers(get("api/v1/records?reason=mismatch")) == [4, 2]
    assert numbers(get("api/v1/records?reason=cap:mismatch")) == []
    since = {"since": hours[1].isoformat(), "until": hours[3].isoformat()}
    assert numbers(get("api/v1/records", params=since)) == [3, 2]
    local = {"since": hours[3].astimezone().replace(tzinfo=None).isoformat()}
    assert numbers(get("api/v1/records", params=local)) == [5, 4]
    assert "no part is rejected" in problem(get("api/v1/records?reason=mismtach"), 422)
    problem(get("api/v1/records?limit=201"), 422)
    problem(get("api/v1/records?since=yesterday"), 422)


def test_a_cursor_leads_through_all_of_them(lab: Lab, tmp_path: Path) -> None:
    record(tmp_path / "records", [part_verdict(n, lot=f"L{n % 2}") for n in range(1, 26)])
    for query in ("", "&lot=L1"):
        seen: list[int] = []
        cursor = ""
        while True:
            answer = lab.http.get(f"api/v1/records?limit=4{query}{cursor}")
            seen += numbers(answer)
            if answer.json()["next"] is None:
                break
            cursor = f"&cursor={answer.json()['next']}"
        assert seen == [n for n in range(25, 0, -1) if not query or n % 2]


def test_one_record_and_its_pictures(lab: Lab, tmp_path: Path) -> None:
    verdict = part_verdict(1, READ_WRONG, shape=(96, 128))
    record(tmp_path / "records", [verdict])
    url = f"api/v1/records/{verdict.id}"
    said = lab.http.get(url).json()
    RecordAnswer.model_validate(said)
    assert (said["id"], said["verdict"]) == (verdict.id, "NG")
    assert said["reasons"][0]["values"]["read"] == "L26I1A"
    assert said["signals"] == []
    assert said["thresholds"]["station"]["deadline_ms"] == 800
    kept = lab.http.get(f"{url}/picture")
    assert kept.headers["content-type"] == "image/jpeg"
    drawn = lab.http.get(f"{url}/overlay")
    images = [
        cv2.imdecode(np.frombuffer(each.content, np.uint8), cv2.IMREAD_COLOR)
        for each in (kept, drawn)
    ]
    assert [image.shape for image in images] == [(96, 128, 3)] * 2
    assert np.ptp(images[0]) < 10, "as it was taken"
    assert np.ptp(images[1]) > 50, "with what was read"


def test_what_is_gone_says_why(lab: Lab, tmp_path: Path) -> None:
    ok, ng = part_verdict(1, OK), part_verdict(2, WRONG_LOT)
    record(tmp_path / "records", [ok, ng])
    said = problem(lab.http.get(f"api/v1/records/{ok.id}/picture"), 404)
    assert said == "this part has no picture: the policy keeps none of such parts"
    problem(lab.http.get(f"api/v1/records/{ok.id}/overlay"), 404)
    problem(lab.http.get("api/v1/records/nobody"), 404)
    (path,) = (tmp_path / "records").rglob("*.jpg")
    path.write_bytes(path.read_bytes()[:100])
    assert "gone or damaged" in problem(lab.http.get(f"api/v1/records/{ng.id}/overlay"), 404)
    path.unlink()
    assert "gone or damaged" in problem(lab.http.get(f"api/v1/records/{ng.id}/picture"), 404)


HOSTILE = [
    "' OR 1=1 --",
    '"; DROP TABLE parts; --',
    "L' UNION SELECT * FROM settings --",
    "%",
    "*",
    "\x00",
    "批号'",
    "\\",
    "../../etc/passwd",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_sql_or_a_path(lab: Lab, tmp_path: Path, text: str) -> None:
    verdict = part_verdict(1, WRONG_LOT)
    record(tmp_path / "records", [verdict])
    (tmp_path / "records/secret.jpg").write_bytes(b"secret")
    for key in ("lot", "part"):
        assert numbers(lab.http.get("api/v1/records", params={key: text})) == []
    problem(lab.http.get("api/v1/records", params={"reason": text}), 422)
    problem(lab.http.get("api/v1/records", params={"verdict": text}), 422)
    for leaf in ("", "/picture", "/overlay"):
        answer = lab.http.get(f"api/v1/records/{quote(text, safe='')}{leaf}")
        problem(answer, 404)
    assert numbers(lab.http.get("api/v1/records")) == [1]
    record(tmp_path / "odd", [part_verdict(1, lot=text)])
    keep(lab, tmp_path / "odd")
    assert numbers(lab.http.get("api/v1/records", params={"lot": text})) == [1]


@pytest.mark.parametrize("path", ["../../secret.jpg", "/etc/hostname", "2026-11-22/link.jpg"])
def test_rows_that_were_altered_lead_nowhere(lab: Lab, tmp_path: Path, path: str) -> None:
    import sqlite3

    verdict = part_verdict(1, WRONG_LOT)
    folder = tmp_path / "records"
    record(folder, [verdict])
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    os.symlink(tmp_path / "secret.jpg", folder / "evidence/2026-11-22/link.jpg")
    base = sqlite3.connect(folder / "records.db")
    with base:
        base.execute("UPDATE parts SET evidence = ?", (path,))
    base.close()
    for leaf in ("picture", "overlay"):
        said = problem(lab.http.get(f"api/v1/records/{verdict.id}/{leaf}"), 503)
        assert "the records were altered" in said


def test_without_records_it_says_so(lab: Lab, tmp_path: Path) -> None:
    assert "no records there" in problem(lab.http.get("api/v1/records"), 503)
    setting = lab.line.setting
    station = setting.station.model_copy(update={"records": None})
    lab.line.setting = replace(setting, station=station)
    for url in ("records", "records/x", "records/x/picture", "records/x/overlay"):
        assert "keeps no records" in problem(lab.http.get(f"api/v1/{url}"), 404)


def test_a_search_that_takes_too_long_is_given_up(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "records", [part_verdict(n, WRONG_LOT) for n in range(1, 300)])
    monkeypatch.setattr(records_api, "PATIENCE_S", 0.0)
    monkeypatch.setattr("edge.records.query.STEPS", 10)
    said = problem(lab.http.get("api/v1/records?reason=expired"), 503)
    assert "takes longer than 0 s: give a lot" in said
    with Records(tmp_path / "records") as records:
        assert records.newest() == 299
