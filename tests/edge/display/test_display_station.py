"""``[display]`` of a station file, and the display of the command line."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from display_lab import picture_file

from edge.station import Display, Station, example_station, load_station
from models.errors import ConfigError

LINEGUARD = str(Path(sys.executable).with_name("lineguard"))

STATION = """
[station]
name = "shown"
deadline_ms = 10000
[job]
lot = "L2611A"
[models.print]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
[[cameras]]
name = "top"
source = "folder:parts?fps=2&loop=1"
[[regions]]
name = "label"
camera = "top"
model = "print"
mode = "fixed"
[[rules]]
name = "lot"
kind = "code"
region = "label"
pattern = '^LOT ?(?P<lot>\\w+)$'
[display]
port = {port}
"""


def loaded(folder: Path, table: str) -> Station:
    (folder / "station.toml").write_text(example_station() + "\n[display]\n" + table, "utf-8")
    return load_station(folder / "station.toml")


def test_what_is_left_out_is_as_the_example_says(tmp_path: Path) -> None:
    display = loaded(tmp_path, "").display
    assert display == Display(token_file=str(tmp_path / "display.token"))
    assert (display.host, display.port, display.language) == ("127.0.0.1", 8765, "en")
    assert load_station_without(tmp_path).display is None


def load_station_without(folder: Path) -> Station:
    (folder / "plain.toml").write_text(example_station(), "utf-8")
    return load_station(folder / "plain.toml")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("prot = 80", "display.prot: unknown key: did you mean"),
        ("port = 0", "display.port = 0: must be at least 1"),
        ("port = 65536", "display.port = 65536: must be at most 65535"),
        ('names = ["line1:80"]', "must be a host name: letters, digits, . and -, no port"),
        ('shifts = ["6:00"]', "must be a time of day from 00:00 to 23:59"),
        ('shifts = ["06:00", "06:00"]', "names one twice"),
        ('shifts = ["24:00"]', "must be a time of day"),
        ('language = "de"', 'display.language = "de": is not known: '),
        ('token_file = ""', "display.token_file"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, line)
    (fault,) = caught.value.faults
    assert says in fault
    assert ":" in fault.partition("station.toml")[2][:5]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A station at work and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for number, text in enumerate(["LOT L2611A", "LOT L2612B"]):
        picture_file(tmp_path / f"parts/{number}.png", text)
    (tmp_path / "station.toml").write_text(STATION.format(port=port))
    process = subprocess.Popen(
        [LINEGUARD, "run", "station.toml", "--json"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.communicate()


def answering(address: str) -> httpx.Client:
    """A client, once there is somebody to answer it."""
    client = httpx.Client(base_url=address, timeout=20, trust_env=False)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.get("api/v1/state").json()["shift"]["ng"]:
                return client
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("no display")


@pytest.mark.slow
def test_a_station_shows_itself_and_takes_another_job(
    running: tuple["subprocess.Popen[str]", str], tmp_path: Path
) -> None:
    process, address = running
    http = answering(address)
    token = (tmp_path / "display.token").read_text().strip()
    job = http.get("api/v1/job")
    headers = {"Authorization": f"Bearer {token}", "If-Match": job.headers["etag"]}
    change = {"product": "Tea", "lot": "L2612B", "by": "Wang Li"}
    assert http.put("api/v1/job", json=change, headers=headers).status_code == 200

    deadline = time.monotonic() + 30
    reads: dict[str, str] = {}
    while len(reads) < 2 and time.monotonic() < deadline:
        parts = http.get("api/v1/parts").json()
        reads = {
            p["fields"].get("lot.lot", ""): p["verdict"] for p in parts if p["lot"] == "L2612B"
        }
        time.sleep(0.2)
    assert reads == {"L2611A": "NG", "L2612B": "OK"}, "judged by the new lot"

    picture = http.get("api/v1/cameras/top/picture.jpg")
    assert picture.content.startswith(b"\xff\xd8")
    upload = {**headers, "Content-Type": "image/png"}
    body = (tmp_path / "parts/1.png").read_bytes()
    record = http.post("api/v1/inspect?camera=top", content=body, headers=upload).json()
    assert (record["verdict"], record["fields"]) == ("OK", {"lot.lot": "L2612B"})

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == f"display        {address} (token: display.token)\n"
    assert token not in out
    *verdicts, last = map(json.loads, out.splitlines())
    assert [verdict["part"] for verdict in verdicts] == list(range(1, len(verdicts) + 1))
    assert set(last) == {"summary"}


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(
    running: tuple["subprocess.Popen[str]", str], tmp_path: Path
) -> None:
    answering(running[1])
    done = subprocess.run(
        [LINEGUARD, "run", "station.toml"], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "another program has it: stop that, or choose another port" in done.stderr
    assert len(done.stderr.splitlines()) == 1
