"""Whatever a small network is made of: simplified it answers as before, and is simple then."""

from __future__ import annotations

import copy

import numpy as np
from compress_lab import CLOSE, Builder, run, types
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from compress.program import Program
from compress.simplify import simplify

LAYERS = (
    "conv", "conv3", "padded", "depthwise", "transposed", "bias", "batch_norm", "mul", "add", "sub",
    "div", "scale", "identity", "relu", "hard_swish", "sigmoid", "dropout", "dropout_old", "assign",
    "avg", "max", "residual", "gate", "back",
)  # fmt: skip

NETWORKS = st.lists(st.sampled_from(LAYERS), min_size=1, max_size=14)


def network(layers: list[str], seed: int, fetch_early: bool) -> Program:
    b = Builder(4, seed)
    seen = [("x", 4)]
    for layer in layers:
        before, channels = b.last, b.channels
        wide = int(b.rng.choice([2, 4, 8]))
        match layer:
            case "conv":
                b.conv(wide)
            case "conv3":
                b.conv(wide, 3, padding=1)
                b.bias()
            case "padded":
                b.scale(0.5, 0.25)
                b.conv(wide, 3, padding=1)
            case "depthwise":
                b.conv(wide, 3, padding=1, depthwise=True)
            case "transposed":
                if sum(name == "transposed" for name in layers) < 3:
                    b.transposed(wide, int(b.rng.choice([1, 2])))
            case "bias" | "batch_norm":
                getattr(b, layer)()
            case "mul" | "add" | "sub" | "div":
                swapped = bool(b.rng.integers(2)) and layer != "div"
                b.one(f"elementwise_{layer}", swapped=swapped)
            case "scale":
                b.scale(*b.rng.uniform(-2, 2, 2).tolist(), after=bool(b.rng.integers(2)))
            case "identity":
                b.scale(1.0)
            case "relu" | "sigmoid" | "assign":
                b.plain(layer)
            case "hard_swish":
                b.plain(layer, threshold=6.0, scale=6.0, offset=3.0)
            case "dropout":
                b.dropout("upscale_in_train")
            case "dropout_old":
                b.dropout("downgrade_in_infer")
            case "avg" | "max":
                padding = 1
                b.pool(
                    layer, ksize=[3, 3], strides=[1, 1], paddings=[padding, padding],
                    exclusive=bool(b.rng.integers(2)),
                )  # fmt: skip
            case "residual":
                b.conv(channels)
                b.joined("elementwise_add", before, b.last)
            case "gate":
                b.pool("avg", adaptive=True, ksize=[1, 1])
                gate = b.plain("sigmoid")
                b.program.variables[gate].type.CopyFrom(b.program.variables[
                    b.program.of_type("sigmoid")[-1].input("X")].type)  # fmt: skip
                product = b.joined("elementwise_mul", before, gate)
                b.joined("elementwise_add", before, product)
            case "back":  # another branch, from something earlier
                b.last, b.channels = seen[int(b.rng.integers(len(seen)))]
                b.conv(wide)
        seen.append((b.last, b.channels))
    early = [name for name, _ in seen[1:-1] if name not in ("x", b.last)]
    fetched = {b.last, *(early[:1] if fetch_early else [])} - {"x"}
    return b.done(*sorted(fetched)) if fetched else b.done()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NETWORKS, st.integers(0, 1000), st.booleans())
def test_answers_stay(layers: list[str], seed: int, fetch_early: bool) -> None:
    before = network(layers, seed, fetch_early)
    if not types(before):
        return
    after = copy.deepcopy(before)
    done = simplify(after)
    event(f"{len(done.times)} rewrites applied")
    assert after.fetches == before.fetches
    assert simplify(after).times == {}
    x = np.random.default_rng(seed).standard_normal((1, 4, 9, 7)).astype(np.float32)
    for old, new in zip(run(before, {"x": x}), run(after, {"x": x}), strict=True):
        assert old.shape == new.shape
        assert np.abs(old - new).max() <= CLOSE * max(1, np.abs(old).max())
