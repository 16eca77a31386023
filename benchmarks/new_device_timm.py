"""A new device among timm's: one device left out, calibrated with a few architectures, tested on unseen families.

    python benchmarks/new_device_timm.py train benchmarks/configs/nnformer-base.toml -o runs/new-device [--device i9]
    python benchmarks/new_device_timm.py evaluate benchmarks/configs/nnformer-base.toml -o runs/new-device

``train`` fits, for each device, five members without any measurement of it, each without a fifth of the
architecture families; an interrupted run goes on where it stopped.  ``evaluate`` calibrates each member for every
platform of its device, with 3 to 50 architectures of the families it knows, and tests it on the families it does not.
It writes ``benchmarks/results/new-device-timm.csv`` and draws ``docs/images/new-device-timm.png``.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from costmodel.features import feature_schema_hash
from costmodel.graph import VOCABULARY
from costmodel.platforms import Platform
from costmodel.pretrained import Bundle, BundleConfig, save_bundle
from costmodel.training import cross_fit
from costmodel.training.config import TrainConfig, read_config
from costmodel.training.sources import gather

DEVICES = ("i9-10940x", "rtx3090", "rtx4090")


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


def main() -> None:
    """Train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["train", "evaluate"])
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--device", choices=DEVICES, action="append", help="default: all of them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(arguments.config)
    for device in arguments.device or DEVICES:
        if arguments.step == "train":
            train(config, device, arguments.run)


if __name__ == "__main__":
    main()
