"""What came of a compression: one JSON document, which the report is made from.

::

    result = load_result(Path("out/result.json"))
    print(result.verdict)
    for artefact in result.artefacts:
        print(artefact.name, artefact.accuracy, artefact.bytes)

The pipeline writes ``result.json`` beside the artefacts, whether the gate passed or not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import InputError

__all__ = [
    "SCHEMA",
    "Accuracy",
    "Answer",
    "Artefact",
    "Asked",
    "Change",
    "Changes",
    "FileHash",
    "InstructionCounts",
    "LayerSensitivity",
    "Mark",
    "Outcome",
    "Result",
    "SetFacts",
    "Simplification",
    "Speed",
    "StageFacts",
    "Try",
    "load_result",
]

SCHEMA: Final = 1
"""Changes when a field changes its meaning or goes; new ones may come at any time."""

MAX_BYTES = 32 * 2**20
"""A result holds at most a few dozen small pictures; larger files are something else."""

Outcome = Literal["chosen", "passed", "dropped", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64"
    )


class Accuracy(_Part):
    """The metric of one model on the evaluation set.

    Attributes
    ----------
    value, low, high
        It, from 0 to 1, and between what it lies with 95% confidence (bootstrap over pictures).
    drop, drop_low, drop_high
        What is lost of the original's value, relative (0.01: one percent of it); negative where
        it rose. The interval is of the paired difference: both models on the same pictures.
    items
        How many pictures.
    more
        Other metrics by name, without an interval: ``precision``, ``recall``, ``AP``.
    """

    value: float
    low: float
    high: float
    drop: float = 0.0
    drop_low: float = 0.0
    drop_high: float = 0.0
    items: int
    more: dict[str, float] = {}


class Speed(_Part):
    """One model beside the original, timed in turns in one run on this host.

    Attributes
    ----------
    ratio
        How many times as fast as the original, by the clock.
    cpu_ratio
        How many times as little processor time: what counts on a busy machine.
    ms, cpu_ms
        Medians of one inference.
    threads
        Of both.
    shape
        Of each input.
    engine
        What both ran in, with its version.
    """

    ratio: float
    cpu_ratio: float
    ms: float
    cpu_ms: float
    threads: int
    shape: dict[str, tuple[int, ...]] = {}
    engine: str = ""


class InstructionCounts(_Part):
    """Instructions of one inference of an artefact, counted in emulation.

    Attributes
    ----------
    core
        What was emulated: ``cortex-a53`` has no dot product, ``cortex-a76`` has.
    total
        All of them.
    kinds
        Of them by kind: ``dot``, ``fma``, ``multiply``, ``simd``, ``memory``, ``branch``.
    engine
        What ran it, with its version.
    """

    core: str
    total: int
    kinds: dict[str, int] = {}
    engine: str = ""


class FileHash(_Part):
    """One file, by its path relative to the result, or its name where it lies elsewhere."""

    path: str
    bytes: int
    sha256: str


class Artefact(_Part):
    """One model as it ships; or the original, that all others are compared with.

    Attributes
    ----------
    name
        Unique in a result: ``x86-onnx int8``.
    target
        ``arm64-lite``, ``armv7-lite``, ``arm64-onnx``, ``x86-onnx``; ``source`` for the original.
    engine
        ``onnxruntime``, ``paddle_lite`` or ``paddle_inference``.
    precision
        ``fp32`` or ``int8``.
    files
        What has to be copied to a box, weights among them.
    accuracy
        ``None`` where nothing could be measured.
    proxy
        What ``accuracy`` is of, where the artefact itself cannot run on the host: ``Paddle's
        fake-quant simulation``.
    flops, parameters
        Multiplications and additions of one inference at the shape of ``speed``; and numbers in
        the weights. 0 where not known.
    speed
        Beside the original; ``None`` where it cannot run here or is not worth timing here.
    difference
        Largest difference of any output from its Paddle source on real inputs; ``None`` where it
        could not be compared.
    compared_with
        What ``difference`` is from.
    instructions
        Counted in emulation, a core each.
    passed
        The gate.
    ships
        Whether it lies in the output folder.
    try_name
        Name of the try that it came of.
    notes
        What a reader must know of it.
    """

    name: str
    target: str
    engine: str
    precision: Literal["fp32", "fp16", "int8"]
    files: tuple[FileHash, ...]
    accuracy: Accuracy | None = None
    proxy: str = ""
    flops: int = 0
    parameters: int = 0
    speed: Speed | None = None
    difference: float | None = None
    compared_with: str = ""
    instructions: tuple[InstructionCounts, ...] = ()
    passed: bool = True
    ships: bool = True
    try_name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(file.bytes for file in self.files)


class Try(_Part):
    """One thing that was tried on the way.

    Attributes
    ----------
    name
        Unique in a result: ``ptq entropy, 4 skipped``.
    stage
        ``simplify``, ``prune``, ``tune``, ``quantise``, ``aware``.
    parameters
        What was set, for people.
    accuracy, bytes, flops, parameters_count, speed
        As of an :class:`Artefact`; ``None`` or 0 where it was not measured.
    outcome
        ``chosen``; ``passed`` the gate, but another was better; ``dropped`` by the gate;
        ``failed``: it did not come to its end.
    why
        Of all but ``chosen``: one line.
    seconds
        That it took.
    """

    name: str
    stage: str
    parameters: dict[str, Any] = {}
    accuracy: Accuracy | None = None
    bytes: int = 0
    flops: int = 0
    parameters_count: int = 0
    speed: Speed | None = None
    outcome: Outcome
    why: str = ""
    seconds: float = 0.0


class LayerSensitivity(_Part):
    """How much one layer, or group of channels, minds to be pruned or quantised.

    Attributes
    ----------
    stage
        ``prune`` or ``quantise``.
    layer
        Name of the weight, group or node.
    points
        ``(x, loss)``: of pruning the share of channels taken and the relative loss of the metric;
        of quantising one point, ``(8, loss)``: the bits and the loss in ``unit``.
    unit
        ``relative loss`` of the metric, or ``noise`` (noise over signal of the outputs, power).
    taken
        Of pruning the share that was taken in the end; of quantising 1, or 0 if it was skipped.
    """

    stage: Literal["prune", "quantise"]
    layer: str
    points: tuple[tuple[float, float], ...]
    unit: str = "relative loss"
    taken: float = 0.0


class Mark(_Part):
    """One thing that a detector found: a polygon in pixels of the picture, with what it is."""

    points: tuple[tuple[float, float], ...]
    label: str = ""
    score: float | None = None


Answer = str | tuple[Mark, ...]
"""A line of print, a class, or what was found where."""


class Change(_Part):
    """One picture that the compressed model answers otherwise than the original.

    Attributes
    ----------
    key
        Of the picture, for people: its path in the data folder.
    truth, before, after
        What is right, and what the original and the compressed model say. Marks lie in pixels of
        ``jpeg``.
    loss
        What the picture's own score lost; negative where the change is for the better.
    jpeg
        The picture, or the part of it that matters, small.
    """

    key: str
    truth: Answer
    before: Answer
    after: Answer
    loss: float
    jpeg: bytes = b""


class Changes(_Part):
    """How the answers of the chosen artefact differ from the original's.

    Attributes
    ----------
    artefact
        Its name.
    worse, better, other, same
        How many pictures: lost, won, changed without losing or winning, unchanged.
    worst
        Up to 24, those that lost the most first.
    """

    artefact: str
    worse: int
    better: int
    other: int
    same: int
    worst: tuple[Change, ...] = ()


class Simplification(_Part):
    """What the exact rewrites did: operators by type, numbers in the weights, rewrites by name."""

    before: dict[str, int]
    after: dict[str, int]
    weights_before: int
    weights_after: int
    times: dict[str, int]
    removed: dict[str, int]
    difference: float | None = None


class StageFacts(_Part):
    """One stage of the pipeline, in the order in which they ran."""

    name: str
    seconds: float
    cached: bool = False
    failed: str = ""


class SetFacts(_Part):
    """One of the three sets: how many pictures, and the hash of them with their labels."""

    items: int
    sha256: str
    sources: tuple[str, ...] = ()


class Asked(_Part):
    """What was asked for.

    Attributes
    ----------
    name, family, model
        Of the recipe.
    metric
        Name of what the gate looks at: ``exact match``, ``hmean``, ``AP50``.
    drop
        What the gate lets it lose, relative.
    speed, size
        What it shall reach: times as fast, and share of the original's bytes; ``None``: not asked.
    targets
        As of :class:`Artefact`.
    recipe
        The recipe's own text.
    command
        That makes all this again.
    quick
        Whether counts and minutes were cut down, so that the figures say little.
    """

    name: str
    family: str
    model: str
    metric: str
    drop: float
    speed: float | None = None
    size: float | None = None
    targets: tuple[str, ...] = ()
    recipe: str = ""
    command: str = ""
    quick: bool = False


class Result(_Part):
    """All that is known of a compression.

    Attributes
    ----------
    lineguard, started, seconds
        Its version; when, in UTC (ISO 8601); how long, cached stages not counted again.
    passed
        Whether every target has an artefact that passed the gate.
    failed_stage, why
        Of the stage that failed the gate, or could not go on; empty if none did. The artefacts
        are the best that passed even so.
    original
        The FP32 model as it came, in the engine that the others are compared in.
    artefacts
        Of all targets; those with ``ships`` lie in the output folder.
    tries
        In the order in which they were made.
    data
        ``calibration``, ``tuning`` and ``evaluation``.
    sources
        Files of the model that came in.
    versions, machine
        Of the libraries, and facts of the host; for people.
    notes
        What a reader must know before he believes the figures.
    """

    schema_version: Literal[1] = SCHEMA
    lineguard: str
    started: str
    seconds: float
    asked: Asked
    passed: bool
    failed_stage: str = ""
    why: str = ""
    original: Artefact
    artefacts: tuple[Artefact, ...] = ()
    tries: tuple[Try, ...] = ()
    stages: tuple[StageFacts, ...] = ()
    simplification: Simplification | None = None
    sensitivities: tuple[LayerSensitivity, ...] = ()
    changes: Changes | None = None
    data: dict[str, SetFacts] = {}
    sources: tuple[FileHash, ...] = ()
    versions: dict[str, str] = {}
    machine: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    def as_json(self) -> bytes:
        """The file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def verdict(self) -> str:
        """The answer of the gate, in one sentence."""
        shipped = [each for each in self.artefacts if each.ships]
        if not self.passed:
            ships = ", ".join(each.name for each in shipped) or "nothing"
            stage = self.failed_stage or "a stage"
            return f"Failed at {stage}: {self.why}; what ships: {ships}."
        allowed = f"at most {self.asked.drop:.2%} less {self.asked.metric}"
        said = f"Passed: every artefact held the gate ({allowed})"
        drops = [each.accuracy.drop for each in shipped if each.accuracy]
        if drops:
            worst = max(drops)
            word = "loses" if worst >= 0 else "gains"
            said += f"; the worst of them {word} " + (f"{abs(worst):.2%}" if worst else "nothing")
        fast = [each.speed.cpu_ratio for each in shipped if each.speed]
        if fast:
            said += f", the fastest takes {1 / max(fast):.0%} of the original's processor time"
        if shipped and self.original.bytes:
            least = min(each.bytes for each in shipped) / self.original.bytes
            said += f", the smallest has {least:.0%} of its bytes"
        return f"{said}."


def load_result(path: Path) -> Result:
    """Read a result.

    Raises
    ------
    InputError
        The file cannot be read, is no result, or is of another schema.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MB: this is no result")
        data = path.read_bytes()
        raw = json.loads(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is no JSON: give what `lineguard compress` wrote, or compress again"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA:
        raise InputError(
            f"{path}: is no compression result of schema {SCHEMA} (it says {version!r}): "
            "compress again"
        )
    try:
        return Result.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in fault["loc"])
        raise InputError(f"{path}: {place}: {fault['msg']}: compress again") from error
