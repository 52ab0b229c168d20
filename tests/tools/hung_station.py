"""`lineguard run` whose inference hangs as soon as there is a file ``hang``. Run as a script."""

import sys
import time
from pathlib import Path
from typing import Any

from edge.loop import lane, line
from edge.loop.inspection import inspect
from tools.cli import main


def hanging(*args: Any, **more: Any) -> Any:
    """A native call that never comes back."""
    if Path("hang").exists():
        time.sleep(3600)
    return inspect(*args, **more)


if __name__ == "__main__":
    setattr(lane, "inspect", hanging)  # noqa: B010 - not for others to see
    line.STUCK_S = 1.0
    sys.argv = ["lineguard", "run", "station.toml"]
    main()
