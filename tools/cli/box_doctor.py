"""``lineguard box profile`` and ``doctor``: what a board is, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from tools.cli.output import JSON, console, print_json

if TYPE_CHECKING:
    from edge.box.finding import Finding
    from edge.box.profile import Profile

__all__ = ["doctor", "profile"]

STATE = Path("/var/lib/lineguard")
"""Where an installed box keeps all that changes."""

STATIONS = (STATE / "station.toml", Path("/etc/lineguard/station.toml"))

BOARD = typer.Option(
    None, "--board", help="A board.toml that corrects what is found out; see docs/box.md."
)

STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}


def profile(board: Path | None = BOARD, as_json: bool = JSON) -> None:
    """Say what this board is: cores, what they can do, and how a station should use them.

    Example: lineguard box profile
    """
    from edge.box.profile import detect
    from tools.board_file import board_file

    found = detect(override=board_file(board))
    if as_json:
        print_json(found.as_record())
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _lines(found):
        table.add_row(name, Text(value or "none"))
    console.print(table)


def doctor(
    root: Path | None = typer.Option(None, "--root", help="Folder of `lineguard agent`."),
    station: Path | None = typer.Option(None, "--station", help="A station.toml to look at too."),
    board: Path | None = BOARD,
    as_json: bool = JSON,
) -> None:
    """Look at everything that a station needs of this machine. Changes nothing, needs no root.

    On an installed box --root and --station are found. Exit code 1 for warnings, 3 for a fault.

    Example: lineguard box doctor --root /var/lib/lineguard --station station.toml
    """
    from edge.box.doctor import examine, exit_code, worst
    from edge.box.finding import Case
    from edge.box.profile import detect
    from edge.box.root import Root
    from tools.board_file import board_file
    from tools.running import register_line

    register_line()
    if root is None and (STATE / "trusted").is_dir():
        root = STATE
    station = station or next((path for path in STATIONS if path.is_file()), None)
    found = detect(override=board_file(board))
    findings = examine(Case(Root(), found, root, station))
    if as_json:
        told = [dataclasses.asdict(each) for each in findings]
        print_json({"result": worst(findings), "findings": told, "profile": found.as_record()})
    else:
        _show(findings)
    if code := exit_code(findings):
        raise typer.Exit(code)


def _show(findings: Sequence[Finding]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for each in findings:
        found = Text(each.found)
        if each.mend:
            found.append(f"\n→ {each.mend}", "dim")
        table.add_row(Text(each.level, STYLES[each.level]), each.name, found)
    console.print(table)
    counts = {level: sum(each.level == level for each in findings) for level in STYLES}
    words = [f"{number} {level}{'s' * (number > 1)}" for level, number in counts.items() if number]
    console.print(", ".join(word.replace("oks", "ok") for word in words), highlight=False)


def _lines(found: Profile) -> list[tuple[str, str]]:
    def numbers(cores: Sequence[int]) -> str:
        return ", ".join(map(str, cores)) or "any"

    return [
        ("board", f"{found.board}{f' ({found.soc})' if found.soc else ''}"),
        ("cores", found.layout),
        ("can do", ", ".join(found.features)),
        ("programs", f"{found.bits} bits, Linux {found.kernel} ({found.machine})"),
        ("inference", f"{found.threads} threads, cores {numbers(found.inference)}"),
        ("all else", f"cores {numbers(found.rest)}"),
        ("bundles", f"for {' or '.join(found.hardware)}"),
        (".nb models", f"{' before '.join(found.flavours)}"),
        ("sensors", ", ".join(zone.name for zone in found.zones)),
        ("GPIO", ", ".join(f"{chip.device} ({chip.label})" for chip in found.gpio)),
        ("serial", ", ".join(found.serial)),
        ("video", ", ".join(f"{device} ({name})" for device, name in found.video)),
    ]
