"""What is compiled against a release, what is refused, and what is kept."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
from lite_lab import STANDIN, build, compile_standin, release, write_model, write_release
from needs_lab import needs

from edge.engines.lite import (
    LiteBuild,
    LiteEngine,
    build_lite,
    builds_folder,
    find_build,
    find_compiler,
    find_release,
    library_version,
    this_machine,
)
from edge.engines.lite import build as building
from edge.engines.lite.built import SHIM, elf_machine, read_build
from edge.engines.lite.child import ABI, LIBRARY
from models.errors import EngineError, InputError, StorageError

CROSS = "aarch64-linux-gnu-g++"


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LINEGUARD_LITE", raising=False)


def elf(path: Path, machine: int, *exported: bytes) -> Path:
    """The head of a 64-bit library, and some of its names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, machine, 1)
    path.write_bytes(head + b"\0".join(exported))
    return path


def dry_release(folder: Path, machine: int = 183, *exported: bytes) -> Path:
    """A release whose library nobody can load."""
    elf(folder / "lib" / LIBRARY, machine, *exported)
    (folder / "include").mkdir(exist_ok=True)
    shutil.copy(STANDIN / "paddle_api.h", folder / "include")
    return folder


def fake_compiler(path: Path, target: str, then: str = "exit 1") -> str:
    path.write_text(
        f'#!/bin/sh\ncase "$1" in -dumpmachine) echo {target};; --version) echo fake 1.0;; '
        f"*) {then};; esac\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("layout", [".", "cxx", "unpacked", "unpacked/cxx"])
def test_a_release_is_found_in_several_layouts(layout: str, tmp_path: Path) -> None:
    base = dry_release(tmp_path / "given" / layout)
    found = find_release(tmp_path / "given")
    assert found.include.resolve() == (base / "include").resolve()
    assert found.library.resolve() == (base / "lib" / LIBRARY).resolve()
    assert (found.machine, found.old_strings) == ("aarch64", False)


def test_what_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder: unpack a release"):
        find_release(tmp_path / "missing")
    with pytest.raises(InputError, match=f"holds no cxx/lib/{LIBRARY}: give the unpacked folder"):
        find_release(tmp_path)
    dry_release(tmp_path / "a" / "cxx")
    dry_release(tmp_path / "a" / "b")
    with pytest.raises(InputError, match=r"holds several releases \(b, cxx\): give one of them"):
        find_release(tmp_path / "a")
    (tmp_path / "a" / "b" / "include" / "paddle_api.h").unlink()
    with pytest.raises(InputError, match=r"include/paddle_api\.h: is missing: unpack"):
        find_release(tmp_path / "a" / "b")


def test_a_library_that_is_none(tmp_path: Path) -> None:
    base = dry_release(tmp_path)
    (base / "lib" / LIBRARY).write_bytes(b"!<arch>\n")
    with pytest.raises(InputError, match="is no ELF library"):
        find_release(tmp_path)


def test_a_library_for_android(tmp_path: Path) -> None:
    dry_release(tmp_path, 183, b"_ZN6paddle8lite_api12MobileConfigEN_NSt6__ndk112basic_stringE")
    with pytest.raises(InputError, match="is for Android: take the release for ARM Linux"):
        find_release(tmp_path)


@pytest.mark.parametrize(
    ("head", "machine"),
    [
        (b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HH", 3, 40), "arm"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 183), "aarch64"),
        (b"\x7fELF\x02\x02\x01" + bytes(9) + struct.pack(">HH", 3, 183), "aarch64"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 99), "processor 99"),
    ],
)
def test_processors(head: bytes, machine: str, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(head)
    assert elf_machine(tmp_path / "lib.so") == machine


def test_a_compiler_that_is_not_there() -> None:
    with pytest.raises(EngineError, match=r"no-such-g\+\+: is not installed: give --cxx"):
        find_compiler(this_machine(), "no-such-g++")


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"g\+\+: is not installed: apt-get install g\+\+$"):
        find_compiler(this_machine(), None)
    for machine, package in (("aarch64", "aarch64-linux-gnu"), ("arm", "arm-linux-gnueabihf")):
        if machine != this_machine():
            with pytest.raises(EngineError, match=rf"apt-get install g\+\+-{package}$"):
                find_compiler(machine, None)


def test_a_compiler_for_another_processor(tmp_path: Path) -> None:
    arm = fake_compiler(tmp_path / "g++", "arm-linux-gnueabihf")
    with pytest.raises(EngineError) as caught:
        find_compiler("aarch64", arm)
    assert "compiles for arm (arm-linux-gnueabihf), but the library is for aarch64" in str(
        caught.value
    )
    path, about = find_compiler("arm", arm)
    assert (path, about) == (arm, "fake 1.0")


@pytest.mark.parametrize("script", ["exit 1", "true", "kill -9 $$"])
def test_a_compiler_that_does_not_work(script: str, tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    with pytest.raises(EngineError, match=r"is no working C\+\+ compiler"):
        find_compiler(this_machine(), str(broken))


def test_it_is_compiled_once_and_put_to_use(tmp_path: Path) -> None:
    told: list[str] = []
    out = tmp_path / "builds"
    shutil.copytree(build().folder.parent, out, symlinks=True)
    again = build_lite(find_release(release()), None, out, told.append)
    assert "compiled before" in told[1]
    assert again.key == build().key
    assert read_build(out / this_machine()).folder == (out / again.key).resolve()
    assert sorted(path.name for path in out.iterdir()) == sorted([again.key, this_machine()])
    assert sorted(path.name for path in again.folder.iterdir()) == sorted(
        [SHIM, LIBRARY, "lite.json"]
    )
    assert (again.machine, again.abi) == (this_machine(), ABI)


def test_it_outlives_the_release_and_another_place(tmp_path: Path) -> None:
    shutil.copytree(build().folder.parent, tmp_path / "elsewhere", symlinks=True)
    moved = read_build(tmp_path / "elsewhere" / this_machine())
    engine = LiteEngine(write_model(tmp_path / "model.nb"), 1, moved)
    assert engine.run({"x": np.ones((1, 3, 2, 2), np.float32)})["x.out"].max() == 2
    loaded = Path(f"/proc/{engine._process.pid}/maps").read_text()  # type: ignore[union-attr]
    assert str(tmp_path / "elsewhere") in loaded
    assert str(release()) not in loaded
    engine.close()


@pytest.mark.slow
def test_a_build_that_is_not_whole_is_made_again(tmp_path: Path) -> None:
    out = tmp_path / "builds"
    shutil.copytree(build().folder.parent, out, symlinks=True)
    (out / build().key / SHIM).unlink()
    assert build_lite(find_release(release()), None, out, lambda _: None).shim.is_file()


@pytest.mark.slow
def test_a_library_with_the_old_strings(tmp_path: Path) -> None:
    base = write_release(tmp_path / "release")
    compile_standin(base / "cxx" / "lib" / LIBRARY, "-D_GLIBCXX_USE_CXX11_ABI=0")
    found = find_release(base)
    assert found.old_strings
    old = build_lite(found, None, tmp_path / "builds", lambda _: None)
    assert old.key != build().key
    assert library_version(old) == "v2.13-rc"


@pytest.mark.slow
def test_a_header_of_something_else(tmp_path: Path) -> None:
    base = tmp_path / "release"
    shutil.copytree(release(), base)
    header = base / "cxx" / "include" / "paddle_api.h"
    header.write_text(header.read_text().replace("GetVersion", "Version"))
    with pytest.raises(EngineError) as caught:
        build_lite(find_release(base), None, tmp_path / "builds", lambda _: None)
    assert "cannot compile against it" in str(caught.value)
    assert "error:" in str(caught.value)
    assert "GetVersion" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "builds").iterdir()) == []


