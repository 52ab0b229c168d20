"""Files on their way in: resumed, as changes, beyond their bounds, and on a disk that is full."""

from __future__ import annotations

import bz2
import errno
import os
import random
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import bsdiff4  # type: ignore[import-untyped]
import pytest
import zstandard
from box_lab import (
    Release,
    active,
    announce,
    ask,
    box,
    code_of,
    flash,
    make_root,
    offered,
    release,
    send,
    send_all,
    weights,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import disk
from firmware_bridge.coming import most_bytes
from firmware_bridge.patch import apply_patch
from firmware_bridge.receiver import Receiver
from models.bundle import CHUNK, file_entry
from models.errors import BundleError

ONE, TWO = release(1), release(2)
BIG = 2
"""Index of the file of three chunks."""


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return box(make_root(tmp_path / "root"))


def data(receiver: Receiver, content: bytes) -> None:
    assert receiver.handle({"m": "data", "d": content}) is None


def check(receiver: Receiver, new: Release = ONE, index: int = BIG) -> str:
    """Code of the answer; empty if the file is whole."""
    answer = ask(receiver, "check", transfer=new.id, index=index)
    assert ("error" in answer) != (answer.get("ok") is True)
    return str(answer.get("error", ""))


def parts(receiver: Receiver, new: Release = ONE) -> set[str]:
    folder = receiver._root / "incoming" / new.id.hex()
    return {each.name for each in folder.iterdir()} - {"manifest.dsse"}


@pytest.mark.parametrize("coding", ["raw", "zstd"])
@pytest.mark.parametrize("came", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 9])
def test_a_transfer_goes_on_at_the_last_whole_chunk(
    receiver: Receiver, came: int, coding: str
) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, content[:came])
    receiver.disconnect()
    at = offered(receiver, ONE)[BIG]["at"]
    assert at == came // CHUNK * CHUNK
    assert send(receiver, ONE, BIG, at, coding)["ok"] is True


def test_a_transfer_goes_on_after_all_has_come_but_the_check(receiver: Receiver) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, content)
    said = offered(receiver, ONE)[BIG]
    assert (said["need"], said["at"]) == (True, len(content))
    assert send(receiver, ONE, BIG, len(content))["ok"] is True
    assert check(receiver) == ""  # asked again


def test_only_what_is_right_is_kept(receiver: Receiver) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, content[:CHUNK] + b"x" + content[CHUNK + 1 : -1])
    assert offered(receiver, ONE)[BIG]["at"] == CHUNK
    assert code_of(receiver, "file", **_file(at=2 * CHUNK, bytes=9)) == "state"
    assert code_of(receiver, "file", **_file(at=7, bytes=9)) == "state"
    assert send(receiver, ONE, BIG, 0)["ok"] is True  # the host may as well begin anew


def _file(**fields: Any) -> dict[str, Any]:
    return {"transfer": ONE.id, "index": BIG, "at": 0, "coding": "raw", "bytes": 1, **fields}


def test_files_may_come_in_any_order_and_be_interrupted(receiver: Receiver) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, content[:CHUNK])
    assert send(receiver, ONE, 1)["ok"] is True
    data(receiver, content[CHUNK:])  # of nothing that was announced
    assert check(receiver) == "state"
    assert send(receiver, ONE, 0)["ok"] is True
    assert send(receiver, ONE, BIG)["ok"] is True


def test_a_wrong_file_is_thrown_away(receiver: Receiver) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, content[:-1] + b"x")
    assert check(receiver) == "content"
    assert parts(receiver) == set()
    assert code_of(receiver, "file", **_file(at=CHUNK)) == "state"
    assert send(receiver, ONE, BIG)["ok"] is True


@pytest.mark.parametrize(
    ("announced", "came", "code"), [(0, -1, "state"), (0, 1, "malformed"), (1, 1, "malformed")]
)
def test_more_or_less_than_announced(
    receiver: Receiver, announced: int, came: int, code: str
) -> None:
    offered(receiver, ONE)
    content = ONE.content(BIG)
    if announced:
        assert announce(receiver, ONE, BIG, bytes=len(content) + 1)["error"] == "malformed"
        return
    announce(receiver, ONE, BIG, bytes=len(content))
    data(receiver, (content + b"more")[: len(content) + came])
    assert check(receiver) == code


def test_data_that_is_none(receiver: Receiver) -> None:
    offered(receiver, ONE)
    data(receiver, b"before anything was announced")
    announce(receiver, ONE, BIG, bytes=3)
    receiver.handle({"m": "data"})
    data(receiver, b"abc")
    assert check(receiver) == "malformed"
    assert code_of(receiver, "check", transfer=ONE.id, index=99) == "malformed"
    assert announce(receiver, ONE, 99, bytes=3)["error"] == "malformed"
    assert announce(receiver, ONE, BIG, coding="lzma", bytes=3)["error"] == "malformed"
    assert announce(receiver, ONE, BIG, coding="bsdiff", bytes=3)["error"] == "state"


