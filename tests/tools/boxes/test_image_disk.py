"""Disks as bytes: read back by other means than those that wrote them, and made twice."""

import binascii
import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest

from models.errors import DeviceError
from tools.boxes.image.boards import BOARDS, find_board
from tools.boxes.image.disk import (
    LINUX,
    MEGABYTE,
    UEFI,
    Partition,
    make_data,
    make_disk,
    make_start,
    make_tree,
)
from tools.boxes.image.oci import make_oci
from tools.boxes.image.start import start_files
from tools.boxes.image.tars import pack, settle_times, take
from tools.boxes.programs import missing_packages, run_program

pytestmark = pytest.mark.skipif(
    bool(missing_packages()) and "CI" not in os.environ,
    reason=f"needs {' '.join(missing_packages())}",
)

SEED = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
WHEN = 1_750_000_000

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def said(*command: object) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        env=os.environ | {"PATH": PATH, "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def system(folder: Path, seconds: int = 0) -> Path:
    """The archive of a small system, as mmdebstrap writes one: with owners, made just now."""
    path = folder / "debian.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, text: str = "", **more: object) -> None:
            member = tarfile.TarInfo(name)
            member.mtime, member.size = WHEN + 1000 + seconds, len(text)
            for key, value in more.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(text.encode()))

        folders = (".", "./etc", "./usr", "./usr/bin", "./usr/lib", "./boot", "./data")
        for name in folders:
            add(name, type=tarfile.DIRTYPE, mode=0o755)
        add("./usr/lib/clock-epoch", mtime=WHEN)
        add("./usr/bin/tool", "#!/bin/sh\n", mode=0o755, mtime=WHEN - 5)
        add("./usr/bin/other", type=tarfile.LNKTYPE, linkname="./usr/bin/tool")
        add("./bin", type=tarfile.SYMTYPE, linkname="usr/bin")
        add("./etc/shadow", "root:*:1::::::\n", mode=0o640, gid=42)
        add("./boot/vmlinuz-6.1", "kernel")
    return path


def make(folder: Path, seconds: int = 0) -> dict[str, Path]:
    """Everything that an image is made of, from a small system."""
    folder.mkdir()
    made = {name: folder / name for name in ("start", "tar", "tree", "data", "disk", "oci")}
    when = settle_times(system(folder, seconds), made["tar"], lambda name: name.startswith("boot/"))
    assert when == WHEN
    loader = folder / "loader"
    loader.write_bytes(b"MZ" * 3000)
    files = {"EFI/BOOT/BOOTAA64.EFI": loader, "loader/loader.conf": loader, "vmlinuz": loader}
    make_start(made["start"], files, 40, SEED, when)
    make_tree(made["tree"], made["tar"], when)
    make_data(made["data"], 16, SEED, when)
    partitions = [
        Partition("box-start", UEFI, made["start"]),
        Partition("box-system", LINUX, made["tree"]),
        Partition("box-data", LINUX, made["data"]),
    ]
    make_disk(made["disk"], partitions, SEED)
    (folder / "scratch").mkdir()
    make_oci(made["oci"], [made["tar"]], "arm64", folder / "scratch", when)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("disk") / "one")


def test_the_same_inputs_give_the_same_bytes(made: dict[str, Path], tmp_path: Path) -> None:
    again = make(tmp_path / "two", seconds=77)
    for name, path in made.items():
        assert again[name].read_bytes() == path.read_bytes(), name


def partitions(disk: bytes, header_at: int) -> list[tuple[str, uuid.UUID, int, int]]:
    """Name, kind, first byte, size of each; by the letters of the UEFI specification, 5.3."""
    header = disk[header_at : header_at + 92]
    signature, _, size, crc = struct.unpack("<8sIII", header[:20])
    assert signature == b"EFI PART"
    assert binascii.crc32(header[:16] + b"\0\0\0\0" + header[20:size]) == crc
    at, count, entry, entries_crc = struct.unpack("<QIII", header[72:92])
    entries = disk[at * 512 : at * 512 + count * entry]
    assert binascii.crc32(entries) == entries_crc
    found = []
    for each in range(0, len(entries), entry):
        kind, first, last, name = struct.unpack("<16s16xQQ8x72s", entries[each : each + 128])
        if first:
            text = name.decode("utf-16-le").rstrip("\0")
            place, bytes_ = first * 512, (last - first + 1) * 512
            found.append((text, uuid.UUID(bytes_le=kind), place, bytes_))
    return found


