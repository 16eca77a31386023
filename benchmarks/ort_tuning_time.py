"""How long tuning takes by prediction, and by measuring every candidate.

    python benchmarks/ort_tuning_time.py

One network of each of a few generated families is tuned with nothing measured, with one and two candidates measured,
and with all that there are, in turns; each writes the wall time, and the chosen session's latency as the last of these
measured it.  Writes ``benchmarks/results/ort-tuning-time.csv``.  Needs the ``ort`` extra, and a machine that does
little else.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from costmodel.calibration import FamilyNetwork
from costmodel.integrations.onnxruntime import tune

RESULTS = Path(__file__).parent / "results" / "ort-tuning-time.csv"
FAMILIES = ("resnet", "mobilenet_v2", "googlenet", "efficientnet")
SEED = 1000
"""Beyond those that weights were trained on."""
ALL = 99


def rows_of(family: str) -> list[dict[str, Any]]:
    """One row a way of tuning."""
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{family}.onnx"
        onnx.save(FamilyNetwork(family, SEED, 1).load(), path)
        for top in (0, 1, 2, ALL):
            began = time.perf_counter()
            result = tune(path, Path(folder) / f"top{top}", top=top)
            rows.append(
                {
                    "network": family,
                    "measured": min(top, len(result.candidates)),
                    "candidates": len(result.candidates),
                    "seconds": round(time.perf_counter() - began, 2),
                    "chosen": result.chosen.variant.precision,
                }
            )
    latencies = {c.variant.precision: c.measured_ms for c in result.candidates}
    for row in rows:
        row["over_best"] = round((latencies[row["chosen"]] or np.nan) / min(filter(None, latencies.values())), 4)
    return rows


def main() -> None:
    """All families."""
    rows = []
    for family in FAMILIES:
        rows += rows_of(family)
        said = (f"{row['measured']}: {row['seconds']} s, x {row['over_best']}" for row in rows[-4:])
        print(*said, family, flush=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    whole = {row["network"]: row["seconds"] for row in rows if row["measured"] == row["candidates"]}
    for measured in (0, 1, 2):
        ratios = [whole[row["network"]] / row["seconds"] for row in rows if row["measured"] == measured]
        print(f"{measured} measured: {np.exp(np.log(ratios).mean()):.1f} times as fast as measuring all")


if __name__ == "__main__":
    main()
