"""A board on your desk becomes a platform: choose networks, time them there, calibrate, predict.

    python examples/calibrate_new_device.py

The board is simulated here, so that the example runs anywhere: it takes about thirty times as long as a server's
core, and its depthwise convolutions are worse than that.  With a real one, put your own timing into
``measure_on_the_board``, or leave the measuring to us: ``costmodel calibrate export KIT`` writes a folder that you
copy there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx

from costmodel import Predictor
from costmodel.calibration import CandidatePool, Measurement, calibrate, candidate_networks, selection_for
from costmodel.features import GraphFeatures
from costmodel.features.kernel_class import KernelClass
from costmodel.pretrained import save_adapter

RESNET50 = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
SERVER = "epyc-f25m1-ort1.32-fp32-1t"
FEW = 20


def main() -> None:
    """Calibrate with twenty networks, test on ten others, and predict a ResNet-50."""
    predictor = Predictor.from_pretrained()

    # 1. Which networks to measure?  Small ones of every family, each of which stands for many others.
    #    `pool.networks[row].load()` is the ONNX model, weights and all, to be run on the board.
    pool = CandidatePool.of_networks(predictor.bundle, candidate_networks(per_family=6))
    rows = pool.choose(FEW, selection_for("representative"), held_back=10)

    # 2. Time them on the board: milliseconds a run, warm, the fastest of several runs minutes apart.
    measurements = [
        Measurement(
            name=pool.networks[row].name,
            family=pool.networks[row].family,
            features=pool.features[row],
            batch=1,
            latency_ms=measure_on_the_board(predictor, pool.features[row], seed=row),
        )
        for row in rows
    ]

    # 3. Fit the platform.  The last ten are held back: nothing is fitted to them, they only show how far off it is.
    calibration = calibrate(predictor, measurements[:FEW], "my-board", held_back=measurements[FEW:])
    measured_ms = np.array([measurement.latency_ms for measurement in calibration.held_back])
    off = 100 * np.abs(calibration.held_back_ms - measured_ms) / measured_ms
    for candidate in calibration.adaptation.candidates:
        print(f"{candidate.strategy:<28} {candidate.error_percent:5.1f} % off on networks it was not fitted to")
    print(f"chosen: {calibration.adaptation.chosen.strategy}, {off.mean():.1f} % off on the ten held back\n")

    # 4. Keep it.  In place of a folder of your own, `saved_platform_folder("my-board")` makes `-p my-board` work.
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(calibration.adapter, folder)
        predictor = Predictor.from_pretrained().with_platform(folder)

    # 5. What would a ResNet-50 cost there, and what is slow?
    print(predictor.predict(RESNET50, platform="my-board").summary(top=5))


def measure_on_the_board(predictor: Predictor, features: GraphFeatures, seed: int) -> float:
    """Milliseconds a run on the simulated board."""
    (prediction,) = predictor.bundle.predict([features], [SERVER], [1])[0]
    is_depthwise = np.isin(features.kernels, [KernelClass.DEPTHWISE_CONV, KernelClass.UNALIGNED_DEPTHWISE_CONV])
    noise = np.exp(np.random.default_rng(seed).normal(scale=0.02))
    return float((prediction.op_ms * np.where(is_depthwise, 80, 30)).sum() * noise)


if __name__ == "__main__":
    main()
