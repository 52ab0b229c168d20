"""Results to make reports of, and models that are small or die."""

from pathlib import Path
from typing import Any

import numpy as np

from tools.measure.analyse import Raw, analyse
from tools.measure.document import Document, Moment, Scenario
from tools.measure.run import stamp


def make_document(
    queries: int = 2000, *, ms: float = 10.0, seed: int = 0, period_s: float = 0.012, **fields: Any
) -> Document:
    """The result of a made-up run of ``queries`` queries."""
    rng = np.random.default_rng(seed)
    took = (ms * 1e6 * rng.lognormal(0, 0.05, queries)).astype(int).tolist()
    raw = Raw(
        [
            (int(n * period_s * 1e9), t, {"pre": t // 5, "infer": t // 2, "post": t // 10})
            for n, t in enumerate(took)
        ]
    )
    scenario = Scenario(name="SingleStream", seconds=queries * period_s, queries=queries)
    figures, missing, samples, notes = analyse(raw, scenario)
    said: dict[str, Any] = {
        "kind": "run",
        **stamp(),
        "scenario": scenario,
        "complete": True,
        "what": {
            "kind": "model",
            "name": "m.onnx",
            "engine": "e",
            "engine_version": "1",
            "threads": 2,
        },
        "machine": {"cpu": "c", "kernel": "k"},
        "figures": figures,
        "missing": missing,
        "notes": tuple(notes),
        "samples": samples,
        "series": tuple(
            Moment(at_s=n, others=0.1, mhz=1800, celsius=45 + n / 100, rss_mb=100)
            for n in range(int(queries * period_s))
        ),
        **fields,
    }
    return Document.model_validate(said)


def tiny_model(path: Path, *, size: int | str = 8, batch: int | str = "batch") -> Path:
    """``y = x x`` of ``(batch, size)``: microseconds of work."""
    from onnx import TensorProto, helper

    shape = [batch, size]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