def coded(receiver: Receiver, packed: bytes, coding: str = "zstd", base: bytes = b"") -> str:
    """Send something as the large file; gives the code of the answer to ``check``."""
    said = announce(receiver, ONE, BIG, coding=coding, base=base, bytes=len(packed))
    assert "error" not in said, said
    data(receiver, packed)
    code = check(receiver)
    assert "2.part" not in parts(receiver)
    assert "2.patch" not in parts(receiver)
    return code


def test_a_bomb_is_refused_with_little_memory_and_no_disk(receiver: Receiver) -> None:
    offered(receiver, ONE)
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 30))
    assert len(bomb) < 100_000
    written = []
    real = os.write

    def count(descriptor: int, what: Any) -> int:
        written.append(len(what))
        return real(descriptor, what)

    tracemalloc.start()
    with mock.patch.object(os, "write", count):
        assert coded(receiver, bomb) == "content"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert sum(written) < len(ONE.content(BIG)) + 10_000


def test_a_window_beyond_the_bound_is_refused(receiver: Receiver) -> None:
    offered(receiver, ONE)
    wide = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    assert coded(receiver, packer.compress(ONE.content(BIG)) + packer.flush()) == "content"


@pytest.mark.parametrize(
    "packed", [b"no zstd at all", b"", zstandard.ZstdCompressor().compress(b"")]
)
def test_what_does_not_unpack_to_the_file_is_refused(receiver: Receiver, packed: bytes) -> None:
    offered(receiver, ONE)
    assert coded(receiver, packed) == "content"


def test_a_delta_is_applied_to_what_lies_in_a_slot(receiver: Receiver) -> None:
    flash(receiver, TWO)
    said = offered(receiver, ONE)[BIG]
    base = TWO.content(BIG)
    assert said["base"][0] == bytes.fromhex(file_entry("x", base).sha256)
    assert send(receiver, ONE, BIG, 0, "bsdiff", base)["ok"] is True
    assert parts(receiver) == {"0.whole", "1.whole", "2.whole"}
    assert announce(receiver, ONE, BIG, at=CHUNK, coding="bsdiff", base=said["base"][0])[
        "error"
    ] in {"state", "malformed"}


def _integer(value: int) -> bytes:
    return struct.pack("<Q", abs(value) | (1 << 63 if value < 0 else 0))


def patch_of(
    control: list[tuple[int, int, int]], diff: bytes, extra: bytes, size: int, **lengths: int
) -> bytes:
    packed = bz2.compress(b"".join(_integer(n) for triple in control for n in triple))
    difference = bz2.compress(diff)
    head = (
        lengths.get("control_bytes", len(packed)),
        lengths.get("diff_bytes", len(difference)),
        size,
    )
    body = packed + difference + bz2.compress(extra)
    return b"BSDIFF40" + b"".join(_integer(n) for n in head) + body


SIZE = len(ONE.content(BIG))

BAD_PATCHES = {
    "no patch": b"BSDIFF41" + bytes(24),
    "cut off": bsdiff4.diff(TWO.content(BIG), ONE.content(BIG))[:60],
    "other size": patch_of([(0, 9, 0)], b"", bytes(9), 9),
    "huge size": patch_of([(0, 9, 0)], b"", bytes(9), 2**62),
    "huge lengths": patch_of(
        [(0, SIZE, 0)], b"", bytes(SIZE), SIZE, control_bytes=2**62, diff_bytes=2**62
    ),
    "negative lengths": patch_of([(0, SIZE, 0)], b"", bytes(SIZE), SIZE, control_bytes=-5),
    "beyond its end": patch_of([(0, SIZE + 1, 0)], b"", bytes(SIZE + 1), SIZE),
    "negative copy": patch_of([(-5, SIZE, 0)], b"", bytes(SIZE), SIZE),
    "no progress": patch_of([(0, 0, 0)] * 100_000, b"", b"", SIZE),
    "too little": patch_of([(0, SIZE, 0)], b"", bytes(9), SIZE),
    "another content": patch_of([(0, SIZE, 0)], b"", bytes(SIZE), SIZE),
    "far away": patch_of([(0, 1, 2**62), (SIZE - 1, 0, 0)], bytes(SIZE), b"x", SIZE),
    "bomb": patch_of([(0, SIZE, 0)], bytes(200_000_000), bytes(100_000_000), SIZE),
}


@pytest.mark.parametrize("kind", BAD_PATCHES)
def test_a_bad_patch_is_refused(receiver: Receiver, kind: str) -> None:
    flash(receiver, TWO)
    base = offered(receiver, ONE)[BIG]["base"][0]
    packed = zstandard.ZstdCompressor().compress(BAD_PATCHES[kind])
    tracemalloc.start()
    assert coded(receiver, packed, "bsdiff", base) == "content"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert send(receiver, ONE, BIG)["ok"] is True


def test_a_patch_that_unpacks_to_too_much_is_refused(receiver: Receiver) -> None:
    flash(receiver, TWO)
    base = offered(receiver, ONE)[BIG]["base"][0]
    bomb = zstandard.ZstdCompressor().compress(bytes(most_bytes(SIZE, "bsdiff") + 1))
    assert coded(receiver, bomb, "bsdiff", base) == "content"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), base=st.integers(0, 200_000), size=st.integers(0, 200_000))
