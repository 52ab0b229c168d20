"""The job that was set while the station ran, kept over a restart.

A lot that was set at the display must not fall back to the one in the station file: parts with
yesterday's lot would pass.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.judge.rules import Job
from edge.station.schema import Station
from models.atomic import write_atomic
from models.errors import ConfigError

__all__ = ["JobFile"]


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    written: Job
    job: Job


class JobFile:
    """``STATION.job.json`` beside the station file.

    Parameters
    ----------
    station_file, station
        The file, and what it says.
    """

    def __init__(self, station_file: Path, station: Station) -> None:
        self.path = station_file.with_suffix(".job.json")
        self._station = station

    def restore(self) -> Station:
        """The station with the job that was set last.

        If ``[job]`` was written anew since then, that counts.

        Raises
        ------
        ConfigError
            The file is there and cannot be read: nobody knows which lot is right.
        """
        try:
            kept = _Kept.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return self._station
        except (OSError, ValidationError) as error:
            words = "does not say which job was set last: delete it, start, and set the job"
            raise ConfigError([f"{self.path}: {words}"]) from error
        if kept.written != self._station.job:
            return self._station
        return self._station.with_job(kept.job)

    def keep(self, job: Job) -> None:
        """Note a change; ``StorageError`` if the disk is full or gone."""
        kept = _Kept(written=self._station.job, job=job)
        write_atomic(self.path, kept.model_dump_json(indent=1).encode() + b"\n")
