"""Counting of ARM64 instructions: kinds, what is missing, and what goes wrong."""

import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from arm64_lab import arm64, tiny_onnx
from needs_lab import needs
from report_lab import original, result
from typer.testing import CliRunner

import compress.counting
from compress.counting import count_instructions, find_arm64
from compress.counting.emulator import ROOT_VARIABLE
from compress.result import FileHash, InstructionCounts, load_result
from models.errors import EngineError, InputError
from tools.arm_counts import put_counts
from tools.cli.bench_instructions import instructions

HERE = Path(compress.counting.__file__).parent

# As binutils 2.40 assembles them (-march=armv8.6-a+fp16).
WORDS = [
    ("sdot v0.4s, v1.16b, v2.16b", 0x4E829420, "dot"),
    ("udot v0.2s, v1.8b, v2.8b", 0x2E829420, "dot"),
    ("sdot v0.4s, v1.16b, v2.4b[3]", 0x4FA2E820, "dot"),
    ("udot v31.4s, v17.16b, v30.4b[1]", 0x6FBEE23F, "dot"),
    ("usdot v0.4s, v1.16b, v2.16b", 0x4E829C20, "dot"),
    ("sudot v0.4s, v1.16b, v2.4b[2]", 0x4F02F820, "dot"),
    ("smmla v0.4s, v1.16b, v2.16b", 0x4E82A420, "dot"),
    ("ummla v0.4s, v1.16b, v2.16b", 0x6E82A420, "dot"),
    ("usmmla v0.4s, v1.16b, v2.16b", 0x4E82AC20, "dot"),
    ("fmla v0.4s, v1.4s, v2.4s", 0x4E22CC20, "fma"),
    ("fmls v0.2d, v1.2d, v2.2d", 0x4EE2CC20, "fma"),
    ("fmla v0.4s, v1.4s, v2.s[3]", 0x4FA21820, "fma"),
    ("fmls v0.4s, v1.4s, v2.s[1]", 0x4FA25020, "fma"),
    ("fmla v0.8h, v1.8h, v2.8h", 0x4E420C20, "fma"),
    ("fmls v0.8h, v1.8h, v2.8h", 0x4EC20C20, "fma"),
    ("fmla v0.8h, v1.8h, v2.h[7]", 0x4F321820, "fma"),
    ("fmadd s0, s1, s2, s3", 0x1F020C20, "fma"),
    ("fnmsub d0, d1, d2, d3", 0x1F628C20, "fma"),
    ("mla v0.4s, v1.4s, v2.4s", 0x4EA29420, "multiply"),
    ("mls v0.8h, v1.8h, v2.8h", 0x6E629420, "multiply"),
    ("mul v0.16b, v1.16b, v2.16b", 0x4E229C20, "multiply"),
    ("smlal v0.4s, v1.4h, v2.4h", 0x0E628020, "multiply"),
    ("umlal2 v0.4s, v1.8h, v2.8h", 0x6E628020, "multiply"),
    ("smlsl v0.4s, v1.4h, v2.4h", 0x0E62A020, "multiply"),
    ("smull v0.8h, v1.8b, v2.8b", 0x0E22C020, "multiply"),
    ("umull2 v0.8h, v1.16b, v2.16b", 0x6E22C020, "multiply"),
    ("sqdmlal v0.4s, v1.4h, v2.4h", 0x0E629020, "multiply"),
    ("sqdmull v0.4s, v1.4h, v2.4h", 0x0E62D020, "multiply"),
    ("sqdmulh v0.4s, v1.4s, v2.4s", 0x4EA2B420, "multiply"),
    ("sqrdmulh v0.8h, v1.8h, v2.8h", 0x6E62B420, "multiply"),
    ("mla v0.4s, v1.4s, v2.s[1]", 0x6FA20020, "multiply"),
    ("mls v0.8h, v1.8h, v2.h[5]", 0x6F524820, "multiply"),
    ("mul v0.4s, v1.4s, v2.s[1]", 0x4FA28020, "multiply"),
    ("smlal v0.4s, v1.4h, v2.h[3]", 0x0F722020, "multiply"),
    ("umlsl2 v0.4s, v1.8h, v2.h[3]", 0x6F726020, "multiply"),
    ("smull v0.4s, v1.4h, v2.h[3]", 0x0F72A020, "multiply"),
    ("sqdmulh v0.4s, v1.4s, v2.s[0]", 0x4F82C020, "multiply"),
    ("sqrdmulh v0.8h, v1.8h, v2.h[1]", 0x4F52D020, "multiply"),
    ("fmul v0.4s, v1.4s, v2.4s", 0x6E22DC20, "simd"),
    ("fmul v0.4s, v1.4s, v2.s[0]", 0x4F829020, "simd"),
    ("fadd v0.4s, v1.4s, v2.4s", 0x4E22D420, "simd"),
    ("fmax v0.4s, v1.4s, v2.4s", 0x4E22F420, "simd"),
    ("add v0.4s, v1.4s, v2.4s", 0x4EA28420, "simd"),
    ("pmul v0.16b, v1.16b, v2.16b", 0x6E229C20, "simd"),
    ("sadalp v0.4s, v1.8h", 0x4E606820, "simd"),
    ("dup v0.4s, w1", 0x4E040C20, "simd"),
    ("movi v0.4s, #0", 0x4F000400, "simd"),
    ("sshr v0.4s, v1.4s, #3", 0x4F3D0420, "simd"),
    ("scvtf v0.4s, v1.4s", 0x4E21D820, "simd"),
    ("fadd s0, s1, s2", 0x1E222820, "simd"),
    ("ext v0.16b, v1.16b, v2.16b, #4", 0x6E022020, "simd"),
    ("ld1 {v0.4s}, [x0], #16", 0x4CDF7800, "memory"),
    ("st1 {v0.4s-v3.4s}, [x0]", 0x4C002800, "memory"),
    ("ldr q0, [x1, #16]", 0x3DC00420, "memory"),
    ("ldp q0, q1, [x2], #32", 0xACC10440, "memory"),
    ("str x0, [sp, #8]", 0xF90007E0, "memory"),
    ("prfm pldl1keep, [x0, #64]", 0xF9802000, "memory"),
    ("ldadd w0, w1, [x2]", 0xB8200041, "memory"),
    ("b .", 0x14000000, "branch"),
    ("bl .", 0x94000000, "branch"),
    ("b.ne .", 0x54000001, "branch"),
    ("cbz x0, .", 0xB4000000, "branch"),
    ("tbnz w0, #3, .", 0x37180000, "branch"),
    ("ret", 0xD65F03C0, "branch"),
    ("blr x3", 0xD63F0060, "branch"),
    ("svc #0", 0xD4000001, "branch"),
    ("add x0, x1, x2", 0x8B020020, "other"),
    ("madd x0, x1, x2, x3", 0x9B020C20, "other"),
    ("subs x0, x0, #1", 0xF1000400, "other"),
    ("adrp x0, .", 0x90000000, "other"),
    ("csel x0, x1, x2, eq", 0x9A820020, "other"),
]

