"""`lineguard station`, `lineguard models`: files and lists."""

import re
import shutil
from pathlib import Path

from cli_lab import lineguard, refused

from models.zoo import list_models

TEN = Path(__file__).parents[1] / "edge/station/ten_mistakes.toml"


def test_a_new_station_file_is_sound(tmp_path: Path) -> None:
    new = lineguard("station", "new", cwd=tmp_path)
    assert (new.code, new.err) == (0, "")
    (tmp_path / "station.toml").write_text(new.out)
    done = lineguard("station", "check", "station.toml", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == "station.toml: fine: 1 cameras, 2 regions, 7 rules\n"
    done = lineguard("station", "check", "station.toml", "--json", cwd=tmp_path)
    assert done.json == {"file": "station.toml", "faults": []}


def test_ten_mistakes_are_ten_lines(tmp_path: Path) -> None:
    shutil.copy(TEN, tmp_path / "ten.toml")
    errors = refused("station", "check", "ten.toml", cwd=tmp_path)
    places = [re.match(r"ten\.toml:(\d+): ", error) for error in errors]
    assert [int(place[1]) for place in places if place] == [4, 9, 10, 16, 20, 23, 30, 34, 42, 46]
    assert refused("run", "ten.toml", cwd=tmp_path) == errors
    done = lineguard("station", "check", "ten.toml", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (2, "")
    assert done.json == {"file": "ten.toml", "faults": errors}


def test_a_kind_of_camera_that_is_not_known_names_the_nearest(tmp_path: Path) -> None:
    text = lineguard("station", "new", cwd=tmp_path).out.replace('"v4l2:', '"v4l:')
    (tmp_path / "station.toml").write_text(text)
    (error,) = refused("station", "check", "station.toml", cwd=tmp_path)
    assert "did you mean 'v4l2'?" in error
    assert "line:" in error  # the simulated line is a source like any other


def test_cameras_are_listed(tmp_path: Path) -> None:
    done = lineguard("station", "cameras", cwd=tmp_path)
    assert done.code == 0
    found = lineguard("station", "cameras", "--json", cwd=tmp_path).json["cameras"]
    assert done.out.split("\n")[: len(found)] == found
    assert found or done.out.startswith("no V4L2 camera here; other sources: ")


def test_models_are_listed_and_whole(tmp_path: Path) -> None:
    names = [model.name for model in list_models()]
    listed = lineguard("models", "list", "--json", cwd=tmp_path).json["models"]
    assert [row["name"] for row in listed] == names
    assert all(row["present"] and row["licence"] for row in listed)
    shown = lineguard("models", "list", cwd=tmp_path).out
    assert all(name in shown for name in names)
    done = lineguard("models", "verify", cwd=tmp_path)
    assert done.out.splitlines() == [f"ok  {name}" for name in names]
    done = lineguard("models", "verify", names[0], "--json", cwd=tmp_path)
    assert done.json == {"models": {names[0]: "ok"}}


def test_missing_models_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    done = lineguard("models", "verify", cwd=tmp_path, LINEGUARD_MODELS="zoo")
    assert done.code == 2
    errors = done.errors
    fetched = [model.name for model in list_models() if not model.ships]
    assert len(errors) == len(fetched)
    assert all("run `lineguard models fetch`" in error for error in errors)
    done = lineguard("models", "verify", "--json", cwd=tmp_path, LINEGUARD_MODELS="zoo")
    assert (done.code, done.err) == (2, "")
    assert [done.json["models"][name] for name in fetched] == errors
    listed = lineguard("models", "list", "--json", cwd=tmp_path, LINEGUARD_MODELS="zoo").json[
        "models"
    ]
    assert not any(row["present"] for row in listed if row["name"] in fetched)


def test_what_is_here_is_not_fetched_again(tmp_path: Path) -> None:
    assert lineguard("models", "fetch", "--json", cwd=tmp_path).json == {"fetched": []}
    assert lineguard("models", "fetch", cwd=tmp_path).out.startswith("nothing to fetch: ")


def test_a_name_that_is_not_in_the_zoo(tmp_path: Path) -> None:
    for command in ("fetch", "verify"):
        (error,) = refused("models", command, "ppocrv4-rec-onx", cwd=tmp_path)
        assert error == (
            "ppocrv4-rec-onx: no such model in the zoo: did you mean ppocrv4-rec-onnx?"
        )
