"""Predict one network on several platforms, and see which operations take the time.

    python examples/predict_onnx.py [MODEL.onnx]

Without an argument it uses a ResNet-50 that comes with the onnx package.  Nothing is run: only the
file's graph and shapes are read, so its weights may be missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

from costmodel import Predictor

BUNDLED = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"


def main(model: Path) -> None:
    """Print a line a platform, then the five slowest operations on the first."""
    predictor = Predictor.from_pretrained()
    predictions = predictor.predict(model, list(predictor.platforms))
    for prediction in sorted(predictions, key=lambda prediction: prediction.latency_ms):
        interval = f"{prediction.low_ms:.2f} to {prediction.high_ms:.2f} ms"
        print(f"{prediction.platform:<34} {prediction.latency_ms:>9.2f} ms  (90 %: {interval})")
    print(f"\nslowest operations on {predictions[0].platform}:")
    for op in predictions[0].slowest(5):
        print(f"  {op.name:<28} {op.op_type:<12} {op.latency_ms:>8.3f} ms  {100 * op.share:>5.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED)
