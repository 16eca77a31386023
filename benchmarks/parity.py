"""The same architectures read from ONNX and from torch: do FLOPs, parameters and predicted latency agree?

    python benchmarks/timm_graphs.py -o runs/timm-graphs
    python benchmarks/timm_onnx.py -o runs/timm-onnx
    python benchmarks/parity.py runs/timm-graphs runs/timm-onnx

Compares every file of the second folder with the graph of its name in the first, on every platform of the shipped
weights, and writes ``benchmarks/results/parity.csv``, a line an architecture.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from costmodel import Predictor
from costmodel.data import GraphStore
from costmodel.graph import OpGraph, load_graph, total_cost

RESULTS = Path(__file__).parent / "results" / "parity.csv"
COLUMNS = ("architecture", "operations_torch", "operations_onnx", "flops_ratio", "params_ratio", "worst_latency_ratio")


def compared(predictor: Predictor, torch_graph: OpGraph, onnx_graph: OpGraph) -> dict[str, float | str]:
    """ONNX over torch; of the latencies, the ratio furthest from one over all platforms."""
    ours, theirs = total_cost(torch_graph), total_cost(onnx_graph)
    latencies = [[p.latency_ms for p in predictor.predict(graph)] for graph in (torch_graph, onnx_graph)]
    ratios = np.divide(latencies[1], latencies[0])
    return {
        "architecture": torch_graph.name,
        "operations_torch": len(torch_graph),
        "operations_onnx": len(onnx_graph),
        "flops_ratio": round(theirs.flops / ours.flops, 4),
        "params_ratio": round(theirs.params / ours.params, 4),
        "worst_latency_ratio": round(float(ratios[np.argmax(np.abs(np.log(ratios)))]), 4),
    }


def main() -> None:
    """Compare what is in both folders, print what differs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    predictor = Predictor.from_pretrained()
    store = GraphStore(arguments.graphs)
    lines = [
        compared(predictor, store.read(path.stem), load_graph(path))
        for path in sorted(arguments.files.glob("*.onnx"))
        if path.stem in store
    ]
    with arguments.output.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    for column, limit in (("flops_ratio", 0.01), ("params_ratio", 0.01), ("worst_latency_ratio", 0.03)):
        off = [line for line in lines if abs(float(line[column]) - 1) > limit]
        print(f"{column}: {len(lines) - len(off)} of {len(lines)} within {limit:.0%}")
        for line in off:
            print(f"    {line['architecture']}: {line[column]}")


if __name__ == "__main__":
    main()
