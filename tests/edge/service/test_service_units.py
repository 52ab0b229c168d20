"""The units: by systemd's own judgement, and what they let a station touch."""

import configparser
import subprocess
from pathlib import Path

import pytest
from needs_lab import needs

from edge.service.units import AGENT, STATION, agent_unit, station_unit, users, writable
from edge.station import Station, example_station, load_station
from models.errors import InputError

PROGRAM = Path("/bin/true")
FILE = Path("/var/lib/lineguard/station.toml")
ANALYZE = "/usr/bin/systemd-analyze"


def loaded(folder: Path, more: str = "") -> Station:
    (folder / "station.toml").write_text(example_station() + more)
    return load_station(folder / "station.toml")


def sections(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    needs(ANALYZE, "systemd")
    station = tmp_path / STATION.name
    station.write_text(station_unit(PROGRAM, FILE, loaded(tmp_path)))
    agent = tmp_path / AGENT.name
    agent.write_text(agent_unit(PROGRAM, "tcp://0.0.0.0:7533", Path("/var/lib/lineguard")))
    done = subprocess.run(
        [ANALYZE, "verify", "--man=no", station, agent],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_service_must_have(tmp_path: Path) -> None:
    station = station_unit(PROGRAM, FILE, loaded(tmp_path))
    agent = agent_unit(PROGRAM, "/dev/ttyS1", Path("/var/lib/lineguard"))
    for text in (station, agent):
        assert "$" not in text
        service = sections(text)["Service"]
        assert service["Type"] == "notify"
        assert int(service["WatchdogSec"]) > 0
        assert (service["Restart"], service["User"]) == ("always", "lineguard")
        assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
        assert service["StateDirectory"] == "lineguard"
        assert service["CapabilityBoundingSet"] == ""
        assert service["MemoryMax"].endswith("%")
        assert sections(text)["Unit"]["StartLimitIntervalSec"] == "0"
        assert sections(text)["Install"]["WantedBy"] == "multi-user.target"
    assert f"ExecStart={PROGRAM} run {FILE}\n" in station
    for device in ("video4linux", "ttyUSB", "gpiochip"):
        assert f"DeviceAllow=char-{device} rw\n" in station
    assert "video4linux" not in agent
    assert f"ExecStart={PROGRAM} agent --port /dev/ttyS1 --root /var/lib/lineguard\n" in agent


def test_what_it_may_write_is_what_the_station_names(tmp_path: Path) -> None:
    more = '\n[records]\npath = "/data/records"\n[display]\ntoken_file = "secret/token"\n'
    station = loaded(tmp_path, more)
    assert writable(tmp_path / "station.toml", station) == [Path("/data/records"), tmp_path]
    text = station_unit(PROGRAM, tmp_path / "station.toml", station)
    assert f"ReadWritePaths=/data/records {tmp_path}\n" in text
    assert "ReadWritePaths=\n" in agent_unit(PROGRAM, "/dev/ttyS1", Path("/var/lib/lineguard/box"))


def test_a_port_below_1024_needs_its_privilege(tmp_path: Path) -> None:
    station = loaded(tmp_path, "\n[display]\nport = 80\n")
    service = sections(station_unit(PROGRAM, FILE, station))["Service"]
    assert service["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    agent = agent_unit(PROGRAM, "tcp://0.0.0.0:443", Path("/box"))
    assert sections(agent)["Service"]["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"


@pytest.mark.parametrize("path", ["/a b/s.toml", "/a%h/s.toml", "/a$x/s.toml", "/a\nExecStart=/x"])
def test_a_path_that_means_something_to_systemd_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="mean something to systemd"):
        station_unit(PROGRAM, Path(path), loaded(tmp_path))


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="is no tcp://HOST:PORT"):
        agent_unit(PROGRAM, "tcp://box:many", Path("/box"))


def test_the_user_is_made(tmp_path: Path) -> None:
    lines = [line.split() for line in users().splitlines() if not line.startswith("#")]
    assert lines[0][:2] == ["u", "lineguard"]
    assert {line[2] for line in lines[1:]} == {"video", "dialout", "gpio"}
