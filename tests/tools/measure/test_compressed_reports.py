"""Dense against compressed: which files, what is left out, and the reports of it."""

import json
from pathlib import Path

import pytest
from compressed_lab import artefact, small_compression, speed, stage, write_result
from measure_lab import tiny_model

from models.errors import InputError
from tools.measure.compressed import make_reports
from tools.measure.pairs import Left, Pair, Report, pairs_of


def never() -> bool:
    return False


def small(out: Path, *, name: str = "small", shipped: int = 8) -> Path:
    """A compression whose ``model.onnx`` takes 16 numbers, and what ships as many as are said."""
    made = out.with_name(f"{out.name}-made")
    made.mkdir()
    dense = tiny_model(made / "model.onnx", size=16, batch=1)
    return small_compression(
        out, dense, tiny_model(made / "less.onnx", size=shipped, batch=1), name
    )


def reports(outs: list[Path], folder: Path, stopping=never) -> list[Report | Left]:  # type: ignore[no-untyped-def]
    shown: list[Report | Left] = []
    made = make_reports(
        outs,
        folder,
        stopping,
        seconds=0.1,
        threads=1,
        progress=lambda pair, rounds, of: None,
        show=shown.append,
    )
    assert made == shown
    return made


def test_own_models_are_compared_with_their_plain_conversion(tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    onnx, lite = pairs_of(out, tmp_path)
    assert isinstance(onnx, Pair)
    assert onnx.dense == out / ".stages/onnx-1/model.onnx"
    assert onnx.compressed == out / "small.int8.onnx"
    assert isinstance(lite, Left)
    assert "no FP32 file passed" in lite.why


def test_the_zoos_own_file_stands_for_a_model_of_the_zoo(tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    result = json.loads((out / "result.json").read_bytes())
    for model, file in (
        ("zoo:ppocr-cls-paddle", "ppocr_cls.onnx"),
        ("zoo:pcb-defects-xs", "model.onnx"),
    ):
        result["asked"]["model"] = model
        (out / "result.json").write_text(json.dumps(result))
        pair, _ = pairs_of(out, tmp_path)
        assert isinstance(pair, Pair)
        assert pair.dense.name == file
        assert out not in pair.dense.parents


def test_reports_and_their_index(tmp_path: Path) -> None:
    out = small(tmp_path / "out", shipped=400_000)
    one, left = reports([out], tmp_path / "reports")
    assert isinstance(one, Report)
    assert isinstance(left, Left)
    assert one.document is not None
    assert one.document.answer == "slower"
    assert one.as_row()["answer"] == "slower"
    names = {each.name for each in (tmp_path / "reports").iterdir()}
    assert names == {"index.html", "small-onnxruntime.html", "small-onnxruntime.json"}
    index = (tmp_path / "reports/index.html").read_text()
    assert 'href="small-onnxruntime.html"' in index
    assert "left out: small on paddle_lite: " in index
    assert "agreement 0.9500, -0.40%" in index
    page = (tmp_path / "reports/small-onnxruntime.html").read_text()
    assert page.count("<svg") >= 2
    assert "nan" not in page.split("<svg", 1)[1]
    for text in (index, page):
        assert str(tmp_path) not in text.replace(left.why, "")


def test_one_that_dies_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    outs = [small(tmp_path / "a", name="a"), small(tmp_path / "b", name="b")]
    bad = outs[0] / "a.int8.onnx"
    bad.write_bytes(b"no network")
    result = json.loads((outs[0] / "result.json").read_bytes())
    result["artefacts"][0]["files"] = [
        {"path": bad.name, "bytes": 10, "sha256": artefact(bad).files[0].sha256}
    ]
    (outs[0] / "result.json").write_text(json.dumps(result))
    failed, _, good, _ = reports(outs, tmp_path / "reports")
    assert isinstance(failed, Report)
    assert failed.document is None
    assert "ONNX Runtime refuses it" in failed.fault
    assert isinstance(good, Report)
    assert good.document is not None
    assert "failed: a on onnxruntime: " in (tmp_path / "reports/index.html").read_text()


def test_whoever_interrupts_gets_the_index_of_what_is_done(tmp_path: Path) -> None:
    outs = [small(tmp_path / "a", name="a")]
    one, _ = reports(outs, tmp_path / "reports", lambda: True)
    assert isinstance(one, Report)
    assert (one.document, one.fault) == (None, "interrupted before there was anything to report")
    assert [each.name for each in (tmp_path / "reports").iterdir()] == ["index.html"]


def test_what_cannot_be_compared_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    out, again = small(tmp_path / "a"), small(tmp_path / "b")
    altered = small(tmp_path / "c", name="c")
    (altered / "c.int8.onnx").write_bytes(b"another")
    bare = write_result(tmp_path / "d", "m.pdmodel", artefact(out / "small.int8.onnx"), [])
    for outs, words in (
        ([tmp_path / "none"], "result.json: cannot be read"),
        ([out, again], "is of small, as another one is"),
        ([altered], "is not the file that result.json names: compress again"),
        ([bare], "nothing ships for ONNX Runtime: add x86-onnx"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            reports(outs, tmp_path / "reports")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "reports").exists()


def test_steps_that_were_thrown_away_are_named(tmp_path: Path) -> None:
    out = small(tmp_path / "out")
    result = json.loads((out / "result.json").read_bytes())
    full = {"name": "x86-onnx fp32", "precision": "fp32"}
    result["artefacts"].append(result["artefacts"][0] | full)
    (out / "result.json").write_text(json.dumps(result))
    for path in (out / ".stages/onnx-1").iterdir():
        path.unlink()
    for each in pairs_of(out, tmp_path):
        assert isinstance(each, Left)
        assert "does not hold the program any more: give the same command" in each.why


@pytest.mark.slow
def test_both_engines_of_a_real_model(tmp_path: Path) -> None:
    """The angle classifier: its programs become files for Paddle Lite, and all of them run."""
    from compress.pdmodel import load_program, save_program
    from compress.simplify import simplify
    from models.zoo import locate

    program = load_program(locate("ppocr-cls-paddle"))
    made, out = tmp_path / "made", tmp_path / "out"
    stock, less = made / "stock/model.pdmodel", made / "less/model.pdmodel"
    for path in (stock, less):
        path.parent.mkdir(parents=True)
    save_program(program, stock)
    simplify(program)
    save_program(program, less)
    originals = {}
    for path in (stock, less):
        name = path.parent.name
        stage(out, name, [path, path.with_suffix(".pdiparams")])
        (made / f"{name}.onnx").write_bytes(name.encode())
        stage(out, f"onnx-{name}", [made / f"{name}.onnx"], path)
        originals[name] = made / f"{name}.onnx"
    shipped = out / "cls.fp32.onnx"
    shipped.write_bytes(locate("ppocr-cls-onnx").read_bytes())
    shapes = {"speed": speed(x=(1, 3, 48, 192))}
    artefacts = [
        artefact(originals["less"], name="arm64-lite fp32", engine="paddle_lite", precision="fp32"),
        artefact(shipped, precision="fp32", **shapes),
    ]
    first = artefact(originals["stock"], target="source")
    write_result(out, "zoo:ppocr-cls-paddle", first, artefacts, "cls")
    for each in reports([out], tmp_path / "reports"):
        assert isinstance(each, Report)
        assert each.fault == ""
        assert each.document is not None
        assert each.document.what["b"]["engine"] == each.pair.engine
        assert each.document.what["b"]["inputs"] == {"x": [1, 3, 48, 192]}
        assert each.document.figures["ratio.p50"].value > 0
    lite = json.loads((tmp_path / "reports/cls-paddle-lite.json").read_bytes())
    assert any("its INT8 kernels give wrong results" in note for note in lite["notes"])
    assert lite["what"]["a"]["files"] != lite["what"]["b"]["files"]
