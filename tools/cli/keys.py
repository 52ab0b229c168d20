"""``lineguard keys``: who may sign bundles, and whose are taken."""

from __future__ import annotations

from pathlib import Path

import typer

from tools.cli.output import JSON, console, print_json

__all__ = ["TRUSTED", "app"]

app = typer.Typer(help="Keys that bundles are signed with.", no_args_is_help=True)

TRUSTED = typer.Option(
    None,
    "--trusted",
    metavar="DIR",
    help="Folder of the public keys whose bundles are taken; yours if left out.",
)


@app.command()
def new(
    path: Path = typer.Argument(help="File of the private key; .pub beside it is the public one."),
    as_json: bool = JSON,
) -> None:
    """Make a key pair to sign bundles with.

    The private key is for whoever signs, alone: he can put any model on any box that trusts it.
    Keep a copy where the boxes are not. The public key goes to whoever must trust it.

    Example: lineguard keys new factory.key
    """
    from models.bundle import new_key

    key = new_key(path)
    public = path.with_suffix(".pub")
    if as_json:
        print_json({"id": key.public.id, "private": str(path), "public": str(public)})
        return
    console.print(f"key {key.public.id}", soft_wrap=True)
    console.print(f"private: {path} (keep it), public: {public} (give it away)", soft_wrap=True)


@app.command()
def trust(
    path: Path = typer.Argument(help="A public key (.pub)."),
    folder: Path | None = TRUSTED,
    as_json: bool = JSON,
) -> None:
    """Take bundles that this key has signed.

    For a box, name the folder `trusted` of its root.

    Example: lineguard keys trust factory.pub --trusted /var/lib/lineguard/trusted
    """
    from models.bundle import load_public, trust, trusted_folder

    key = load_public(path)
    kept = trust(key, folder or trusted_folder())
    if as_json:
        print_json({"id": key.id, "file": str(kept)})
        return
    console.print(f"trusted from now on: {key.id}, in {kept}", soft_wrap=True)
