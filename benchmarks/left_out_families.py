"""Error on architecture families that were left out: NN-Former beside feature-based predictors, same folds.

    for seed in 0 1 2; do
        costmodel train benchmarks/configs/nnformer-base.toml --seed $seed -o runs/nnformer-base-$seed
    done
    python benchmarks/left_out_families.py benchmarks/configs/nnformer-base.toml runs/nnformer-base-{0,1,2}

The first command trains one member a fold and keeps its predictions in ``held_out.csv``; this one fits the
baselines on the same folds and writes ``benchmarks/results/left-out-families.csv``, a line a seed, predictor and
platform.  The seed decides which families fall together in a fold.  Needs the ``bench`` extra.  The worst
predictions of the first run are listed with ``--worst 20``.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from baselines import BASELINES

from costmodel.training import PlatformError, TrainingSet, platform_errors
from costmodel.training.config import read_config
from costmodel.training.sources import gather

RESULTS = Path(__file__).parent / "results" / "left-out-families.csv"


@dataclass(frozen=True, slots=True)
class Line:
    """Error of one predictor on one platform, folds made with one seed."""

    seed: int
    predictor: str
    error: PlatformError

    def to_dict(self) -> dict[str, str | int | float]:
        """A row of the table."""
        fields = self.error.to_dict()
        rounded = {key: round(field, 3) if isinstance(field, float) else field for key, field in fields.items()}
        return {"seed": self.seed, "predictor": self.predictor, **rounded}


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


def lines_of(run: Path, data: TrainingSet, members: int) -> Iterator[Line]:
    """All predictors on the folds of one run."""
    seed = json.loads((run / "config.json").read_text())["provenance"]["fit"]["seed"]
    folds = data.family_folds(members, seed)
    predictions = {"nnformer": nnformer_log_ms(run, data)}
    for name in BASELINES:
        predictions[name] = baseline_log_ms(name, data, folds, seed)
    for name, log_ms in predictions.items():
        yield from (Line(seed, name, error) for error in platform_errors(data, log_ms, folds))


def print_summary(lines: list[Line]) -> None:
    """Mean and standard deviation over the seeds, platform by platform."""
    for platform in dict.fromkeys(line.error.platform for line in lines):
        for name in dict.fromkeys(line.predictor for line in lines):
            errors = [line.error for line in lines if (line.error.platform, line.predictor) == (platform, name)]
            mape, within, holds = (
                f"{np.mean(column):5.2f} +- {np.std(column):4.2f} %"
                for column in zip(
                    *((e.mape_percent, e.within_10_percent, e.coverage_percent) for e in errors), strict=True
                )
            )
            tau = np.mean([e.kendall_tau for e in errors])
            print(f"{platform:<32} {name:<18} MAPE {mape}  within 10 % {within}  tau {tau:.3f}  interval {holds}")


def main() -> None:
    """Fit the baselines, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    parser.add_argument("--worst", type=int, default=0)
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    data, _ = gather(config.sources)
    lines = [line for run in arguments.runs for line in lines_of(run, data, config.members)]
    rows = [line.to_dict() for line in lines]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print_summary(lines)
    if arguments.worst:
        print_worst(data, nnformer_log_ms(arguments.runs[0], data), arguments.worst)


if __name__ == "__main__":
    main()
