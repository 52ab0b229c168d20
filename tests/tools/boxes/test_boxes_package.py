"""The package of a box, from a shelf of tiny wheels: by the real pip and the real dpkg-deb."""

import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from needs_lab import needs

from models.errors import DeviceError, InputError
from tools.boxes.package import build_package
from tools.boxes.wheels import (
    FROM_DEBIAN,
    INSTEAD_FOR_32_BITS,
    LOCK,
    Target,
    fetch_wheels,
    unpack_wheel,
)

DEB = "/usr/bin/dpkg-deb"
WHEN = (2024, 2, 29, 12, 0, 0)
PURE = "py3-none-any"
BOARD = "cp311-cp311-manylinux_2_17_aarch64"
PC = "cp311-cp311-manylinux_2_17_x86_64"


def wheel(folder: Path, name: str, tag: str, files: dict[str, str], version: str = "1.0") -> Path:
    papers = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{papers}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{papers}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
        f"{papers}/RECORD": "",
    }
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(zipfile.ZipInfo(inner, WHEN), text)
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes for all there is, with their lock file."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    alpha = {"alpha/__init__.py": "A = 1\n", "alpha/tests/test_a.py": "", "alpha-1.0.data/x/y": ""}
    wheel(folder, "alpha", PURE, alpha)
    wheel(folder, "beta", BOARD, {"beta.so": "arm", "beta-1.0.data/platlib/more.py": ""})
    wheel(folder, "beta", PC, {"beta.so": "x86"})
    wheel(folder, "gamma", PURE, {"gamma.py": ""})
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    def pin(name: str, marker: str) -> str:
        mine = sorted(value for key, value in hashes.items() if key.startswith(name))
        return f"{name}==1.0{marker} " + " ".join(f"\\\n    --hash=sha256:{each}" for each in mine)

    lines = [
        "# a comment",
        pin("alpha", ""),
        pin("beta", " ; sys_platform == 'linux'"),
        pin("gamma", " ; python_full_version >= '3.12'"),
    ]
    (folder / "lock.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    wheel(tmp_path, "lineguard", PURE, {"tools/cli.py": "def main(): ...\n"}, "0.1.0")
    return folder


def build(shelf: Path, out: Path, debian: str = "bookworm", architecture: str = "arm64") -> Path:
    return build_package(
        out,
        architecture=architecture,
        debian=debian,
        wheel=shelf.parent / f"lineguard-0.1.0-{PURE}.whl",
        lock=shelf / "lock.txt",
        models=None,
        cache=out / "cache",
    ).path


def names(wheels: list[Path]) -> list[str]:
    return [path.name.split("-")[0] for path in wheels]


def test_wheels_are_those_of_the_other_machine(shelf: Path, tmp_path: Path) -> None:
    lock, cache = shelf / "lock.txt", tmp_path / "cache"
    board = fetch_wheels(lock, Target("arm64", "3.11"), cache)
    assert names(board) == ["alpha", "beta"]
    assert BOARD in board[1].name
    assert PC in fetch_wheels(lock, Target("amd64", "3.11"), cache)[1].name
    assert names(fetch_wheels(lock, Target("arm64", "3.13"), cache, ["beta"])) == ["alpha", "gamma"]
    for path in shelf.glob("*.whl"):
        path.unlink()  # all is kept
    assert fetch_wheels(lock, Target("arm64", "3.11"), cache) == board


def test_a_wheel_that_is_not_there_or_not_that_one(shelf: Path, tmp_path: Path) -> None:
    lock, cache = shelf / "lock.txt", tmp_path / "cache"
    with pytest.raises(DeviceError, match=r"beta==1\.0"):  # has none for that Python
        fetch_wheels(lock, Target("arm64", "3.13"), cache)
    (shelf / f"alpha-1.0-{PURE}.whl").write_bytes(b"another one")
    with pytest.raises(DeviceError, match="pip download fails"):
        fetch_wheels(lock, Target("amd64", "3.11"), cache)
    assert not list(cache.iterdir())


def test_a_wheel_keeps_to_its_folder(tmp_path: Path) -> None:
    path = wheel(tmp_path, "evil", PURE, {"../../outside": "x"})
    with pytest.raises(InputError, match="lies outside"):
        list(unpack_wheel(path, tmp_path / "a/b/site"))
    assert not list(tmp_path.rglob("outside"))


def test_a_package_is_what_a_box_needs_and_nothing_else(shelf: Path, tmp_path: Path) -> None:
    needs(DEB, "dpkg")
    path = build(shelf, tmp_path / "out")
    assert path.name == "lineguard_0.1.0+deb12_arm64.deb"
    members = listed(path)
    site = "./opt/lineguard/lib/python3.11/site-packages"
    below = {name for name in members if name.startswith(f"{site}/") and "dist-info" not in name}
    wanted = ("alpha", "alpha/__init__.py", "beta.so", "more.py", "tools", "tools/cli.py")
    assert below == {f"{site}/{name}" for name in wanted}
    assert members["./opt/lineguard/bin/python3"].linkname == "/usr/bin/python3.11"
    assert members["./usr/bin/lineguard"].linkname == "/opt/lineguard/bin/lineguard"
    for name in (
        "./etc/lineguard/trusted",
        "./usr/lib/systemd/system/lineguard-station.service",
        "./usr/lib/udev/rules.d/70-lineguard.rules",
        "./usr/share/doc/lineguard/copyright",
    ):
        assert name in members
    assert not any("pycache" in name or "var/" in name for name in members)
    assert {(each.uid, each.gid) for each in members.values()} == {(0, 0)}
    runs = {name for name, each in members.items() if each.isfile() and each.mode & 0o111}
    assert runs == {"./opt/lineguard/bin/lineguard"}
    assert all(each.mode & 0o022 == 0 for each in members.values() if not each.issym())
    assert {each.mtime for each in members.values()} == {1709208000}
    fields = told("--field", path)
    assert "Architecture: arm64\n" in fields
    assert "Depends: python3.11, libc6" in fields
    assert told("--info", path, "conffiles").split() == [
        "/etc/lineguard/agent.conf",
        "/etc/lineguard/display.conf",
    ]
    for name in ("postinst", "prerm", "postrm"):
        text = told("--info", path, name)
        subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=True)
        assert text.startswith("#!/bin/sh\nset -e\n")


