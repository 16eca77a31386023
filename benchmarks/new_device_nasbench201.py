"""A new device on NAS-Bench-201: source devices to train on, a handful of cells of an unseen one, all others to rank.

    COSTMODEL_DATA=... python benchmarks/new_device_nasbench201.py train -o runs/nasbench201-devices
    COSTMODEL_DATA=... python benchmarks/new_device_nasbench201.py evaluate -o runs/nasbench201-devices

The protocol is that of HELP (Lee et al., NeurIPS 2021): 900 cells of nine source devices to train on, six unseen
devices.  ``train`` fits NN-Former to the source devices and keeps what it says of all 15,625 cells; an interrupted
run goes on where it stopped.  ``evaluate`` calibrates it for each unseen device with 3 to 50 cells, ten seeds, beside
ridge regression on the source devices' measured latencies, and writes ``benchmarks/results/nasbench201-devices.csv``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

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
    profiles = []
    for arch in track(Benchmark.read().archs, "predicting every cell"):
        profile = NetworkProfiles.of_features(bundle, [features_of(arch)], [1])
        profiles.append(profile.term_ms[0].astype(np.float32))
    np.savez(run / PROFILES, term_ms=np.stack(profiles))


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


if __name__ == "__main__":
    main()
