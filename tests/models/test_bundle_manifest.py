"""The manifest: one form, all limits."""

import hashlib
import io
from typing import Any

import cbor2
import pytest
from bundle_lab import PAYLOAD, make_manifest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import (
    CHUNK,
    EngineRange,
    Manifest,
    chunk_hashes,
    dump_cbor,
    file_entry,
    load_cbor,
    manifest_id,
    release,
)
from models.errors import BundleError

ONE = "0" * 64


def fields(**changed: Any) -> dict[str, Any]:
    """A manifest as CBOR has it, with some of it changed."""
    return {**load_cbor(make_manifest().to_cbor()), **changed}


def entry(path: str = "a", size: int = 1, chunks: int = 1, **more: Any) -> dict[str, Any]:
    zero = bytes(32)
    return {"path": path, "bytes": size, "sha256": zero, "chunks": [zero] * chunks, **more}


def golden(**changed: Any) -> dict[str, Any]:
    return {**fields()["golden"][0], **changed}


PCB = {"family": "ppyoloe", "det": "pcb/det.onnx"}

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "format of the future": ({"format": 2}, "format"),
    "unknown key": ({"colour": "red"}, "colour"),
    "name with a slash": ({"name": "../pcb"}, "name"),
    "name of two lines": ({"name": "pcb\n"}, "name"),
    "version of two parts": ({"version": "1.0"}, "version"),
    "version in other digits": ({"version": "1.0.٣"}, "version"),
    "counter below": ({"counter": -1}, "counter"),
    "counter above": ({"counter": 2**32}, "counter"),
    "counter as a truth": ({"counter": True}, "counter"),
    "counter as a text": ({"counter": "1"}, "counter"),
    "no hardware": ({"hardware": []}, "hardware"),
    "hardware twice": ({"hardware": ["arm64", "arm64"]}, "hardware: names one twice"),
    "unknown engine": ({"engine": {"name": "tvm", "min": "1", "max": "2"}}, "engine.name"),
    "engine upside down": (
        {"engine": {"name": "onnxruntime", "min": "1.10", "max": "1.9"}},
        "min is above max",
    ),
    "no files": ({"files": []}, "files"),
    "257 files": ({"files": [entry(f"f{n}") for n in range(257)]}, "files"),
    "absolute path": ({"files": [entry("/etc/passwd")]}, "files.0.path"),
    "path upwards": ({"files": [entry("a/../../b")]}, "no part . or .."),
    "path to here": ({"files": [entry("./a")]}, "no part . or .."),
    "only dots": ({"files": [entry("..")]}, "no part . or .."),
    "path with nothing": ({"files": [entry("a//b")]}, "files.0.path"),
    "path to a folder": ({"files": [entry("a/")]}, "files.0.path"),
    "path with NUL": ({"files": [entry("a\0b")]}, "files.0.path"),
    "path with a backslash": ({"files": [entry("a\\b")]}, "files.0.path"),
    "path of two lines": ({"files": [entry("a\n")]}, "files.0.path"),
    "path with an accent": ({"files": [entry("é")]}, "files.0.path"),
    "long path": ({"files": [entry("a" * 101)]}, "files.0.path"),
    "path twice": ({"files": [entry("a"), entry("a")]}, "names one twice"),
    "file and folder": ({"files": [entry("a"), entry("a/b")]}, "a is a file and a folder"),
    "size below": ({"files": [entry(size=-1)]}, "files.0.bytes"),
    "huge size": ({"files": [entry(size=2**63)]}, "files.0.bytes"),
    "too few chunks": ({"files": [entry(size=CHUNK + 1)]}, "there are 1 of 65537 bytes"),
    "too many chunks": ({"files": [entry(size=CHUNK, chunks=2)]}, "there are 2 of"),
    "hash too short": ({"files": [entry(sha256=b"short")]}, "files.0.sha256"),
    "too much in all": (
        {"files": [entry(f"f{n}", 2**28, 2**12) for n in range(3)]},
        "more than 512 MiB",
    ),
    "no models": ({"models": {}}, "models"),
    "model without its file": (
        {"models": {"pcb": {**PCB, "det": "other.onnx"}}},
        "models.pcb.det: 'other.onnx' is none of files",
    ),
    "model with a path outside": (
        {"models": {"pcb": {**PCB, "det": "/etc/passwd"}}},
        "models.pcb.det: '/etc/passwd' is none of files",
    ),
    "model with a number for a path": ({"models": {"pcb": {**PCB, "det": 7}}}, "models.pcb.det"),
    "model with bytes": ({"models": {"pcb": {**PCB, "x": b"\0"}}}, "models.pcb.x"),
    "no golden picture": ({"golden": []}, "golden"),
    "golden picture that is not there": ({"golden": [golden(image="b.png")]}, "none of files"),
    "golden picture of no model": ({"golden": [golden(model="text")]}, "none of models"),
    "golden box upside down": ({"golden": [golden(box=[5, 5, 5, 9])]}, "x0 < x1"),
    "score of two": (
        {"golden": [golden(defects=[{"label": "a", "score": 2.0, "box": [0.0] * 4}])]},
        "score",
    ),
    "no time at all": ({"bounds": {"p99_ms": 0.0}}, "bounds.p99_ms"),
    "no number of ms": ({"bounds": {"p99_ms": float("nan")}}, "bounds.p99_ms"),
    "figures as a list": ({"figures": []}, "figures"),
}


