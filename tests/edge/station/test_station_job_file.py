"""A lot that was set while the station ran counts after a restart as well."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.judge import Job
from edge.station import JobFile, Station, example_station, load_station
from models.errors import ConfigError, StorageError


def written(folder: Path, lot: str = "L2611A") -> tuple[Path, Station]:
    path = folder / "station.toml"
    path.write_text(example_station().replace('lot = "L2611A"', f'lot = "{lot}"'), "utf-8")
    return path, load_station(path)


def test_the_job_that_was_set_comes_back(tmp_path: Path) -> None:
    file = JobFile(*written(tmp_path))
    assert file.restore().job.lot == "L2611A"
    file.keep(Job(product="Milk", lot="L9"))
    assert JobFile(*written(tmp_path)).restore().job == Job(product="Milk", lot="L9")


def test_a_job_that_is_written_anew_counts(tmp_path: Path) -> None:
    JobFile(*written(tmp_path)).keep(Job(product="Milk", lot="L9"))
    assert JobFile(*written(tmp_path, "L10")).restore().job.lot == "L10"


@given(st.binary(max_size=60))
def test_a_spoilt_file_stops_the_station_and_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = JobFile(*written(tmp_path_factory.mktemp("job")))
    file.path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"station\.job\.json: .* delete it, start, and set"):
        file.restore()


def test_a_job_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    path, station = written(tmp_path)
    path.with_suffix(".job.json").mkdir()
    with pytest.raises(StorageError):
        JobFile(path, station).keep(Job(lot="L9"))
