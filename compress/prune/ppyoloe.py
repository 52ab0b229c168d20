"""PP-YOLOE with fewer channels, from its weights alone.

The network is followed as it computes, with the *groups* of channels that flow in place of
numbers: channels that are added to each other, or weighed by the same attention, must go together.
What comes out are narrower weights; :mod:`models.ppyoloe.network.widths` makes the network that
fits them, and ``lineguard train ppyoloe --from`` tunes it.

PaddleSlim 2.6 finds groups by tracing. It fails at PP-YOLOE+'s scalar ``alpha``, and without that
leaves out what passes an attention (ESE): it found 31 groups in the xs, where there are 58.

Criterion: the L1 norm of the fused kernels, https://arxiv.org/abs/1608.08710.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

__all__ = ["Group", "Layout", "layout_of", "narrowed", "ratio_for"]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

MULTIPLE = 8
"""Widths are multiples of this: what vector units and GEMM kernels take at once."""

EPSILON = 1e-5
"""Of batch normalisation."""

BINARY_SEARCH = 30
"""Halvings."""


@dataclass(eq=False)
class Group:
    """Channels that stay or go together.

    Attributes
    ----------
    name
        The convolution that makes it.
    size
        How many.
    makers
        Convolutions with batch normalisation whose outputs they are.
    """

    name: str
    size: int
    makers: list[str] = field(default_factory=list)


Wire: TypeAlias = Sequence[Group]
"""What flows from one layer to the next: groups side by side."""


@dataclass
class Layout:
    """Where the channels of each group stand.

    Attributes
    ----------
    groups
        All that may lose channels.
    axes
        By name of a parameter and axis, the groups that stand along it.
    strides
        Of the map that each convolution makes, pixels of the picture.
    """

    groups: list[Group]
    axes: dict[tuple[str, int], list[Group]]
    strides: dict[str, int]

    def flops(self, arrays: Arrays, side: int) -> int:
        """Multiplications of one picture of ``side`` pixels, in the form that is exported."""
        total = 0
        for path, stride in self.strides.items():
            weight = arrays[f"{path}.weight"]
            if path.endswith(".conv2.conv2.conv"):
                continue  # becomes a part of the 3x3 convolution beside it
            places = (side // stride) ** 2 if stride else 1
            total += int(np.prod(weight.shape)) * places
        return total


class _Walk:
    """The network's forward pass, with groups."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.layout = Layout([], {}, {})

    def group(self, path: str) -> Group:
        size = self.arrays[f"{path}.conv.weight"].shape[0]
        found = Group(path, size)
        self.layout.groups.append(found)
        return found

    def takes(self, conv: str, wire: Wire, stride: int) -> None:
        self.layout.axes[f"{conv}.weight", 1] = list(wire)
        self.layout.strides[conv] = stride

    def conv_bn(self, path: str, wire: Wire, stride: int, out: Group | None = None) -> list[Group]:
        self.takes(f"{path}.conv", wire, stride)
        made = out if out is not None else self.group(path)
        made.makers.append(path)
        self.layout.axes[f"{path}.conv.weight", 0] = [made]
        for name in ("weight", "bias", "_mean", "_variance"):
            self.layout.axes[f"{path}.bn.{name}", 0] = [made]
        return [made]

    def mixes(self, path: str, wire: Wire) -> None:
        """A 1x1 convolution of means whose outputs weigh its inputs."""
        self.takes(path, wire, 0)
        self.layout.axes[f"{path}.weight", 0] = list(wire)
        self.layout.axes[f"{path}.bias", 0] = list(wire)

    def predicts(self, path: str, wire: Wire, stride: int) -> None:
        self.takes(path, wire, stride)

    def rep(self, path: str, wire: Wire, stride: int, out: Group | None = None) -> list[Group]:
        if f"{path}.conv1.conv.weight" not in self.arrays:
            return self.conv_bn(path, wire, stride, out)  # the head of n and xs
        made = self.conv_bn(f"{path}.conv1", wire, stride, out)
        return self.conv_bn(f"{path}.conv2", wire, stride, made[0])

    def block(self, path: str, wire: Wire, stride: int, *, shortcut: bool) -> list[Group]:
        inner = self.conv_bn(f"{path}.conv1", wire, stride)
        return self.rep(f"{path}.conv2", inner, stride, wire[0] if shortcut else None)

    def blocks(self, path: str) -> list[str]:
        """Names of the layers of a sequence, in order."""
        names = {n[len(path) + 1 :].split(".")[0] for n in self.arrays if n.startswith(f"{path}.")}
        numbers = sorted(int(n) for n in names if n.isdigit())
        order = [str(n) for n in numbers]
        if "spp" in names:
            order.insert((len(numbers) - 1) // 2 + 1, "spp")
        return order

    def backbone(self) -> list[list[Group]]:
        stem = "backbone.stem"
        wire = self.conv_bn(f"{stem}.conv1", [], 2)
        del self.layout.axes[f"{stem}.conv1.conv.weight", 1]  # the picture's colours
        wire = self.conv_bn(f"{stem}.conv3", self.conv_bn(f"{stem}.conv2", wire, 2), 2)
        maps, stride = [], 2
        for name in self.blocks("backbone.stages"):
            path, stride = f"backbone.stages.{name}", stride * 2
            wire = self.conv_bn(f"{path}.conv_down", wire, stride)
            side = self.conv_bn(f"{path}.conv1", wire, stride)
            wire = self.conv_bn(f"{path}.conv2", wire, stride)
            for block in self.blocks(f"{path}.blocks"):
                wire = self.block(f"{path}.blocks.{block}", wire, stride, shortcut=True)
            self.mixes(f"{path}.attn.fc", [*side, *wire])
            wire = self.conv_bn(f"{path}.conv3", [*side, *wire], stride)
            maps.append(wire)
        return maps[-3:]

    def stage(self, path: str, wire: Wire, stride: int) -> list[Group]:
        path = f"{path}.0"
        side = self.conv_bn(f"{path}.conv1", wire, stride)
        inner = self.conv_bn(f"{path}.conv2", wire, stride)
        for name in self.blocks(f"{path}.convs"):
            if name == "spp":
                inner = self.conv_bn(f"{path}.convs.spp.conv", inner * 4, stride)
            else:
                inner = self.block(f"{path}.convs.{name}", inner, stride, shortcut=False)
        return self.conv_bn(f"{path}.conv3", [*side, *inner], stride)

    def neck(self, maps: list[list[Group]]) -> list[list[Group]]:
        down = [self.stage("neck.fpn_stages.0", maps[-1], 32)]
        for i, finer in enumerate(reversed(maps[:-1])):
            route = self.conv_bn(f"neck.fpn_routes.{i}", down[-1], 32 >> i)
            down.append(self.stage(f"neck.fpn_stages.{i + 1}", [*route, *finer], 16 >> i))
        up = [down[-1]]
        for i in reversed(range(len(down) - 1)):
            route = self.conv_bn(f"neck.pan_routes.{i}", up[-1], 32 >> i)
            up.append(self.stage(f"neck.pan_stages.{i}", [*route, *down[i]], 32 >> i))
        return up[::-1]

    def head(self, maps: list[list[Group]]) -> None:
        for i, wire in enumerate(maps):
            stride = 32 >> i
            for what, out in (("cls", wire[0]), ("reg", None)):
                stem = f"yolo_head.stem_{what}.{i}"
                self.mixes(f"{stem}.fc", wire)
                mixed = self.rep(f"{stem}.conv", wire, stride, out)
                self.predicts(f"yolo_head.pred_{what}.{i}", mixed, stride)


def layout_of(arrays: Arrays) -> Layout:
    """Follow the network of these weights, as they are trained (not fused).

    Raises
    ------
    ModelError
        They are of some other network.
    """
    walk = _Walk(arrays)
    try:
        walk.head(walk.neck(walk.backbone()))
    except (KeyError, IndexError) as error:
        raise ModelError(f"weights: have no {error}: give those of a PP-YOLOE training") from error
    for (name, axis), groups in walk.layout.axes.items():
        along = sum(group.size for group in groups)
        if arrays[name].shape[axis] != along:
            raise ModelError(
                f"weights: {name} is {list(arrays[name].shape)}, expected {along} channels on "
                f"axis {axis}: give those of a PP-YOLOE training"
            )
    return walk.layout


def narrowed(arrays: Arrays, layout: Layout, ratios: Mapping[str, float]) -> dict[str, Any]:
    """The weights without the least important channels.

    Parameters
    ----------
    ratios
        Share of the channels of each group to take away, by the group's name; widths are rounded
        to multiples of 8, and no group is lost.

    Returns
    -------
    New arrays by name.
    """
    stay = {
        group: _strongest(arrays, group, _width(group, ratios.get(group.name, 0.0)))
        for group in layout.groups
    }
    cut: dict[str, NDArray[Any]] = {name: np.asarray(value) for name, value in arrays.items()}
    for (name, axis), groups in layout.axes.items():
        places, start = [], 0
        for group in groups:
            places.append(stay[group] + start)
            start += group.size
        cut[name] = np.take(cut[name], np.concatenate(places), axis=axis)
    return cut


def ratio_for(arrays: Arrays, layout: Layout, target: float, side: int = 640) -> float:
    """The one ratio for all groups that leaves about ``target`` of the FLOPs, 0 to 1."""
    whole, low, high = layout.flops(arrays, side), 0.0, 1.0
    for _ in range(BINARY_SEARCH):
        middle = (low + high) / 2
        shapes = _shapes(arrays, layout, middle)
        if layout.flops(shapes, side) > target * whole:
            low = middle
        else:
            high = middle
    return high


def _shapes(arrays: Arrays, layout: Layout, ratio: float) -> dict[str, NDArray[Any]]:
    """Empty arrays of the shapes that the ratio would leave."""
    shapes: dict[str, list[int]] = {name: list(value.shape) for name, value in arrays.items()}
    for (name, axis), groups in layout.axes.items():
        shapes[name][axis] = sum(_width(group, ratio) for group in groups)
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def _width(group: Group, ratio: float) -> int:
    wanted = round(group.size * (1 - ratio) / MULTIPLE) * MULTIPLE
    return group.size if ratio <= 0 else min(group.size, max(MULTIPLE, wanted))


def _strongest(arrays: Arrays, group: Group, width: int) -> NDArray[np.int64]:
    """The channels that stay, in their order."""
    if width == group.size:
        return np.arange(group.size)
    norms: NDArray[np.float64] = np.zeros(group.size)
    for path in group.makers:
        variance = arrays[f"{path}.bn._variance"]
        scale = np.abs(arrays[f"{path}.bn.weight"]) / np.sqrt(variance + EPSILON)
        norms += np.abs(arrays[f"{path}.conv.weight"]).sum((1, 2, 3)) * scale
    return np.sort(np.argsort(-norms, kind="stable")[:width])