def test_comes_back_from_its_one_form() -> None:
    manifest = make_manifest(figures={"f1": 0.98, "boards": 40}, source=ONE, recipe={"int8": True})
    written = manifest.to_cbor()
    assert Manifest.from_cbor(written) == manifest
    assert manifest_id(written) == hashlib.sha256(written).hexdigest()
    read = cbor2.loads(written)
    assert read["source"] == bytes(32)
    assert read["files"][2]["path"] == "pcb/det.onnx"
    content = PAYLOAD["pcb/det.onnx"]
    assert read["files"][2]["sha256"] == hashlib.sha256(content).digest()
    assert read["files"][2]["chunks"][2] == hashlib.sha256(content[2 * CHUNK :]).digest()
    assert manifest.files[2].chunks[2] == hashlib.sha256(content[2 * CHUNK :]).hexdigest()
    assert manifest.total == sum(map(len, PAYLOAD.values()))


@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case: str) -> None:
    changed, words = BROKEN[case]
    with pytest.raises(BundleError) as caught:
        Manifest.from_cbor(dump_cbor(fields(**changed)))
    lines = str(caught.value).splitlines()
    assert all(line.startswith("manifest: ") for line in lines)
    assert any(words in line for line in lines), lines


def test_takes_what_the_broken_ones_began_as() -> None:
    assert Manifest.from_cbor(dump_cbor(fields())) == make_manifest()


@pytest.mark.parametrize("left_out", ["figures", "source", "recipe", "format"])
def test_there_is_no_second_way_of_writing_it(left_out: str) -> None:
    said = fields()
    del said[left_out]
    with pytest.raises(BundleError, match="is not written as lineguard writes it"):
        Manifest.from_cbor(dump_cbor(said))


def test_a_whole_number_is_no_second_way_of_writing_a_fraction() -> None:
    with pytest.raises(BundleError, match="is not written as lineguard writes it"):
        Manifest.from_cbor(dump_cbor(fields(bounds={"p99_ms": 100})))


def test_keys_out_of_order_are_refused() -> None:
    with pytest.raises(BundleError, match="deterministic"):
        Manifest.from_cbor(cbor2.dumps(fields()))


def test_is_never_larger_than_an_envelope_holds() -> None:
    with pytest.raises(BundleError, match="larger than 3 MiB"):
        Manifest.from_cbor(bytes(3 * 2**20 + 1))


def test_the_largest_bundle_fits_its_own_limits() -> None:
    files = [entry(f"{n:03}/{'x' * 96}", 2**21, 2**5) for n in range(256)]
    files[0]["path"] = "det.onnx"
    files[1]["path"] = "a.png"
    said = fields(
        files=files,
        models={"pcb": {**PCB, "det": "det.onnx"}},
        golden=[golden(image="a.png", defects=golden()["defects"] * 2)] * 256,
    )
    assert Manifest.from_cbor(dump_cbor(said)).total == 512 * 2**20


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
        | st.integers(-(2**63), 2**63),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_free_form_fields_come_back(value: Any) -> None:
    manifest = make_manifest(figures={"x": value})
    assert Manifest.from_cbor(manifest.to_cbor()) == manifest


@given(st.data())
def test_whatever_is_put_in_a_field_is_refused_by_name_or_comes_back(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(fields())))
    leaf = st.none() | st.integers(-5, 2**33) | st.text(max_size=6) | st.binary(max_size=33)
    value = data.draw(
        st.recursive(
            leaf,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["name", "min", "path", "pcb", "x"]), inner, max_size=3
                )
            ),
        )
    )
    written = dump_cbor(fields(**{field: value}))
    try:
        manifest = Manifest.from_cbor(written)
    except BundleError as error:
        lines = str(error).splitlines()
    else:
        lines = []
        assert manifest.to_cbor() == written
    assert all(line.startswith("manifest: ") for line in lines)


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("1.20", True), ("1.20.0", True), ("1.23", True), ("1.23.2", True), ("v1.22.0-rc1", True),
        ("1.19.9", False), ("1.24", False), ("1.24.0", False), ("1.3", False), ("2.0", False),
        ("1", False), ("", False), ("unknown", False), ("2.22", False),
    ],
)  # fmt: skip
def test_which_engines_will_do(version: str, fits: bool) -> None:
    assert EngineRange(name="onnxruntime", min="1.20", max="1.23").admits(version) is fits


def test_numbers_of_a_version() -> None:
    assert release("1.23.2") == (1, 23, 2)
    assert release("v2.13-rc") == (2, 13)
    assert release("nightly") == ()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_chunks_of_a_file(size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    described = file_entry("a", content)
    assert described.chunks == chunk_hashes(io.BytesIO(content))
    assert len(described.chunks) == -(-size // CHUNK)
    assert described.sha256 == hashlib.sha256(content).hexdigest()
    if 0 < size <= CHUNK:
        assert described.chunks == (described.sha256,)


def test_a_path_that_no_bundle_may_have_is_no_entry() -> None:
    with pytest.raises(BundleError, match="manifest: path: must have no part"):
        file_entry("../x", b"")
