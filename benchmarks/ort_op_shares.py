"""Where the time of networks of unseen families goes: predicted shares of operations against onnxruntime's own profile.

    unzip -d runs/ort-variants/profiles benchmarks/data/epyc-f25m1-ort1.32-profiles.zip
    python benchmarks/ort_op_shares.py runs/ort-variants nnformer-ort [RUN...]

``runs/ort-variants`` holds ``measurements.csv``, ``graphs`` and ``profiles``; the others are weights that were trained
on it, by name or as a folder.  Each network is predicted by the member that was trained without its family.  Operations
that ran as one kernel count as one, of the type of the first of them.  Writes ``benchmarks/results/ort-op-shares.csv``.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from costmodel.graph.vocabulary import VOCABULARY
from costmodel.pretrained import Bundle, load_bundle
from costmodel.training.sources import TableSource, gather
from costmodel.training.training_set import TrainingSet

RESULTS = Path(__file__).parent / "results" / "ort-op-shares.csv"
TOP = 3


def rows_of(name: str, bundle: Bundle, data: TrainingSet) -> Iterator[dict[str, Any]]:
    """A row for each network that was profiled."""
    folds = data.family_folds(len(bundle.members), bundle.config.provenance["fit"]["seed"])
    for member, fold in zip(bundle.members, folds, strict=True):
        alone = replace(bundle, members=(member,))
        for row in fold.tolist():
            for column, platform in enumerate(data.platforms):
                known = data.kernel_shares.get((row, column))
                if known is None:
                    continue
                features = data.features[row]
                found = alone.predict([features], [platform], [int(data.batch[row, column])])[0][0]
                shares = np.bincount(known.groups, found.op_ms) / found.op_ms.sum()
                _, first = np.unique(known.groups, return_index=True)
                types = [VOCABULARY[index] for index in features.op_types[first]]
                measured, predicted = by_type(types, known.shares), by_type(types, shares)
                apart = {op: abs(measured[op] - predicted[op]) for op in measured.keys() | predicted.keys()}
                worst = max(apart, key=lambda op: apart[op])
                yield {
                    "weights": name,
                    "network": Path(data.names[row]).stem,
                    "family": data.families[row],
                    "measured_ms": round(float(data.latency_ms[row, column]), 4),
                    "predicted_ms": round(found.latency_ms, 4),
                    "misplaced_percent": round(50 * float(np.abs(shares - known.shares).sum()), 2),
                    "farthest_points": round(100 * apart[worst], 2),
                    "farthest_type": worst,
                    "farthest_measured_percent": round(100 * measured[worst], 2),
                    "top_types_found": len({t for t, _ in measured.most_common(TOP)} & set(top(predicted, measured))),
                    "top_types": min(TOP, len(measured)),
                    "top_operations_found": len(set(np.argsort(-known.shares)[:TOP]) & set(np.argsort(-shares)[:TOP])),
                    "top_operations": min(TOP, len(shares)),
                }


def by_type(types: list[str], shares: np.ndarray) -> Counter[str]:
    """Share of the time of each type of operation."""
    total: Counter[str] = Counter()
    for op_type, share in zip(types, shares.tolist(), strict=True):
        total[op_type] += share
    return total


def top(predicted: Counter[str], measured: Counter[str]) -> list[str]:
    """The first types by prediction, as many as count by measurement."""
    return [op_type for op_type, _ in predicted.most_common(min(TOP, len(measured)))]


def say(rows: list[dict[str, Any]]) -> None:
    """Means for each of the weights."""
    for name in dict.fromkeys(row["weights"] for row in rows):
        own = [row for row in rows if row["weights"] == name]
        off = [abs(row["predicted_ms"] / row["measured_ms"] - 1) for row in own]
        close = np.mean([row["farthest_points"] <= 5 for row in own])
        types = np.mean([row["top_types_found"] == row["top_types"] for row in own])
        operations = np.mean([row["top_operations_found"] == row["top_operations"] for row in own])
        print(
            f"{name}: {len(own)} networks, latency {100 * np.mean(off):.1f} % off; "
            f"time at the wrong operation {np.mean([row['misplaced_percent'] for row in own]):.1f} %, "
            f"farthest type {np.mean([row['farthest_points'] for row in own]):.1f} points, "
            f"within 5 for {100 * close:.0f} %; "
            f"top {TOP} types found in {100 * types:.0f} %, top {TOP} operations in {100 * operations:.0f} %"
        )
        worst = Counter(row["farthest_type"] for row in own if row["farthest_points"] > 5)
        print("   beyond 5 points:", ", ".join(f"{op} {count}" for op, count in worst.most_common(6)))


def main() -> None:
    """Every weights named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", type=Path)
    parser.add_argument("weights", nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = TableSource(path=options.variants / "measurements.csv", profiles=options.variants / "profiles")
    data, _ = gather([source])
    rows = [row for name in options.weights for row in rows_of(Path(name).name, load_bundle(name), data)]
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    say(rows)


if __name__ == "__main__":
    main()
