"""The file of comparisons: exact counts, bounded, and never in anybody's way."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.loop import comparisons
from edge.loop.compare import Difference
from edge.loop.comparisons import Compared, Comparisons, Pair, summary_of
from models.errors import InputError, StorageError

PAIR = Pair("line", "a 1.0", "aa", "b 2.0", "bb")


def plain(verdict: str) -> dict[str, Any]:
    return {"verdict": verdict, "reasons": [], "fields": {}, "read": {}, "defects": {}}


def one(number: int, kind: Difference = "same", verdict: str = "OK") -> Compared:
    other = {"rejects": "NG", "passes": "OK"}.get(kind, verdict)
    time = "2026-11-22T08:00:00.000+00:00"
    return Compared(f"p-{number}", time, plain(verdict), plain(other), 10.0, 20.0 + number, kind)


def add(store: Comparisons, compared: Compared, seen: int = 1, pair: Pair = PAIR) -> None:
    wanted = store.wants(pair, compared.difference)
    store.add(pair, compared, seen, b"\xff\xd8jpeg" if wanted else None)


def test_counts_are_exact_and_outlast_a_restart(tmp_path: Path) -> None:
    kinds: list[tuple[Difference, str]] = [
        ("same", "OK"), ("same", "NG"), ("same", "OK"), ("rejects", "OK"), ("passes", "NG"),
        ("content", "NG"),
    ]  # fmt: skip
    for number, (kind, verdict) in enumerate(kinds):
        store = Comparisons(tmp_path / "records" / "shadow.db", make=True)
        add(store, one(number, kind, verdict), seen=3)
        store.close()
    store = Comparisons(tmp_path / "records" / "shadow.db")
    (pair,) = store.pairs()
    assert pair == store.counts(PAIR)
    said = summary_of(pair, store.latencies(pair["id"]))
    numbers = {name: said[name] for name in ("seen", "compared", "same_ok", "same_ng", "content")}
    assert numbers == {"seen": 18, "compared": 6, "same_ok": 2, "same_ng": 2, "content": 1}
    assert (said["rejects"], said["passes"]) == (1, 1)
    assert said["active_ms"] == {"p50": 10.0, "p99": 10.0}
    assert said["candidate_ms"]["p50"] == 22.5
    # one of six, Wilson: statsmodels' proportion_confint(1, 6, method="wilson")
    assert said["passes_95"] == pytest.approx((0.030053, 0.563503), abs=1e-5)
    kept = [each["difference"] for each in store.differences(pair["id"], 10)]
    assert kept == ["passes", "rejects", "content"]


def test_nothing_compared_has_no_share() -> None:
    counts = dict.fromkeys(("seen", "same_ok", "same_ng", "rejects", "passes", "content"), 0)
    said = summary_of({"station": "", "active": "", "candidate": "", "since": "", **counts}, [])
    assert said["rejects_95"] is None
    assert said["active_ms"] == {"p50": None, "p99": None}


def test_pictures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "KEPT", 3)
    store = Comparisons(tmp_path / "s.db", make=True)
    for number in range(10):
        add(store, one(number, "rejects"))
    add(store, one(10, "passes", "NG"))
    (pair,) = store.pairs()
    assert pair["rejects"] == 10
    assert len(list(store.differences(pair["id"], 100))) == 4
    monkeypatch.setattr(comparisons, "RESERVE", 1 << 62)
    assert not store.wants(PAIR, "content")


def test_other_bundles_are_another_pair(tmp_path: Path) -> None:
    store = Comparisons(tmp_path / "s.db", make=True)
    add(store, one(1))
    add(store, one(2), pair=Pair("line", "a 1.0", "aa", "b 2.1", "cc"))
    assert [pair["candidate"] for pair in store.pairs()] == ["b 2.1", "b 2.0"]


def test_it_may_be_cleared_while_a_station_writes(tmp_path: Path) -> None:
    writer = Comparisons(tmp_path / "s.db", make=True)
    for number in range(5):
        add(writer, one(number, "rejects"))
    other = Comparisons(tmp_path / "s.db")
    assert other.clear() == 5
    assert other.pairs() == []
    add(writer, one(6))
    (pair,) = other.pairs()
    assert (pair["same_ok"], pair["rejects"], pair["seen"]) == (1, 0, 1)


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    store = Comparisons(tmp_path / "s.db", make=True)
    add(store, one(1))
    store._base.execute("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(2, 2000):
            add(store, one(number, "rejects"))

    with pytest.raises(StorageError, match="full"):
        fill()
    (pair,) = store.pairs()
    assert pair["rejects"] + pair["same_ok"] == len(store.latencies(pair["id"]))
    assert store._base.in_transaction is False


def test_what_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with pytest.raises(InputError, match="nothing compared yet"):
        Comparisons(path)
    assert not path.exists()
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE mine (x)")
    base.close()
    with pytest.raises(StorageError, match="another program"):
        Comparisons(path, make=True)
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StorageError, match="cannot be used"):
        Comparisons(path, make=True)
    with pytest.raises(StorageError):
        Comparisons(path / "below" / "s.db", make=True)