@pytest.mark.slow
def test_a_library_that_lacks_something_is_told_at_once(tmp_path: Path) -> None:
    base = tmp_path / "release"
    shutil.copytree(release(), base)
    library = base / "cxx" / "lib" / LIBRARY
    compile_standin(library, "-Dmutable_data=other_data")
    with pytest.raises(EngineError, match=r"undefined reference.*mutable_data"):
        build_lite(find_release(base), None, tmp_path / "builds", lambda _: None)


def test_what_cannot_be_loaded_is_not_put_to_use(tmp_path: Path) -> None:
    out = tmp_path / "builds"
    found = find_release(
        dry_release(tmp_path / "release", 62 if this_machine() == "x86_64" else 183)
    )
    cxx = fake_compiler(
        tmp_path / "g++",
        {"arm": "arm-linux-gnueabihf"}.get(this_machine(), f"{this_machine()}-linux-gnu"),
        'while [ "$1" != -o ]; do shift; done; echo nothing >"$2"',
    )
    with pytest.raises(EngineError, match="cannot be loaded"):
        build_lite(found, cxx, out, lambda _: None)
    assert not os.path.lexists(out / this_machine())


def test_a_build_for_another_machine_is_not_loaded_nor_used_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, number, target = (
        ("arm", 40, "arm-linux-gnueabihf")
        if this_machine() == "aarch64"
        else ("aarch64", 183, "aarch64-linux-gnu")
    )
    cxx = fake_compiler(
        tmp_path / "cross", target, 'while [ "$1" != -o ]; do shift; done; echo shim >"$2"'
    )
    out = tmp_path / "builds"
    found = find_release(dry_release(tmp_path / "release", number))
    crossed = build_lite(found, cxx, out, lambda _: None)
    assert crossed.machine == there
    monkeypatch.setenv("LINEGUARD_LITE", str(out))
    with pytest.raises(EngineError, match=f"holds no Paddle Lite for {this_machine()}"):
        find_build()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be written .*--out another folder"):
        build_lite(find_release(release()), None, tmp_path / "file" / "out", lambda _: None)


