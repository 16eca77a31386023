"""What scoring a candidate costs: NN-Former against TVM's XGBModel, features included, in interleaved rounds.

    python benchmarks/tvm_speed.py

Draws 512 candidates, as many as TVM's search asks about at once, of each of a few tasks, lets both cost models learn
from 32 of them, and times, on one thread, what each spends on scoring all of them: finding the features and the model
itself.  Candidates that NN-Former has seen before are not read again; here it sees each for the first time.  Writes
``benchmarks/results/tvm-speed.csv``.  Needs the ``tvm`` and ``bench`` extras.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBModel
from tvm.s_tir.meta_schedule.feature_extractor import PerStoreFeature

from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.cost_model import NNFormerCostModel
from costmodel.integrations.tvm.targets import host_target
from costmodel.integrations.tvm.workloads import find_workload

RESULTS = Path(__file__).parent / "results" / "tvm-speed.csv"
TASKS = ("matmul-128x512x512", "conv3x3-128x28x28-128-relu", "depthwise-96x56x56-96-k7", "softmax-1024x1000")
CANDIDATES = 512
LEARNED = 32
ROUNDS = 5


def drawn(context: Any) -> list[Any]:
    """Random candidates of a task."""
    context.pre_tuning(
        max_trials=CANDIDATES,
        num_trials_per_iter=CANDIDATES,
        design_spaces=context.generate_design_space(),
        database=ms.database.MemoryDatabase(),
        cost_model=ms.CostModel.create("random"),
    )
    found = list(context.generate_measure_candidates() or ())
    context.post_tuning()
    return found


def timed(work: Callable[[], Any]) -> float:
    """CPU milliseconds."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def rounds_of(name: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row a round, milliseconds a candidate."""
    module = find_workload(name).module(host_target())
    context = ms.TuneContext(
        mod=module,
        target=host_target(),
        space_generator="post-order-apply",
        search_strategy="replay-trace",
        task_name=name,
        num_threads=1,
    )
    candidates = drawn(context)
    results = [ms.runner.RunnerResult([float(secs)], None) for secs in rng.uniform(1e-3, 1e-2, LEARNED)]
    trees = XGBModel(num_warmup_samples=0, num_tuning_cores=1)
    trees.update(context, candidates[:LEARNED], results)
    rows = []
    for number in range(ROUNDS):
        times = round_of(context, candidates, results, trees)
        each = {key: round(value / len(candidates), 4) for key, value in times.items()}
        rows.append({"task": name, "round": number, "candidates": len(candidates), **each})
    return rows


def round_of(context: Any, candidates: list[Any], results: list[Any], trees: Any) -> dict[str, float]:
    """CPU milliseconds of each part, for all candidates."""
    ours = NNFormerCostModel.from_pretrained()
    ours.update(context, candidates[:LEARNED], results)
    (task,) = ours.ranker.tasks
    features: list[Any] = []
    return {
        "ours_features_ms": timed(
            lambda: features.extend(candidate_features([read_candidate(found.sch.mod) for found in candidates]))
        ),
        "ours_model_ms": timed(lambda: ours.ranker.scores(features, task)),
        "xgb_features_ms": timed(lambda: PerStoreFeature().extract_from(context, candidates)),
        "xgb_all_ms": timed(lambda: trees.predict(context, candidates)),
    }


def main() -> None:
    """All tasks, then a table of medians."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = [row for name in TASKS for row in rounds_of(name, rng)]
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name in TASKS:
        of_task = [row for row in rows if row["task"] == name]
        features, model, tvm_features, tvm_all = (
            float(np.median([row[key] for row in of_task]))
            for key in ("ours_features_ms", "ours_model_ms", "xgb_features_ms", "xgb_all_ms")
        )
        print(
            f"{name:<28} ours {features + model:.2f} ms (features {features:.2f}, model {model:.2f}), "
            f"XGBModel {tvm_all:.2f} ms (features {tvm_features:.2f}), ratio {(features + model) / tvm_all:.2f}"
        )


if __name__ == "__main__":
    main()
