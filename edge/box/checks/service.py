"""Services of lineguard, as systemd knows them.

systemctl(1), ``show``: one ``KEY=VALUE`` a line, an empty line between units.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from edge.box.finding import Case, Finding, bad, fine, warn

__all__ = ["check_services"]

ANSWER_S = 10.0
"""For systemctl: a manager that does not answer by then is in trouble itself."""

_KEYS = "Id,LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState"


def check_services(case: Case) -> Iterator[Finding]:
    """Ask for all that begins with ``lineguard``."""
    if not case.root.exists("run/systemd/system") or not (command := shutil.which("systemctl")):
        mend = "let something start `lineguard run` and `lineguard agent` after a power cut"
        yield warn(
            "service", "systemd does not run here: nobody starts the station by itself", mend
        )
        return
    try:
        done = subprocess.run(
            [command, "show", "lineguard*", f"--property={_KEYS}", "--no-pager"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        yield warn("service", "systemd does not answer", "look at `journalctl -b -p err`")
        return
    text = done.stdout.decode("utf-8", "replace")
    units = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.split("\n\n")
    ]
    units = [unit for unit in units if unit.get("Id") and unit.get("LoadState") == "loaded"]
    for unit in units:
        yield _unit(unit)
    if not units:
        mend = "`lineguard box install` makes them"
        yield warn("service", "no service of lineguard is installed", mend)


def _unit(unit: dict[str, str]) -> Finding:
    name, active = unit["Id"], unit.get("ActiveState", "")
    again = unit.get("NRestarts", "")
    log = f"`journalctl -u {name} -e`"
    if active == "failed":
        return bad("service", f"{name} has failed ({unit.get('Result')})", f"see {log}")
    if active != "active" and unit.get("UnitFileState") == "enabled" and name.endswith(".service"):
        return warn("service", f"{name} does not run ({active})", f"see {log}; start it")
    if again.isdecimal() and int(again):
        return warn("service", f"{name} runs, restarted {again} times", f"see {log}")
    return fine("service", f"{name}: {active} {unit.get('SubState', '')}".strip())
