"""The journal: whole lines whatever was cut, bounded, and never in the way."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from firmware_bridge import journal
from firmware_bridge.disk import Lock
from firmware_bridge.journal import NEWEST, Journal


def test_entries_are_numbered_and_the_newest_are_given(tmp_path: Path) -> None:
    book = Journal(tmp_path / "journal.jsonl")
    assert book.entries() == []
    for number in range(NEWEST + 5):
        book.add("event", f"text {number}\nand more")
    assert [entry["n"] for entry in book.entries()] == [*range(6, NEWEST + 6)]
    (last,) = book.entries(after=NEWEST + 4)
    assert (last["event"], last["text"]) == ("event", f"text {NEWEST + 4}\nand more")
    other = Journal(tmp_path / "journal.jsonl")
    other.add("event", "of another process")
    book.add("event", "of this one")
    assert [entry["n"] for entry in book.entries(after=NEWEST + 5)] == [NEWEST + 6, NEWEST + 7]


@pytest.mark.parametrize("torn", [b'{"n": 2, "ti', b"\0" * 40, b"\xff\n", b'[3]\n{"n": "x"}\n'])
def test_what_a_cut_has_left_is_no_entry(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).add("one", "")
    with path.open("ab") as file:
        file.write(torn)
    Journal(path).add("two", "")
    assert [(entry["n"], entry["event"]) for entry in Journal(path).entries()] == [
        (1, "one"),
        (2, "two"),
    ]


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    book = Journal(tmp_path / "journal.jsonl")
    for _ in range(800):
        book.add("refused", "x" * 5000)
        assert (tmp_path / "journal.jsonl").stat().st_size < 300_000
    assert [entry["n"] for entry in book.entries()] == [*range(601, 801)]


def test_a_full_disk_loses_an_entry_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    book = Journal(tmp_path / "journal.jsonl")
    book.add("one", "")
    with monkeypatch.context() as patched:
        patched.setattr(journal, "append_line", full)
        book.add("lost", "")
    book.add("two", "")
    assert [entry["event"] for entry in book.entries()] == ["one", "two"]


def test_a_lock_is_had_by_one_and_counts(tmp_path: Path) -> None:
    one, two = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert one.take()
    assert one.take()
    assert not two.take()
    one.release()
    assert not two.take()
    one.release()
    assert two.take()
    assert not one.take()
