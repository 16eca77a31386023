"""Time generated networks of every family in torch, half of them one image at a time and half in larger batches.

    python benchmarks/family_times.py -o runs/h100.jsonl --dataset benchmarks/data/h100.parquet [--device cpu] ...

Needs a CUDA build of torch unless the device is the CPU.  An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from costmodel.calibration.campaign import Campaign, Progress
from costmodel.calibration.measurers import TorchMeasurer
from costmodel.calibration.sources import FamilyNetwork
from costmodel.data import Dataset
from costmodel.data.families import FAMILIES


def main() -> int:
    """Measure, and write the dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="JOURNAL")
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--count", type=int, default=60, help="networks of each family")
    parser.add_argument("--batch", type=int, default=32, help="of every second network")
    parser.add_argument("--visits", type=int, default=2)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="processes that load models while one is timed")
    arguments = parser.parse_args()
    sources = [
        FamilyNetwork(family, seed, arguments.batch if seed % 2 else 1)
        for seed in range(arguments.count)
        for family in FAMILIES
    ]
    campaign = Campaign(
        sources,
        TorchMeasurer(precision=arguments.precision, device=arguments.device),
        arguments.output,
        visits=arguments.visits,
        runs=arguments.runs,
        round_interval_s=0,
        workers=arguments.workers,
    )
    records = campaign.run(show)
    failed = [record for record in records if record.latency_ms is None]
    for record in failed:
        print(f"{record.model}: {record.reason}")
    dataset = Dataset.from_journal(arguments.output, (source.load() for source in sources))
    dataset.save(arguments.dataset)
    print(f"{len(dataset)} of {len(records)} networks on {campaign.platform}")
    return int(bool(failed))


def show(progress: Progress) -> None:
    """A line now and then."""
    if progress.done % 50 == 0:
        print(f"{progress.done} of {progress.total} visits", flush=True)


if __name__ == "__main__":
    sys.exit(main())
