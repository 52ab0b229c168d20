"""On which cores a station's models run, by what its file, the board file and the board say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from boards_lab import BOARDS, STATION, make_board, write

from edge.box.placement import in_words, others, placed
from edge.box.profile import Override, detect
from edge.station import Station, load_station


def station(folder: Path, text: str = "") -> Station:
    return load_station(write(folder, "station.toml", STATION.format(cores=text)))


def where(
    folder: Path,
    board: str,
    text: str = "",
    override: Override | None = None,
    allowed: range = range(8),
) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Cores and threads of the model, and cores of all else."""
    cores = [core for core in allowed if core < len(BOARDS[board].cpus)]
    found = placed(station(folder, text), detect(make_board(folder, board), override), cores)
    model = found.models["pcb"]
    return model.cores, model.threads, others(found, cores)


@pytest.mark.parametrize(
    ("board", "cores", "rest"),
    [
        ("rpi4", (1, 2, 3), (0,)),
        ("rk3588", (4, 5, 6, 7), (0, 1, 2, 3)),
        ("rk3588-old", (4, 5, 6, 7), (0, 1, 2, 3)),
        ("imx8mp", (1, 2, 3), (0,)),
    ],
)
def test_inference_has_the_big_cores_and_all_else_the_others(
    board: str, cores: tuple[int, ...], rest: tuple[int, ...], tmp_path: Path
) -> None:
    assert where(tmp_path, board) == (cores, len(cores), rest)


def test_the_station_file_goes_before_the_board_file_before_the_board(tmp_path: Path) -> None:
    said = Override(cores=(6, 7), threads=1)
    assert where(tmp_path, "rk3588", override=said) == ((6, 7), 1, (0, 1, 2, 3, 4, 5))
    text = "cores = [5]"
    assert where(tmp_path, "rk3588", text, said) == ((5,), 1, (0, 1, 2, 3, 4, 6, 7))
    text = "cores = [4, 5]\nthreads = 2"
    assert where(tmp_path, "rk3588", text, said) == ((4, 5), 2, (0, 1, 2, 3, 6, 7))
    assert where(tmp_path, "rk3588", "threads = 2") == ((4, 5, 6, 7), 2, (0, 1, 2, 3))


def test_more_threads_than_big_cores_go_anywhere_as_does_who_says_so(tmp_path: Path) -> None:
    assert where(tmp_path, "rk3588", "threads = 6") == ((), 6, ())
    assert where(tmp_path, "rk3588", "cores = []") == ((), 4, ())


def test_nothing_is_pinned_to_cores_that_this_process_has_not(tmp_path: Path) -> None:
    assert where(tmp_path, "rk3588", allowed=range(2)) == ((), 2, ())
    assert where(tmp_path, "rpi4", allowed=range(1)) == ((), 1, ())
    (tmp_path / "any").mkdir()
    root = make_board(tmp_path / "any", "rpi4")
    write(tmp_path / "any", "sys/devices/system/cpu/online", "0-1\n")
    found = placed(station(tmp_path), detect(root), range(2))
    assert (found.models["pcb"].cores, others(found, range(2))) == ((), ())
    assert in_words(found, ()) == ""


def test_it_is_said_in_one_line(tmp_path: Path) -> None:
    found = placed(station(tmp_path), detect(make_board(tmp_path, "rk3588")), range(8))
    assert in_words(found, others(found, range(8))) == "pcb 4-7 (threads: 4); all else 0-3"
    assert found.with_job(found.job).models == found.models


@pytest.mark.slow
def test_threads_of_a_running_station_are_where_they_should_be(tmp_path: Path) -> None:
    mine = sorted(os.sched_getaffinity(0))
    first, rest = mine[:1], mine[1:] or mine
    write(tmp_path, "board.toml", f"cores = {first}\nthreads = 1\n")
    child = Path(__file__).with_name("pinned_station.py")
    done = subprocess.run(
        [sys.executable, str(child)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    told = json.loads((tmp_path / "told.json").read_text())
    named, all_of_them = told["named"], told["all"]
    assert named.pop("inference of top") == first
    assert {"watchdog of folder:parts", "verdicts of top", "MainThread"} <= named.keys()
    assert list(named.values()) == [rest] * len(named)
    # Those that libraries have made, too: of the engine, of BLAS, of OpenCV.
    assert {tuple(cores) for cores in all_of_them} == {tuple(first), tuple(rest)}
    if len(mine) > 1:
        assert f"cores          print {first[0]} (threads: 1); all else" in done.stdout
