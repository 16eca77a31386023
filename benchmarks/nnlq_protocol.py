"""Ten generated families measured with onnxruntime, in-domain and one family left out: NN-Former, parts, rivals.

    python benchmarks/nnlq_protocol.py train -o runs/nnlq [--model NAME] [--split in-domain] [--split resnet] [--seed 0]
    python benchmarks/nnlq_protocol.py summary -o runs/nnlq

The protocol of NNLQP on our own labels (``benchmarks/data/epyc-f25m1-ort1.32-fp32-1t.parquet``): in-domain, a random
fifth of the networks is asked of a model that learned from the others; out of domain, a whole family of a model that
learned from the other nine.  All models of a seed learn from the same networks, alone, without an ensemble.  In one
group a model has our readout, where a trunk corrects the physical prior of each operation; in the other the published
one, a sum over operations, and more passes.  Within a group all are trained alike, in one setting; nothing is chosen
by what is asked.  A split that is there already is not trained again.  ``summary`` fits linear models and trees beside
them, needs the ``bench`` extra for that, and writes ``benchmarks/results/nnlq-protocol.csv``.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import BASELINES
from latency_rivals import GCNTrunk, GraphSAGETrunk, PooledLatencyModel, TransformerTrunk
from torch import nn

from costmodel.features.relations import Relation
from costmodel.model import LatencyModel, LatencyModelConfig, NNFormer, NNFormerConfig
from costmodel.training import TrainingSet
from costmodel.training.config import ModelShape
from costmodel.training.loop import FitConfig, fit, predict_log_ms
from costmodel.training.sources import DatasetSource, gather

LABELS = Path(__file__).parent / "data" / "epyc-f25m1-ort1.32-fp32-1t.parquet"
RESULTS = Path(__file__).parent / "results" / "nnlq-protocol.csv"
IN_DOMAIN = "in-domain"
SHAPE = ModelShape(dim=64, depth=3).for_platforms(1)
FIT = FitConfig(epochs=12, learning_rate=2e-3)
EPOCHS_WITHOUT_PRIOR = 40
"""Without the prior there is more to learn: at 12 GraphSAGE is 60 % off in its domain."""
NO_SIBLINGS = (Relation.CHILD, Relation.CHILD, Relation.PARENT, Relation.PARENT)

Trunk = Callable[[NNFormerConfig], nn.Module]


def nn_former(config: NNFormerConfig, **changes: Any) -> nn.Module:
    """NN-Former, or a part of it."""
    return NNFormer(config.model_copy(update=changes))


TRUNKS: dict[str, Trunk] = {
    "NN-Former": nn_former,
    "NN-Former without siblings": partial(nn_former, head_relations=NO_SIBLINGS),
    "NN-Former that hears from nobody in its FFN": partial(nn_former, ffn_directions="none"),
    "operations alone": partial(nn_former, depth=0),
    "GCN": GCNTrunk,
    "GraphSAGE": GraphSAGETrunk,
    "plain transformer": TransformerTrunk,
}
PUBLISHED = ", published readout"
MODELS: dict[str, tuple[type[LatencyModel], Trunk]] = {
    **{name: (LatencyModel, trunk) for name, trunk in TRUNKS.items()},
    **{
        name + PUBLISHED: (PooledLatencyModel, TRUNKS[name])
        for name in ("NN-Former", "GCN", "GraphSAGE", "plain transformer")
    },
}


def read_networks() -> TrainingSet:
    """The generated ones; a family is what generated them."""
    data, _ = gather((DatasetSource(kind="dataset", path=LABELS),))
    generated = [row for row, name in enumerate(data.names) if re.fullmatch(r".+-\d{4}", name)]
    kept = data.subset(generated)
    return replace(kept, families=tuple(name.rsplit("-", 1)[0] for name in kept.names))


def asked_rows(data: TrainingSet, split: str, seed: int) -> np.ndarray:
    """Networks that a split asks; the others are learned from."""
    if split == IN_DOMAIN:
        return np.sort(np.random.default_rng(seed).permutation(len(data))[: len(data) // 5])
    return np.flatnonzero(np.array(data.families) == split)


def percents_off(log_ms: np.ndarray, asked: TrainingSet) -> dict[str, float]:
    """Mean error, and the share of networks within a tenth."""
    off = 100 * np.abs(np.exp(log_ms) / asked.latency_ms[:, 0] - 1)
    return {"mape_percent": round(float(off.mean()), 3), "within_10_percent": round(float(100 * (off <= 10).mean()), 2)}


def trained(name: str, data: TrainingSet, split: str, seed: int) -> dict[str, Any]:
    """One row."""
    began = time.process_time()
    rows = asked_rows(data, split, seed)
    kept = np.setdiff1d(np.arange(len(data)), rows)
    torch.manual_seed(seed)
    kind, trunk = MODELS[name]
    shape: LatencyModelConfig = SHAPE
    model = kind(shape)
    model.trunk = trunk(shape.trunk)  # type: ignore[assignment]  # rivals have the same inputs and outputs
    epochs = EPOCHS_WITHOUT_PRIOR if kind is PooledLatencyModel else FIT.epochs
    fit(model, data.subset(kept), FIT.model_copy(update={"seed": seed, "epochs": epochs}))
    asked = data.subset(rows)
    found = percents_off(predict_log_ms(model, asked)[:, 0], asked)
    return {"model": name, "split": split, "seed": seed, **found, "cpu_seconds": round(time.process_time() - began, 1)}


def baseline(name: str, data: TrainingSet, split: str, seed: int) -> dict[str, Any]:
    """One row."""
    rows = asked_rows(data, split, seed)
    asked, kept = data.subset(rows), data.subset(np.setdiff1d(np.arange(len(data)), rows))
    found = percents_off(np.log(BASELINES[name](kept, asked, 0, seed)), asked)
    return {"model": name, "split": split, "seed": seed, **found, "cpu_seconds": 0.0}


def summary(rows: Sequence[dict[str, Any]], families: Sequence[str]) -> None:
    """Means over seeds; out of domain, the mean over families of each seed."""
    for name in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == name]
        inside = [float(row["mape_percent"]) for row in mine if row["split"] == IN_DOMAIN]
        by_seed: dict[str, list[float]] = {}
        for row in mine:
            if row["split"] != IN_DOMAIN:
                by_seed.setdefault(str(row["seed"]), []).append(float(row["mape_percent"]))
        outside = [np.mean(percents) for percents in by_seed.values() if len(percents) == len(families)]
        said = "  ".join(
            f"{np.mean(part):5.2f} ± {np.std(part):4.2f} % ({len(part)} seeds)" if part else f"{'-':>24}"
            for part in (inside, outside)
        )
        print(f"{name:<50} in domain, out of domain: {said}")


def main() -> None:
    """Some trainings, or their summary beside the baselines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "summary"])
    parser.add_argument("-o", "--run", type=Path, default=Path("runs/nnlq"))
    parser.add_argument("--model", action="append", choices=MODELS, help="default: all")
    parser.add_argument("--split", action="append", help="default: in-domain, and each family")
    parser.add_argument("--seed", type=int, action="append", help="default: 0 to 2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.run.mkdir(parents=True, exist_ok=True)
    data = read_networks()
    families = sorted(set(data.families))
    if options.step == "train":
        for seed in options.seed or range(3):
            for name in options.model or MODELS:
                for split in options.split or (IN_DOMAIN, *families):
                    path = options.run / f"{name}-{split}-{seed}.csv"
                    if not path.exists():
                        row = trained(name, data, split, seed)
                        write(path, [row])
                        print(*row.values(), flush=True)
        return
    rows: list[dict[str, Any]] = [
        row for path in sorted(options.run.glob("*.csv")) for row in csv.DictReader(path.open())
    ]
    seeds = sorted({int(row["seed"]) for row in rows})
    rows += [
        baseline(name, data, split, seed) for name in BASELINES for split in (IN_DOMAIN, *families) for seed in seeds
    ]
    write(RESULTS, rows)
    summary(rows, families)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One line a row."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
