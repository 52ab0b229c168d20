"""Help, version, and what is said to a mistyped command."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from cli_lab import lineguard, refused
from typer.main import get_command

from tools.cli.app import app

HELP = {
    "": "Realtime inspection on the factory line",
    "demo": "Example: lineguard demo --parts 500",
    "run": "Example: lineguard run station.toml --parts 100",
    "read": "Example: lineguard read pack.jpg --mode page",
    "detect": "Example: lineguard detect board.jpg --model pcb.onnx",
    "train": "Train a detector on pictures of your own defects",
    "train ppyoloe": "Example: lineguard train ppyoloe --data boards/ --variant xs",
    "compress": "Example: lineguard compress ppocrv4-det --data data/ --out det/ --quick",
    "eval": "Score models on labelled pictures",
    "eval ocr": "Example: lineguard eval ocr --labels rec/val.txt --mode label",
    "eval detect": "Example: lineguard eval detect --data test.json --images images",
    "bench": "Measure how long it takes, and how sure that is",
    "bench model": "Example: lineguard bench model rec.onnx --shape x=1,3,48,320",
    "bench read": "Example: lineguard bench read crops/ --mode fixed --percentile 99",
    "bench sweep": "Example: lineguard bench sweep dense.onnx int8.onnx --threads 1",
    "bench detect": "Example: lineguard bench detect boards/ --model zoo:pcb-defects-xs",
    "bench bundle": "Example: lineguard bench bundle /var/lib/lineguard --fail-if 'p99 > 40ms'",
    "bench compressed": "Example: lineguard bench compressed det/ rec/ pcb/ --out reports",
    "bench instructions": "Example: lineguard bench instructions det.onnx det.int8.onnx --shape",
    "bench line": "Example: lineguard bench line station.toml --seconds 600",
    "bench ab": "Example: lineguard bench ab dense.onnx int8.onnx --fail-if 'ratio.p50 > 0.8'",
    "bench compare": "Example: lineguard bench compare monday.json today.json",
    "station": "The file that says what a station does",
    "station new": "Example: lineguard station new > station.toml",
    "station check": "each fault with its line",
    "station cameras": "List the cameras plugged into this machine",
    "models": "The models that lineguard knows by name",
    "models list": "its licence, and whether it is on this machine",
    "models fetch": "A file with a wrong sha256 is not kept",
    "models verify": "Exit code 2 if one is missing or altered",
    "data": "Labelled pictures to train and measure with",
    "data render": "Example: lineguard data render labels --kind carton",
    "data cut": "Example: lineguard data cut parts --data test.json",
    "bundle": "signed: what goes onto a box",
    "bundle create": "Example: lineguard bundle create bundle.toml --key factory.key",
    "bundle inspect": "whoever signed it, and whether you trust him",
    "bundle verify": "Check the signature and every hash",
    "bundle diff": "what sending it would take",
    "keys": "Keys that bundles are signed with",
    "keys new": "Example: lineguard keys new factory.key",
    "keys trust": "Example: lineguard keys trust factory.pub",
    "flash": "Example: lineguard flash pcb-1.2.0.lgb --port /dev/ttyUSB0",
    "agent": "Example: lineguard agent --port /dev/ttyS1 --root /var/lib/lineguard",
    "box": "What a box runs, and its changes by hand",
    "box status": "Example: lineguard box status --port /dev/ttyUSB0",
    "box log": "the newest 200 entries of its journal",
    "box rollback": "Make the bundle active again that was so before",
    "box confirm": "Try the staged bundle now",
    "box profile": "Example: lineguard box profile",
    "box doctor": "Example: lineguard box doctor --root /var/lib/lineguard --station station.toml",
    "box build-lite": "lineguard box build-lite inference_lite_lib.armlinux.armv8 --out lite",
    "box install": "Example: sudo /opt/lineguard/bin/lineguard box install",
    "box uninstall": "Example: sudo lineguard box uninstall",
    "box package": "lineguard box package --architecture arm64 --debian bookworm --out dist",
    "box image": "Example: lineguard box image --board rpi4 --out box.img",
    "records": "What is kept of every part",
    "records query": "Example: lineguard records query --lot L2611A --verdict NG",
    "records export": "Example: lineguard records export november.csv --since 2026-11-01",
    "records show": "Example: lineguard records show 20261122T080000-ab12-top-17",
    "records challenges": "Example: lineguard records challenges --limit 3",
    "records warnings": "Example: lineguard records warnings",
    "shadow": "A second bundle that looks at the same parts",
    "shadow report": "Example: lineguard shadow report station.toml --html shadow.html",
    "shadow clear": "Example: lineguard shadow clear station.toml",
}


@pytest.mark.parametrize("command", HELP)
def test_help_says_what_it_does(command: str, tmp_path: Path) -> None:
    done = lineguard(*command.split(), "--help", cwd=tmp_path, COLUMNS="120")
    assert (done.code, done.err) == (0, "")
    assert HELP[command] in " ".join(done.out.split())
    assert f"Usage: lineguard {command}".rstrip() in done.out


def test_the_table_of_helps_is_complete() -> None:
    def paths(command: object, path: str = "") -> Iterator[str]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from paths(inner, f"{path} {name}".strip())

    assert set(paths(get_command(app))) == set(HELP)


def test_exit_codes_are_explained(tmp_path: Path) -> None:
    out = lineguard("--help", cwd=tmp_path).out
    assert "Exit codes: 0 fine, 1 NG or a gate was missed, 2 bad usage" in " ".join(out.split())


def test_version(tmp_path: Path) -> None:
    assert lineguard("--version", cwd=tmp_path).out == f"lineguard {version('lineguard')}\n"


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    done = lineguard(cwd=tmp_path)
    assert (done.code, done.err) == (2, "")
    assert "Usage: lineguard" in done.out


@pytest.mark.parametrize(
    ("args", "words", "help_of"),
    [
        ("--bogus", "--bogus", "lineguard"),
        ("bogus", "'bogus'", "lineguard"),
        ("read", "images", "lineguard read"),
        ("read a.png --rce x", "--rce", "lineguard read"),
        ("read a.png --mode wide", "'wide'", "lineguard read"),
        ("read a.png --threads 0", "--threads", "lineguard read"),
        ("detect", "images", "lineguard detect"),
        ("detect a.png --threshold 2", "--threshold", "lineguard detect"),
        ("run s.toml --parts 0", "--parts", "lineguard run"),
        ("run s.toml --parts many", "--parts", "lineguard run"),
        ("run s.toml --language fr", "'fr'", "lineguard run"),
        ("demo --parts 3", "--parts", "lineguard demo"),
        ("demo more", "more", "lineguard demo"),
        ("flash", "BUNDLE", "lineguard flash"),
        ("flash a.lgb --port x --baud 9600", "--baud", "lineguard flash"),
        ("eval ocr", "--labels", "lineguard eval ocr"),
        ("bench model", "MODEL", "lineguard bench model"),
        ("bench model a.onnx --scenario server", "'server'", "lineguard bench model"),
        ("bench ab a.onnx", "MODEL_B", "lineguard bench ab"),
        ("station chek", "'chek'", "lineguard station"),
        ("records query --verdict ok", "'ok'", "lineguard records query"),
        ("data render x --ng 2", "--ng", "lineguard data render"),
    ],
)
def test_bad_usage_is_one_line(args: str, words: str, help_of: str, tmp_path: Path) -> None:
    (error,) = refused(*args.split(), cwd=tmp_path)
    assert words in error
    assert error.endswith(f": see `{help_of} --help`")
