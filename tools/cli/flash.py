"""``lineguard flash``: a bundle onto a box, or onto all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from tools.cli.bundle import BUNDLE
from tools.cli.keys import TRUSTED
from tools.cli.output import JSON, console, print_json

if TYPE_CHECKING:  # their import takes a third of a second, which --help should not
    from firmware_bridge.fleet import Outcome, Plan
    from firmware_bridge.sender import Flashed, Step

__all__ = ["flash"]


def flash(
    path: Path = BUNDLE,
    ports: list[str] = typer.Option(
        [], "--port", help="Where a box is: a serial port, or tcp://HOST:PORT. Several at once."
    ),
    fleet: Path | None = typer.Option(
        None, metavar="FILE", help="The boxes are in this boxes.toml."
    ),
    bases: list[Path] = typer.Option(
        [],
        "--base",
        metavar="OLD.lgb",
        help="A bundle that boxes may have: sends what changed. "
        "If left out, those beside BUNDLE, where the line is slow.",
    ),
    hold: bool = typer.Option(
        False, "--hold", help="Let the box begin its trial when its line is idle."
    ),
    baud: int = typer.Option(
        921_600, min=115_200, max=4_000_000, help="The fastest to try; for serial ports."
    ),
    trusted: Path | None = TRUSTED,
    report: Path | None = typer.Option(
        None, metavar="FILE", help="Write what became of each box: a .json or .csv."
    ),
    as_json: bool = JSON,
) -> None:
    """Put a bundle on boxes, and wait until each has tried and confirmed it.

    A box that fails, or loses power or its line, goes on with what it ran before; do the same
    again, and it goes on where it stood. Exit code 3 if a box has failed, 2 if the bundle is not
    sound or not trusted.

    Example: lineguard flash pcb-1.2.0.lgb --port /dev/ttyUSB0
    """
    from dataclasses import asdict

    from firmware_bridge.fleet import Fleet
    from firmware_bridge.sender import flash as flash_box
    from firmware_bridge.transport import connect
    from models.bundle import load_trusted, trusted_folder
    from models.errors import TransferError
    from tools.flash_display import FlashDisplay, ending
    from tools.flashing import check_report, open_parcel, write_report

    boxes, plan = _boxes(ports, fleet)
    if report is not None:
        check_report(report)
    with open_parcel(path, load_trusted(trusted or trusted_folder()), bases) as parcel:

        def one(box: str, tell: Callable[[Step], None]) -> Flashed:
            return flash_box(lambda: connect(boxes[box], rate=baud), parcel, hold=hold, tell=tell)

        outcomes: list[Outcome] = []
        try:
            with FlashDisplay(len(boxes)) as display:
                for outcome in Fleet(list(boxes), one, plan, display.step).run():
                    display.end(outcome)
                    outcomes.append(outcome)
        finally:  # of what was done before an interrupt, too
            outcomes.sort(key=lambda each: list(boxes).index(each.box))
            if report is not None:
                write_report(report, outcomes)
        manifest = parcel.manifest
    bad = [each for each in outcomes if not each.good]
    if as_json:
        head = {"name": manifest.name, "version": manifest.version, "id": parcel.id.hex()}
        print_json({**head, "boxes": [asdict(each) for each in outcomes]})
    elif len(outcomes) == 1 and bad:
        raise TransferError(bad[0].reason)
    elif len(outcomes) == 1:
        console.print(ending(outcomes[0]), soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(_table(outcomes))
        console.print(f"{len(outcomes) - len(bad)} of {len(outcomes)} boxes have {parcel.named}")
    if bad:
        raise typer.Exit(TransferError.exit_code)


def _boxes(ports: list[str], fleet: Path | None) -> tuple[dict[str, str], Plan]:
    """Address of each box by its name, and how to go about them."""
    from firmware_bridge.fleet import Plan
    from models.errors import InputError
    from tools.fleet_file import load_fleet

    if bool(ports) == (fleet is not None):
        raise InputError("flash: say where to: --port ADDRESS, or --fleet boxes.toml")
    if fleet is not None:
        file = load_fleet(fleet)
        return {box.name: box.port for box in file.boxes}, file.plan
    if twice := [port for port in set(ports) if ports.count(port) > 1]:
        raise InputError(f"flash: --port {twice[0]} is named twice: name each box once")
    return {port: port for port in ports}, Plan(max_failures=len(ports))


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("box", "", "before", "now", "s", "bytes", "p99 ms", "", box=None, pad_edge=False)
    for each in outcomes:
        table.add_row(
            Text(each.box),
            Text(each.result, "" if each.good else "red"),
            Text(each.before),
            Text(each.after),
            f"{each.seconds:.1f}",
            f"{each.bytes:,}",
            "" if each.p99_ms is None else f"{each.p99_ms:.1f}",
            Text(each.reason),
        )
    return table
