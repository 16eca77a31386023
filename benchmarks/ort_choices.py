"""How well gains of onnxruntime's variants are predicted for unseen families, and how good the choice is that follows.

    python benchmarks/ort_variants.py -o runs/ort-variants
    costmodel train benchmarks/configs/ort-variants.toml -o runs/ort
    python benchmarks/ort_choices.py benchmarks/configs/ort-variants.toml runs/ort

Each member of the trained weights says what networks of the families that it left out take as each variant; the
baselines are fitted on the same folds.  A gain is the latency of a variant over that of the default session.  A choice
measures the default session and the ``k`` variants that are ranked first, and takes the fastest of them; with none it
takes what is ranked first.  Boosted trees and linear fits see the whole network's FLOPs, bytes and operations, the
graph-blind ranking the mean gains of other families alone.  Random draws and Optuna's TPE measure ``k`` variants of
their own.  Writes ``benchmarks/results/ort-gains.csv`` and ``benchmarks/results/ort-choices.csv``.  Needs the ``bench``
and ``optuna`` extras.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from left_out_families import baseline_log_ms, nnformer_log_ms

from costmodel.training import TrainingSet
from costmodel.training.config import read_config
from costmodel.training.sources import gather

RESULTS = Path(__file__).parent / "results"
MEASURED = (0, 1, 2, 3, 4)
SEEDS = 5
BASELINES = ("our prior alone", "boosted trees", "flops+activations")


def graph_blind_log_ms(data: TrainingSet, folds: Sequence[np.ndarray], default: int) -> np.ndarray:
    """The default session's measured latency times the geometric mean gain over the other folds."""
    log_ms = np.log(data.latency_ms)
    gains = log_ms - log_ms[:, [default]]
    out = np.full(log_ms.shape, np.nan)
    for rows in folds:
        others = np.setdiff1d(np.arange(len(data)), rows)
        out[rows] = log_ms[rows][:, [default]] + np.nanmean(gains[others], axis=0)
    return out


# --- Gains ---


def gain_rows(name: str, data: TrainingSet, log_ms: np.ndarray, default: int) -> Iterator[dict[str, Any]]:
    """How far off the gains of each variant are."""
    measured = np.log(data.latency_ms)
    for column, platform in enumerate(data.platforms):
        if column == default:
            continue
        true, said = (array[:, column] - array[:, default] for array in (measured, log_ms))
        known = ~np.isnan(true) & ~np.isnan(said)
        off = np.abs(np.exp(said[known] - true[known]) - 1)
        yield {
            "predictor": name,
            "platform": platform,
            "networks": int(known.sum()),
            "mean_error_percent": round(100 * float(off.mean()), 2),
            "median_error_percent": round(100 * float(np.median(off)), 2),
            "sign_right_percent": round(100 * float((np.sign(said[known]) == np.sign(true[known])).mean()), 2),
        }


# --- Choices ---


def chosen_ratio(measured: np.ndarray, ranked: Sequence[int], count: int, default: int) -> float:
    """Latency of what is chosen over the best there is."""
    if count == 0:
        return float(measured[ranked[0]] / measured.min())
    others = [variant for variant in ranked if variant != default][:count]
    return float(measured[[default, *others]].min() / measured.min())


def ranked_choices(data: TrainingSet, log_ms: np.ndarray, count: int, default: int) -> np.ndarray:
    """The ratio of each network that was measured as every variant."""
    whole = np.flatnonzero(~np.isnan(data.latency_ms).any(axis=1) & ~np.isnan(log_ms).any(axis=1))
    return np.array(
        [chosen_ratio(data.latency_ms[row], np.argsort(log_ms[row]).tolist(), count, default) for row in whole]
    )


def drawn_choices(
    data: TrainingSet, count: int, default: int, order: Callable[[tuple[float, ...], int], Sequence[int]]
) -> np.ndarray:
    """Likewise, variants taken in an order that knows nothing before it measures; a row a seed."""
    whole = data.latency_ms[~np.isnan(data.latency_ms).any(axis=1)]
    return np.array(
        [[chosen_ratio(row, order(tuple(row), seed), count, default) for row in whole] for seed in range(SEEDS)]
    )


def at_random(latency_ms: tuple[float, ...], seed: int) -> Sequence[int]:
    """A random order."""
    rng = np.random.default_rng([seed, int(latency_ms[0] * 1e6)])
    return [int(variant) for variant in rng.permutation(len(latency_ms))]


@cache
def by_tpe(latency_ms: tuple[float, ...], seed: int) -> Sequence[int]:
    """The order in which Optuna's TPE comes to the variants."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=1))
    seen: dict[int, None] = {}
    names = list(range(len(latency_ms)))
    for _ in range(4 * len(names)):
        trial = study.ask()
        variant = trial.suggest_categorical("variant", names)
        study.tell(trial, latency_ms[variant])
        seen[variant] = None
        if len(seen) == len(names):
            break
    return [*seen, *(name for name in names if name not in seen)]


def choice_rows(
    data: TrainingSet, predictions: dict[str, np.ndarray], default: int, *, with_tpe: bool
) -> Iterator[dict[str, Any]]:
    """A row for each way to choose and number of measurements."""
    for count in MEASURED:
        for name, log_ms in predictions.items():
            yield _choice(name, count, ranked_choices(data, log_ms, count, default))
        yield _choice("random", count, drawn_choices(data, count, default, at_random))
        if with_tpe and count:
            few = data.subset(range(0, len(data), 10))
            yield _choice("TPE, every tenth network", count, drawn_choices(few, count, default, by_tpe))


def _choice(name: str, count: int, ratios: np.ndarray) -> dict[str, Any]:
    logs = np.log(ratios)
    return {
        "chosen_by": name,
        "measured_beside_default": count,
        "networks": ratios.shape[-1],
        "ratio_to_best": round(float(np.exp(logs.mean())), 4),
        "worst_ratio": round(float(ratios.max()), 3),
        "best_chosen_percent": round(100 * float((ratios < 1 + 1e-9).mean()), 1),
    }


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One line a row."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--no-tpe", action="store_true")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    data, _ = gather(config.sources)
    data = data.on_platforms([name for name in data.platforms if "-ort" in name])
    default = next(index for index, name in enumerate(data.platforms) if name.endswith("-fp32-1t"))
    folds = data.family_folds(
        config.members, json.loads((arguments.run / "config.json").read_text())["provenance"]["fit"]["seed"]
    )
    predictions = {"NN-Former": nnformer_log_ms(arguments.run, data)}
    for name in BASELINES:
        predictions[name] = baseline_log_ms(name, data, folds, 0)
    predictions["graph-blind"] = graph_blind_log_ms(data, folds, default)
    gains = [row for name, log_ms in predictions.items() for row in gain_rows(name, data, log_ms, default)]
    choices = list(choice_rows(data, predictions, default, with_tpe=not arguments.no_tpe))
    write(RESULTS / "ort-gains.csv", gains)
    write(RESULTS / "ort-choices.csv", choices)
    for row in (*gains, *choices):
        print(*row.values(), sep="  ")


if __name__ == "__main__":
    main()
