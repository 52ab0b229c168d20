"""The interface against its own description, with data that nobody thought of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from display_lab import READ_WRONG, png, served
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from records_lab import mixed, record, table
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

for kind in ("image/jpeg", "image/png"):
    schemathesis.openapi.media_type(kind, st.binary(max_size=2000) | st.just(png()))

pytestmark = pytest.mark.slow

STREAM = "/api/v1/events"
"""Never ends, and is tested on its own."""

KNOWING = {
    "/api/v1/inspect", "/api/v1/job", "/api/v1/models/switch", "/api/v1/records",
    "/api/v1/trigger",
}  # fmt: skip
"""May refuse what fits their description: few bytes are a picture, few versions the newest, few
texts are codes of reasons, and few name a camera that programs trigger."""


def run(operation: Any, token: dict[str, str]) -> None:
    """Try an operation with all that its description allows, and more."""
    skipped = ["positive_data_acceptance"] if operation.path in KNOWING else []
    checks: Any = [check for check in CHECKS.get_all() if check.__name__ not in skipped]

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def tried(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=token, checks=checks, timeout=20)

    tried()


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    with served() as lab:
        record(tmp_path, mixed(5))
        setting = lab.line.setting
        station = setting.station.model_copy(update={"records": table(tmp_path)})
        lab.line.setting = replace(setting, station=station.with_active(None))
        lab.show(1)
        lab.show(2, READ_WRONG)
        lab.state.fault("plc", "does not answer")
        lab.state.fault("plc", None)  # stays until it is acknowledged; the station is fit again
        schema = schemathesis.openapi.from_url(f"{lab.serving.address}api/v1/openapi.json")
        labels = []
        for result in schema.exclude(path=STREAM).get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            labels.append(operation.label)
            run(operation, lab.token)
        assert len(labels) == 22
        assert lab.http.get("api/v1/state").status_code == 200
