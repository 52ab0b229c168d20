"""PP-YOLOE learns again what pruning took, with the losses that it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.ppyoloe.config import DetectorConfig, sidecar, write_config
from models.ppyoloe.dataset import Dataset
from models.ppyoloe.train.batches import BatchPlan
from models.ppyoloe.train.export import save_pdparams
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.trainer import Setup, Trainer
from models.ppyoloe.train.weights import Start, load_pdparams

__all__ = ["tune_detector"]

CROP = 256
"""Side of the crops that are learnt from, pixels; the smaller side of the input if that is less."""

SAVE_EVERY = 100
"""Steps that a kill may cost."""


def tune_detector(
    weights: Path,
    config: DetectorConfig,
    dataset: Dataset,
    out: Path,
    *,
    length: Plan,
    checkpoint: Path,
    rate: float = 5e-4,
    batch: int = 8,
    workers: int = 1,
    seed: int = 0,
    progress: Callable[[float, dict[str, float]], None] = lambda share, measured: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train weights on, pruned ones as well, and write them with their configuration.

    Parameters
    ----------
    weights
        ``.pdparams`` of PP-YOLOE+.
    out
        A ``.pdparams``; ``.json`` comes beside it.
    checkpoint
        To go on from after a kill; removed at the end.
    workers
        Processes that share every batch.
    progress
        Told how far it is, 0 to 1, and the losses of each step.
    stop
        Asked after each step.

    Returns
    -------
    Whether it came to its end; if not, the checkpoint is written, and ``out`` is not.

    Raises
    ------
    InputError
        The weights cannot be read.
    ModelError
        They are of another network, or the training went off the rails.
    """
    side = min(CROP, *config.size)
    plan = BatchPlan(batch, (side,), seed, "fixed", config.fit, config.size)
    setup = Setup(config.variant, plan, rate=rate, workers=workers)
    start = Start(load_pdparams(weights), str(weights))
    trainer = Trainer(dataset, setup, length, checkpoint, start)

    def each(measured: dict[str, float]) -> None:
        progress(trainer.progress, measured)
        if stop():
            raise _Stopped
        if trainer.step % SAVE_EVERY == 0:
            trainer.save()

    try:
        trainer.run(each)
    except _Stopped:
        trainer.save()
        return False
    save_pdparams(out, trainer.average)
    write_config(sidecar(out), config)
    checkpoint.unlink(missing_ok=True)
    return True


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Between two steps."""
