"""Challenges that could not be passed, or would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.station import Station, example_station, load_station
from models.errors import ConfigError

DISPLAY = '[display]\nshifts = ["06:00"]\n'
GOOD = '[[challenge.parts]]\nname = "A"\ncamera = "top"\nverdict = "OK"\n'
BAD = '[[challenge.parts]]\nname = "B"\ncamera = "top"\nverdict = "NG"\n'


def load(tmp_path: Path, text: str) -> Station:
    path = tmp_path / "station.toml"
    path.write_text(example_station() + text, "utf-8")
    return load_station(path)


def test_the_least_there_is(tmp_path: Path) -> None:
    table = load(tmp_path, f"{DISPLAY}[challenge]\n{BAD}[drift]\n").challenge
    assert table is not None
    assert (table.every, table.timeout_s, table.confirm, table.hours) == ("start", 300, False, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[challenge]\n{BAD}", "challenge: needs [display]: operators start it there"),
        (f'[display]\n[challenge]\nevery = "shift"\n{BAD}',
         'challenge.every = "shift": needs shifts in [display]: when they begin, it is due'),
        (f"{DISPLAY}[challenge]\n{GOOD}",
         "challenge: a station that passes everything would pass it: add an NG part"),
        (f"{DISPLAY}[challenge]\n{BAD}{BAD}", "challenge: two parts have the same name"),
        (f"{DISPLAY}[challenge]\nhours = 8.0\n{BAD}",
         'challenge: hours and every = "hours" belong together'),
        (f'{DISPLAY}[challenge]\nevery = "hours"\n{BAD}',
         'challenge: hours and every = "hours" belong together'),
        (f'{DISPLAY}[challenge]\nevery = "day"\n{BAD}',
         'challenge.every = "day": is not known: one of start, shift, hours'),
        (f"{DISPLAY}[challenge]\n{BAD.replace('top', 'topp')}",
         'challenge.parts[0].camera = "topp": there is none of that name in cameras: '
         'did you mean "top"?'),
        (f"{DISPLAY}[challenge]\n{BAD}reasn = 'x'\n",
         'challenge.parts[0].reasn: unknown key: did you mean "reason"?'),
        (f"{DISPLAY}[challenge]\n{BAD}reason = 'mismach'\n",
         'challenge.parts[0].reason = "mismach": no part is rejected for that: '
         'did you mean "mismatch"?'),
        (f"{DISPLAY}[challenge]\n{BAD}{GOOD}label = 'scratch'\n",
         'challenge.parts[1]: reason and label are for parts with verdict = "NG"'),
        (f"{DISPLAY}[challenge]\n", "challenge.parts: is missing"),
        ("[drift]\nwindow = 10\n",
         "drift.window = 10: must be at least 50 (newest parts that are compared with them)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_mend(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    (fault,) = caught.value.faults
    assert fault.split(": ", 1)[1].startswith(said)
