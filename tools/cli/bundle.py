"""``lineguard bundle``: a model with all that goes with it, signed, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from tools.cli.keys import TRUSTED
from tools.cli.output import JSON, console, print_json, track

if TYPE_CHECKING:  # their import takes a third of a second, which --help should not
    from models.bundle import Bundle, Golden, Manifest, PublicKey

__all__ = ["app"]

app = typer.Typer(
    help="A model with all that goes with it, signed: what goes onto a box.", no_args_is_help=True
)

BUNDLE = typer.Argument(metavar="BUNDLE", help="A bundle (.lgb).")


@app.command()
def create(
    spec_file: Path = typer.Argument(metavar="SPEC", help="A bundle.toml."),
    key: Path = typer.Option(..., help="Private key to sign with; see `lineguard keys new`."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="The bundle; NAME-VERSION.lgb here if left out."
    ),
    golden: Path | None = typer.Option(
        None, metavar="DIR", help="Golden pictures; with several models, in folders of their names."
    ),
    p99_ms: float | None = typer.Option(
        None,
        min=0.001,
        max=60_000,
        help="Latency that the trial must hold; the spec's if left out.",
    ),
    as_json: bool = JSON,
) -> None:
    """Make a bundle: gathers the models, looks at the golden pictures, signs.

    What the models find now on golden pictures is what they must find on every box, unless the
    spec says it. So look at what is printed: it should be right.

    Example: lineguard bundle create bundle.toml --key factory.key --golden pictures/
    """
    from models.bundle import Bounds, load_private
    from models.errors import ConfigError
    from tools.bundle_spec import load_spec
    from tools.bundling import expect, make_bundle, pictures_in

    spec = load_spec(spec_file)
    private = load_private(key)
    bounds = spec.bounds if p99_ms is None else Bounds(p99_ms=p99_ms)
    pictures = list(spec.golden)
    faults = []
    if bounds is None:
        faults.append(f"{spec_file}: bounds.p99_ms is missing: write it, or give --p99-ms")
    if golden is not None:
        pictures += pictures_in(golden, spec.models)
    elif not pictures:
        faults.append(f"{spec_file}: golden is missing: write [[golden]], or give --golden DIR")
    if bounds is None or faults:
        raise ConfigError(faults)
    path = out or Path(f"{spec.name}-{spec.version}.lgb")
    told = expect(spec.models, track(pictures, "looking", len(pictures)))
    manifest = make_bundle(path, spec, told, bounds, private)
    size = path.stat().st_size
    if as_json:
        print_json({"file": str(path), "bytes": size, **_said(manifest)})
        return
    console.print(_golden_table(manifest.golden))
    console.print(f"{path}: {len(manifest.files)} files, {size / 1e6:.2f} MB", soft_wrap=True)


@app.command()
def inspect(path: Path = BUNDLE, trusted: Path | None = TRUSTED, as_json: bool = JSON) -> None:
    """Show what is in a bundle, whoever signed it, and whether you trust him."""
    from models.bundle import load_trusted, manifest_id, open_bundle, read_envelope, trusted_folder

    keys = load_trusted(trusted or trusted_folder())
    with open_bundle(path, None) as bundle:
        manifest = bundle.manifest
        signers = read_envelope(bundle.envelope).signers
        doubt = _doubt(bundle, keys)
    name = manifest_id(manifest.to_cbor())
    if as_json:
        print_json({"id": name, "signers": signers, "trusted": not doubt, **_said(manifest)})
        return
    engine = manifest.engine
    rows = {
        "bundle": f"{manifest.name} {manifest.version}, counter {manifest.counter}",
        "id": name,
        "signed by": f"{', '.join(signers)} ({'not trusted' if doubt else 'trusted'})",
        "for": f"{', '.join(manifest.hardware)}; {engine.name} {engine.min} to {engine.max}",
        "p99": f"{manifest.bounds.p99_ms:g} ms",
        "source": manifest.source or "not said",
    }
    facts = Table(box=None, pad_edge=False, show_header=False)
    for word, value in (*rows.items(), *manifest.figures.items(), *manifest.recipe.items()):
        facts.add_row(_shown(word), _shown(value))
    models = Table("model", "family", "files", box=None, pad_edge=False)
    for model, table in manifest.models.items():
        inside = [file.path for file in manifest.files if file.path in map(str, table.values())]
        models.add_row(_shown(model), _shown(table.get("family")), "\n".join(inside))
    files = Table("file", "bytes", "sha256", box=None, pad_edge=False)
    for file in manifest.files:
        files.add_row(file.path, f"{file.bytes:,}", f"{file.sha256[:12]}…")
    for table_ in (facts, models, files, _golden_table(manifest.golden)):
        console.print(table_)
        console.print()


@app.command()
def verify(path: Path = BUNDLE, trusted: Path | None = TRUSTED, as_json: bool = JSON) -> None:
    """Check the signature and every hash. Exit code 2 if one is wrong, or nobody is trusted."""
    from models.bundle import load_trusted, manifest_id, open_bundle, trusted_folder
    from models.errors import BundleError

    keys = load_trusted(trusted or trusted_folder())
    try:
        with open_bundle(path, keys) as bundle:
            bundle.check()
            manifest = bundle.manifest
    except BundleError as error:
        if not as_json:
            raise
        print_json({"file": str(path), "ok": False, "faults": str(error).splitlines()})
        raise typer.Exit(error.exit_code) from error
    name = manifest_id(manifest.to_cbor())
    if as_json:
        print_json({"file": str(path), "ok": True, "id": name, "faults": []})
        return
    console.print(
        f"{path}: fine: {manifest.name} {manifest.version}, {len(manifest.files)} files, "
        f"{manifest.total:,} bytes",
        soft_wrap=True,
    )


@app.command()
def diff(
    before: Path = typer.Argument(metavar="OLD", help="A bundle (.lgb)."),
    after: Path = typer.Argument(metavar="NEW", help="Another one."),
    as_json: bool = JSON,
) -> None:
    """Say what one bundle has that another has not, and what sending it would take.

    Wire is bytes to a box that has the old one: a bsdiff4 patch or the file itself, both through
    zstd, whichever is less.
    """
    from dataclasses import asdict

    from models.bundle import changed_fields, changed_files, open_bundle

    with open_bundle(before, None) as old, open_bundle(after, None) as new:
        fields = changed_fields(old.manifest, new.manifest)
        total = new.manifest.total
        count = len(new.manifest.files)
        files = list(track(changed_files(old, new), "comparing", count))
    wire = sum(file.wire for file in files)
    if as_json:
        changes = [{"field": name, "old": a, "new": b} for name, a, b in fields]
        rows = [asdict(file) for file in files]
        print_json({"fields": changes, "files": rows, "bytes": total, "wire": wire})
        return
    if fields:
        table = Table("field", "old", "new", box=None, pad_edge=False)
        for name, a, b in fields:
            table.add_row(_shown(name), _short(a), _short(b))
        console.print(table)
        console.print()
    table = Table("file", "", "old", "new", "wire", "as", box=None, pad_edge=False)
    for file in files:
        sizes = ("" if size is None else f"{size:,}" for size in (file.before, file.after))
        table.add_row(file.path, file.state, *sizes, f"{file.wire:,}", file.coding or "")
    console.print(table)
    share = f", {wire / total:.1%}" if total else ""
    console.print(f"on the wire: {wire:,} of {total:,} bytes{share}")


def _doubt(bundle: Bundle, keys: tuple[PublicKey, ...]) -> str:
    """Why a bundle is not trusted; empty if it is."""
    from models.bundle import verify_envelope
    from models.errors import UntrustedError

    try:
        verify_envelope(bundle.envelope, keys)
    except UntrustedError as error:
        return str(error)
    return ""


def _golden_table(golden: tuple[Golden, ...]) -> Table:
    table = Table("golden picture", "model", "must be found", box=None, pad_edge=False)
    for picture in golden:
        found = [f'"{text}"' for text in picture.texts]
        found += [f"{defect.label} {defect.score:.2f}" for defect in picture.defects]
        table.add_row(picture.image, _shown(picture.model), _shown(", ".join(found) or "nothing"))
    return table


def _said(manifest: Manifest) -> dict[str, Any]:
    """A manifest for machines, without the hashes of chunks, which nobody else counts."""
    return manifest.model_dump(mode="json", exclude={"files": {"__all__": {"chunks"}}})


def _short(value: Any) -> Text:
    text = "(none)" if value is None else str(value)
    return _shown(text if len(text) <= 60 else f"{text[:59]}…")


def _shown(value: Any) -> Text:
    """What a stranger may have written, without the characters that a terminal obeys."""
    return Text("".join(char if char.isprintable() else "?" for char in str(value)))
