"""A new device among timm's: one device left out, calibrated with a few architectures, tested on unseen families.

    python benchmarks/new_device_timm.py train benchmarks/configs/nnformer-base.toml -o runs/new-device [--device i9]
    python benchmarks/new_device_timm.py evaluate benchmarks/configs/nnformer-base.toml -o runs/new-device

``train`` fits, for each device, five members without any measurement of it, each without a fifth of the
architecture families; an interrupted run goes on where it stopped.  ``evaluate`` calibrates each member for every
platform of its device, with 3 to 50 architectures of the families it knows, and tests it on the families it does not;
a device whose ``draws.csv`` is there already is not calibrated again.
It writes ``benchmarks/results/new-device-timm.csv`` and draws ``docs/images/new-device-timm.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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
    kept_draws,
    plot_learning_curves,
    print_summary,
    write_draws,
)
from rich.progress import track

from costmodel.calibration.network_profiles import NetworkProfiles, work_of
from costmodel.calibration.strategies import RescaledPlatform
from costmodel.features import feature_schema_hash
from costmodel.graph import VOCABULARY
from costmodel.platforms import Platform
from costmodel.pretrained import Bundle, BundleConfig, load_bundle, save_bundle
from costmodel.training import TrainingSet, cross_fit
from costmodel.training.config import TrainConfig, read_config
from costmodel.training.sources import gather

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "new-device-timm.csv"
PLOT = ROOT / "docs" / "images" / "new-device-timm.png"
DEVICES = ("i9-10940x", "rtx3090", "rtx4090")
"""Those with enough architectures to leave families out; ``--device`` takes any other of the configuration too."""
SEEDS = 2
"""Of each of five members: ten draws in all."""


def train(config: TrainConfig, device: str, run: Path) -> None:
    """Fit members that know nothing of ``device``, and keep each as a bundle of its own."""
    data, platforms = gather(config.sources)
    others = tuple(platform for platform in platforms if platform.device != device)
    data = data.on_platforms([platform.name for platform in others])
    shape = config.model.for_platforms(len(others))
    report = partial(print, f"without {device}, member", flush=True)
    result = cross_fit(data, shape, config.fit, members=config.members, run_dir=run / device, on_epoch=report)
    for index, member in enumerate(result.members):
        save_bundle(Bundle(bundle_config(config, others, index), (member,)), run / device / f"member{index}")


def bundle_config(config: TrainConfig, platforms: tuple[Platform, ...], index: int) -> BundleConfig:
    """Describes one member."""
    return BundleConfig(
        feature_schema=feature_schema_hash(),
        name=f"{config.name}-{index}",
        model=config.model.for_platforms(len(platforms)),
        members=1,
        platforms=platforms,
        seen_op_types=VOCABULARY[1:],
        error_quantiles=(0.0,) * len(platforms),
    )


def profiles_of(bundle_folder: Path, data: TrainingSet, column: int) -> NetworkProfiles:
    """Profiles of every network at the batch it was measured at on the platform of ``column``; kept beside the bundle.

    Networks that were not measured there are run at batch 1; nobody looks at them.
    """
    kept = bundle_folder / f"profiles-{data.platforms[column]}.npz"
    known = ~np.isnan(data.latency_ms[:, column])
    batches = np.where(known, data.batch[:, column], 1).astype(int).tolist()
    if not kept.exists():
        of_known = NetworkProfiles.of_features(
            load_bundle(bundle_folder),
            [features for features, wanted in zip(data.features, known, strict=True) if wanted],
            [batch for batch, wanted in zip(batches, known, strict=True) if wanted],
        )
        term_ms = np.zeros((len(data), *of_known.term_ms.shape[1:]), dtype=np.float32)
        term_ms[known] = of_known.term_ms
        np.savez_compressed(kept, term_ms=term_ms)
    return NetworkProfiles(np.load(kept)["term_ms"].astype(np.float64), work_of(data.features, batches))


def evaluate(config: TrainConfig, device: str, run: Path) -> Iterator[Draw]:
    """Calibrations of every member for every platform of ``device``."""
    data, platforms = gather(config.sources)
    folds = data.family_folds(config.members, config.fit.seed)
    columns = [column for column, platform in enumerate(platforms) if platform.device == device]
    for column, fold in track([(c, f) for c in columns for f in range(config.members)], f"calibrating {device}"):
        profiles = profiles_of(run / device / f"member{fold}", data, column)
        latency_ms = data.latency_ms[:, column]
        known = np.flatnonzero(~np.isnan(latency_ms))
        test, others = known[np.isin(known, folds[fold])], known[~np.isin(known, folds[fold])]
        for seed in range(SEEDS):
            pool = half_of(others, seed)
            for name, size, rows in choices(pool, profiles.subset(pool).embedding(), seed):
                where = (device, platforms[column].name, name, size, SEEDS * fold + seed)
                yield calibrated_draw(profiles, latency_ms, rows, test, where)
                rescaled = RescaledPlatform().fit(profiles.subset(rows), latency_ms[rows])
                yield draw_of(
                    rescaled.latency_ms(profiles.subset(test)),
                    latency_ms[test],
                    where=where,
                    predictor="rescaled platform",
                )


def main() -> None:
    """Train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "evaluate"])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--device", action="append", help=f"default: {', '.join(DEVICES)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(arguments.config)
    devices = arguments.device or DEVICES
    if arguments.step == "train":
        for device in devices:
            train(config, device, arguments.run)
        return
    draws = []
    for device in devices:
        draws += kept_draws(arguments.run / device / "draws.csv", partial(evaluate, config, device, arguments.run))
    write_draws(draws, RESULTS)
    print_summary(draws)
    plot_learning_curves(draws, DEFAULT_SELECTION, "mape_percent", "MAPE, %", PLOT)


if __name__ == "__main__":
    main()
