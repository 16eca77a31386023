"""A new device on NAS-Bench-201: source devices to train on, a handful of cells of an unseen one, all others to rank.

    COSTMODEL_DATA=... python benchmarks/new_device_nasbench201.py train -o runs/nasbench201-devices
    COSTMODEL_DATA=... python benchmarks/new_device_nasbench201.py evaluate -o runs/nasbench201-devices

The protocol is that of HELP (Lee et al., NeurIPS 2021): 900 cells of nine source devices to train on, six unseen
devices.  ``train`` fits NN-Former to the source devices and keeps what it says of all 15,625 cells; an interrupted
run goes on where it stopped.  ``evaluate`` calibrates it for each unseen device with 3 to 50 cells, ten seeds, beside
ridge regression on the source devices' measured latencies.  It writes ``benchmarks/results/new-device-nasbench201.csv``
and draws ``docs/images/new-device-nasbench201.png``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from few_shot import (
    DEFAULT_SELECTION,
    Draw,
    calibrated_draw,
    choices,
    draw_of,
    half_of,
    plot_learning_curves,
    print_summary,
    write_draws,
)
from rich.progress import track
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.data.families.nasbench201 import nasbench201_network
from costmodel.features import GraphFeatures, build_features, feature_schema_hash
from costmodel.graph import VOCABULARY, load_graph
from costmodel.model import LatencyModel
from costmodel.platforms import named_platform
from costmodel.pretrained import Bundle, BundleConfig, load_bundle, save_bundle
from costmodel.training import FitConfig, TrainingSet, fit
from costmodel.training.config import ModelShape

SOURCE_DEVICES = (
    *("1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r", "samsung_a50", "pixel3"),
    *("essential_ph_1", "samsung_s7"),
)
UNSEEN_DEVICES = ("titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss")
TRAINING_CELLS = 900
MEMBERS = 3
SHAPE = ModelShape(dim=64, depth=3)
FIT = FitConfig(epochs=25, learning_rate=1e-3, graphs_per_step=8)
LEAST_MS = 0.1
"""Disconnected cells are measured as next to nothing on some devices, which makes no sense as a percentage."""
PROFILES = "profiles.npz"
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "new-device-nasbench201.csv"
PLOT = ROOT / "docs" / "images" / "new-device-nasbench201.png"
SEEDS = 10
RIDGE = 0.3
"""Penalty of the regression that ours is held against."""


@dataclass(frozen=True)
class Benchmark:
    """The published table.

    Attributes:
        archs: Every cell.
        latency_ms: Milliseconds by device, NaN where below :data:`LEAST_MS`.
    """

    archs: tuple[str, ...]
    latency_ms: dict[str, np.ndarray]

    @classmethod
    def read(cls) -> Benchmark:
        """The table in the folder that ``COSTMODEL_DATA`` names."""
        path = Path(os.environ["COSTMODEL_DATA"]) / "nasbench201.csv.gz"
        with gzip.open(path, "rt", newline="") as stream:
            rows = list(csv.DictReader(stream))
        latency_ms = {
            device: np.array([float(row[f"latency_ms_{device}"]) for row in rows])
            for device in (*SOURCE_DEVICES, *UNSEEN_DEVICES)
        }
        for column in latency_ms.values():
            column[column < LEAST_MS] = np.nan
        return cls(tuple(row["arch"] for row in rows), latency_ms)


def features_of(arch: str) -> GraphFeatures:
    """Features of the network around a cell, with all its edges: it was measured as it is written."""
    return build_features(load_graph(nasbench201_network(arch, every_edge=True, weights=False)))


def train(run: Path) -> None:
    """Fit the members, and keep what they say of every cell."""
    benchmark = Benchmark.read()
    rows = np.sort(np.random.default_rng(0).permutation(len(benchmark.archs))[:TRAINING_CELLS])
    features = [features_of(benchmark.archs[row]) for row in track(rows, "reading cells to train on")]
    data = TrainingSet(
        names=tuple(benchmark.archs[row] for row in rows),
        families=("nasbench201",) * len(rows),
        features=tuple(features),
        platforms=SOURCE_DEVICES,
        latency_ms=np.stack([benchmark.latency_ms[device][rows] for device in SOURCE_DEVICES], axis=1),
        batch=np.ones((len(rows), len(SOURCE_DEVICES))),  # a device's batch is part of what the device is
    )
    shape = SHAPE.for_platforms(len(SOURCE_DEVICES))
    members = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        settings = FIT.model_copy(update={"seed": seed})
        report = partial(print, f"member {seed}, epoch", flush=True)
        members.append(fit(LatencyModel(shape), data, settings, run_dir=run / f"member{seed}", on_epoch=report))
    seen = sorted({int(index) for item in features for index in item.op_types} - {0})
    config = BundleConfig(
        feature_schema=feature_schema_hash(),
        name="nasbench201-devices",
        model=shape,
        members=MEMBERS,
        platforms=tuple(named_platform(device.replace("_", "-")) for device in SOURCE_DEVICES),
        seen_op_types=tuple(VOCABULARY[index] for index in seen),
        error_quantiles=(0.1,) * len(SOURCE_DEVICES),
    )
    save_bundle(Bundle(config, tuple(members)), run)


def profile(run: Path) -> None:
    """Keep what the source devices' time goes into, for every cell."""
    bundle = load_bundle(run)
    profiles = [
        NetworkProfiles.of_features(bundle, [features_of(arch)], [1])
        for arch in track(Benchmark.read().archs, "predicting every cell")
    ]
    columns = {name: [getattr(profile, name)[0] for profile in profiles] for name in ("term_ms", "work")}
    np.savez(run / PROFILES, **{name: np.stack(rows).astype(np.float32) for name, rows in columns.items()})