def test_where_builds_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert builds_folder() == tmp_path / "cache" / "lite"
    assert find_build() is None
    monkeypatch.setenv("LINEGUARD_LITE", str(tmp_path / "chosen"))
    assert builds_folder() == tmp_path / "chosen"
    with pytest.raises(EngineError, match="LINEGUARD_LITE names it, but it holds no Paddle Lite"):
        find_build()
    monkeypatch.setenv("LINEGUARD_LITE", str(build().folder.parent))
    assert find_build() == build()


@pytest.mark.parametrize(
    "facts",
    [b"", b"[]", b'{"key": "a"}', b'{"key": "a", "machine": "x", "abi": "?", "compiler": "c"}'],
)
def test_facts_that_are_spoilt(facts: bytes, tmp_path: Path) -> None:
    shutil.copytree(build().folder, tmp_path / "build")
    (tmp_path / "build" / "lite.json").write_bytes(facts)
    with pytest.raises(EngineError, match="holds no whole build of Paddle Lite"):
        read_build(tmp_path / "build")


def test_a_build_of_another_lineguard(tmp_path: Path) -> None:
    shutil.copytree(build().folder, tmp_path / "build")
    other = LiteBuild(tmp_path / "build", "k", this_machine(), ABI + 1, "g++")
    (tmp_path / "build" / "lite.json").write_bytes(other.facts())
    with pytest.raises(EngineError, match=f"interface {ABI + 1} instead of {ABI}.*build-lite"):
        read_build(tmp_path / "build")


@pytest.mark.slow
def test_crossing_for_a_board(tmp_path: Path) -> None:
    needs(shutil.which(CROSS), "g++-aarch64-linux-gnu")
    base = write_release(tmp_path / "release", cxx=CROSS)
    crossed = build_lite(find_release(base), None, tmp_path / "builds", lambda _: None)
    assert crossed.machine == "aarch64"
    assert elf_machine(crossed.shim) == "aarch64"
    assert "aarch64" in building.find_compiler("aarch64", None)[0]
