"""``/metrics`` as it is served, and the dashboard that is drawn of it."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from display_lab import READ_WRONG, Lab, served
from metrics_lab import parsed, value
from records_lab import part_verdict, table

from edge.io.base import Signalled
from edge.records.output import RecordsOutput
from edge.station.bundle import ActiveBundle, BundleName

DASHBOARD = Path(__file__).parents[3] / "docs/grafana-dashboard.json"

TARGET = {"instance"}
"""Labels that Prometheus itself adds."""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A station that has everything there is to tell of."""
    monkeypatch.setattr("edge.metrics.scrape.temperatures", lambda: [("zone0 cpu", 48.3)])
    monkeypatch.setattr("edge.metrics.scrape.frequencies", lambda: [("cpu0", 1.5e9)])
    with served() as lab:
        part = lab.show(1)
        lab.show(2, READ_WRONG)
        lab.state.counts.signalled(Signalled(part, "plc", "OK", time.time()))
        lab.state.fault("plc", "does not answer")
        setting = lab.line.setting
        name = BundleName("pcb", "1.0.0", "ab" * 32)
        station = setting.station.with_active(ActiveBundle(name, tmp_path, {}, ()))
        lab.line.setting = replace(setting, station=station)
        lab.state.records = RecordsOutput(table(tmp_path / "records", ok_every=1))
        for number in (1, 2, 3):
            verdict = part_verdict(number)
            lab.state.records.verdict(verdict)
            assert lab.state.records.recorded(verdict.id, 30)
        yield lab
        lab.state.records.close()


def test_a_scrape_is_as_prometheus_wants_it(lab: Lab) -> None:
    answer = lab.http.get("metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    series = parsed(answer.text)
    verdicts = "lineguard_verdicts_total"
    assert value(series, verdicts, camera="top", verdict="OK", code="") == 1
    assert value(series, verdicts, camera="top", verdict="NG", code="mismatch") == 1
    assert value(series, "lineguard_output_waiting", output="plc") == 3
    assert value(series, "lineguard_fault_active", kind="output", name="plc") == 1
    assert value(series, "lineguard_records_rows") == 3
    assert value(series, "lineguard_records_evidence_limit_bytes") == 0, "as its station says"
    bundle = {"name": "pcb", "version": "1.0.0", "manifest": "ab" * 32}
    assert value(series, "lineguard_bundle_info", **bundle) == 1
    assert value(series, "lineguard_temperature_celsius", zone="zone0 cpu") == 48.3
    assert value(series, "lineguard_job_changes_total") == 0
    lab.state.fault("plc", None)
    assert lab.job("L2612B", 1).status_code == 200
    series = parsed(lab.http.get("metrics").text)
    assert value(series, "lineguard_fault_active", kind="output", name="plc") == 0
    assert value(series, "lineguard_faults_total", kind="output", name="plc") == 1
    assert value(series, "lineguard_job_changes_total") == 1


def test_strangers_are_told_nothing(lab: Lab) -> None:
    assert lab.http.get("metrics", headers={"Host": "evil.example"}).status_code == 421


def expressions(dashboard: Any) -> Iterator[str]:
    """Every query of a dashboard."""
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (note["expr"] for note in dashboard["annotations"]["list"])
    yield from (
        each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"
    )


def test_the_dashboard_asks_for_what_there_is(lab: Lab) -> None:
    known: dict[str, set[str]] = {}
    for name, labels in parsed(lab.http.get("metrics").text):
        known.setdefault(name, set()).update(label for label, _ in labels)
    asked = set()
    for query in expressions(json.loads(DASHBOARD.read_text("utf-8"))):
        names = set(re.findall(r"\b(?:lineguard|process)_\w+", query))
        assert names, query
        assert names <= known.keys(), query
        asked |= names
        has = {label for name in names for label in known[name]}
        used = set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query))
        for group in re.findall(r"\bby \(([^)]*)\)", query):
            used |= {each.strip() for each in group.split(",")}
        assert used - TARGET <= has, query
    told = {name for name in known if not re.search(r"_(bucket|sum|count|created)$", name)}
    unseen = {name for name in told if name.startswith("lineguard_")} - asked
    quiet = {"lineguard_display_viewers", "lineguard_model_threads", "lineguard_station_info"}
    assert unseen == quiet


def test_legends_name_labels_of_their_query() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows[:4] == ["Yield", "Latency", "Faults and machines", "Cameras"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                grouped = re.search(r"\bby \(", target["expr"])
                assert not grouped or re.search(rf"\bby \([^)]*\b{label}\b", target["expr"])
