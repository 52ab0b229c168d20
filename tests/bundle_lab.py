"""Small bundles, and keys to sign them with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import CHUNK, Manifest, PrivateKey, create_bundle, file_entry

PAYLOAD: Mapping[str, bytes] = {
    "golden/board.png": b"\x89PNG, or so it says",
    "pcb/det.json": b'{"labels": ["short", "open"]}\n',
    "pcb/det.onnx": bytes(range(256)) * (2 * CHUNK // 256) + b"the last chunk is shorter",
}
"""Two files of one chunk, one of three; none of them is what its name says."""


def make_key(seed: int = 1) -> PrivateKey:
    """The same key for the same seed."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big")))


def make_manifest(payload: Mapping[str, bytes] = PAYLOAD, **fields: Any) -> Manifest:
    """A manifest of ``payload``; ``fields`` are put in place of, or added to, its own."""
    said: dict[str, Any] = {
        "name": "pcb",
        "version": "1.0.0",
        "counter": 1,
        "hardware": ("arm64", "x86-64"),
        "engine": {"name": "onnxruntime", "min": "1.20", "max": "1.30"},
        "files": tuple(file_entry(path, content) for path, content in payload.items()),
        "models": {"pcb": {"family": "ppyoloe", "det": "pcb/det.onnx", "labels": ["short"]}},
        "golden": (
            {
                "image": "golden/board.png",
                "model": "pcb",
                "defects": [{"label": "short", "score": 0.75, "box": [8.0, 8.0, 24.5, 24.0]}],
            },
        ),
        "bounds": {"p99_ms": 100.0},
        **fields,
    }
    return Manifest.model_validate(said)


def make_bundle(
    folder: Path,
    payload: Mapping[str, bytes] = PAYLOAD,
    *,
    key: PrivateKey | None = None,
    **fields: Any,
) -> Path:
    """Write ``FOLDER/NAME-VERSION.lgb``, signed by ``key`` or the key of seed 1.

    ``payload`` needs no PNG and no network, but the paths that ``fields`` (or the fields of
    :func:`make_manifest`) name.
    """
    manifest = make_manifest(payload, **fields)
    path = folder / f"{manifest.name}-{manifest.version}.lgb"
    create_bundle(path, manifest, payload, key or make_key())
    return path
