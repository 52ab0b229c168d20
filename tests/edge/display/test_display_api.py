"""The REST interface of a display that is really served."""

import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from display_lab import READ_WRONG, Lab, png, served
from verdict_lab import WRONG_LOT

from edge.display import guard
from edge.display.api import Api
from edge.display.hub import MOST_VIEWERS
from edge.judge import Job


@pytest.fixture
def lab() -> Iterator[Lab]:
    with served() as lab:
        yield lab


def problem(answer: httpx.Response, status: int) -> str:
    """The error of an answer, which must say what to do about it."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == {"error", "mend"}
    assert said["mend"]
    return str(said["error"])


def events(lab: Lab, seconds: float = 10) -> Iterator[tuple[str, dict[str, object]]]:
    """What a viewer is sent."""
    until = time.monotonic() + seconds
    with lab.http.stream("GET", "api/v1/events") as answer:
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))
            if time.monotonic() > until:
                return


def test_state_tells_what_is_seen_at_a_glance(lab: Lab) -> None:
    lab.show(1)
    part = lab.show(2, READ_WRONG)
    state = lab.http.get("api/v1/state").json()
    assert state["station"] == "pack-line-1"
    assert state["job"]["lot"] == "L2611A"
    assert (state["shift"]["ok"], state["shift"]["ng"], state["ng_count"]) == (1, 1, 1)
    (camera,) = state["cameras"]
    assert (camera["name"], camera["state"], camera["picture"]) == ("top", "running", True)
    shown = camera["part"]
    assert (shown["id"], shown["verdict"], shown["size"]) == (part, "NG", [128, 96])
    (reason,) = shown["reasons"]
    assert reason["values"] == {"read": "L26I1A", "expected": "L2611A"}
    assert [line["bad"] for line in shown["lines"]] == [True, False]
    assert [box["region"] for box in shown["boxes"]] == ["label", "cap"]


def test_before_the_first_part_there_is_none(lab: Lab) -> None:
    (camera,) = lab.http.get("api/v1/cameras").json()
    assert (camera["part"], camera["picture"], camera["at"]) == (None, False, None)
    assert "no such picture" in problem(lab.http.get("api/v1/cameras/top/picture.jpg"), 404)


def test_counters(lab: Lab) -> None:
    lab.show(1)
    lab.show(2, WRONG_LOT)
    counters = lab.http.get("api/v1/counters").json()
    assert counters["reasons"] == [{"rule": "lot", "code": "mismatch", "count": 1}]
    assert counters["latency_ms"]["p50"] == 123.0
    assert counters["trend"] == [[0, 1, 1]]
    assert counters["lost"] == {"top": {"frames": 3, "dropped": 0}}


def test_parts(lab: Lab) -> None:
    ok, ng = lab.show(1), lab.show(2, READ_WRONG)
    ids = [part["id"] for part in lab.http.get("api/v1/parts").json()]
    assert ids == [ng, ok]
    assert [p["id"] for p in lab.http.get("api/v1/parts?verdict=NG").json()] == [ng]
    assert lab.http.get(f"api/v1/parts/{ok}").json()["verdict"] == "OK"
    assert "no longer" in problem(lab.http.get("api/v1/parts/x"), 404)
    problem(lab.http.get("api/v1/parts?limit=0"), 422)
    problem(lab.http.get("api/v1/parts?verdict=maybe"), 422)


def test_a_picture_is_one_jpeg_that_browsers_keep(lab: Lab) -> None:
    part = lab.show(1)
    url = f"api/v1/cameras/top/picture.jpg?part={part}"
    answer = lab.http.get(url)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")
    assert "immutable" in answer.headers["cache-control"]
    again = lab.http.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    newest = lab.http.get("api/v1/cameras/top/picture.jpg")
    assert (newest.content, newest.headers["cache-control"]) == (answer.content, "no-cache")
    problem(lab.http.get("api/v1/cameras/side/picture.jpg"), 404)


def test_ten_viewers_cost_one_picture(lab: Lab) -> None:
    encode, encoded = lab.state.held._encode, []

    def counted(image: object) -> bytes:
        encoded.append(1)
        return encode(image)  # type: ignore[arg-type]

    lab.state.held._encode = counted
    url = f"api/v1/cameras/top/picture.jpg?part={lab.show(1)}"
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: httpx.get(lab.serving.address + url).content, range(30)))
    assert len(set(answers)) == 1
    assert len(encoded) == 1


@pytest.mark.parametrize(
    "path",
    ["..%2f..%2fetc%2fpasswd", "style.css/../../api.py", "%00", "pages/style.css", "nothing"],
)
def test_no_path_leads_to_the_disk(lab: Lab, path: str) -> None:
    problem(lab.http.get(f"/{path}"), 404)


def test_pages_and_their_headers(lab: Lab) -> None:
    page = lab.http.get("")
    assert page.headers["content-type"].startswith("text/html")
    for name, value in guard.HEADERS.items():
        assert page.headers[name] == value
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "server" not in page.headers
    script = lab.http.get("app.js")
    assert script.headers["content-type"].startswith("text/javascript")


def test_health_tells_why_not(lab: Lab) -> None:
    assert lab.http.get("healthz").json() == {"ok": True, "reasons": []}
    lab.state.fault("plc", "does not answer")
    answer = lab.http.get("healthz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "reasons": ["output:plc: does not answer"]}
    lab.state.fault("plc", None)
    lab.state.camera("top", "ended", "all shown")
    assert lab.http.get("healthz").json()["reasons"] == ["camera:top: ended"]
    lab.state.camera("top", "lost", "silent for 2 s")
    assert lab.http.get("healthz").json()["reasons"] == ["camera:top: silent for 2 s"]
    lab.state.camera("top", "running", "")
    lab.line.stuck = ["inference of top stands still for 20 s"]
    assert lab.http.get("healthz").json() == {"ok": False, "reasons": lab.line.stuck}


def test_models(lab: Lab) -> None:
    answer = lab.http.get("api/v1/models").json()
    assert (answer["bundle"], answer["slots"]) == (None, [])
    (model,) = answer["models"]
    assert (model["name"], model["family"], model["bundle"]) == ("print", "ppocr", None)
    assert model["regions"] == ["label", "cap"]


def test_the_job_is_changed_by_whoever_saw_it(lab: Lab) -> None:
    job = lab.http.get("api/v1/job")
    assert job.headers["etag"] == '"1"'
    answer = lab.job("L2612B", 1)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert (answer.json()["by"], answer.json()["lot"]) == ("Wang Li", "L2612B")
    assert lab.line.setting.station.job == Job(product="Tea", lot="L2612B")
    assert lab.http.get("api/v1/state").json()["job"] == answer.json()
    assert "somebody else" in problem(lab.job("L2613C", 1), 412)
    assert lab.line.setting.station.job.lot == "L2612B"


def test_of_two_changes_at_once_one_is_made(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: lab.job(f"L{n}", 1).status_code, range(8)))
    assert sorted(answers) == [200] + [412] * 7
    assert lab.http.get("api/v1/job").json()["version"] == 2


def test_a_change_from_elsewhere_counts(lab: Lab) -> None:
    lab.job("L2612B", 1)
    lab.line.change_job(Job(product="Milk", lot="X1"))
    problem(lab.job("L2613C", 2), 412)
    job = lab.http.get("api/v1/job").json()
    assert (job["version"], job["by"], job["products"][:2]) == (3, None, ["Milk", "Tea"])


def test_a_change_says_of_which_job(lab: Lab) -> None:
    change = {"product": "Tea", "lot": "L1", "by": "me"}
    assert "which job" in problem(lab.http.put("api/v1/job", json=change, headers=lab.token), 428)
    for tag in ("x", '"99"', "", "*", '"1', "9" * 50):
        answer = lab.http.put(
            "api/v1/job", json=change, headers={**lab.token, "If-Match": tag or '""'}
        )
        if tag == '"1':
            continue
        problem(answer, 412)


@pytest.mark.parametrize(
    "change",
    [
        {"lot": ""},
        {"lot": "  "},
        {"lot": "L\n1"},
        {"lot": "L" * 201},
        {"lot": 7},
        {"by": ""},
        {"by": None},
        {"product": "a\x00b"},
        {"more": 1},
    ],
)
def test_a_change_that_makes_no_sense(lab: Lab, change: dict[str, object]) -> None:
    lot = change.pop("lot", "L1")
    assert next(iter(change), "lot") in problem(lab.job(lot, 1, **change), 422)  # type: ignore[arg-type]
    assert lab.line.setting.station.job.lot == "L2611A"


@pytest.mark.parametrize("lot", ["'; DROP TABLE parts;--", "<b>x</b>", "批号 7", "\u202eL1", None])
def test_a_lot_is_taken_as_it_is(lab: Lab, lot: str) -> None:
    assert lab.job(lot, 1).json()["lot"] == lot
    assert lab.line.setting.station.job.lot == lot


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}, {"Authorization": ""}],
)
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "job"), ("POST", "acknowledge"), ("POST", "inspect?camera=top")]
)
def test_changes_need_the_token(lab: Lab, headers: dict[str, str], method: str, path: str) -> None:
    answer = lab.http.request(method, f"api/v1/{path}", json={}, headers=headers)
    assert "token" in problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_faults_are_acknowledged(lab: Lab) -> None:
    lab.state.camera("top", "lost", "unplugged")
    answer = lab.http.post("api/v1/acknowledge", json={}, headers=lab.token)
    assert answer.json() == {"acknowledged": ["camera:top"]}
    (fault,) = lab.http.get("api/v1/state").json()["faults"]
    assert (fault["active"], fault["acknowledged"]) == (True, True)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "["])
def test_names_that_are_not_ours_are_refused(lab: Lab, host: str) -> None:
    """DNS rebinding: the browser believes that this box is evil.example."""
    problem(lab.http.get("api/v1/state", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765", "192.168.1.7:8765"])
def test_addresses_are_ours(lab: Lab, host: str) -> None:
    assert lab.http.get("api/v1/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_change_nothing(lab: Lab, headers: dict[str, str]) -> None:
    answer = lab.http.post("api/v1/acknowledge", json={}, headers={**lab.token, **headers})
    assert "another site" in problem(answer, 403)


def test_a_viewer_is_told_of_changes_and_that_the_station_lives(lab: Lab) -> None:
    beats: list[object] = []
    for name, said in events(lab):
        if name == "beat":
            beats.append(said["monotonic"])
        if len(beats) == 1:
            lab.show(1, WRONG_LOT)
        if name == "state" and said["ng_count"]:
            assert len(set(beats)) == len(beats) >= 1
            return
    raise AssertionError("never told")


def test_viewers_are_counted_bounded_and_let_go(lab: Lab) -> None:
    with httpx.Client(base_url=lab.serving.address, trust_env=False, timeout=10) as http:
        streams = [http.stream("GET", "api/v1/events") for _ in range(MOST_VIEWERS)]
        read = [stream.__enter__().iter_bytes() for stream in streams]
        for each in read:
            next(each)
        assert lab.serving.viewers == MOST_VIEWERS
        assert "pages are open" in problem(http.get("api/v1/events"), 503)
        for stream in streams:
            stream.__exit__(None, None, None)
    deadline = time.monotonic() + 10
    while lab.serving.viewers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lab.serving.viewers == 0


def test_stopping_lets_viewers_go_at_once() -> None:
    with served() as lab:
        stream = lab.http.stream("GET", "api/v1/events")
        read = stream.__enter__().iter_bytes()
        next(read)
        start = time.monotonic()
    assert time.monotonic() - start < 2


def inspect(lab: Lab, body: bytes, kind: str = "image/png", camera: str = "top") -> httpx.Response:
    headers = {**lab.token, "Content-Type": kind}
    return lab.http.post(f"api/v1/inspect?camera={camera}", content=body, headers=headers)


def test_a_picture_is_inspected_as_a_part_of_the_line(lab: Lab) -> None:
    record = inspect(lab, png()).json()
    assert record["read"]["label"] == [{"text": "LOT:L2611A", "score": 0.99}]
    assert record["fields"]["lot.lot"] == "L2611A"
    assert record["verdict"] == "NG", "the other rules of the station do not hold"
    assert "id" not in record
    assert lab.line.model.seen == 2, "two regions"
    assert lab.http.get("api/v1/counters").json()["parts"] == 0, "it is no part of the line"


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is larger than it is."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("body", "kind", "camera", "status"),
    [
        (b"", "image/png", "top", 422),
        (b"GIF89a" * 10, "image/png", "top", 422),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg", "top", 422),
        (b"\xff\xd8\xff\xe0\x00\x00" * 9, "image/jpeg", "top", 422),
        (bomb(50_000, 50_000), "image/png", "top", 413),
        (bomb(64, 64), "image/png", "top", 422),
        (png()[:-20], "image/png", "top", 422),
        (png(), "text/plain", "top", 415),
        (png(), "image/png", "side", 404),
    ],
)
def test_an_upload_that_is_no_picture_of_ours(
    lab: Lab, body: bytes, kind: str, camera: str, status: int
) -> None:
    problem(inspect(lab, body, kind, camera), status)
    assert lab.line.model.seen == 0


def test_a_picture_of_another_size_is_not_of_this_camera(lab: Lab) -> None:
    lab.show(1)
    assert inspect(lab, png(128, 96)).status_code == 200
    assert "the camera's pictures have 128x96" in problem(inspect(lab, png(96, 128)), 422)


@pytest.mark.parametrize("size", [guard.MAX_UPLOAD + 1, 50_000_000])
def test_an_upload_that_is_too_large_gets_a_clear_answer(lab: Lab, size: int) -> None:
    assert "larger than 20 MiB" in problem(inspect(lab, bytes(size)), 413)
    chunks = (bytes(65536) for _ in range(size // 65536 + 1))  # does not say how long it is
    headers = {**lab.token, "Content-Type": "image/png"}
    answer = lab.http.post("api/v1/inspect?camera=top", content=chunks, headers=headers)
    assert "larger than 20 MiB" in problem(answer, 413)
    assert lab.http.get("healthz").status_code == 200


def test_a_change_that_is_too_large(lab: Lab) -> None:
    assert "16384 bytes" in problem(lab.job("L" * 20_000, 1), 413)


def test_one_upload_at_a_time_and_the_line_goes_first(lab: Lab) -> None:
    model = lab.line.setting.models["print"]
    with ThreadPoolExecutor(2) as pool:
        with model.lock:  # the line looks at a part
            first = pool.submit(inspect, lab, png())
            deadline = time.monotonic() + 10
            while lab.http.get("healthz").status_code != 200 and time.monotonic() < deadline:
                pass
            time.sleep(0.3)
            assert lab.line.model.seen == 0
            busy = problem(inspect(lab, png()), 429)
            assert "another picture" in busy
        assert first.result(20).status_code == 200
    assert inspect(lab, png()).status_code == 200


def test_a_line_that_never_rests_is_not_held_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.display.upload.PATIENCE_S", 0.2)
    with lab.line.setting.models["print"].lock:
        assert "the line needs" in problem(inspect(lab, png()), 503)


def connect(lab: Lab) -> socket.socket:
    where = urlsplit(lab.serving.address)
    return socket.create_connection((where.hostname, where.port), timeout=20)  # type: ignore[arg-type]


def test_clients_that_never_finish_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEAD_S", 0.5)
    monkeypatch.setattr(guard, "BODY_S", 0.5)
    with served() as lab:
        silent, head, body = (connect(lab) for _ in range(3))
        head.sendall(b"GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\n")
        body.sendall(
            b"PUT /api/v1/job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\nAuthorization: Bearer " + lab.serving.token.encode() + b"\r\n"
            b'If-Match: "1"\r\n\r\n{'
        )
        assert silent.recv(100) == b""
        assert head.recv(100) == b""
        assert body.recv(100).startswith(b"HTTP/1.1 408 ")
        for each in (silent, head, body):
            each.close()


def test_slow_clients_hold_up_nobody(lab: Lab) -> None:
    slow = [connect(lab) for _ in range(60)]
    for each in slow:
        each.sendall(b"POST /api/v1/inspect?camera=top HTTP/1.1\r\nHost: localhost\r\n")
    start = time.monotonic()
    assert lab.http.get("api/v1/state").status_code == 200
    assert time.monotonic() - start < 5
    for each in slow:
        each.close()


@pytest.mark.parametrize("garbage", [b"\x00" * 2000, b"GET\r\n\r\n", b"A" * 100_000, b"\r\n" * 99])
def test_garbage_is_answered_or_hung_up_on(lab: Lab, garbage: bytes) -> None:
    with connect(lab) as client:
        client.settimeout(2)
        try:
            client.sendall(garbage)
            client.recv(1000)
        except OSError:
            pass
    assert lab.http.get("healthz").status_code == 200


def test_a_bug_is_no_secret_and_no_trace(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Api) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Api, "_counters", broken)
    assert problem(lab.http.get("api/v1/counters"), 500) == "the display has failed at this"
