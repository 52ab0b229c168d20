"""Where the threads of a station run: inference on the big cores, all else on the others.

What a station file says of a model counts; else what people say of the board; else what was found
out. Nothing is pinned where pinning gains nothing, or where this process may not use the cores.
"""

from __future__ import annotations

from collections.abc import Collection

from edge.box.profile import Profile
from edge.station import Station

__all__ = ["in_words", "others", "placed"]


def placed(station: Station, profile: Profile, allowed: Collection[int]) -> Station:
    """The station with cores and threads for models whose table does not name them.

    Parameters
    ----------
    profile
        Of the board.
    allowed
        Cores that this process may use.
    """
    big = profile.inference if set(profile.inference) <= set(allowed) else ()
    models = {}
    for name, model in station.models.items():
        said, cores, threads = model.model_fields_set, model.cores, model.threads
        if "cores" not in said and ("threads" not in said or threads <= len(big)):
            cores = big
        if "threads" not in said:
            threads = max(1, min(profile.threads, len(cores or allowed)))
        models[name] = model.model_copy(update={"cores": cores, "threads": threads})
    return station.model_copy(update={"models": models})


def others(station: Station, allowed: Collection[int]) -> tuple[int, ...]:
    """Cores for all but inference; none if no model has cores of its own, or none is left."""
    used = {core for model in station.models.values() for core in model.cores}
    return tuple(sorted(set(allowed) - used)) if used else ()


def in_words(station: Station, rest: Collection[int]) -> str:
    """Where everything runs, in one line; empty if nothing is pinned.

    >>> _ranges({0, 1, 2, 3, 6})
    '0-3, 6'
    """
    pinned = [
        f"{name} {_ranges(model.cores)} (threads: {model.threads})"
        for name, model in station.models.items()
        if model.cores
    ]
    return f"{', '.join(pinned)}; all else {_ranges(rest) or 'anywhere'}" if pinned else ""


def _ranges(cores: Collection[int]) -> str:
    found: list[list[int]] = []
    for core in sorted(cores):
        if found and core == found[-1][-1] + 1:
            found[-1].append(core)
        else:
            found.append([core])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)
