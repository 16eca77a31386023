"""Time timm's architectures in torch, each at several batches.

    python benchmarks/timm_times.py -o runs/timm-times [--device cpu] [--precision fp32] [--batch 1 ...] [--part 0/8]

Needs ``pip install timm`` beside the project, and a CUDA build of torch unless the device is the CPU.  Several parts
may run at once on a card: they take turns.  Rows are appended to ``times-PART.csv`` as they are made, and networks
that are there already are not timed again; ``--collect FILE`` joins all parts into one table and ends.
"""

from __future__ import annotations

import argparse
import csv
import gc
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from timm_graphs import wanted
from timm_models import add_part_option, import_timm, share_of
from torch import nn

from costmodel.calibration.measurers import TorchMeasurer
from costmodel.calibration.measurers.torch_device import TorchDevice
from costmodel.platforms.environment import default_platform_name

COLUMNS = ("model", "platform", "latency_ms", "batch", "median_ms", "runs", "error")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MOST_MS = 150.0
"""For which a network's runs may hold the card at one batch, beyond the least number of runs."""


def created(arch: str, image_size: int) -> nn.Module:
    """The architecture, its weights not initialised.

    Raises:
        RuntimeError: It cannot be built at that size.
    """
    timm = import_timm()
    failure: Exception | None = None
    for options in ({}, {"img_size": image_size}):
        try:
            module = timm.create_model(arch, **options).eval()
        except Exception as error:  # each architecture fails in its own way
            failure = error
            continue
        size = (timm.models.get_pretrained_cfg(arch) or {}).input_size[-1]
        if options or size == image_size:
            return module
    raise RuntimeError(f"{arch} cannot be built at {image_size} pixels: {failure}")


@contextmanager
def uninitialised() -> Iterator[None]:
    """Leave the filling of weights with random numbers to the device: on the CPU it takes most of the time."""
    originals = {name: getattr(torch.Tensor, name) for name in ("normal_", "uniform_", "erfinv_")}
    for name in originals:
        setattr(torch.Tensor, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(torch.Tensor, name, original)


def shuffled(pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """In an order that does not depend on names: a run cut short has seen a bit of everything."""
    return random.Random(0).sample(pairs, len(pairs))


def times(device: TorchDevice, module: nn.Module, image_size: int, batch: int, dtype: torch.dtype) -> list[float]:
    """Milliseconds of each run."""
    images = torch.randn(batch, 3, image_size, image_size, device=device.name, dtype=dtype)
    first = min(device.time(lambda: module(images), 2).run_ms)
    runs = max(5, min(20, int(MOST_MS / first)))
    return list(device.time(lambda: module(images), runs).run_ms)


def measure(arguments: argparse.Namespace) -> None:
    """Time this part's networks."""
    device = TorchDevice(arguments.device, threads=1)
    environment = TorchMeasurer(precision=arguments.precision, device=arguments.device).environment()
    platform = default_platform_name(environment, arguments.precision)
    dtype = TYPES[arguments.precision]
    path = arguments.output / f"times-{arguments.part.partition('/')[0]}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {row["model"] for row in csv.DictReader(path.open())} if path.exists() else set()
    began = time.monotonic()
    with path.open("a", buffering=1) as file:
        table = csv.DictWriter(file, COLUMNS)
        if not known:
            table.writeheader()
        for index, (arch, size) in enumerate(share_of(shuffled(wanted(everything=True)), arguments.part)):
            key = f"{arch}@{size}"
            if key in known:
                continue
            if time.monotonic() - began > arguments.seconds:
                return
            rows = []
            try:
                with uninitialised():
                    module = created(arch, size)
                module.to(arguments.device, dtype).requires_grad_(False)
                with torch.no_grad():
                    for weight in module.parameters():
                        weight.normal_(0.0, 0.02)
                turn = index % len(arguments.batch)
                for batch in arguments.batch[turn : turn + 1] if arguments.one_batch else arguments.batch:
                    run_ms = times(device, module, size, batch, dtype)
                    rows.append(
                        {
                            "model": key,
                            "platform": platform,
                            "latency_ms": f"{min(run_ms):.6g}",
                            "batch": batch,
                            "median_ms": f"{statistics.median(run_ms):.6g}",
                            "runs": len(run_ms),
                        }
                    )
            except Exception as error:  # the row says why
                rows.append({"model": key, "platform": platform, "error": (str(error) or repr(error)).splitlines()[0]})
            table.writerows(rows)
            module = None
            gc.collect()
            if not device.is_cpu:
                torch.cuda.empty_cache()


def collect(folder: Path, target: Path) -> None:
    """Join the parts into one table, sorted by network and batch."""
    rows = [row for part in sorted(folder.glob("times-*.csv")) for row in csv.DictReader(part.open())]
    failed = [row for row in rows if row["error"]]
    rows = sorted((row for row in rows if not row["error"]), key=lambda row: (row["model"], int(row["batch"])))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="") as file:
        table = csv.DictWriter(file, [name for name in COLUMNS if name != "error"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    print(f"{len({row['model'] for row in rows})} networks, {len(rows)} rows; {len(failed)} failed:")
    for row in failed:
        print(f"  {row['model']}: {row['error'][:150]}")


def main() -> int:
    """Time one part, or collect all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=TYPES, default="bf16")
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--one-batch", action="store_true", help="time each network at one of the batches, in turn")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no network after that long")
    parser.add_argument("--collect", type=Path, metavar="FILE")
    add_part_option(parser)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or [1, 32]
    if arguments.collect:
        collect(arguments.output, arguments.collect)
    else:
        measure(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