def test_patches_are_applied_as_bsdiff4_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int, base: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    chance = random.Random(seed)
    old = chance.randbytes(base)
    pieces = [old[chance.randrange(base + 1) :][: chance.randrange(size + 1)] for _ in range(4)]
    new = (b"new".join(pieces) + chance.randbytes(chance.randrange(500)))[:size]
    (folder / "base").write_bytes(old)
    (folder / "patch").write_bytes(bsdiff4.diff(old, new))
    made = list(apply_patch(folder / "patch", folder / "base", len(new)))
    assert b"".join(made) == new == bsdiff4.patch(old, bsdiff4.diff(old, new))
    assert max(map(len, made), default=0) <= 65536


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 400)
)
def test_altered_patches_never_do_more_than_raise(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    old, new = weights(1, 0.1), weights(2, 0.1)
    patch = bytearray(bsdiff4.diff(old, new))
    for at, value in changes:
        patch[at % len(patch)] = value
    (folder / "base").write_bytes(old)
    (folder / "patch").write_bytes(patch[: cut or None])
    try:
        made = b"".join(apply_patch(folder / "patch", folder / "base", len(new)))
    except BundleError as error:
        said = str(error)
    else:
        said = f"patch: {len(made)}: send the whole file"
    assert re.fullmatch(rf"patch: ({len(new)}|.*[a-z].*): send the whole file", said)


def full(*args: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("coding", ["raw", "zstd", "bsdiff"])
def test_a_disk_that_is_full_all_the_same(receiver: Receiver, coding: str) -> None:
    flash(receiver, TWO)
    offered(receiver, ONE)
    with mock.patch.object(disk.Part, "write", full):
        base = TWO.content(BIG) if coding == "bsdiff" else b""
        assert send(receiver, ONE, BIG, 0, coding, base)["error"] == "room"
    assert parts(receiver) == {"0.whole", "1.whole"}
    assert active(receiver._root) == "2.0.0"
    assert flash(receiver, ONE)["state"] == "READY"


class Filling:
    """A call of ``os`` that goes well so many times, and then never again."""

    def __init__(self, call: str, times: int) -> None:
        self.call, self.left, self._real = call, times, getattr(os, call)

    def __call__(self, *args: Any, **options: Any) -> Any:
        reads = self.call == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR)
        self.left -= not reads
        return full() if self.left < 0 and not reads else self._real(*args, **options)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "mkdir", "link", "replace"])
def test_a_disk_that_fills_at_any_call(receiver: Receiver, call: str) -> None:
    """Calls of one kind fail from the first, the second, ... on; whatever it is, TWO stays."""
    root = receiver._root
    flash(receiver, TWO)
    for times in range(60):
        filling = Filling(call, times)
        with mock.patch.object(os, call, filling):
            answers = [receiver.handle(request) for request in _flash_requests(ONE)]
            receiver.disconnect()
        assert {answer["error"] for answer in answers if answer and "error" in answer} <= {
            "room",
            "state",
        }
        assert active(root) == "2.0.0"
        receiver = box(root)
        assert active(root) == "2.0.0"
        if filling.left >= 0:
            break
    else:
        raise AssertionError("it never came through")
    assert times > 0
    assert flash(receiver, ONE)["state"] == "READY"


def _flash_requests(new: Release) -> list[dict[str, Any]]:
    content = new.content(BIG)
    said = {"transfer": new.id, "index": BIG}
    requests: list[dict[str, Any]] = [
        {"m": "offer", "envelope": new.envelope},
        {"m": "file", **said, "at": 0, "coding": "raw", "bytes": len(content)},
        {"m": "data", "d": content[:100_000]},
        {"m": "data", "d": content[100_000:]},
        {"m": "check", **said},
        {"m": "stage", "transfer": new.id},
    ]
    return [{**request, "id": 7} for request in requests]


def test_a_part_never_shares_a_slots_file(receiver: Receiver) -> None:
    """A cut may bring back a name of what is a slot's file by now: it must not be written to."""
    flash(receiver, TWO)
    offered(receiver, ONE)
    slot = receiver._root / "a" / "files" / "pcb" / "det.onnx"
    part = receiver._root / "incoming" / ONE.id.hex() / "2.part"
    os.link(slot, part)
    assert send(receiver, ONE, BIG)["ok"] is True
    os.link(slot, part)
    assert offered(receiver, ONE)[BIG]["need"] is False
    assert active(receiver._root) == "2.0.0"


def test_a_link_in_the_way_is_not_followed(receiver: Receiver, tmp_path: Path) -> None:
    offered(receiver, ONE)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (receiver._root / "incoming" / ONE.id.hex() / "2.part").symlink_to(victim)
    assert announce(receiver, ONE, BIG, bytes=9)["error"] == "internal"
    assert victim.read_bytes() == b"precious"


def test_everything_there_already_is_not_sent(receiver: Receiver) -> None:
    flash(receiver, ONE)
    again = release(2, payload=ONE.payload)
    assert send_all(receiver, again) == 0
    assert flash(receiver, again)["slots"]["b"]["version"] == "2.0.0"
