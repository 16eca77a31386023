"""Searches of NAS-Bench-201 by a hundred accuracies and twenty latencies, against the true front.

    python benchmarks/search_nasbench201.py -o runs/search-nasbench201 [--device pixel3] [--seed 0]
    python benchmarks/search_nasbench201.py -o runs/search-nasbench201 --summary

Of a device, 20 random cells are measured, and `nnformer-base` is calibrated with them.  Of 50 random cells the accuracy
is asked; a predictor is trained on those, `costmodel.search` finds a front, and the accuracies of 50 cells that lie on
it are asked too; a predictor that learned from all hundred is searched by again.  What counts is the hypervolume of the
found front's true accuracies (CIFAR-10 test) and latencies, and of those of the cells that were asked, as a share of
that of the true front; the reference point is the slowest cell's latency, and 10 % accuracy.  Beside it stand searches
at random by the same two predictors, a search that asks all hundred at random, and what a hundred random cells come to
whose accuracies and latencies are all known.  Writes ``benchmarks/results/search-nasbench201.csv``.  Needs
``COSTMODEL_DATA`` and the ``search`` extra.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from costmodel import Predictor
from costmodel.accuracy_predictor import AccuracyConfig, AccuracyPredictor, fit_accuracy
from costmodel.calibration import Measurement, calibrate
from costmodel.features import GraphFeatures, build_features
from costmodel.pretrained import Bundle
from costmodel.search import Candidate, Objectives, SearchSettings, SearchStudy, hypervolume, pareto_front
from costmodel.spaces import NASBench201, SearchSpace
from costmodel.training.accuracy_fit import AccuracyFitConfig

RESULTS = Path(__file__).parent / "results" / "search-nasbench201.csv"
DEVICES = ("pixel3", "raspi4", "gold_6226", "fpga")
SEEDS = 3
FIRST, ASKED, MEASURED = 50, 100, 20
PROPOSALS = 500
WORST_PERCENT = 10.0
LEAST_MS = 0.1
"""Disconnected cells are measured as next to nothing on some devices."""
CONFIG = AccuracyConfig(members=2, fit=AccuracyFitConfig(steps=300))
SPACE = NASBench201()


class Truth:
    """What the table says."""

    def __init__(self, device: str) -> None:
        with gzip.open(Path(os.environ["COSTMODEL_DATA"]) / "nasbench201.csv.gz", "rt") as stream:
            rows = [row for row in csv.DictReader(stream) if float(row[f"latency_ms_{device}"] or 0) >= LEAST_MS]
        self.archs = [row["arch"] for row in rows]
        self.validation = {row["arch"]: float(row["cifar10_valid_validation_accuracy"]) for row in rows}
        test = {row["arch"]: float(row["cifar10_valid_test_accuracy"]) for row in rows}
        self.latency_ms = {row["arch"]: float(row[f"latency_ms_{device}"]) for row in rows}
        self.candidates = {arch: Candidate(arch, test[arch], self.latency_ms[arch]) for arch in self.archs}
        self._reference = WORST_PERCENT, max(self.latency_ms.values())

    def share(self, archs: Sequence[str]) -> float:
        """Hypervolume of cells, as a share of that of all."""
        found = hypervolume([self.candidates[arch] for arch in archs if arch in self.candidates], *self._reference)
        return found / self._whole

    @cached_property
    def _whole(self) -> float:
        return hypervolume(self.candidates.values(), *self._reference)


@cache
def features_of(arch: str) -> GraphFeatures:
    """The network of a cell, as the latency predictor sees it."""
    return build_features(SPACE.op_graph(arch))


class Calibrated(Objectives):
    """Both predictors."""

    space: SearchSpace = SPACE

    def __init__(self, accuracy: AccuracyPredictor, bundle: Bundle, platform: str) -> None:
        self._accuracy, self._bundle, self._platform = accuracy, bundle, platform

    def of(self, archs: Sequence[str]) -> list[Candidate]:
        """Both predictions."""
        graphs = [features_of(arch) for arch in archs]
        latencies = self._bundle.predict(graphs, [self._platform], [1] * len(graphs))
        percents = self._accuracy.predict(archs)
        return [
            Candidate(arch, float(percent), found.latency_ms)
            for arch, percent, (found,) in zip(archs, percents, latencies, strict=True)
        ]

    @property
    def identity(self) -> Mapping[str, str]:
        """Of no use without a journal."""
        return {}


def calibrated(truth: Truth, platform: str, rng: np.random.Generator) -> Bundle:
    """Weights that know the device from a few random cells."""
    cells = rng.choice(truth.archs, MEASURED, replace=False).tolist()
    measurements = [
        Measurement.of_model(SPACE.op_graph(arch), truth.latency_ms[arch], name=f"cell{place}")
        for place, arch in enumerate(cells)
    ]
    return calibrate(Predictor.from_pretrained(), measurements, platform).predictor.bundle


def rows_of(device: str, seed: int) -> list[dict[str, Any]]:
    """One row a way of searching."""
    truth, rng = Truth(device), np.random.default_rng(seed)
    platform = device.replace("_", "-")
    bundle = calibrated(truth, platform, rng)

    @cache
    def learned(archs: tuple[str, ...]) -> AccuracyPredictor:
        fit = CONFIG.fit.model_copy(update={"seed": seed})
        return fit_accuracy(
            SPACE, archs, [truth.validation[arch] for arch in archs], CONFIG.model_copy(update={"fit": fit})
        )

    def found(archs: Sequence[str], sampler: str) -> tuple[list[str], int]:
        """Cells of the front, then those of the fronts behind it; and how many are on the first."""
        settings = SearchSettings.model_validate({"sampler": sampler, "seed": seed})
        study = SearchStudy(Calibrated(learned(tuple(archs)), bundle, platform), settings)
        study.run(PROPOSALS)
        fronts: list[list[Candidate]] = []
        rest = study.candidates
        while rest and sum(map(len, fronts)) < 4 * ASKED:
            fronts.append(pareto_front(rest))
            gone = set(fronts[-1])
            rest = [candidate for candidate in rest if candidate not in gone]
        return [candidate.arch for front in fronts for candidate in front], len(fronts[0])

    drawn = rng.choice(truth.archs, ASKED, replace=False).tolist()
    first = drawn[:FIRST]
    ranked, _ = found(first, "nsga2")
    unknown = [arch for arch in ranked if arch in truth.candidates and arch not in first]
    asked = [*first, *unknown[: ASKED - FIRST]]
    answers = {"all at random, all known": drawn}
    for name, known, sampler in (
        ("asked in two rounds, NSGA-II", asked, "nsga2"),
        ("asked in two rounds, random search", asked, "random"),
        ("asked at random, NSGA-II", drawn, "nsga2"),
    ):
        ranked, on_front = found(known, sampler)
        answers[name] = [*ranked[:on_front], *known]
    return [
        {"device": device, "seed": seed, "search": name, "hypervolume_share": round(truth.share(archs), 5)}
        for name, archs in answers.items()
    ]


def summary(rows: Sequence[Mapping[str, str]]) -> None:
    """Means and standard deviations over seeds."""
    for device in DEVICES:
        for name in dict.fromkeys(row["search"] for row in rows):
            shares = [float(r["hypervolume_share"]) for r in rows if (r["device"], r["search"]) == (device, name)]
            if shares:
                print(f"{device:<10} {name:<36} {np.mean(shares):.4f} ± {np.std(shares):.4f} ({len(shares)} seeds)")


def main() -> None:
    """Searches that are not there yet, or their summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--device", action="append", choices=DEVICES, help="default: all")
    parser.add_argument("--seed", type=int, action="append", help=f"default: 0 to {SEEDS - 1}")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.run.mkdir(parents=True, exist_ok=True)
    if not options.summary:
        for seed in options.seed or range(SEEDS):
            for device in options.device or DEVICES:
                path = options.run / f"{device}-{seed}.csv"
                if not path.exists():
                    rows = rows_of(device, seed)
                    write(path, rows)
                    print(*(f"{row['search']} {row['hypervolume_share']}" for row in rows), device, seed, flush=True)
        return
    rows = [row for path in sorted(options.run.glob("*.csv")) for row in csv.DictReader(path.open())]
    write(RESULTS, rows)
    summary(rows)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a row."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
