"""Pictures of pages for the documentation, small enough for the repository.

``python -m tools.screenshots reports/ppocrv4-det-onnxruntime.html docs/bench-report.png``: the top
of a report. It needs playwright and a Chromium.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

__all__ = ["FLAGS", "main", "save_screenshot"]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

MAX_BYTES = 150_000
"""Of a picture in the repository."""


def save_screenshot(page: Page, path: Path) -> None:
    """Write what the page shows as a PNG, with as many colours as there is room for."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 128, 64, 32):
        small = picture.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        data = io.BytesIO()
        small.save(data, "PNG", optimize=True)
        if data.tell() <= MAX_BYTES:
            break
    path.write_bytes(data.getvalue())
    print(f"{path}: {data.tell() // 1000} KB")


def main(
    page: Annotated[Path, typer.Argument(help="A file of HTML.")],
    picture: Annotated[Path, typer.Argument(help="The PNG.")],
    width: Annotated[int, typer.Option(help="Of the window, pixels.")] = 880,
    height: Annotated[int, typer.Option(help="How much of the page is shown, from its top.")] = 900,
    chromium: Annotated[Path, typer.Option(help="The browser.")] = Path("/usr/bin/chromium"),
) -> None:
    """Draw the top of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        shown = browser.new_page(viewport={"width": width, "height": height})
        shown.goto(page.resolve().as_uri())
        save_screenshot(shown, picture)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
