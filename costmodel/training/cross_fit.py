"""Members that each leave some families out: an ensemble whose error on unseen families is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from costmodel.model.latency_model import LatencyModel, LatencyModelConfig
from costmodel.training.loop import FitConfig, fit, predict_log_ms
from costmodel.training.training_set import TrainingSet

__all__ = ["CrossFit", "cross_fit"]


@dataclass(frozen=True)
class CrossFit:
    """Trained members and what each said of the families it never saw.

    Attributes:
        members: One model a fold.
        folds: Rows of the training set that each member left out.
        held_out_log_ms: Log latency of every network, by the member that left it out.
    """

    members: tuple[LatencyModel, ...]
    folds: tuple[np.ndarray, ...]
    held_out_log_ms: Float[np.ndarray, "graphs platforms"]


def cross_fit(
    data: TrainingSet,
    model: LatencyModelConfig,
    config: FitConfig,
    *,
    members: int,
    run_dir: Path | None = None,
    on_epoch: Callable[[int, int, dict[str, float]], None] | None = None,
    start_from: Sequence[LatencyModel] = (),
) -> CrossFit:
    """Train ``members`` models, each without one share of the families, and predict that share with it.

    Together the members are the predictor, their log latencies averaged; one at a time they
    give an honest error for every network, without a training run to spare for it.

    Args:
        data: All networks.
        model: Shape of every member.
        config: How to train; member *k* uses ``config.seed + k``.
        members: How many, at least two.
        run_dir: Where each member keeps its checkpoints, ``member0``, ``member1`` ...
        on_epoch: Called with the member, the epoch and its metrics.
        start_from: Trained models whose graph transformers the members start from, in turn; of the same sizes.
    """
    folds = data.family_folds(members, config.seed)
    trained = []
    held_out = np.full(data.latency_ms.shape, np.nan)
    for index, rows in enumerate(folds):
        seeded = config.model_copy(update={"seed": config.seed + index})
        torch.manual_seed(seeded.seed)
        kept = np.setdiff1d(np.arange(len(data)), rows)
        untrained = LatencyModel(model)
        if start_from:
            untrained.trunk.load_state_dict(start_from[index % len(start_from)].trunk.state_dict())
        member = fit(
            untrained,
            data.subset(kept),
            seeded,
            validation=data.subset(rows),
            run_dir=run_dir / f"member{index}" if run_dir else None,
            on_epoch=None if on_epoch is None else _for_member(index, on_epoch),
        )
        held_out[rows] = predict_log_ms(member, data.subset(rows))
        trained.append(member)
    return CrossFit(tuple(trained), tuple(folds), held_out)


def _for_member(
    index: int, on_epoch: Callable[[int, int, dict[str, float]], None]
) -> Callable[[int, dict[str, float]], None]:
    return lambda epoch, metrics: on_epoch(index, epoch, metrics)
