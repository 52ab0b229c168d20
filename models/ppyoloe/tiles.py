"""Pictures larger than the network's input: cut up with an overlap, and what was found joined.

Whatever is no larger than the overlap is whole in one tile at least. What the border of another
tile cut off of it is a *piece*: it goes where the whole is known, and its score counts for the
whole. Pieces of which no tile shows the whole are put together. A piece goes for no other reason,
so that nothing is lost that a single tile has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ppyoloe.nms import suppress

__all__ = ["join_tiles", "tile_starts"]

BORDER = 3.0
"""Pixels; a box that ends nearer to the inner border of its tile is taken to be cut there. Networks
place a border to one or two. Too few and a thing is reported twice, too many costs nothing."""

COVER = 0.6
"""Share of a piece that lies in a whole of another tile which it is a piece of. Not intersection
over union, since networks guess on beyond the border."""

AGREE = 0.5
"""Intersection over union, on what both tiles see, from which two pieces are of one thing."""


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one side: as few as possible, evenly spread, the whole side covered.

    >>> tile_starts(1000, 640, 128)
    [0, 360]
    >>> tile_starts(500, 640, 128)
    [0]
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [number * (length - tile) // (count - 1) for number in range(count)]


def join_tiles(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.intp],
    owners: NDArray[np.intp],
    tiles: NDArray[np.float32],
    iou: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Make one list of what the tiles of a picture show, each thing once.

    Parameters
    ----------
    boxes
        ``(N, 4) float32`` xyxy in pixels of the picture, each within its tile.
    scores, classes, owners
        ``(N,)``; the owner is the index of its tile.
    tiles
        ``(T, 4) float32`` xyxy; together they cover the picture.
    iou
        Above which two whole boxes of a class are one.

    Returns
    -------
    Boxes, scores and classes, in no order.
    """
    inner = tiles[owners]
    least, most = tiles[:, :2].min(axis=0), tiles[:, 2:].max(axis=0)
    cut = (boxes[:, :2] < inner[:, :2] + BORDER) & (inner[:, :2] > least)
    cut |= (boxes[:, 2:] > inner[:, 2:] - BORDER) & (inner[:, 2:] < most)
    piece = cut.any(axis=1)

    whole = np.flatnonzero(~piece)
    whole = whole[suppress(boxes[whole], scores[whole], classes[whole], iou)]
    pieces = np.flatnonzero(piece)
    related = (classes[whole, None] == classes[pieces]) & (owners[whole, None] != owners[pieces])
    shared = _area(_common(boxes[whole, None], boxes[pieces]))
    covers = related & (shared > COVER * _area(boxes[pieces]))
    raised = np.where(covers, scores[pieces], 0).max(axis=1, initial=0)
    whole_scores = np.maximum(scores[whole], raised)

    pieces = pieces[~covers.any(axis=0)]
    related = (classes[pieces, None] == classes[pieces]) & (owners[pieces, None] != owners[pieces])
    seen = _common(inner[pieces, None], inner[pieces])
    mine, theirs = _common(boxes[pieces, None], seen), _common(boxes[pieces], seen)
    shared = _area(_common(mine, theirs))
    linked = related & (shared > AGREE * (_area(mine) + _area(theirs) - shared))
    groups = _groups(linked)
    joined = [pieces[groups == group] for group in np.unique(groups)]
    return (
        np.concatenate(
            [boxes[whole], *(_around(boxes[members])[None] for members in joined)],
        ),
        np.concatenate([whole_scores, *(scores[members].max(keepdims=True) for members in joined)]),
        np.concatenate([classes[whole], *(classes[members[:1]] for members in joined)]),
    )


def _common(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersections of boxes ``(..., 4)``; turned inside out where there is none."""
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    return np.concatenate([low, high], axis=-1)


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def _around(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The box around boxes ``(N, 4)``."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _groups(linked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number the connected components of a symmetric ``(N, N)`` relation."""
    numbers = np.arange(len(linked))
    while True:
        least = np.where(linked, numbers, len(linked)).min(axis=1, initial=len(linked))
        least = np.minimum(least, numbers)
        if (least == numbers).all():
            return numbers
        numbers = least
