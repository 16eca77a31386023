"""Choose the onnxruntime session that runs a network fastest here, open it, and run it.

    pip install 'nnformer-costmodel[ort]'
    python examples/onnxruntime_tune.py [MODEL.onnx]

Without an argument it makes a small SqueezeNet with random weights.  Its outputs in eight bits are near those in fp32;
how near they have to be for a network of yours is for you to say, on inputs of yours (``calibration``).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from costmodel.calibration import FamilyNetwork
from costmodel.integrations.onnxruntime import make_session, tune


def main(model: Path, folder: Path) -> None:
    """Tune, print what is known of each candidate, and run the chosen session once."""
    result = tune(model, folder, top=1, max_difference=0.05, visits=3)
    for row in result.candidates:
        measured = "not measured" if row.measured_ms is None else f"{row.measured_ms:.3f} ms"
        print(f"{row.variant.name:<26} {measured:>14}  {row.status} {row.reason}")

    session = make_session(result)  # or, in another process: make_session(folder)
    (image,) = session.get_inputs()
    scores = session.run(None, {image.name: np.zeros(image.shape, dtype=np.float32)})[0]
    print(
        f"{result.chosen.variant.name} is open and gives {scores.size} scores; its options: {result.session['options']}"
    )


if __name__ == "__main__":  # models run in other processes, which import this script
    with tempfile.TemporaryDirectory() as work:
        file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(work) / "squeezenet.onnx"
        if len(sys.argv) == 1:
            onnx.save(FamilyNetwork("squeezenet", 3).load(), file)
        main(file, Path(work) / "tuned")
