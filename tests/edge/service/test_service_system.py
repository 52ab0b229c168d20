"""What a box's system gets: by systemd's own judgement, and what it lets a station touch."""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from needs_lab import needs

from edge.service.install import install, uninstall
from edge.service.system import (
    PREFIX,
    STATE,
    configuration,
    program_files,
    script,
    system_files,
)
from models.errors import InputError

ANALYZE = "/usr/bin/systemd-analyze"
SERVICES = ("lineguard-agent", "lineguard-kiosk", "lineguard-station")
EXPOSURE = {"lineguard-agent": 2.5, "lineguard-kiosk": 5.5, "lineguard-station": 2.5}
"""Of 10: what systemd-analyze may count at most; it counts what it sees, not what is needed."""


def unit(name: str) -> str:
    return system_files()[f"usr/lib/systemd/system/{name}"]


def sections(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def written(folder: Path) -> list[Path]:
    """All units, with programs that every machine has."""
    paths = []
    for name, text in system_files().items():
        if name.endswith((".service", ".path")):
            paths.append(folder / Path(name).name)
            here = re.sub(r"(?<=ExecStart=)\S+", "/bin/true", text)
            paths[-1].write_text(here)
    return paths


def analyze(*args: object) -> "subprocess.CompletedProcess[str]":
    command = [ANALYZE, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    needs(ANALYZE, "systemd")
    units = written(tmp_path)
    assert len(units) == 4
    done = analyze("verify", "--man=no", *units)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_little_exposed(tmp_path: Path, name: str) -> None:
    needs(ANALYZE, "systemd")
    written(tmp_path)
    limit = int(10 * EXPOSURE[name])
    how = ("--offline=yes", f"--threshold={limit}", "--no-pager")
    done = analyze("security", *how, tmp_path / f"{name}.service")
    assert done.returncode == 0, done.stdout


def test_what_a_service_must_have() -> None:
    for name in ("lineguard-agent", "lineguard-station"):
        parser = sections(unit(f"{name}.service"))
        service = parser["Service"]
        assert service["Type"] == "notify"
        assert int(service["WatchdogSec"]) > 0
        assert (service["Restart"], service["User"]) == ("always", "lineguard")
        assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
        assert service["StateDirectory"] == STATE.name
        assert service["MemoryMax"].endswith("%")
        assert parser["Unit"]["StartLimitIntervalSec"] == "0"
        assert parser["Install"]["WantedBy"] == "multi-user.target"
    weights = [int(sections(unit(f"{name}.service"))["Service"]["CPUWeight"]) for name in SERVICES]
    assert weights[2] > weights[0] > weights[1]  # station, agent, display


def test_a_station_waits_for_its_file() -> None:
    station, path = unit("lineguard-station.service"), unit("lineguard-station.path")
    file = f"{STATE}/station.toml"
    assert f"ConditionPathExists={file}\n" in station
    assert f"ExecStart={PREFIX}/bin/lineguard run {file}\n" in station
    assert f"PathChanged={file}\n" in path
    assert "network-online" not in station  # it would wait two minutes for a cable


def test_devices_are_named_one_by_one() -> None:
    station, agent = unit("lineguard-station.service"), unit("lineguard-agent.service")
    for device in ("video4linux", "ttyUSB", "gpiochip"):
        assert f"DeviceAllow=char-{device} rw\n" in station
    assert "video4linux" not in agent
    assert "ttymxc" in agent
    assert "\nCapabilityBoundingSet=\n" in agent
    assert "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in station


def test_the_port_of_the_agent_is_the_plants_to_decide() -> None:
    agent = unit("lineguard-agent.service")
    assert "agent --port ${PORT} --root /var/lib/lineguard\n" in agent
    (line,) = re.findall(r"^Environment=(PORT=.+)$", agent, re.MULTILINE)
    assert f"\n{line}\n" in configuration()["etc/lineguard/agent.conf"]
    kiosk = unit("lineguard-kiosk.service")
    (line,) = re.findall(r"^Environment=(URL=.+)$", kiosk, re.MULTILINE)
    assert f"\n{line}\n" in configuration()["etc/lineguard/display.conf"]


def test_nothing_is_left_to_be_filled_in() -> None:
    files = system_files(PurePosixPath("/srv/lg"), "etc") | configuration()
    files |= {name: text for name, (text, _) in program_files(PurePosixPath("/srv/lg")).items()}
    for name, text in files.items():
        assert not re.search(r"\$(?!\{(PORT|URL)\})", text), name
        assert str(PREFIX) not in text, name
    assert all(name.startswith("etc/") for name in files if "systemd" in name)


def test_rules_of_devices_are_whole() -> None:
    """As udev reads them: each line is KEY, operator, value in quotes; the label is there."""
    text = system_files()["usr/lib/udev/rules.d/70-lineguard.rules"]
    part = r'[A-Z]+(?:\{\w+\})?(?:==|!=|\+=|=)"[^"]*"'
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(rf"{part}(?:, {part})*", line)] == []
    assert re.findall(r'GOTO="(\w+)"', text) == re.findall(r'LABEL="(\w+)"', text)
    groups = set(re.findall(r'GROUP="(\w+)"', text))
    made = system_files()["usr/lib/sysusers.d/lineguard.conf"]
    assert groups == set(re.findall(r"^m lineguard (\w+)$", made, re.MULTILINE))


def run(name: str, root: Path, **values: str) -> str:
    return subprocess.run(
        ["/bin/sh", "-e", "-c", script(name)],
        env=os.environ | {"DPKG_ROOT": str(root)} | values,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The root of a system with a program on it, made by root."""
    needs(shutil.which("systemd-sysusers") if os.geteuid() == 0 else None, "systemd, and root")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    venv = tmp_path / PREFIX.relative_to("/")
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    return tmp_path


def keep(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("kept")


def test_install_makes_users_folders_and_services(system: Path) -> None:
    paths = install(system, PREFIX, system / "no-models")
    assert all(path.is_symlink() or path.is_file() for path in paths)
    state = system / "var/lib/lineguard"
    assert state.stat().st_mode & 0o777 == 0o755
    assert os.readlink(state / "trusted") == "/etc/lineguard/trusted"
    (line,) = re.findall("^lineguard:.*$", (system / "etc/passwd").read_text(), re.MULTILINE)
    assert state.stat().st_uid == int(line.split(":")[2])
    assert line.endswith(":/usr/sbin/nologin")
    group = (system / "etc/group").read_text()
    for name in ("video", "dialout", "gpio"):
        assert re.search(rf"^{name}:.*:.*\blineguard\b", group, re.MULTILINE)
    wanted = system / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in wanted.iterdir()} == {
        "lineguard-agent.service",
        "lineguard-station.path",
        "lineguard-station.service",
    }
    assert os.access(system / PREFIX.relative_to("/") / "bin/lineguard", os.X_OK)


def test_what_the_plant_decided_stays_when_it_is_installed_again(system: Path) -> None:
    install(system, PREFIX, system)
    conf = system / "etc/lineguard/agent.conf"
    conf.write_text("PORT=/dev/ttyS1\n")
    assert conf not in install(system, PREFIX, system)
    assert conf.read_text() == "PORT=/dev/ttyS1\n"


@pytest.mark.parametrize("keep_records", [True, False])
def test_uninstall_leaves_the_records_and_nothing_else(system: Path, keep_records: bool) -> None:
    before = {path for path in system.rglob("*") if path.is_file()}
    install(system, PREFIX, system)
    state = system / "var/lib/lineguard"
    for name in ("records/records.db", "records/2026/11/p.jpg", "out/verdicts.jsonl"):
        keep(state / name)
    for name in ("station.toml", "display.token", "a/model.onnx", ".cache/lineguard/x"):
        keep(state / name)
    keep(system / "etc/lineguard/board.toml")
    keep(system / "etc/systemd/system/lineguard-station.service.d/override.conf")
    said = uninstall(system, PREFIX, keep_records=keep_records)
    left = {path for path in system.rglob("*") if path.is_file() or path.is_symlink()}
    records = {
        state / name
        for name in ("records/records.db", "records/2026/11/p.jpg", "out/verdicts.jsonl")
    }
    made = {path for path in left if path.name in {"passwd-", "group-", "shadow", "gshadow"}}
    made |= {path for path in left if path.name.endswith("-") or path.name == ".pwd.lock"}
    venv = {path for path in before if path.is_relative_to(system / "opt")}
    assert left - made == (before - venv) | (records if keep_records else set())
    assert ("records are kept in" in said) == keep_records
    assert "lineguard" not in (system / "etc/passwd").read_text()
    assert not (system / "etc/lineguard").exists()
    assert not (system / "opt/lineguard").exists()
    if keep_records:
        assert (state / "records/records.db").stat().st_uid == 0


def test_a_station_whose_records_lie_at_the_top_keeps_all(system: Path) -> None:
    install(system, PREFIX, system)
    keep(system / "var/lib/lineguard/records.db")
    run("purge", system)
    assert (system / "var/lib/lineguard/records.db").read_text() == "kept"


def test_services_that_were_disabled_stay_so(system: Path) -> None:
    install(system, PREFIX, system)
    wanted = system / "etc/systemd/system/multi-user.target.wants/lineguard-agent.service"
    wanted.unlink()
    run("setup", system, again="0.1.0")  # as dpkg says it of an upgrade
    assert not wanted.exists()


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("/home/x/.venv", "a service cannot read it there"),
        ("/srv/none", "is no virtual environment"),
        ("/srv/a b", "mean something to systemd"),
    ],
)
def test_a_place_that_does_not_do_is_refused(tmp_path: Path, prefix: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        install(tmp_path, PurePosixPath(prefix), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_package_brought_is_the_packages(tmp_path: Path) -> None:
    keep(tmp_path / "var/lib/dpkg/info/lineguard.list")
    for change in (
        lambda: install(tmp_path, PREFIX, tmp_path),
        lambda: uninstall(tmp_path, PREFIX, keep_records=True),
    ):
        with pytest.raises(InputError, match="came as a package"):
            change()
