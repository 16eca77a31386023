"""Error on architecture families that were left out: NN-Former beside feature-based predictors, same folds.

    costmodel train benchmarks/configs/nnformer-base.toml -o runs/nnformer-base
    python benchmarks/left_out_families.py benchmarks/configs/nnformer-base.toml runs/nnformer-base

The first command trains one member a fold and keeps its predictions in ``held_out.csv``; this one fits the
baselines on the same folds and writes ``benchmarks/results/left-out-families.csv``, a line a predictor and
platform.  Needs the ``bench`` extra.  The worst predictions are listed with ``--worst 20``.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from baselines import BASELINES

from costmodel.training import PlatformError, TrainingSet, platform_errors
from costmodel.training.config import read_config
from costmodel.training.sources import gather

RESULTS = Path(__file__).parent / "results" / "left-out-families.csv"


def baseline_log_ms(name: str, data: TrainingSet, folds: list[np.ndarray], seed: int) -> np.ndarray:
    """Log latency of every network by a baseline fitted on the other folds, platform by platform."""
    out = np.full(data.latency_ms.shape, np.nan)
    for rows in folds:
        others = np.setdiff1d(np.arange(len(data)), rows)
        for column in range(len(data.platforms)):
            known = others[~np.isnan(data.latency_ms[others, column])]
            asked = rows[~np.isnan(data.latency_ms[rows, column])]
            if len(asked):
                out[asked, column] = np.log(BASELINES[name](data.subset(known), data.subset(asked), column, seed))
    return out


def nnformer_log_ms(run: Path, data: TrainingSet) -> np.ndarray:
    """What each member said of the fold it had left out."""
    row_of = {name: row for row, name in enumerate(data.names)}
    column_of = {name: column for column, name in enumerate(data.platforms)}
    out = np.full(data.latency_ms.shape, np.nan)
    with (run / "held_out.csv").open(newline="") as stream:
        for line in csv.DictReader(stream):
            out[row_of[line["network"]], column_of[line["platform"]]] = np.log(float(line["predicted_ms"]))
    return out


def print_worst(data: TrainingSet, log_ms: np.ndarray, count: int) -> None:
    """The networks whose prediction is furthest off, by the mean over platforms of the log error."""
    errors = log_ms - np.log(data.latency_ms)
    mean = np.nanmean(errors, axis=1)
    for row in np.argsort(-np.abs(mean))[:count]:
        cells = " ".join("    ." if np.isnan(error) else f"{error:+.2f}" for error in errors[row])
        print(f"{data.names[row]:<48} {data.families[row]:<14} {mean[row]:+.2f} | {cells}")


def main() -> None:
    """Fit the baselines, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    parser.add_argument("--worst", type=int, default=0)
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    data, _ = gather(config.sources)
    folds = data.family_folds(config.members, config.fit.seed)
    predictions = {"nnformer": nnformer_log_ms(arguments.run, data)}
    for name in BASELINES:
        predictions[name] = baseline_log_ms(name, data, folds, config.fit.seed)
    lines: list[tuple[str, PlatformError]] = [
        (name, error) for name, log_ms in predictions.items() for error in platform_errors(data, log_ms, folds)
    ]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["predictor", *lines[0][1].to_dict()], lineterminator="\n")
        writer.writeheader()
        for name, error in lines:
            rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in error.to_dict().items()}
            writer.writerow({"predictor": name, **rounded})
    for name, error in lines:
        print(
            f"{error.platform:<34} {name:<20} MAPE {error.mape_percent:6.2f} %  "
            f"within 10 % {error.within_10_percent:5.1f} %  tau {error.kendall_tau:.3f}  "
            f"interval holds {error.coverage_percent:.1f} %"
        )
    if arguments.worst:
        print_worst(data, predictions["nnformer"], arguments.worst)


if __name__ == "__main__":
    main()
