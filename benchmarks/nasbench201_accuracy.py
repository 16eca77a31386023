"""Accuracies of NAS-Bench-201's cells, learned from a few: NN-Former, parts of it, and rivals on the same splits.

    python benchmarks/nasbench201_accuracy.py train -o runs/nasbench201-accuracy [--percent 1] [--model NAME] [--seed 0]
    python benchmarks/nasbench201_accuracy.py summary -o runs/nasbench201-accuracy
    python benchmarks/nasbench201_accuracy.py speed

The label is the validation accuracy of the CIFAR-10 (valid) setting, what counts is Kendall's tau with the test
accuracy, on all 15,625 cells, as published, and on those that were not trained on.  A seed decides which cells are
drawn, and all models of a seed learn from the same; all are trained alike, with as many steps of as many cells, see
cells without what has no effect and accuracies as normal scores, unless their name says otherwise, and nothing is
chosen by the test accuracies.  What is there already is not trained again.  ``summary`` writes
``benchmarks/results/nasbench201-accuracy.csv``; ``speed`` compares a step over a batch with a loop over its graphs.
Needs ``COSTMODEL_DATA`` (docs/calibration.md says where the data come from) and the ``bench`` extra.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rivals import GCN, GraphSAGE, PlainTransformer
from torch import Tensor, nn

from costmodel.features.cell_batch import NUM_POSITION_FEATURES, collate_cells
from costmodel.features.graph_batch import DenseGraphBatch
from costmodel.features.relations import Relation
from costmodel.model import AccuracyModel, NNFormerConfig
from costmodel.spaces import NASBench201
from costmodel.training import kendall_tau
from costmodel.training.accuracy_fit import AccuracyFitConfig, fit_accuracy_model, predict_accuracies
from costmodel.training.label_scale import LabelScale

RESULTS = Path(__file__).parent / "results" / "nasbench201-accuracy.csv"
SPACE = NASBench201()
OP_TYPES = len(SPACE.operations) + 1
DIM, DEPTH = 64, 4
STEPS = {1: 500, 3: 700, 5: 1000, 10: 1500}
"""By per cent of the cells."""


def nn_former(**changes: Any) -> Callable[[], nn.Module]:
    """NN-Former, or a part of it."""
    sizes = {
        "num_op_types": OP_TYPES,
        "num_features": 0,
        "dim": DIM,
        "depth": DEPTH,
        "dropout": 0.1,
        "layer_scale": None,
    }
    return lambda: AccuracyModel(NNFormerConfig.model_validate({**sizes, **changes}))


def without(*left_out: Relation) -> dict[str, Any]:
    """The other relations; heads that are free see one of them twice."""
    kept = [relation for relation in Relation if relation not in left_out]
    return {"head_relations": tuple((kept * 2)[: len(Relation)])}


MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, bool]]] = {
    "NN-Former": (nn_former(), {}),
    "NN-Former, ensemble of 3": (nn_former(), {}),
    "NN-Former, width 96, 6 blocks": (nn_former(dim=96, depth=6), {}),
    "NN-Former, whole cells": (nn_former(), {}),
    "NN-Former, accuracies as they are": (nn_former(), {}),
    "NN-Former, published ranking weight": (nn_former(), {}),
    "without siblings": (nn_former(**without(Relation.COMMON_CHILD, Relation.COMMON_PARENT)), {}),
    **{f"without {relation.name.lower()}": (nn_former(**without(relation)), {}) for relation in Relation},
    "hears from children alone": (nn_former(ffn_directions="children"), {}),
    "hears from parents alone": (nn_former(ffn_directions="parents"), {}),
    "global attention": (nn_former(), {"global_attention": True}),
    "with positions": (nn_former(num_features=NUM_POSITION_FEATURES), {"positions": True}),
    "GCN": (lambda: GCN(OP_TYPES, 2 * DIM, DEPTH), {}),
    "GraphSAGE": (lambda: GraphSAGE(OP_TYPES, 2 * DIM, DEPTH), {}),
    "plain transformer": (lambda: PlainTransformer(OP_TYPES, DIM, DEPTH), {}),
}
MULTIPLICATIONS = "multiplications"
VALIDATION = "validation accuracies"
"""Of every cell: what learning from them perfectly would come to."""


def read_table() -> tuple[list[str], Tensor, np.ndarray]:
    """Cells, validation accuracies and test accuracies, per cent."""
    folder = os.environ.get("COSTMODEL_DATA")
    if folder is None:
        raise SystemExit("set COSTMODEL_DATA to the folder that holds nasbench201.csv.gz")
    with gzip.open(Path(folder) / "nasbench201.csv.gz", "rt") as stream:
        rows = list(csv.DictReader(stream))
    columns = ("cifar10_valid_validation_accuracy", "cifar10_valid_test_accuracy")
    validation, test = (np.array([float(row[column]) for row in rows]) for column in columns)
    return [row["arch"] for row in rows], torch.tensor(validation, dtype=torch.float32), test


def trained(
    name: str, percent: int, seed: int, cells: DenseGraphBatch, labels: Tensor, test: np.ndarray
) -> dict[str, Any]:
    """One row."""
    began = time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(cells))
    known, unseen = np.split(order, [len(cells) * percent // 100])
    rows = torch.from_numpy(known)
    ranking = 0.2 if name == "NN-Former, published ranking weight" else 1.0
    percents = labels[rows].double().numpy()
    if name == "NN-Former, accuracies as they are":
        scores = (percents - percents.mean()) / percents.std()
    else:
        scores = LabelScale.of(percents).scores_of(percents)
    said = np.zeros(len(cells))
    for member in range(3 if name == "NN-Former, ensemble of 3" else 1):
        torch.manual_seed(seed + 100 * member)
        model: Any = MODELS[name][0]()
        config = AccuracyFitConfig(steps=STEPS[percent], seed=seed + 100 * member, ranking=ranking)
        fit_accuracy_model(model, cells[rows], torch.tensor(scores, dtype=torch.float32), config)
        said += predict_accuracies(model, cells).numpy()
    return {
        "model": name,
        "percent": percent,
        "seed": seed,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "tau_all": round(kendall_tau(said, test), 4),
        "tau_unseen": round(kendall_tau(said[unseen], test[unseen]), 4),
        "seconds": round(time.perf_counter() - began, 1),
    }


def multiplications(archs: Sequence[str]) -> np.ndarray:
    """Of a cell's convolutions, relative to one of 1 x 1."""
    return np.array([9 * arch.count("conv_3x3") + arch.count("conv_1x1") for arch in archs], dtype=float)


