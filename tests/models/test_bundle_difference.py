"""What has changed between two bundles, and what it costs to send."""

import random
from pathlib import Path

import bsdiff4  # type: ignore[import-untyped]
import pytest
import zstandard
from bundle_lab import PAYLOAD, make_bundle, make_manifest

from models.bundle import FileChange, changed_fields, changed_files, encode, open_bundle

NOISE = random.Random(3).randbytes(200_000)
RETRAINED = NOISE[:150_000] + bytes(2000) + NOISE[152_000:]


def decoded(coding: str, wire: bytes, base: bytes | None) -> bytes:
    if coding == "raw":
        return wire
    content = zstandard.ZstdDecompressor().decompress(wire)
    return bytes(bsdiff4.patch(base, content)) if coding == "bsdiff" else content


@pytest.mark.parametrize(
    ("content", "base", "coding", "most"),
    [
        (NOISE, None, "raw", 200_000),
        (NOISE, b"", "raw", 200_000),
        (bytes(200_000), None, "zstd", 100),
        (RETRAINED, NOISE, "bsdiff", 3000),
        (RETRAINED, NOISE[::-1], "zstd", 199_000),
        (b"", None, "raw", 0),
        (b"", NOISE, "raw", 0),
    ],
)
def test_the_shortest_form_is_taken(
    content: bytes, base: bytes | None, coding: str, most: int
) -> None:
    taken, wire = encode(content, base)
    assert taken == coding
    assert len(wire) <= most
    assert decoded(taken, wire, base) == content


def test_a_patch_is_not_tried_on_what_would_take_too_much_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.bundle.difference.MAX_DELTA", 399_999)
    assert encode(RETRAINED, NOISE)[0] == "zstd"


def test_where_no_patch_can_be_made_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.bundle.difference.bsdiff4", None)
    assert encode(RETRAINED, NOISE)[0] == "zstd"


def test_every_path_of_both(tmp_path: Path) -> None:
    old = {**PAYLOAD, "pcb/det.onnx": NOISE, "notes.txt": b"gone", "a.txt": b"moved"}
    new = {**PAYLOAD, "pcb/det.onnx": RETRAINED, "b.txt": b"moved", "c.txt": b"?"}
    paths = make_bundle(tmp_path / "old", old), make_bundle(tmp_path / "new", new)
    with open_bundle(paths[0], None) as before, open_bundle(paths[1], None) as after:
        found = {change.path: change for change in changed_files(before, after)}
    picture, labels = (len(PAYLOAD[name]) for name in ("golden/board.png", "pcb/det.json"))
    wire = len(encode(RETRAINED, NOISE)[1])
    assert list(found.values()) == [
        FileChange("golden/board.png", "equal", picture, picture),
        FileChange("pcb/det.json", "equal", labels, labels),
        FileChange("pcb/det.onnx", "changed", 200_000, 200_000, "bsdiff", wire),
        FileChange("b.txt", "new", None, 5),
        FileChange("c.txt", "new", None, 1, "raw", 1),
        FileChange("notes.txt", "gone", 4, None),
        FileChange("a.txt", "gone", 5, None),
    ]


def test_fields_by_their_names() -> None:
    before = make_manifest(figures={"f1": 0.5, "old": True}, bounds={"p99_ms": 5.0})
    after = make_manifest(version="1.1.0", figures={"f1": 0.75, "new": {"a": [1]}})
    assert changed_fields(before, before) == []
    assert sorted(changed_fields(before, after)) == [
        ("bounds.p99_ms", 5.0, 100.0),
        ("figures.f1", 0.5, 0.75),
        ("figures.new.a", None, [1]),
        ("figures.old", True, None),
        ("version", "1.0.0", "1.1.0"),
    ]