def evaluate(run: Path) -> Iterator[Draw]:
    """Calibrations for every unseen device, beside regression on the source devices' own measurements."""
    benchmark = Benchmark.read()
    kept = np.load(run / PROFILES)
    profiles = NetworkProfiles(kept["term_ms"].astype(np.float64), kept["work"].astype(np.float64))
    embedding = profiles.embedding()
    for device, seed in track([(d, s) for d in UNSEEN_DEVICES for s in range(SEEDS)], "calibrating"):
        latency_ms = benchmark.latency_ms[device]
        known = np.flatnonzero(~np.isnan(latency_ms))
        pool = half_of(known, seed)
        for name, size, rows in choices(pool, embedding[pool], seed):
            test = np.setdiff1d(known, rows)
            where = (device, device, name, size, seed)
            yield calibrated_draw(profiles, latency_ms, rows, test, where)
            yield draw_of(
                ridge_on_measurements(benchmark, rows, latency_ms)[test],
                latency_ms[test],
                where=where,
                predictor="ridge on measurements",
            )


def ridge_on_measurements(benchmark: Benchmark, rows: np.ndarray, latency_ms: np.ndarray) -> np.ndarray:
    """Every cell's latency, from what the source devices were measured to take for it: no network to predict with."""
    known = np.stack([np.nan_to_num(benchmark.latency_ms[device], nan=LEAST_MS) for device in SOURCE_DEVICES], axis=1)
    regression = make_pipeline(StandardScaler(), Ridge(alpha=RIDGE)).fit(np.log(known[rows]), np.log(latency_ms[rows]))
    return np.exp(regression.predict(np.log(known)))


def print_means(draws: list[Draw]) -> None:
    """The published figure: Spearman's correlation, its mean over the devices; here with its spread over seeds."""
    groups: dict[tuple[int, str, str], dict[int, list[float]]] = {}
    for draw in draws:
        of_seeds = groups.setdefault((draw.networks, draw.selection, draw.predictor), {})
        of_seeds.setdefault(draw.seed, []).append(draw.spearman)
    for (size, selection, predictor), of_seeds in sorted(groups.items()):
        means = np.array([np.mean(of_devices) for of_devices in of_seeds.values()])
        print(
            f"all devices k={size:<3} {selection:<15} {predictor:<22} Spearman {means.mean():.4f} +- {means.std():.4f}"
        )


def main() -> None:
    """Train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "evaluate"])
    parser.add_argument("-o", "--run", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.step == "train":
        train(arguments.run)
        profile(arguments.run)
        return
    draws = list(evaluate(arguments.run))
    write_draws(draws, RESULTS)
    print_summary(draws)
    print_means(draws)
    plot_learning_curves(draws, DEFAULT_SELECTION, "spearman", "Spearman's rank correlation", PLOT)


if __name__ == "__main__":
    main()