def test_the_table_is_there_twice_and_every_partition_at_a_megabyte(made: dict[str, Path]) -> None:
    disk = made["disk"].read_bytes()
    table = partitions(disk, 512)
    assert partitions(disk, len(disk) - 512) == table
    assert [(name, kind) for name, kind, _, _ in table] == [
        ("box-start", uuid.UUID(UEFI)),
        ("box-system", uuid.UUID(LINUX)),
        ("box-data", uuid.UUID(LINUX)),
    ]
    for (_, _, place, size), name in zip(table, ("start", "tree", "data"), strict=True):
        content = made[name].read_bytes()
        assert place % MEGABYTE == 0
        assert disk[place : place + len(content)] == content
        assert size == -(-len(content) // MEGABYTE) * MEGABYTE


def test_firmware_finds_its_files(made: dict[str, Path], tmp_path: Path) -> None:
    start = made["start"]
    said("fsck.vfat", "-n", start)
    assert struct.unpack("<H", start.read_bytes()[510:512]) == (0xAA55,)
    assert start.read_bytes()[82:90] == b"FAT32   "
    said("mcopy", "-i", start, "::EFI/BOOT/BOOTAA64.EFI", tmp_path / "loader")
    assert (tmp_path / "loader").read_bytes() == b"MZ" * 3000


def test_what_does_not_fit_the_first_partition_is_told(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(50 * MEGABYTE)
    with pytest.raises(DeviceError, match=r"mcopy: exit code 1 .*full"):
        make_start(tmp_path / "start", {"large": tmp_path / "large"}, 40, SEED, WHEN)


def test_the_system_keeps_owners_modes_and_links_but_no_time_later_than_its_own(
    made: dict[str, Path],
) -> None:
    listed = said("rdsquashfs", "--describe", made["tree"]).splitlines()
    assert "file etc/shadow 0640 0 42" in listed
    assert "file usr/bin/tool 0755 0 0" in listed
    assert "slink bin 0777 0 0 usr/bin" in listed
    assert not any("boot/" in line for line in listed)
    with tarfile.open(made["tar"]) as archive:
        names = [member.name for member in archive]
        assert names == sorted(names)
        assert max(member.mtime for member in archive) == WHEN
        assert archive.getmember("usr/bin/tool").mtime == WHEN - 5
        assert archive.getmember("usr/bin/other").linkname == "usr/bin/tool"


def test_the_data_is_a_sound_ext4_that_can_grow(made: dict[str, Path], tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_bytes(made["data"].read_bytes())
    said("e2fsck", "-fn", card)
    with card.open("r+b") as file:
        file.truncate(600 * MEGABYTE)
    said("resize2fs", card)
    said("e2fsck", "-fn", card)
    assert f"Filesystem created:       {said('date', '-d', f'@{WHEN}', '+%a %b %e %T %Y')}" in said(
        "dumpe2fs", "-h", card
    )


def test_the_oci_archive_names_its_content_by_hash(made: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(made["oci"]) as archive:
        archive.extractall(tmp_path, filter="data")
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}

    def blob(descriptor: dict[str, object]) -> bytes:
        kind, _, digest = str(descriptor["digest"]).partition(":")
        content = (tmp_path / "blobs" / kind / digest).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, descriptor["size"])
        return content

    (entry,) = json.loads((tmp_path / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    (layer,) = manifest["layers"]
    unpacked = subprocess.run(
        ["/bin/gzip", "-d"], input=blob(layer), capture_output=True, check=True
    )
    assert unpacked.stdout == made["tar"].read_bytes()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(unpacked.stdout).hexdigest()}"]
    assert (config["architecture"], config["config"]["User"]) == ("arm64", "lineguard")
    assert config["created"] == "2025-06-15T15:06:40Z"
    assert config["config"]["Entrypoint"] + config["config"]["Cmd"] == [
        "/usr/bin/lineguard",
        "run",
        "/var/lib/lineguard/station.toml",
    ]


def test_a_folder_is_packed_as_of_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in/run").write_text("x")
    (folder / "in/run").chmod(0o700)
    (folder / "in/read").write_text("y")
    (folder / "in/read").chmod(0o600)
    pack(folder, tmp_path / "tar", WHEN, (997, 996))
    with tarfile.open(tmp_path / "tar") as archive:
        facts = [(each.name, each.mode, each.uid, each.gid, each.mtime) for each in archive]
    assert facts == [
        ("in", 0o755, 997, 996, WHEN),
        ("in/read", 0o644, 997, 996, WHEN),
        ("in/run", 0o755, 997, 996, WHEN),
    ]


def test_only_what_is_wanted_is_taken(tmp_path: Path) -> None:
    take(system(tmp_path), tmp_path / "taken", lambda name: name.startswith(("boot/", "bin")))
    assert [p.name for p in (tmp_path / "taken").rglob("*") if p.is_file()] == ["vmlinuz-6.1"]


@pytest.mark.parametrize("name", BOARDS)
def test_each_board_starts_the_kernel_with_its_own_disk(name: str, tmp_path: Path) -> None:
    board = find_board(name)
    taken = tmp_path / "taken"
    for each in (
        "usr/lib/systemd/boot/efi/systemd-bootaa64.efi",
        "usr/lib/raspi-firmware/start4.elf",
        "usr/lib/raspi-firmware/fixup4.dat",
        "usr/lib/linux-image-6.1/broadcom/bcm2711-rpi-4-b.dtb",
    ):
        if each.startswith(board.firmware):
            (taken / each).parent.mkdir(parents=True, exist_ok=True)
            (taken / each).write_text(each)
    kernel = tmp_path / "vmlinuz"
    files = start_files(board, taken, kernel, tmp_path / "initramfs", "1a2b3c4d", tmp_path / "s")
    texts = {path: files[path].read_text() for path in files if path.endswith((".conf", ".txt"))}
    if board.start == "uefi":
        assert files["EFI/BOOT/BOOTAA64.EFI"].name == "systemd-bootaa64.efi"
        entry = dict(
            line.split(" ", 1) for line in texts["loader/entries/lineguard.conf"].splitlines()
        )
        assert {entry["linux"].strip("/"), entry["initrd"].strip("/")} < set(files)
        line = entry["options"]
    else:
        assert {"start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"} < set(files)
        told = texts["config.txt"].splitlines()
        assert {"kernel=vmlinuz", "initramfs initramfs followkernel", "arm_64bit=1"} < set(told)
        line = texts["cmdline.txt"]
    assert "lineguard=1a2b3c4d" in line.split()
    assert files["vmlinuz"] == kernel


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"mke2fs: exit code 1 \(.*\): see to it"):
        run_program("mke2fs", tmp_path / "no/such")
