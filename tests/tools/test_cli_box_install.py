"""``lineguard box install``, as its user runs it: below the root of a system that is made."""

import os
import shutil
from pathlib import Path

import pytest
from cli_lab import files, lineguard, refused
from needs_lab import needs


@pytest.fixture
def system(tmp_path: Path) -> Path:
    root = tmp_path / "system"
    (root / "srv/lg").mkdir(parents=True)
    (root / "srv/lg/pyvenv.cfg").touch()
    (root / "etc").mkdir()
    for name in ("passwd", "group"):
        (root / "etc" / name).touch()
    return root


HERE = ("--root", "system", "--prefix", "/srv/lg")


def test_install_writes_what_it_shows_and_uninstall_takes_it_away(
    system: Path, tmp_path: Path
) -> None:
    needs(shutil.which("systemd-sysusers") if os.geteuid() == 0 else None, "systemd, and root")
    before = files(tmp_path)
    shown = lineguard("box", "install", *HERE, "--dry-run", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert files(tmp_path) == before
    done = lineguard("box", "install", *HERE, cwd=tmp_path, LINEGUARD_MODELS="none")
    assert (done.code, done.err) == (0, "")
    assert "next: /var/lib/lineguard/station.toml" in done.out
    for name in (
        "etc/systemd/system/lineguard-station.service",
        "etc/udev/rules.d/70-lineguard.rules",
        "etc/lineguard/agent.conf",
        "srv/lg/bin/lineguard",
    ):
        text = (system / name).read_text()
        assert f"# system/{name}\n{text}\n" in shown.out
        assert f"written: system/{name}\n" in done.out
    gone = lineguard("box", "uninstall", *HERE, cwd=tmp_path)
    assert (gone.code, gone.out, gone.err) == (0, "nothing is left\n", "")
    left = {Path(name).name.rstrip("-").lstrip(".") for name in files(system)}
    assert left <= {"passwd", "group", "shadow", "gshadow", "pwd.lock", "pyvenv.cfg"}


@pytest.mark.parametrize(
    ("args", "path", "says"),
    [
        (
            ("install", "--root", "system", "--prefix", "/srv/none"),
            os.defpath,
            "is no virtual environment",
        ),
        (("install", *HERE), "/none", "without systemd, let your own init start"),
        (("uninstall", *HERE), "/none", "systemctl: is not here"),
    ],
)
def test_install_refuses(
    system: Path, tmp_path: Path, args: tuple[str, ...], path: str, says: str
) -> None:
    needs(shutil.which("systemd-sysusers"), "systemd")
    (error,) = refused("box", *args, cwd=tmp_path, PATH=path)
    assert says in error