FEEDS = {"x": np.ones((1, 4), np.float32)}


@pytest.fixture(scope="module")
def kind_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    compiler = shutil.which("gcc")
    needs(compiler, "gcc")
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "kinds.c").write_text(
        '#include "kinds.h"\n'
        "const char *kind_name(uint32_t word) { return kind_names[kind_of(word)]; }\n"
    )
    library = folder / "kinds.so"
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{HERE}"]
    subprocess.run([str(compiler), *strict, "-o", library, folder / "kinds.c"], check=True)
    function = ctypes.CDLL(str(library)).kind_name
    function.argtypes, function.restype = [ctypes.c_uint32], ctypes.c_char_p
    return lambda word: bytes(function(word)).decode()


@pytest.mark.parametrize(("assembly", "word", "kind"), WORDS, ids=[each[0] for each in WORDS])
def test_kinds(kind_of: Callable[[int], str], assembly: str, word: int, kind: str) -> None:
    assert kind_of(word) == kind


def test_one_inference_is_what_lies_between_the_marks(tmp_path: Path) -> None:
    counted = count_instructions(
        tiny_onnx(tmp_path / "tiny.onnx"), FEEDS, arm64(tmp_path), "cortex-a76", runs=4
    )
    assert counted.kinds == {"dot": 7, "fma": 50, "other": 1}
    assert (counted.core, counted.total) == ("cortex-a76", 58)
    assert counted.engine.startswith("onnxruntime 1.")