def test_a_package_for_32_bits_takes_from_debian_what_is_compiled(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(DEB, "dpkg")
    monkeypatch.setattr("tools.boxes.wheels.FROM_DEBIAN", {"beta": "python3-beta"})
    monkeypatch.setattr("tools.boxes.package.FROM_DEBIAN", {"beta": "python3-beta"})
    monkeypatch.setattr("tools.boxes.wheels.NOT_FOR_32_BITS", {"gamma"})
    older = wheel(shelf, "alpha", PURE, {"alpha/old.py": ""}, "0.9")
    digest = hashlib.sha256(older.read_bytes()).hexdigest()
    instead = {"alpha": f"alpha==0.9 --hash=sha256:{digest}\n", "delta": "delta==1.0\n"}
    monkeypatch.setattr("tools.boxes.wheels.INSTEAD_FOR_32_BITS", instead)
    path = build(shelf, tmp_path / "out", "trixie", "armhf")
    assert path.name == "lineguard_0.1.0+deb13_armhf.deb"
    site = "./opt/lineguard/lib/python3.13/site-packages"
    below = {name for name in listed(path) if name.startswith(site) and "dist-info" not in name}
    wanted = ("alpha", "alpha/old.py", "tools", "tools/cli.py")
    assert below == {site, *(f"{site}/{name}" for name in wanted)}
    assert "\nDepends: python3.13, python3-beta, libc6" in told("--field", path)
    config = "./opt/lineguard/pyvenv.cfg"
    assert "include-system-site-packages = true\n" in content(path, config)
    board = build(shelf, tmp_path / "other", "bookworm", "arm64")
    assert "include-system-site-packages = false\n" in content(board, config)


def test_what_debian_shall_have_is_in_the_lock_file() -> None:
    lines = LOCK.read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert {*FROM_DEBIAN, *INSTEAD_FOR_32_BITS} <= pinned


def test_the_same_inputs_give_the_same_bytes(shelf: Path, tmp_path: Path) -> None:
    needs(DEB, "dpkg")
    first = build(shelf, tmp_path / "first").read_bytes()
    old = os.umask(0o077)
    try:
        assert build(shelf, tmp_path / "again").read_bytes() == first
    finally:
        os.umask(old)
    assert build(shelf, tmp_path / "other", architecture="amd64").read_bytes() != first


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            {"architecture": "armhf"},
            r"armhf: Debian 12 \(bookworm\) has no ONNX Runtime for 32 bits: choose Debian 13",
        ),
        ({"debian": "buster"}, "buster: no release that is known: choose of bookworm, trixie"),
        ({"architecture": "mips"}, "mips: no such architecture: there are amd64, arm64, armhf"),
    ],
)
def test_a_box_that_there_is_not(
    shelf: Path, tmp_path: Path, how: dict[str, str], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        build(shelf, tmp_path / "out", **how)


def told(*args: object) -> str:
    done = subprocess.run([DEB, *map(str, args)], capture_output=True, text=True, check=True)
    return done.stdout


def content(path: Path, name: str) -> str:
    """Text of a member of a package."""
    done = subprocess.run([DEB, "--fsys-tarfile", path], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read().decode()


def listed(path: Path) -> dict[str, tarfile.TarInfo]:
    """Members of a package, by their names."""
    done = subprocess.run([DEB, "--fsys-tarfile", path], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name.rstrip("/"): member for member in archive}
