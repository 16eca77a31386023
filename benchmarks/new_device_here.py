"""This machine as a new device: calibrated with twenty generated networks, tested on timm models never measured before.

    python benchmarks/timm_onnx.py -o runs/timm-onnx-2 --place 2        # the second smallest of each family
    costmodel calibrate --here -o runs/here [--weights DIR]
    costmodel measure runs/timm-onnx-2/*.onnx --visits 5 -o runs/timm-2.jsonl
    python benchmarks/new_device_here.py runs/here runs/timm-2.jsonl runs/timm-onnx-2 [--weights DIR]

The weights that are shipped have a platform of the machine that they were made on; give others, which never saw it,
for a figure that holds elsewhere (``benchmarks/new_device_timm.py train --device``).  Beside the calibrated platform
stand a linear fit on FLOPs and boosted trees, fitted to the same twenty networks.  Writes
``benchmarks/results/new-device-here.csv``.  Needs the ``bench`` extra.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from baselines import BASELINES
from few_shot import Draw, draw_of, print_summary, write_draws

from costmodel import Predictor
from costmodel.calibration import Measurement
from costmodel.calibration.sources import FamilyNetwork
from costmodel.data import Journal
from costmodel.pretrained import load_adapter
from costmodel.training import TrainingSet

RESULTS = Path(__file__).parent / "results" / "new-device-here.csv"


def fitted_networks(calibration: Path) -> list[Measurement]:
    """The generated networks that the platform was fitted to."""
    fitted = json.loads((calibration / "platform.json").read_text())["provenance"]["fitted"]
    found = []
    for row in fitted:
        family, _, seed = row["model"].rpartition("-")
        model = FamilyNetwork(family, int(seed)).load()
        found.append(Measurement.of_model(model, row["latency_ms"], batch=row["batch"], name=row["model"]))
    return found


def measured_models(journal: Path, models: Path) -> Iterator[Measurement]:
    """The models that were measured and whose measurement is to be trusted."""
    for record in Journal(journal).read().records():
        if record.is_trusted and record.latency_ms is not None:
            yield Measurement.of_model(models / f"{record.model}.onnx", record.latency_ms, batch=record.batch)


def as_training_set(measurements: list[Measurement]) -> TrainingSet:
    """What baselines are fitted to."""
    return TrainingSet(
        names=tuple(measurement.name for measurement in measurements),
        families=tuple(measurement.family for measurement in measurements),
        features=tuple(measurement.features for measurement in measurements),
        platforms=("here",),
        latency_ms=np.array([[measurement.latency_ms] for measurement in measurements]),
        batch=np.array([[float(measurement.batch)] for measurement in measurements]),
    )


def evaluate(calibration: Path, test: list[Measurement], weights: str) -> Iterator[Draw]:
    """The calibrated platform, then the baselines."""
    adapter = load_adapter(calibration)
    predictor = Predictor.from_pretrained(weights).with_platform(adapter)
    measured_ms = np.array([measurement.latency_ms for measurement in test])
    raw = predictor.bundle.predict(
        [measurement.features for measurement in test],
        [adapter.platform.name],
        [measurement.batch for measurement in test],
    )
    predicted_ms = np.array([of_platform[0].latency_ms for of_platform in raw])
    fitted = as_training_set(fitted_networks(calibration))
    where = (adapter.platform.device, predictor.bundle.config.name, "representative", len(fitted), 0)
    yield draw_of(
        predicted_ms,
        measured_ms,
        where=where,
        predictor="calibrated",
        strategy=adapter.provenance["strategy"],
        error_quantile=adapter.error_quantile,
    )
    for name, baseline in BASELINES.items():
        yield draw_of(baseline(fitted, as_training_set(test), 0, 0), measured_ms, where=where, predictor=name)
    for measurement, predicted in sorted(
        zip(test, predicted_ms, strict=True), key=lambda pair: -abs(np.log(pair[1] / pair[0].latency_ms))
    )[:10]:
        print(f"{measurement.name:<40} measured {measurement.latency_ms:8.2f} ms, predicted {predicted:8.2f} ms")


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("journal", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--weights", default="nnformer-base")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    test = list(measured_models(arguments.journal, arguments.models))
    draws = list(evaluate(arguments.calibration, test, arguments.weights))
    print(f"{len(test)} models")
    print_summary(draws, by="platform")
    write_draws(draws, arguments.output)


if __name__ == "__main__":
    main()
