"""Every error that lineguard raises on purpose.

::

    LineguardError                 exit code 2
    ├── InputError                 a file, image or label file that was given is unusable
    │   └── ImageError             an image that cannot be decoded or is out of bounds
    ├── ConfigError                a station file with faults; carries all of them
    ├── ModelError                 a model that is unknown, missing, altered or does not fit
    │   └── EngineError            an inference engine refuses a model, or is not installed
    ├── BundleError                a bundle or key that is malformed or altered
    │   └── UntrustedError         a bundle that no trusted key has signed
    └── DeviceError                exit code 3: something outside the program failed
        ├── CameraError            a camera is missing, lost or stalled
        ├── StorageError           a disk is full, read-only or gone
        └── TransferError          the link to a box is down, or the box refused; carries its code

A message names the thing, the reason and the mend, in one line:
``station.toml:12: cameras[0].fps = -5: must be > 0``.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BundleError",
    "CameraError",
    "ConfigError",
    "DeviceError",
    "EngineError",
    "ImageError",
    "InputError",
    "LineguardError",
    "ModelError",
    "StorageError",
    "TransferError",
    "UntrustedError",
]


class LineguardError(Exception):
    """Root of the tree; ``exit_code`` is what the command line returns for it."""

    exit_code = 2


class InputError(LineguardError):
    """A file that was given is missing, unreadable or malformed."""


class ImageError(InputError):
    """An image cannot be decoded or is out of bounds."""


class ConfigError(LineguardError):
    """A station file has faults.

    Parameters
    ----------
    faults
        One line each, in the order of the file, all of them at once.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class ModelError(LineguardError):
    """A model is unknown, missing, altered, or does not fit what goes with it."""


class EngineError(ModelError):
    """An inference engine refuses a model, dies of it, or is not installed."""


class BundleError(LineguardError):
    """A bundle or a key is malformed, altered, or not what it says."""


class UntrustedError(BundleError):
    """No signature of a bundle verifies by a trusted key."""


class DeviceError(LineguardError):
    """Something outside the program failed: a device, a link, a disk."""

    exit_code = 3


class CameraError(DeviceError):
    """A camera is missing, lost or stalled."""


class StorageError(DeviceError):
    """A disk is full, read-only or gone."""


class TransferError(DeviceError):
    """The link to a box is down, or the box refused what was asked.

    Parameters
    ----------
    message
        One line for people.
    code
        The box's own word for it, as in ``docs/protocol.md``; empty if the link failed.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
