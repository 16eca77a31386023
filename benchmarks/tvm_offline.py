"""How well candidates of tasks that were never trained on are put in order: NN-Former against TVM's and plain xgboost.

    python benchmarks/tvm_offline.py fold RECORDS... -o runs/tvm-offline --by kind [--fold 0] [--model NN-Former]
    python benchmarks/tvm_offline.py summary -o runs/tvm-offline

``RECORDS`` are folders that ``costmodel tvm collect`` filled, each of one target; times are compared within a task and
target only.  ``fold`` holds out a few kinds of operators, or every fifth shape, trains a model on all other tasks, and
puts the held-out candidates in order: without any measurement of their task, and after 32 random ones.  A model's fold
that is there already is not computed again, and what TVM says of records is read once.  Records in ``--only-train`` are
learned from where they are not held out, and no model is tested on them.  ``summary`` writes
``benchmarks/results/tvm-offline.csv``.  Needs the ``tvm`` and ``bench`` extras.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tvm.s_tir.meta_schedule.cost_model.xgb_model import FeatureGroup, XGBModel
from tvm_tasks import Task, read_tasks
from xgboost import XGBRegressor

from costmodel.features.relations import Relation
from costmodel.integrations.tvm.learning import CandidateFitConfig, fit_candidates
from costmodel.integrations.tvm.learning.evaluation import Measured, Order, Rest, order_of_members, score_order
from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.integrations.tvm.records import TaskRecords
from costmodel.integrations.tvm.weights import load_weights, save_weights
from costmodel.integrations.tvm.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results" / "tvm-offline.csv"
KIND_FOLDS = (
    ("matmul", "pool"),
    ("batch_matmul", "layer_norm", "rms_norm", "group_norm", "instance_norm"),
    ("conv1x1", "softmax", "log_softmax", "conv1d"),
    ("conv3x3", "reduction", "dilated", "conv3d"),
    ("conv5x5", "elementwise"),
    ("conv7x7", "depthwise"),
    ("grouped", "transposed"),
)
"""With a kind, those of the wide catalogue that are much like it."""
SHAPES = [workload.name for workload in WORKLOADS]
SHAPE_FOLDS = 5
MEASURED = 32
DRAWS = 3
MEMBERS = 2
FIT = CandidateFitConfig(steps=4800)
"""As the shipped weights were trained."""


# --- What puts candidates in order: trained on some tasks, then on some candidates of another ---

Orders = Callable[[Task], Order]
"""How the candidates of a task are put in order."""

RELATIONS: dict[str, tuple[Relation, ...]] = {
    "NN-Former": tuple(Relation),
    "NN-Former without siblings": (Relation.CHILD, Relation.PARENT),
}


def nn_former(name: str, training: Sequence[Task], seed: int, kept: Path, exploration: float = 0.0) -> Orders:
    """Ours, with all of the paper's relations or some; an ensemble that is trained once, and kept in a file."""
    if not kept.exists():
        relations = RELATIONS[name]
        members = []
        for index in range(MEMBERS):
            torch.manual_seed(MEMBERS * seed + index)
            config = CandidateModelConfig.of_size(64, 2, heads=len(relations), head_relations=relations)
            settings = FIT.model_copy(update={"seed": MEMBERS * seed + index})
            members.append(fit_candidates(CandidateModel(config), [task.records for task in training], settings))
        save_weights(members, kept, {"tasks": [task.records.name for task in training]})
    members = list(load_weights(kept)[0])
    return lambda task: order_of_members(members, task.records, exploration=exploration)


def plain_xgboost(training: Sequence[Task], seed: int) -> Orders:
    """Trees on TVM's features, pooled over stores; logarithms of times, each task's mean taken out.

    What was measured of the task itself is learned by more trees on what the others are off by.
    """
    settings = {"max_depth": 8, "learning_rate": 0.08, "n_jobs": 1, "random_state": seed}

    @cache
    def unmeasured() -> XGBRegressor | None:
        if not training:
            return None
        labels = [task.log_secs - task.log_secs.mean() for task in training]
        trees = XGBRegressor(n_estimators=300, **settings)
        return trees.fit(np.concatenate([task.pooled for task in training]), np.concatenate(labels))

    def order(task: Task, measured: Measured, rows: Rest) -> np.ndarray:
        pooled, log_secs, before = task.pooled, task.log_secs, unmeasured()
        said = np.zeros(len(pooled)) if before is None else np.asarray(before.predict(pooled))
        if len(measured):
            off = log_secs[measured] - said[measured]
            trees = XGBRegressor(n_estimators=100, **settings).fit(pooled[measured], off - off.mean())
            said = said + trees.predict(pooled)
        return np.asarray(said[rows])

    return lambda task: partial(order, task)


