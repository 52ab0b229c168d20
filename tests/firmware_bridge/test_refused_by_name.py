"""What somebody might try, and the words with which a host and a box refuse it."""

from __future__ import annotations

from pathlib import Path

import bsdiff4  # type: ignore[import-untyped]
import pytest
import zstandard
from box_lab import (
    FACTS,
    KEY,
    STRANGER,
    announce,
    ask,
    box,
    flash,
    make_root,
    offered,
    release,
    weights,
)
from bundle_lab import PAYLOAD, make_bundle, make_key, make_manifest
from flash_lab import Box, parcel

from firmware_bridge.receiver import Receiver
from models.bundle import create_bundle, open_bundle, sign
from models.errors import BundleError, TransferError, UntrustedError

ONE, TWO = release(1), release(2)
BIG = 2
"""The network, of the files of a release."""


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return box(make_root(tmp_path / "root"))


def refusal(receiver: Receiver, m: str, **fields: object) -> tuple[str, str]:
    answer = ask(receiver, m, **fields)
    assert "\n" not in answer["text"]
    return answer["error"], answer["text"]


def checked(receiver: Receiver, content: bytes, coding: str, base: bytes = b"") -> tuple[str, str]:
    """Send something as the network of version 1; gives the refusal."""
    said = announce(receiver, ONE, BIG, coding=coding, base=base, bytes=len(content))
    assert "error" not in said, said
    for start in range(0, len(content), 40_000):
        receiver.handle({"m": "data", "d": content[start : start + 40_000]})
    return refusal(receiver, "check", transfer=ONE.id, index=BIG)


def test_a_key_that_nobody_knows(receiver: Receiver, tmp_path: Path) -> None:
    code, text = refusal(receiver, "offer", envelope=release(2, key=STRANGER).envelope)
    assert code == "untrusted"
    assert f"signed by {STRANGER.public.id[:12]}…, whom nobody here trusts" in text
    path = make_bundle(tmp_path, key=make_key(2))
    with pytest.raises(UntrustedError, match=r"signed by .*, whom nobody here trusts"):
        open_bundle(path, [make_key(1).public])


def test_an_older_version_played_again(tmp_path: Path) -> None:
    """It was good once: its signature still is."""
    there = Box(tmp_path / "box")
    old, new = (parcel(tmp_path / "host", n, counter=n) for n in (1, 2))
    there.flash(old)
    there.flash(new)
    with pytest.raises(TransferError, match=r"pcb 1\.0\.0.*counter.*runs pcb 2\.0\.0") as caught:
        there.flash(old)
    assert caught.value.code == "old"
    assert refusal(there.receiver, "offer", envelope=old.bundle.envelope)[0] == "old"


def test_contents_that_changed_places(receiver: Receiver, tmp_path: Path) -> None:
    """Right sizes, right files, each with a signature above it: but in each other's place."""
    payload = {**PAYLOAD, "a.bin": b"a" * 5000, "b.bin": b"b" * 5000}
    path = make_bundle(tmp_path, payload)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a" * 5000, b"?" * 5000).replace(b"b" * 5000, b"a" * 5000))
    path.write_bytes(path.read_bytes().replace(b"?" * 5000, b"b" * 5000))
    with (
        open_bundle(path, [make_key().public]) as bundle,
        pytest.raises(BundleError, match=r"a\.bin: was altered at 0"),
    ):
        bundle.check()
    offered(receiver, ONE)
    code, text = checked(receiver, TWO.content(BIG), "raw")
    assert (code, text) == ("content", "pcb/det.onnx: is not what the manifest says: send it again")


