"""The report of a compression: one page of HTML that needs nothing but itself.

::

    write_report(load_result(Path("out/result.json")), Path("out/report.html"))
"""

from __future__ import annotations

from pathlib import Path

from compress.report.changes import Candidate, worst_changes
from compress.report.page import as_page
from compress.result import Result
from models.atomic import write_atomic

__all__ = ["Candidate", "as_page", "worst_changes", "write_report"]


def write_report(result: Result, path: Path) -> None:
    """Write the page.

    Raises
    ------
    StorageError
        The file cannot be written; what was there stays.
    """
    write_atomic(path, as_page(result))
