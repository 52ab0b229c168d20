"""Bundles: a model with all that goes with it, signed; the only thing that crosses to a box.

``docs/protocol.md`` says what a bundle is, and why.
"""

from models.bundle.archive import ENVELOPE, FILES, Bundle, create_bundle, open_bundle
from models.bundle.cbor import dump_cbor, load_cbor
from models.bundle.difference import FileChange, changed_fields, changed_files, encode
from models.bundle.envelope import MAX_ENVELOPE, Signed, read_envelope, sign, verify_envelope
from models.bundle.keys import (
    PrivateKey,
    PublicKey,
    load_private,
    load_public,
    load_trusted,
    new_key,
    trust,
    trusted_folder,
)
from models.bundle.manifest import (
    CHUNK,
    MODEL_FILES,
    Bounds,
    EngineRange,
    ExpectedDefect,
    Facts,
    FileEntry,
    Golden,
    Manifest,
    chunk_hashes,
    file_entry,
    manifest_id,
    model_paths,
    release,
)

__all__ = [
    "CHUNK",
    "ENVELOPE",
    "FILES",
    "MAX_ENVELOPE",
    "MODEL_FILES",
    "Bounds",
    "Bundle",
    "EngineRange",
    "ExpectedDefect",
    "Facts",
    "FileChange",
    "FileEntry",
    "Golden",
    "Manifest",
    "PrivateKey",
    "PublicKey",
    "Signed",
    "changed_fields",
    "changed_files",
    "chunk_hashes",
    "create_bundle",
    "dump_cbor",
    "encode",
    "file_entry",
    "load_cbor",
    "load_private",
    "load_public",
    "load_trusted",
    "manifest_id",
    "model_paths",
    "new_key",
    "open_bundle",
    "read_envelope",
    "release",
    "sign",
    "trust",
    "trusted_folder",
    "verify_envelope",
]
