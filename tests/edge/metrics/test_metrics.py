"""What is counted, and what the box tells of itself."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from metrics_lab import parsed, total, value
from prometheus_client import CollectorRegistry, generate_latest
from verdict_lab import OK, WRONG_LOT, lab_verdict

from edge.io.base import Signalled
from edge.metrics.box import frequencies, temperatures
from edge.metrics.counts import REMEMBERED, Counts
from edge.verdict import rejected


@pytest.fixture
def counted() -> tuple[Counts, CollectorRegistry]:
    registry = CollectorRegistry()
    return Counts(registry), registry


def test_series_are_bounded_whatever_parts_show(
    counted: tuple[Counts, CollectorRegistry],
) -> None:
    counts, registry = counted
    for number in range(200):
        counts.verdict(lab_verdict(number, rejected(f"new{number}")))
    counts.verdict(lab_verdict(200, rejected("late", deadline_ms=1)))
    series = parsed(generate_latest(registry).decode())
    labels = {"camera": "top", "verdict": "NG"}
    assert value(series, "lineguard_verdicts_total", **labels, code="other") == 200
    assert value(series, "lineguard_verdicts_total", **labels, code="late") == 1
    assert len([name for name, _ in series if name == "lineguard_verdicts_total"]) == 2


def signalled(part: str, **more: float | str | None) -> Signalled:
    said = {"at": time.time(), "acknowledged": None, "error": None, **more}
    return Signalled(part, "plc", "OK", **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["verdict", "signal"])
def test_a_signal_is_timed_from_its_trigger_whoever_comes_first(
    counted: tuple[Counts, CollectorRegistry], first: str
) -> None:
    counts, registry = counted
    verdict = lab_verdict(1, OK)
    time.sleep(0.03)
    told = signalled(verdict.id, acknowledged=time.time())
    if first == "verdict":
        counts.verdict(verdict)
    counts.signalled(told)
    if first == "signal":
        counts.verdict(verdict)
    series = parsed(generate_latest(registry).decode())
    assert value(series, "lineguard_signal_seconds_count", output="plc") == 1
    assert 0.03 <= value(series, "lineguard_signal_seconds_sum", output="plc") < 5
    assert value(series, "lineguard_signals_total", output="plc", result="acknowledged") == 1


def test_signals_that_fail_and_clocks_that_jump(
    counted: tuple[Counts, CollectorRegistry],
) -> None:
    counts, registry = counted
    verdict = lab_verdict(1, WRONG_LOT)
    counts.verdict(verdict)
    counts.signalled(signalled(verdict.id, error="not acknowledged within 500 ms"))
    counts.signalled(signalled(verdict.id, at=time.time() + 86_400))
    series = parsed(generate_latest(registry).decode())
    assert value(series, "lineguard_signals_total", output="plc", result="failed") == 1
    assert value(series, "lineguard_signals_total", output="plc", result="sent") == 1
    assert value(series, "lineguard_signal_seconds_count", output="plc") == 1
    assert 0 <= value(series, "lineguard_signal_seconds_sum", output="plc") < 5


def test_golden_parts_are_none_of_the_production(
    counted: tuple[Counts, CollectorRegistry],
) -> None:
    counts, registry = counted
    counts.verdict(replace(lab_verdict(1, OK), golden="good-1"))
    assert total(parsed(generate_latest(registry).decode()), "lineguard_verdicts_total") == 0


def test_memory_is_bounded(counted: tuple[Counts, CollectorRegistry]) -> None:
    counts, _ = counted
    for number in range(REMEMBERED + 10):
        counts.signalled(signalled(f"gone-{number}"))
        counts.verdict(lab_verdict(number, OK)) if number % 50 == 0 else None
    assert len(counts._early) == REMEMBERED
    assert len(counts._captured) <= REMEMBERED


def test_the_box_tells_its_temperature_and_clocks(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert list(temperatures(tmp_path)) == []
    write("class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write("class/thermal/thermal_zone0/temp", "48312\n")
    write("class/thermal/thermal_zone1/type", "broken\n")
    write("class/thermal/thermal_zone1/temp", "\n")
    write("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n")
    write("devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1\n")
    assert list(temperatures(tmp_path)) == [("thermal_zone0 cpu-thermal", 48.312)]
    assert list(frequencies(tmp_path)) == [("cpu0", 1.5e9)]
