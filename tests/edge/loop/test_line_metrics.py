"""A scrape, against what a real run came to."""

from pathlib import Path

import pytest
from loop_lab import Collected, LabCamera, LabModel, station
from metrics_lab import parsed, total, value

from edge.display.state import DisplayState
from edge.loop import Line
from edge.metrics.scrape import Sources, metrics_text


def test_a_scrape_says_what_a_run_came_to(tmp_path: Path) -> None:
    LabCamera(30, 0.01, bad=(4, 9))
    table = station(tmp_path, more="[display]\nport = 1")
    out, state = Collected(), DisplayState(table)
    model = LabModel(lambda number: "GOOD" if number % 3 else "BAD")
    line = Line(table, {"m": model}, [out, state])
    line.run()
    sources = Sources(
        line,
        cameras=state.cameras,
        faults=state.fault_counts,
        job_changes=lambda: 2,
        viewers=lambda: 1,
        kept=state.kept,
    )
    series = parsed(metrics_text(state.counted, sources).decode())

    summary = line.summary()
    name = "lineguard_verdicts_total"
    assert summary["parts"] == 30
    assert total(series, name, camera="top", verdict="OK") == summary["ok"] > 0
    assert total(series, name, camera="top", verdict="NG") == summary["ng"]
    for code, count in out.codes.items():
        assert value(series, name, camera="top", verdict="NG", code=code) == count
    assert out.codes["bad_frame"] == 2
    for event, count in summary["cameras"]["top"].items():
        found = value(series, "lineguard_camera_events_total", camera="top", event=event)
        assert found == count, event
    assert value(series, "lineguard_latency_seconds_count", camera="top") == 30
    spent = value(series, "lineguard_latency_seconds_sum", camera="top")
    assert spent == pytest.approx(sum(verdict.latency for verdict in out.verdicts))
    assert value(series, "lineguard_stage_seconds_count", camera="top", stage="publish") == 30
    assert value(series, "lineguard_stage_seconds_count", camera="top", stage="infer") == 28
    assert value(series, "lineguard_fault_active", kind="inspection", name="top") == 0
    assert value(series, "lineguard_faults_total", kind="inspection", name="top") == 2
    assert value(series, "lineguard_output_waiting", output="display") == 0
    assert value(series, "lineguard_camera_up", camera="top") == 0
    assert value(series, "lineguard_job_changes_total") == 2
    assert value(series, "lineguard_display_viewers") == 1
    assert value(series, "lineguard_station_info", station="test") == 1
    assert value(series, "process_resident_memory_bytes") > 10e6
    assert total(series, "lineguard_build_info") == 1
    assert total(series, "lineguard_bundle_info") == 0, "models come as files"