def test_each_core_shows_its_own_features(tmp_path: Path) -> None:
    model, system = tiny_onnx(tmp_path / "tiny.onnx"), arm64(tmp_path)
    assert count_instructions(model, FEEDS, system, "cortex-a53").kinds["dot"] == 0


def test_a_core_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"z80: is no core .* cortex-a53, cortex-a72, cortex-a76"):
        count_instructions(tmp_path / "m.onnx", FEEDS, arm64(tmp_path), "z80")


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("sys.exit('qemu: unknown option plugin')", "exit code 1, qemu: unknown option plugin: "),
        ("os.kill(os.getpid(), 11)", "exit code -11, without a word: "),
        ("sys.exit(0)", "was not counted"),
        (
            "open(sys.argv[sys.argv.index('-plugin') + 1].partition(',out=')[2], 'w').write('a')"
            "; sys.exit(0)",
            "was not counted",
        ),
    ],
)
def test_an_emulator_that_fails_is_quoted(tmp_path: Path, behaviour: str, said: str) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        count_instructions(
            tiny_onnx(tmp_path / "m.onnx"), FEEDS, arm64(tmp_path, behaviour), "cortex-a76"
        )
    assert "\n" not in str(caught.value)


def test_a_model_that_the_guest_cannot_run_is_named(tmp_path: Path) -> None:
    model = tmp_path / "bad.onnx"
    model.write_bytes(b"no model")
    with pytest.raises(EngineError, match=r"bad\.onnx: cannot be counted: exit code 1, .*refuses"):
        count_instructions(model, FEEDS, arm64(tmp_path), "cortex-a76")


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compress.counting.emulator.PATIENCE_S", 1.0)
    system = arm64(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(EngineError, match="took over 1 s"):
        count_instructions(tiny_onnx(tmp_path / "m.onnx"), FEEDS, system, "cortex-a76")


def test_all_that_is_missing_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    with pytest.raises(EngineError, match=f"qemu-user; .*gcc; no ARM64 .* set {ROOT_VARIABLE}"):
        find_arm64()
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    with pytest.raises(EngineError, match=r"has no usr/bin/python3\.N"):
        find_arm64()


COUNTS = [InstructionCounts(core="cortex-a53", total=5), InstructionCounts(core="x", total=6)]


def test_counts_come_into_the_result_and_its_report(tmp_path: Path) -> None:
    model = tiny_onnx(tmp_path / "m.onnx")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    known = original().model_copy(
        update={"files": (FileHash(path="m.onnx", bytes=1, sha256=digest),), "instructions": ()}
    )
    path = tmp_path / "result.json"
    path.write_bytes(result(original=known, artefacts=(), tries=(), sensitivities=()).as_json())
    put_counts(path, {model: COUNTS})
    assert load_result(path).original.instructions == tuple(COUNTS)
    assert "cortex-a53" in (tmp_path / "report.html").read_text()


def test_counts_of_a_stranger_are_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "result.json", tiny_onnx(tmp_path / "m.onnx")
    path.write_bytes(result().as_json())
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"m\.onnx: is no model of .*result\.json"):
        put_counts(path, {model: COUNTS})
    assert path.read_bytes() == before
    assert not (tmp_path / "report.html").exists()


def test_the_command_tells_ratios_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = arm64(tmp_path)
    monkeypatch.setattr("compress.counting.find_arm64", lambda root: system)
    app = typer.Typer()
    app.command()(instructions)
    model = str(tiny_onnx(tmp_path / "tiny.onnx"))
    done = CliRunner().invoke(app, [model, "--shape", "x=1,4"])
    assert done.exit_code == 0, done.output
    assert "tiny.onnx on cortex-a53: 51 instructions, ratio 1.000 (dot 0, fma 50" in done.output
    assert "tiny.onnx on cortex-a76: 58 instructions" in done.output
