"""Parts that every section of docs/benchmarks.md has."""

from __future__ import annotations

from typing import Any

__all__ = ["caption", "table"]


def caption(section: dict[str, Any]) -> str:
    """How it was measured, on what, and when."""
    machine = section["machine"]
    return (
        f"`{section['command']}` on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, "
        f"Python {machine['python']}, ONNX Runtime {machine['onnxruntime']}.\n"
    )


def table(head: list[str], rows: list[list[object]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
