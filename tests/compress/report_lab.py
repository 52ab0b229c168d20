"""Results of compressions that never were, with every field in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from compress.report import Candidate, worst_changes
from compress.result import (
    Accuracy,
    Answer,
    Artefact,
    Asked,
    Changes,
    FileHash,
    InstructionCounts,
    LayerSensitivity,
    Mark,
    Result,
    SetFacts,
    Simplification,
    Speed,
    StageFacts,
    Try,
)

HASH = "0123456789abcdef" * 4


def accuracy(value: float, drop: float = 0.0) -> Accuracy:
    return Accuracy(
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        drop=drop,
        drop_low=drop - 0.004,
        drop_high=drop + 0.004,
        items=500,
        more={"recall": value / 2},
    )


def speed(ratio: float) -> Speed:
    return Speed(
        ratio=ratio * 0.98,
        cpu_ratio=ratio,
        ms=10 / ratio,
        cpu_ms=9 / ratio,
        threads=1,
        shape={"x": (1, 3, 48, 320)},
        engine="onnxruntime 1.23.2",
    )


def artefact(name: str, size: int, **more: Any) -> Artefact:
    target, _, precision = name.partition(" ")
    return Artefact(
        name=name,
        target=target,
        engine="onnxruntime",
        precision="int8" if precision == "int8" else "fp32",
        files=(FileHash(path=f"{target}/model.onnx", bytes=size, sha256=HASH),),
        **more,
    )


def original() -> Artefact:
    return artefact(
        "source fp32",
        10_000_000,
        accuracy=accuracy(0.918),
        flops=2_800_000_000,
        parameters=2_500_000,
        ships=False,
        instructions=(
            InstructionCounts(core="cortex-a76", total=779_000_000, kinds={"dot": 0, "fma": 10**8}),
        ),
    )


def result(**more: Any) -> Result:
    """One that passed; ``more`` fields are put in place of its own."""
    fields: dict[str, Any] = {
        "lineguard": "0.1.0",
        "started": "2025-01-02T03:04:05Z",
        "seconds": 4321.0,
        "asked": Asked(
            name="rec-wire",
            family="ppocr_rec",
            model="zoo:ppocrv4-rec-paddle",
            metric="exact match",
            drop=0.01,
            speed=2.0,
            size=1 / 3,
            targets=("x86-onnx", "arm64-lite"),
            recipe='name = "rec-wire"\n[gate]\ndrop = 0.01\n',
            command="lineguard compress rec.toml --data wire --out out",
        ),
        "passed": True,
        "original": original(),
        "artefacts": (
            artefact(
                "x86-onnx int8",
                3_100_000,
                accuracy=accuracy(0.914, 0.0044),
                flops=1_500_000_000,
                parameters=1_400_000,
                speed=speed(2.3),
                difference=3.2e-2,
                compared_with="FP32",
                notes=("two nodes were left in FP32",),
                instructions=(
                    InstructionCounts(
                        core="cortex-a76", total=214_000_000, kinds={"dot": 10**7, "fma": 10**6}
                    ),
                ),
            ),
            artefact("arm64-lite int8", 2_900_000, proxy="Paddle's fake-quant simulation"),
        ),
        "tries": (
            Try(
                name="ptq minmax",
                stage="quantise",
                parameters={"method": "minmax", "skip": 0},
                accuracy=accuracy(0.87, 0.052),
                bytes=3_000_000,
                speed=speed(2.4),
                outcome="dropped",
                why="loses 5.20%, more than the gate lets it",
                seconds=31.0,
            ),
            Try(name="ptq mse, 2 skipped", stage="quantise", outcome="chosen", seconds=75.0),
        ),
        "stages": (StageFacts(name="simplify", seconds=2.5, cached=True),),
        "simplification": Simplification(
            before={"conv2d": 48, "batch_norm": 40},
            after={"conv2d": 48},
            weights_before=2_600_000,
            weights_after=2_500_000,
            times={"fold_batch_norms": 40},
            removed={"fold_batch_norms": 40},
            difference=2e-6,
        ),
        "sensitivities": (
            LayerSensitivity(
                stage="prune", layer="conv_1.w_0", points=((0.1, 0.01), (0.3, 0.2)), taken=0.2
            ),
            LayerSensitivity(stage="prune", layer="conv_2.w_0", points=((0.1, 0.0), (0.3, 0.02))),
            LayerSensitivity(stage="quantise", layer="Conv.7", points=((8, 0.031),), unit="noise"),
            LayerSensitivity(
                stage="quantise", layer="Conv.8", points=((8, 0.002),), unit="noise", taken=1
            ),
        ),
        "data": {"evaluation": SetFacts(items=500, sha256=HASH, sources=("rec/val.txt",))},
        "sources": (FileHash(path="rec.pdmodel", bytes=10_000_000, sha256=HASH),),
        "versions": {"onnxruntime": "1.23.2"},
        "machine": {"cpu": "a processor"},
    }
    return Result(**(fields | more))


def noise(path: Path, height: int, width: int, seed: int = 0) -> Path:
    """What JPEG can make least of."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def square(x: float, y: float, side: float = 20, label: str = "") -> Mark:
    return Mark(points=((x, y), (x + side, y), (x + side, y + side), (x, y + side)), label=label)


def print_changes(folder: Path, answers: list[tuple[Answer, Answer, Answer, float]]) -> Changes:
    """Of pictures of print with ``truth, before, after, loss`` each."""
    return worst_changes(
        "x86-onnx int8",
        [
            Candidate(f"crop{number}.png", noise(folder / f"crop{number}.png", 48, 200), *each)
            for number, each in enumerate(answers)
        ],
    )
