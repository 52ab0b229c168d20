"""Small bundles to send and to spoil, and the key that signs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware_bridge.receiver import BoxFacts
from models.bundle import Manifest, PrivateKey, file_entry

__all__ = ["BOX", "KEY", "STRANGER", "make_manifest"]

KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
STRANGER = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02"))
"""Whom a box trusts, and whom it does not."""

BOX = BoxFacts("box", ("arm64",), {"onnxruntime": "1.23.2"})


def make_manifest(payload: Mapping[str, bytes], **fields: Any) -> Manifest:
    """A manifest that :data:`BOX` takes.

    Parameters
    ----------
    payload
        Content by path: ``golden.png``, ``det.onnx``, and whatever else.
    fields
        In place of its own.
    """
    said: dict[str, Any] = {
        "name": "pcb",
        "version": "1.0.0",
        "counter": 1,
        "hardware": BOX.hardware,
        "engine": {"name": "onnxruntime", "min": "1.20", "max": "1.30"},
        "files": [file_entry(path, content) for path, content in payload.items()],
        "models": {"pcb": {"family": "ppyoloe", "det": "det.onnx", "labels": ["short"]}},
        "golden": [
            {
                "image": "golden.png",
                "model": "pcb",
                "defects": [{"label": "short", "score": 0.75, "box": [8.0, 8.0, 24.5, 24.0]}],
            }
        ],
        "bounds": {"p99_ms": 100.0},
        **fields,
    }
    return Manifest.build(said)
