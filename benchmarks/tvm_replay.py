"""How many measurements a search needs, replayed in pools of measured candidates: NN-Former against xgboost.

    python benchmarks/tvm_replay.py pool POOLS RECORDS... -o runs/tvm-offline [--task GLOB] [--model NAME]
    python benchmarks/tvm_replay.py summary -o runs/tvm-offline

``POOLS`` is a folder that ``costmodel tvm collect --count 1000`` filled with a few tasks, ``RECORDS`` have the tasks to
learn from, of other processors.  Everything of a pool's kind of operator is held out of training, as in
``tvm_offline.py``, whose trained models are used if they are there.  Then the search is replayed: a batch of the
candidates that the model likes best is "measured", the model learns from it, and so on, until one is found that takes
at most the time of the pool's best over 0.95.  TVM's own model starts from nothing, as it does in TVM; plain xgboost
does so too, and from the records.  A pool and model that is there already is not computed again.  ``summary`` writes
``benchmarks/results/tvm-replay.csv`` and ``docs/images/tvm-replay.png``.  Needs the ``tvm`` and ``bench`` extras.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tvm_offline import KIND_FOLDS, TREES, Orders, at_random, fold_orders, write
from tvm_tasks import Task, read_tasks

RESULTS = Path(__file__).parent / "results" / "tvm-replay.csv"
PLOT = Path(__file__).parents[1] / "docs" / "images" / "tvm-replay.png"
BATCH = 8
LARGE_BATCH = 16
MOST_TRIALS = 512
GOOD = 0.95
SEEDS = 5
CHANCE = 0.125
"""Share of a batch that is drawn at random, so that a model that is wrong can learn it."""
EXPLORATION = {"NN-Former": 0.0, "NN-Former, exploring": 1.0}
"""Deviations that a candidate is taken to be faster than predicted: chosen on the tasks of ``tvm_offline.py``."""


def from_nothing(train: Callable[[Sequence[Task], int], Orders]) -> Callable[[int], Orders]:
    """A model that learns from the pool alone, and draws its first batch at random."""

    def without_others(seed: int) -> Orders:
        def orders(task: Task) -> Any:
            rng = np.random.default_rng(seed)
            order = train([], seed)(task)
            return lambda measured, rows: order(measured, rows) if len(measured) else rng.random(len(rows))

        return orders

    return without_others


MODELS = (
    *EXPLORATION,
    "NN-Former without siblings",
    "plain xgboost",
    "plain xgboost, from nothing",
    "TVM's XGBModel, from nothing",
    "random",
)


def orders_of(name: str, pool: Task, others: Sequence[Task], run: Path) -> Callable[[int], Orders]:
    """Given a seed, a model that has seen nothing of the pool's kind."""
    model, _, how = name.partition(", ")
    if how == "from nothing":
        return from_nothing(TREES[model])
    if name == "random":
        return lambda seed: at_random([], seed)
    # Training takes minutes, searching seconds: the seeds share what was trained.
    fold = next(fold for fold, kinds in enumerate(KIND_FOLDS) if pool.records.kind in kinds)
    trained = fold_orders(others, model, "kind", fold, run, exploration=EXPLORATION.get(name, 0.0))
    return lambda seed: trained  # noqa: ARG005


def replayed(task: Task, order: Any, seed: int) -> Float[np.ndarray, "trials"]:
    """The best time of the pool over the best that was found, after each trial."""
    rng = np.random.default_rng(seed)
    secs = task.records.run_secs
    measured = np.zeros(0, dtype=np.int64)
    while len(measured) < min(MOST_TRIALS, len(secs)):
        rest = np.setdiff1d(np.arange(len(secs)), measured)
        liked = rest[np.argsort(order(measured, rest), kind="stable")]
        drawn = rng.random(BATCH if len(measured) < 8 * BATCH else LARGE_BATCH) < CHANCE
        batch: list[int] = []
        for is_drawn in drawn[: len(liked)]:
            others = liked[~np.isin(liked, batch)]
            batch.append(int(rng.choice(others) if is_drawn else others[0]))
        measured = np.concatenate([measured, batch])
        if secs.min() / secs[measured].min() >= GOOD:
            break
    return np.asarray(secs.min() / np.minimum.accumulate(secs[measured]))


def trials_to(curve: Float[np.ndarray, "trials"]) -> int:
    """Trials until the good one; the most there are if it was not found."""
    found = np.flatnonzero(curve >= GOOD)
    return int(found[0]) + 1 if len(found) else MOST_TRIALS


def rows_of(pool: Task, others: Sequence[Task], name: str, run: Path) -> Iterator[dict[str, Any]]:
    """One row per seed."""
    orders = orders_of(name, pool, others, run)
    for seed in range(SEEDS):
        curve = replayed(pool, orders(seed)(pool), seed)
        yield {
            "task": pool.records.name,
            "pool": len(pool.records),
            "model": name,
            "seed": seed,
            "trials": trials_to(curve),
            "curve": " ".join(f"{value:.3f}" for value in curve),
        }
        print(f"{pool.records.name}: {name}, {trials_to(curve)} trials", flush=True)


def summary(rows: Sequence[dict[str, str]]) -> None:
    """Geometric means over tasks and seeds, and the curves."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name in MODELS:
        same = [row for row in rows if row["model"] == name]
        if not same:
            continue
        trials = np.array([int(row["trials"]) for row in same])
        by_seed = [np.log(trials[[row["seed"] == str(seed) for row in same]]).mean() for seed in range(SEEDS)]
        mean, spread = np.exp(np.mean(by_seed)), np.exp(np.mean(by_seed)) * np.std(by_seed)
        print(f"{name:<30} {len(same):>3} searches, {mean:.1f} ± {spread:.1f} trials")
        curves = np.ones((len(same), MOST_TRIALS))
        for curve, row in zip(curves, same, strict=True):
            found = np.array([float(value) for value in row["curve"].split()])
            curve[: len(found)], curve[len(found) :] = found, found[-1]
        axes.plot(np.arange(1, MOST_TRIALS + 1), curves.mean(axis=0), label=name)
    axes.set(xscale="log", xlabel="trials", ylabel="best of the pool / best found", ylim=(0.3, 1))
    axes.axhline(GOOD, color="grey", linewidth=0.5)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(PLOT, dpi=110)


def main() -> None:
    """Some pools, or all of them together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["pool", "summary"])
    parser.add_argument("pools", type=Path, nargs="?")
    parser.add_argument("records", type=Path, nargs="*")
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--task", default="*")
    parser.add_argument("--model", action="append", choices=MODELS, help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.step == "pool":
        pools = read_tasks(arguments.pools, arguments.run)
        others = [task for folder in arguments.records for task in read_tasks(folder, arguments.run)]
        for pool in pools:
            for name in arguments.model or MODELS:
                path = arguments.run / f"replay-{pool.records.name}-{name}.csv"
                if fnmatchcase(pool.records.name, arguments.task) and not path.exists():
                    write(path, list(rows_of(pool, others, name, arguments.run)))
        return
    rows = [row for path in sorted(arguments.run.glob("replay-*.csv")) for row in csv.DictReader(path.open())]
    write(RESULTS, rows)
    summary(rows)


if __name__ == "__main__":
    main()
