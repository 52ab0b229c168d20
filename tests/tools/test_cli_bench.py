"""`lineguard bench`: reports, gates, exit codes, and what is left of a run that is cut short."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from cli_lab import ENV, LINEGUARD, lineguard, picture, refused, save, write_station
from compressed_lab import small_compression
from flashing_lab import KEY, release, trusting

from firmware_bridge.slots import Slots
from models.bundle import manifest_id, open_bundle

REPORTS = {"bench.json", "bench.html", "bench.xml"}


def tiny(path: Path, size: int = 8) -> str:
    """A model of microseconds; its file's name."""
    from onnx import TensorProto, helper

    shape = [1, size]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )
    return path.name


def result(folder: Path) -> Any:
    assert {each.name for each in folder.iterdir()} == REPORTS
    return json.loads((folder / "bench.json").read_bytes())


def test_a_model_its_reports_and_its_gates(tmp_path: Path) -> None:
    model = tiny(tmp_path / "m.onnx")
    args = ("bench", "model", model, "--seconds", "0.3", "--percentile", "99")
    done = lineguard(*args, "--fail-if", "p99 > 60s", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    line, *_, held, report = done.out.splitlines()
    assert line.startswith("SingleStream of m.onnx: p90 ")
    assert held.startswith("held: p99 > 60s: p99 is ")
    assert report == "report: lineguard-out/bench.html"
    document = result(tmp_path / "lineguard-out")
    assert document["complete"]
    assert len(document["samples"]["took_ns"]) >= 662
    assert str(tmp_path) not in (tmp_path / "lineguard-out/bench.html").read_text()

    again = ("bench", "model", model, "--seconds", "0.3", "--out", "again", "--json")
    before = ("--baseline", "lineguard-out/bench.json")
    gates = ("--fail-if", "p50 > 0us", "--fail-if", "ratio.p50 > 1000")
    done = lineguard(*again, *before, *gates, cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    assert [gate["missed"] for gate in done.json["gates"]] == [True, False]
    assert "ratio.p50" in done.json["figures"]
    suite = Xml.parse(tmp_path / "again/bench.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")

    both = ("lineguard-out/bench.json", "again/bench.json")
    done = lineguard("bench", "compare", *both, "--out", "both", cwd=tmp_path)
    assert done.code == 0
    assert "m.onnx against m.onnx: " in done.out
    assert result(tmp_path / "both")["kind"] == "comparison"


def test_two_models_in_turn(tmp_path: Path) -> None:
    names = tiny(tmp_path / "a.onnx"), tiny(tmp_path / "b.onnx", 2_000_000)
    done = lineguard("bench", "ab", *names, "--rounds", "10", "--threads", "1", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "b.onnx against a.onnx: slower with 99% confidence" in done.out
    assert result(tmp_path / "lineguard-out")["answer"] == "slower"


def test_pictures_are_read_in_stages(tmp_path: Path) -> None:
    save(tmp_path / "one.png", picture())
    args = ("--mode", "fixed", "--seconds", "0.3", "--percentile", "50", "--json")
    done = lineguard("bench", "read", "one.png", *args, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert {"stage.pre", "stage.infer", "stage.post"} <= set(done.json["figures"])
    assert "ppocrv4_rec.onnx" in done.json["what"]["files"]


def test_defects_are_found_in_stages(tmp_path: Path, spots: Callable[..., Path]) -> None:
    spots(tmp_path)
    save(tmp_path / "board.png", picture())
    args = ("--model", "spots.onnx", "--scenario", "offline", "--seconds", "0.3", "--json")
    done = lineguard("bench", "detect", "board.png", *args, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert {"throughput", "stage.infer"} <= set(done.json["figures"])
    assert done.json["scenario"]["name"] == "Offline"


def test_the_bundle_that_a_box_runs(tmp_path: Path, spots: Callable[..., Path]) -> None:
    box = trusting(tmp_path / "box")
    with open_bundle(release(tmp_path / "made", spots, "1.2.0"), [KEY.public]) as bundle:
        sources = []
        for index, entry in enumerate(bundle.manifest.files):
            sources.append(tmp_path / f"payload{index}")
            sources[-1].write_bytes(b"".join(bundle.read(index)))
            assert sources[-1].stat().st_size == entry.bytes
        slots = Slots(box)
        with slots.writing():
            letter = slots.receive(bundle.envelope, bundle.manifest, sources)
            slots.begin_trial(letter)
            slots.pass_trial(letter, bundle.manifest.counter, "by the test")
    args = ("--seconds", "0.3", "--percentile", "50", "--json")
    done = lineguard("bench", "bundle", "box", *args, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert {"stage.pre", "stage.infer", "stage.post"} <= set(done.json["figures"])
    what = done.json["what"]
    assert (what["bundle"]["name"], what["bundle"]["version"]) == ("pcb", "1.2.0")
    assert what["bundle"]["manifest"] == manifest_id(bundle.manifest.to_cbor())
    assert list(what["files"]) == ["spots.onnx"]


def test_dense_against_compressed(tmp_path: Path) -> None:
    dense, less = tmp_path / "model.onnx", tmp_path / "less.onnx"
    tiny(dense, 400_000)  # long enough that not a million of them are run
    tiny(less, 200_000)
    out = small_compression(tmp_path / "out", dense, less)
    args = ("bench", "compressed", "out", "--minutes", "0.01", "--threads", "1")
    done = lineguard(*args, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    (row,) = done.json["reports"]
    assert (row["model"], row["engine"], row["fault"]) == ("small", "onnxruntime", None)
    assert row["accuracy"] == {"metric": "agreement", "value": 0.95, "drop": 0.004}
    assert row["figures"]["ratio.p50"]["low"] <= row["figures"]["ratio.p50"]["high"]
    assert [left["engine"] for left in done.json["left_out"]] == ["paddle_lite"]
    assert (tmp_path / "lineguard-out" / row["report"]).is_file()
    (out / "small.int8.onnx").write_bytes(b"no network")
    (error,) = refused(*args, cwd=tmp_path)
    assert "is not the file that result.json names: compress again" in error


def test_a_station_whose_camera_ends_too_soon_is_incomplete(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / f"parts/{number:02}.png", picture())
    station = write_station(tmp_path, "folder:parts?fps=50")
    done = lineguard("bench", "line", station, "--seconds", "600", cwd=tmp_path)
    assert done.code == 3
    assert done.errors[0].startswith("incomplete: the cameras ended after ")
    document = result(tmp_path / "lineguard-out")
    assert document["line"]["parts"] == 20
    assert not document["complete"]
    assert "stage.publish" in document["figures"]
    assert len((tmp_path / "verdicts.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize("delay", [0.0, 2.0, 5.0])
def test_ctrl_c_at_any_moment_leaves_a_report_or_one_error(tmp_path: Path, delay: float) -> None:
    model = tiny(tmp_path / "m.onnx")
    child = subprocess.Popen(
        [LINEGUARD, "bench", "model", model, "--seconds", "3600", "--json"],
        cwd=tmp_path,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not _handles_ctrl_c(child.pid):
        assert child.poll() is None
        time.sleep(0.02)
    time.sleep(delay)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=50)
    assert child.returncode == 1
    assert err in (
        "error: incomplete: interrupted\n",
        "error: interrupted before there was anything to report\n",
    )
    if "incomplete" in err:
        assert json.loads(out)["fault"] == "interrupted"
        assert result(tmp_path / "lineguard-out")["samples"]["took_ns"]
    else:
        assert not (tmp_path / "lineguard-out").exists()


def _handles_ctrl_c(pid: int) -> bool:
    """Whether SIGTERM is caught: Python catches SIGINT from its start, and that one we set."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_a_child_that_is_killed_leaves_a_report(tmp_path: Path) -> None:
    model = tiny(tmp_path / "m.onnx")
    child = subprocess.Popen(
        [LINEGUARD, "bench", "model", model, "--seconds", "3600"],
        cwd=tmp_path,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    inner: list[str] = []
    while not inner or "tools.measure.worker" not in _command(int(inner[0])):
        assert child.poll() is None
        inner = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        time.sleep(0.02)
    time.sleep(5)
    os.kill(int(inner[0]), signal.SIGKILL)
    _, err = child.communicate(timeout=50)
    assert child.returncode == 3
    assert "died of SIGKILL" in err
    assert len(err.splitlines()) == 1


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("model no.onnx", "no.onnx: no such model file"),
        ("model zoo:ppocrv4-rec-onn", "no such model in the zoo: did you mean ppocrv4-rec-onnx?"),
        ("model m.onnx --shape x", "--shape 'x': is no shape: write NAME=1,3,48,320"),
        ("model m.onnx --shape x=1,0", "is no shape"),
        ("model m.onnx --shape x=2,8", "not of batch 1: say --batch 2"),
        ("model m.onnx --fail-if p98>1", "no figure is called p98"),
        ("model m.onnx --baseline no.json", "no.json: cannot be read"),
        ("model bad.onnx", "ONNX Runtime refuses it"),
        ("compare m.onnx m.onnx", "m.onnx: is no JSON"),
        ("line no.toml", "no.toml: does not exist"),
        ("bundle no", "does not exist: start `lineguard agent` there"),
        ("read empty", "no images in this folder"),
        ("sweep no.onnx none.onnx", "no.onnx: no such model file"),
        ("compressed empty", "empty/result.json: cannot be read"),
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(tmp_path: Path, args: str, words: str) -> None:
    tiny(tmp_path / "m.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    (tmp_path / "empty").mkdir()
    (error,) = refused("bench", *args.split(), cwd=tmp_path)
    assert words in error


def test_a_sweep(tmp_path: Path) -> None:
    names = tiny(tmp_path / "a.onnx"), tiny(tmp_path / "b.onnx", 2_000_000)
    options = ("--threads", "1", "--seconds", "0.2", "--out", "swept")
    done = lineguard("bench", "sweep", *names, *options, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "onnxruntime" in done.out
    assert "report: swept/sweep.html" in done.out
    again = lineguard("bench", "sweep", *names, *options, "--json", cwd=tmp_path)
    rows = again.json["cells"]
    assert [row["best"] for row in rows] == [True, False]
    assert rows == json.loads((tmp_path / "swept/sweep.json").read_bytes())["cells"]
    assert str(tmp_path) not in (tmp_path / "swept/sweep.html").read_text()
    failed = lineguard("bench", "sweep", names[0], "none.onnx", *options, cwd=tmp_path)
    assert failed.code == 3
    assert "failed: none.onnx, 1 thread, batch 1: none.onnx: no such model file" in failed.out
