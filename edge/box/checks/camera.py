"""Cameras: which there are, what they give, who has them, and whether we may."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from edge.box.devices import holders
from edge.box.finding import Case, Finding, bad, fine, user, warn
from edge.box.video import Video, ask_camera

__all__ = ["check_cameras"]

SHOWN = 4
"""Modes of a camera that are shown."""

OURS = "lineguard"
"""What the station's process is called."""


def check_cameras(case: Case) -> Iterator[Finding]:
    """Ask each video device; codecs and converters are passed over."""
    found = 0
    for device, name in case.profile.video:
        try:
            video = ask_camera(str(case.root.file(device)))
        except PermissionError:
            mend = f"`sudo usermod -aG video {user()}`, and log in again"
            yield bad("camera", f"{device} ({name}) may not be opened by {user()}", mend)
            found += 1
            continue
        except OSError as error:
            if error.errno == errno.EBUSY:  # a driver that lets only one in
                video = Video(name, True, (), True)
            else:
                cause = error.strerror or error
                mend = "plug it in again, and look at `dmesg`"
                yield warn("camera", f"{device} ({name}) does not answer: {cause}", mend)
                found += 1
                continue
        if video.captures:
            found += 1
            yield _camera(case, device, video)
    if not found:
        yield fine(
            "camera", "no USB or board camera; those on the network are tried by the station"
        )


def _camera(case: Case, device: str, video: Video) -> Finding:
    modes = sorted(video.modes, key=lambda mode: -mode.width * mode.height)[:SHOWN]
    what = f"{device} ({video.model})"
    gives = ", ".join(map(str, modes)) or "modes unknown"
    by = holders(case.root, device)
    others = [each for each in by if not each.startswith((OURS, "python"))]
    if others or (video.busy and not by):
        who = ", ".join(others) or "another user's process"
        mend = f"stop it: `sudo fuser -v {device}` shows it; one program at a time has a camera"
        return warn("camera", f"{what} is in use by {who}", mend)
    if not video.modes and not video.busy:
        mend = "check the sensor's ribbon cable, and its dtoverlay in the boot configuration"
        return warn("camera", f"{what} has no pixel format", mend)
    used = f"; in use by {', '.join(by)}" if by else ""
    return fine("camera", f"{what}: {gives}{used}")