def summary(rows: Sequence[dict[str, str]]) -> None:
    """Means and standard deviations over seeds, and NN-Former's over the seeds of each other model."""
    for percent in STEPS:
        of_percent = [row for row in rows if int(row["percent"]) == percent]
        ours = {row["seed"]: row for row in of_percent if row["model"] == "NN-Former"}
        for name in (*MODELS, MULTIPLICATIONS, VALIDATION):
            same = [row for row in of_percent if row["model"] == name]
            if same:
                beside = [ours[row["seed"]] for row in same if row["seed"] in ours]
                print(
                    f"{percent:>3} %  {name:<35} tau of all {_mean(same, 'tau_all')}, of unseen "
                    f"{_mean(same, 'tau_unseen')} ({len(same)} seeds); NN-Former's of all {_mean(beside, 'tau_all')}"
                )


def _mean(rows: Sequence[dict[str, str]], column: str) -> str:
    values = np.array([float(row[column]) for row in rows])
    return f"{values.mean():.3f} ± {values.std():.3f}" if len(values) else "unknown"


def speed() -> None:
    """Cells a second at the published size, in a batch and one by one."""
    rng = np.random.default_rng(0)
    graphs = [SPACE.cell_graph(SPACE.draw(rng)) for _ in range(128)]
    cells, labels = collate_cells(graphs), torch.randn(128)
    model: Any = nn_former(dim=160, depth=12)()
    times = []
    for chunk in (128, 1):
        parts = torch.arange(128).split(chunk)[: 1 if chunk > 1 else 32]
        began = time.process_time()
        for rows in parts:
            loss = (model(cells[rows]) - labels[rows]).square().mean()
            loss.backward()
        times.append((time.process_time() - began) / sum(map(len, parts)))
    print(
        f"{1 / times[0]:.0f} cells a second in a batch, {1 / times[1]:.0f} one by one: {times[1] / times[0]:.1f} times"
    )


def main() -> None:
    """Some trainings, their summary, or the speed of a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "summary", "speed"])
    parser.add_argument("-o", "--run", type=Path, default=Path("runs/nasbench201-accuracy"))
    parser.add_argument("--percent", type=int, action="append", choices=STEPS, help="default: all")
    parser.add_argument("--model", action="append", choices=MODELS, help="default: all")
    parser.add_argument("--seed", type=int, action="append", help="default: 0 to 4")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.step == "speed":
        speed()
        return
    options.run.mkdir(parents=True, exist_ok=True)
    if options.step == "train":
        archs, labels, test = read_table()
        whole, effective = ([read(arch) for arch in archs] for read in (SPACE.cell_graph, SPACE.effective_cell))
        for name in options.model or MODELS:
            cells = collate_cells(whole if name == "NN-Former, whole cells" else effective, **MODELS[name][1])
            for percent in options.percent or STEPS:
                for seed in options.seed or range(5):
                    path = options.run / f"{name}-{percent}-{seed}.csv"
                    if not path.exists():
                        row = trained(name, percent, seed, cells, labels, test)
                        write(path, [row])
                        print(*row.values(), flush=True)
        for name, scores in ((MULTIPLICATIONS, multiplications(archs)), (VALIDATION, labels.double().numpy())):
            tau = round(kendall_tau(scores, test), 4)
            same = {"model": name, "seed": 0, "parameters": 0, "tau_all": tau, "tau_unseen": tau, "seconds": 0.0}
            write(options.run / f"{name}.csv", [{**same, "percent": percent} for percent in STEPS])
        return
    rows = [row for path in sorted(options.run.glob("*.csv")) for row in csv.DictReader(path.open())]
    write(RESULTS, [{key: row[key] for key in rows[0]} for row in rows])
    summary(rows)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One line a row."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