def tvm_xgboost(training: Sequence[Task], seed: int) -> Orders:
    """TVM's own cost model, its data filled with the records."""

    def trained(tasks: Sequence[tuple[str, Sequence[np.ndarray], np.ndarray]]) -> XGBModel:
        model = XGBModel(num_warmup_samples=0, num_tuning_cores=1)
        features: list[np.ndarray] = []
        targets: list[np.ndarray] = []
        for name, per_store, secs in tasks:
            group = FeatureGroup(group_hash=name, features=list(per_store), costs=secs.astype("float32"))
            model.data[name] = group
            features += list(per_store)
            targets.append(group.min_cost / group.costs)
        np.random.seed(seed)
        model._train(xs=features, ys=np.concatenate(targets))
        return model

    known = [(task.records.name, task.per_store, task.records.run_secs) for task in training]

    @cache
    def unmeasured() -> XGBModel:
        return trained(known)

    def order(task: Task, measured: Measured, rows: Rest) -> np.ndarray:
        if len(measured):
            of_task = [task.per_store[row] for row in measured]
            model = trained([*known, (task.records.name, of_task, task.records.run_secs[measured])])
        else:
            model = unmeasured()
        return -np.asarray(model._predict([task.per_store[row] for row in rows]))

    return lambda task: partial(order, task)


def at_random(_: Sequence[Task], seed: int) -> Orders:
    """The bar on the floor."""
    rng = np.random.default_rng(seed)
    return lambda task: lambda measured, rows: rng.random(len(rows))  # noqa: ARG005


TREES: dict[str, Callable[[Sequence[Task], int], Orders]] = {
    "plain xgboost": plain_xgboost,
    "TVM's XGBModel": tvm_xgboost,
    "random": at_random,
}
MODELS = (*RELATIONS, *TREES)


def fold_orders(tasks: Sequence[Task], name: str, by: str, fold: int, run: Path, *, exploration: float = 0.0) -> Orders:
    """A model that was trained on what is not held out in a fold; only ours explores."""
    training = [task for task in tasks if not is_held_out(task.records, by, fold)]
    if name in RELATIONS:
        return nn_former(name, training, fold, run / f"{by}-{fold}-{name}.safetensors", exploration)
    return TREES[name](training, fold)


def scores(
    tasks: Sequence[Task], only_trained_on: Sequence[Task], name: str, by: str, fold: int, run: Path
) -> Iterator[dict[str, Any]]:
    """Everything that was held out in one fold, by one model, without and with measured candidates."""
    orders = fold_orders([*tasks, *only_trained_on], name, by, fold, run)
    # TVM's model is trained anew on everything after each draw, half a minute.
    draws = 1 if name == "TVM's XGBModel" else DRAWS
    for task in (task for task in tasks if is_held_out(task.records, by, fold)):
        for measured in (0, MEASURED):
            score = score_order(orders(task), task.records, measured, seeds=draws)
            yield {"by": by, "fold": fold, "model": name, **asdict(score)}
    print(f"{by} {fold}: {name}", flush=True)


def is_held_out(task: TaskRecords, by: str, fold: int) -> bool:
    """Whether a task is tested on in a fold, and not trained on; on every target."""
    if by == "kind":
        return task.kind in KIND_FOLDS[fold]
    return task.name in SHAPES and SHAPES.index(task.name) % SHAPE_FOLDS == fold


FIELDS = ("pair_accuracy", "top_1", "top_5")


def summary(rows: Sequence[dict[str, str]]) -> None:
    """Means over tasks, each fold's models beside each other, and what siblings are worth, with its standard error."""
    for by in ("kind", "shape"):
        for measured in (0, MEASURED):
            scored = {
                name: np.array([[float(row[field] or "nan") for field in FIELDS] for row in same])
                for name in MODELS
                if (same := [r for r in rows if (r["by"], int(r["measured"]), r["model"]) == (by, measured, name)])
            }
            condition = f"{by:<6} measured {measured:<3}"
            for name, same in scored.items():
                print(condition, f"{name:<27} {len(same):>3} tasks", mean(same))
            if RELATIONS.keys() <= scored.keys():
                worth = np.subtract(*(scored[name] for name in RELATIONS))
                error = np.nanstd(worth, axis=0, ddof=1) / np.sqrt(np.isfinite(worth).sum(axis=0))
                print(condition, f"{'siblings are worth':<37}", mean(worth), "±", np.round(error, 3))


def mean(scored: np.ndarray) -> np.ndarray:
    """Over tasks, of each field."""
    return np.round(np.nanmean(scored, axis=0), 3)


def main() -> None:
    """One fold, or all of them together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["fold", "summary"])
    parser.add_argument("records", type=Path, nargs="*")
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--only-train", type=Path, action="append", default=[], metavar="RECORDS")
    parser.add_argument("--by", choices=["kind", "shape"], default="kind")
    parser.add_argument("--fold", type=int, action="append", help="default: all")
    parser.add_argument("--model", action="append", choices=MODELS, help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.step == "fold":
        tasks = [task for folder in arguments.records for task in read_tasks(folder, arguments.run)]
        others = [task for folder in arguments.only_train for task in read_tasks(folder, arguments.run)]
        for fold in arguments.fold or range(len(KIND_FOLDS) if arguments.by == "kind" else SHAPE_FOLDS):
            for name in arguments.model or MODELS:
                path = arguments.run / f"{arguments.by}-{fold}-{name}.csv"
                if not path.exists():
                    write(path, list(scores(tasks, others, name, arguments.by, fold, arguments.run)))
        return
    rows = [
        row
        for by in ("kind", "shape")
        for path in sorted(arguments.run.glob(f"{by}-*.csv"))
        for row in csv.DictReader(path.open())
    ]
    write(RESULTS, rows)
    summary(rows)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One line a row."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows)


if __name__ == "__main__":
    main()
