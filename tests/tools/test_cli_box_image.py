"""What an image holds beside Debian, as far as it can be tried without starting it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_lab import lineguard, refused

from models.errors import LineguardError
from tools.boxes.image.initramfs import APPLETS, INIT
from tools.boxes.image.make import make_image

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
IMAGE = ROOT / "tools/boxes/image"

SHELL = frozenset(
    {"case", "do", "else", "esac", "exit", "export", "fail", "false", "fi", "for"}
    | {"function", "if", "partition", "return", "then", "until", "while", "done", "elif"}
)
"""What the shell itself knows, and init's own functions."""


def test_init_calls_nothing_that_it_does_not_have() -> None:
    subprocess.run(["/bin/sh", "-n", INIT], check=True)
    text = INIT.read_text().replace("exec switch_root", "switch_root")
    text = re.sub(r"#.*|\"[^\"]*\"|'[^']*'", "", text)
    text = re.sub(r"chroot /root \S+|\$\(\([^)]*\)\)", "chroot", text)
    called = set(
        re.findall(
            r"(?:^|[;|&(]|\bif|\belif|\bthen|\bdo|\|\||&&)\s*([a-z_][a-z_0-9]*)(?=\s|$)", text, re.M
        )
    )
    assert called - SHELL <= set(APPLETS)
    assert {"switch_root", "modprobe", "mount"} <= called


def test_finish_is_a_script(tmp_path: Path) -> None:
    subprocess.run(["/bin/sh", "-n", IMAGE / "finish.sh"], check=True)


def test_every_mount_has_its_folder() -> None:
    lines = (IMAGE / "system/etc/fstab").read_text().splitlines()
    mounts = [line.split() for line in lines if not line.startswith("#")]
    assert all(len(fields) == 6 for fields in mounts)
    sources = {Path(fields[0]).name for fields in mounts if fields[3].startswith("bind")}
    assert sources == {"lineguard", "systemd", "journal"}
    made = INIT.read_text()
    assert all(f"/root/data/{name}" in made for name in sources)


def test_the_station_of_an_image_tells_good_from_bad(tmp_path: Path) -> None:
    """As the box runs it, but once, and without a display."""
    text = (IMAGE / "first/station.toml").read_text().partition("[records]")[0]
    text = (
        text.replace("deadline_ms = 2000", "deadline_ms = 60000")
        .replace("?fps=0.5&loop=1", "")
        .replace("/var/lib/lineguard", str(IMAGE / "first"))
    )
    (tmp_path / "station.toml").write_text(text + '[[outputs]]\nkind = "jsonl"\npath = "said"\n')
    done = lineguard("run", "station.toml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    found = re.findall(r'"verdict": ?"(OK|NG)"', (tmp_path / "said").read_text())
    assert found == ["OK", "OK", "NG", "OK", "NG", "NG"]


def test_an_unknown_board_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (error,) = refused("box", "image", "--board", "rpi5", "--out", "x.img", cwd=tmp_path)
    assert error == "--board rpi5: no such board: did you mean rpi4?"


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("station", {}, r"station\.toml"),
        ("trusted", {}, r"given: holds no \*\.pub"),
        ("keys", None, "given: cannot be read"),
        (
            "keys",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            r"given: is no public key: give the .*pub",
        ),
        ("keys", " \n", "given: is no public key"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    option: str,
    content: object,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, str):
        Path("given").write_text(content)
    elif content is not None:
        Path("given").mkdir()
    asked: dict[str, Any] = {"station": None, "trusted": None, "keys": None, option: Path("given")}
    with pytest.raises(LineguardError, match=message):
        make_image("qemu-virt", Path("out/box.img"), **asked, megabytes=None, oci=None, tell=print)
    assert not Path("out").exists()


@pytest.fixture(scope="module")
def recipe() -> list[tuple[str, str]]:
    """Instructions of the Containerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_host_container_is_pinned_and_runs_as_nobody_special(
    recipe: list[tuple[str, str]],
) -> None:
    kinds = [kind for kind, _ in recipe]
    assert kinds[0] == "FROM"
    assert recipe[0][1] == "python:3.10-slim-bookworm"
    assert set(kinds) <= {"FROM", "RUN", "ENV", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    for _, sources in (each for each in recipe if each[0] == "COPY"):
        for source in sources.split()[:-1]:
            assert (ROOT / source).exists(), source
    installs = [run for kind, run in recipe if kind == "RUN" and "pip install" in run]
    assert len(installs) == 2
    assert "--require-hashes --no-deps --requirement /opt/lineguard/locks/dev.txt" in installs[0]
    assert "--no-deps --no-build-isolation --editable /opt/lineguard" in installs[1]
    users = [value for kind, value in recipe if kind == "USER"]
    assert users == ["lineguard"]
    assert not [kind for kind in kinds[kinds.index("USER") :] if kind == "RUN"]
    assert dict(recipe)["ENTRYPOINT"] == '["lineguard"]'


def test_the_container_has_every_room_of_the_program(recipe: list[tuple[str, str]]) -> None:
    copied = {source for kind, value in recipe if kind == "COPY" for source in value.split()[:-1]}
    pyproject = (ROOT / "pyproject.toml").read_text()
    (rooms,) = re.findall(r"\[tool.hatch.build.targets.wheel\]\npackages = \[(.*)\]", pyproject)
    assert set(re.findall(r'"(\w+)"', rooms)) < copied


def test_the_lock_file_has_a_hash_for_each_package() -> None:
    lines = re.sub(r"\\\n", " ", (ROOT / "locks/dev.txt").read_text()).splitlines()
    packages = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert len(packages) > 50
    assert all("==" in line and "--hash=sha256:" in line for line in packages)
