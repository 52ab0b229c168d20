"""The challenge against its own description, under way and not."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from display_lab import READ_WRONG, served
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from test_display_challenge import Place

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("known", [True, False])
def test_every_answer_is_as_described(tmp_path: Path, known: bool) -> None:
    """It may always refuse: what fits its description may come at the wrong moment."""
    checks: Any = [each for each in CHECKS.get_all() if "positive_data" not in each.__name__]
    with served() as lab:
        place = Place(lab, tmp_path / "c.json")
        if known:
            place.desk.start("Li Na")
            place.passes(READ_WRONG)
        else:
            lab.state.challenge = None
        schema = schemathesis.openapi.from_url(f"{lab.serving.address}api/v1/openapi.json")
        wanted = schema.include(path=["/api/v1/challenge", "/api/v1/state"])
        tried = 0
        for result in wanted.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()

            @settings(
                max_examples=25,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def run(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(headers=lab.token, checks=checks, timeout=20)

            run()
            tried += 1
        assert tried == 3
        place.desk.close()