def test_the_payload_of_another_bundle(tmp_path: Path) -> None:
    """The newer manifest in front of the older payload."""
    one = make_bundle(tmp_path, {**PAYLOAD, "pcb/det.onnx": b"1" * 9000}).read_bytes()
    two = make_bundle(tmp_path, {**PAYLOAD, "pcb/det.onnx": b"2" * 9000}, version="2.0.0")
    begin = [data.index(b"golden/board.png\0") for data in (one, two.read_bytes())]
    two.write_bytes(two.read_bytes()[: begin[1]] + one[begin[0] :])
    with (
        open_bundle(two, [make_key().public]) as bundle,
        pytest.raises(BundleError, match=r"pcb/det\.onnx: was altered at 0"),
    ):
        bundle.check()


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"], ids=["hard link", "symbolic link", "folder"])
def test_a_link_in_the_place_of_a_file(kind: bytes, tmp_path: Path) -> None:
    """By the one byte of its header that makes one of it, and the right sum."""
    header = bytearray(make_bundle(tmp_path).read_bytes())
    place = header.index(b"pcb/det.json\0")
    header[place + 156 : place + 157] = kind
    header[place + 148 : place + 156] = b" " * 8
    total = sum(header[place : place + 512])
    header[place + 148 : place + 156] = f"{total:06o}\0 ".encode()
    path = tmp_path / "link.lgb"
    path.write_bytes(header)
    with pytest.raises(BundleError, match=r"pcb/det\.json is not where it should be"):
        open_bundle(path, [make_key().public])


@pytest.mark.parametrize("path", ["../x", "a/../x", "/etc/passwd", "./x", "a//x", "a\\..\\x", ""])
def test_a_path_that_leads_out(path: str, receiver: Receiver, tmp_path: Path) -> None:
    """Even of who is trusted."""
    files = ONE.manifest.files
    bad = ONE.manifest.model_copy(
        update={"files": (files[0].model_copy(update={"path": path}), *files[1:])}
    )
    code, text = refusal(receiver, "offer", envelope=sign(bad, KEY))
    assert code == "altered"
    assert "manifest: files.0.path: " in text
    payload = {
        entry.path: ONE.payload[old.path] for entry, old in zip(bad.files, files, strict=True)
    }
    with pytest.raises(BundleError, match="manifest: path: "):
        create_bundle(tmp_path / "x.lgb", bad, payload, KEY)
    assert not (tmp_path / "x.lgb").exists()


def test_a_path_that_only_the_tar_has(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    data = path.read_bytes().replace(b"pcb/det.json\0", b"../../../x\0\0\0")
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"pcb/det\.json is not where it should be"):
        open_bundle(path, [make_key().public])


def test_a_zip_bomb(receiver: Receiver) -> None:
    offered(receiver, ONE)
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
    assert checked(receiver, bomb, "zstd") == (
        "content",
        "pcb/det.onnx: unpacks to more than the manifest says: send it raw",
    )


def test_a_delta_that_is_a_bomb(receiver: Receiver) -> None:
    flash(receiver, TWO)
    base = offered(receiver, ONE)[BIG]["base"][0]
    bomb = bsdiff4.diff(TWO.content(BIG), weights(3) + bytes(1 << 20))
    code, text = checked(receiver, zstandard.ZstdCompressor().compress(bomb), "bsdiff", base)
    assert code == "content"
    made, wanted = len(weights(3)) + (1 << 20), len(ONE.content(BIG))
    assert f"makes {made} bytes of {wanted}: send the whole file" in text


def test_other_hardware_and_engines(receiver: Receiver) -> None:
    code, text = refusal(receiver, "offer", envelope=release(2, hardware=("armv7",)).envelope)
    assert code == "hardware"
    assert "is for armv7, this box is arm64" in text
    engine = {"name": "paddle_lite", "min": "2.13", "max": "2.13"}
    code, text = refusal(receiver, "offer", envelope=release(2, engine=engine).envelope)
    assert code == "engine"
    assert "needs paddle_lite 2.13 to 2.13, this box has none" in text
    assert FACTS.engines.keys() == {"onnxruntime"}


def test_the_manifest_of_all_this_is_good(tmp_path: Path) -> None:
    """So that each refusal is for its own reason."""
    path = make_bundle(tmp_path)
    with open_bundle(path, [make_key().public]) as bundle:
        bundle.check()
        assert bundle.manifest == make_manifest()
