"""Image files, whatever they are, as the one form that everything here works on."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "MAX_SIDE", "as_bgr", "encode_image", "load_image"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

MAX_SIDE = 16_384
"""Pixels; a longer side is no camera's picture, and its buffers would not fit a box."""

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are refused unread: an inspection picture has a hundredth of that."""

MAX_PIXELS = 160_000_000
"""The largest industrial sensors have 151 million; more would cost gigabytes for nothing."""

BAND = 256
"""Rows that are blended at once, so that the 16-bit values in between stay small."""

MIN_SIDE = 2
"""Pixels; nothing can be read or found on less."""


def as_bgr(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring any decoded picture to ``(H, W, 3) uint8`` BGR.

    Grey is repeated; transparency is laid over white, as a label printer would; 16-bit is scaled
    by its own range of bits (an eight-bit camera in a 16-bit file would otherwise turn black);
    float is taken as 0 to 1.
    """
    if image.dtype == np.uint16:
        shift = max(0, int(image.max()).bit_length() - 8)
        pixels = np.empty(image.shape, np.uint8)
        np.right_shift(image, shift, out=pixels, casting="unsafe")
    elif image.dtype == np.uint8:
        pixels = image.view(np.uint8)
    else:
        pixels = np.clip(np.nan_to_num(image.astype(np.float32)) * 255, 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    if pixels.shape[2] == 4:
        return _on_white(pixels)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[:, :, :3])


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(H, W, 4)`` with transparency, as ``(H, W, 3)``."""
    blended = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), BAND):
        band = pixels[top : top + BAND]
        alpha = band[:, :, 3:].astype(np.uint16)
        blended[top : top + BAND] = (band[:, :, :3] * alpha + 255 * (255 - alpha)) // 255
    return blended


def load_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file.

    Returns
    -------
    ``(H, W, 3) uint8`` BGR, owned by the caller.

    Raises
    ------
    ImageError
        The file is missing, not an image, cut off, or out of bounds.
    """
    try:
        entry = path.stat()
        if not stat.S_ISREG(entry.st_mode):  # a pipe or a device would make us wait for ever
            raise ImageError(f"{path}: is no file: name a PNG or JPEG")
        size = entry.st_size
        if size > MAX_FILE_BYTES:
            raise ImageError(
                f"{path}: {size / 2**20:.0f} MiB: larger than an image may be "
                f"({MAX_FILE_BYTES // 2**20} MiB); scale it down"
            )
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    try:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except cv2.error:  # what imdecode raises of a header that promises more than 2**30 pixels
        decoded = None
    if decoded is None or decoded.size == 0 or _cut_off(encoded):
        raise ImageError(f"{path}: not an image, or cut off: save or copy it again as PNG or JPEG")
    height, width = decoded.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise ImageError(
            f"{path}: {width}x{height} pixels: sides must be {MIN_SIDE} to {MAX_SIDE}; "
            "scale or tile it"
        )
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width}x{height} pixels: may have {MAX_PIXELS // 10**6} million; "
            "scale or tile it"
        )
    return as_bgr(decoded)


def _cut_off(encoded: NDArray[np.uint8]) -> bool:
    """Whether a JPEG or PNG lacks its end mark; OpenCV fills the missing part with grey."""
    data = encoded[:8].tobytes()
    tail = encoded[-4096:].tobytes()  # some cameras append a few bytes behind the end mark
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in tail
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in tail
    return False


def encode_image(image: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """``(H, W, 3) uint8`` BGR as the bytes of a file of that suffix (``.png``, ``.jpg``)."""
    try:
        done, encoded = cv2.imencode(suffix, image)
    except cv2.error:  # what imencode raises of a suffix that it does not know
        done = False
    if not done:
        raise ImageError(f"{suffix or 'no suffix'}: no such image format: use .png or .jpg")
    return encoded.tobytes()
