"""How fast predictions are: one network, many networks, the command line, and ever larger networks.

    python benchmarks/speed.py [--quick]

Prints a table, writes ``benchmarks/results/speed.csv`` and draws ``docs/images/scaling.png``.  Every time is CPU
time on one thread, which on an idle machine is the time on the clock.  Warm predictions and commands are measured
in turns, and the median of the turns counts; each of the growing networks is predicted once, in a fresh process.
Needs the ``bench`` extra.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import onnx
import torch

from costmodel import Predictor
from costmodel.data.families import NetworkBuilder, Tensor
from costmodel.data.families.nasbench201_cell import Cell
from costmodel.features import GraphFeatures, build_features
from costmodel.features.graph_batch import collate
from costmodel.graph import load_graph
from costmodel.platforms.environment import Environment, default_platform_name
from costmodel.pretrained import Bundle, load_bundle

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "speed.csv"
PLOT = ROOT / "docs" / "images" / "scaling.png"
RESNET50 = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"

PLATFORM = "rtx4090-pt2.4-amp-nhwc"
SIZES = (100, 300, 1_000, 3_000, 10_000, 20_000)
SIZES_OF_DENSE_FORM = (100, 200, 300)
PREDICTIONS_A_TURN = 10
"""Of the one network, so that the larger measurements in between do not leave it with cold caches."""
CELLS_A_NETWORK = 15
"""NAS-Bench-201 has three stages of five."""


class Figure(NamedTuple):
    """One line of the table.

    Attributes:
        what: What was measured.
        operations: Operations of the network, where that was varied.
        value: The result.
        unit: Its unit.
    """

    what: str
    operations: int | None
    value: float
    unit: str


class Effort(NamedTuple):
    """How much is measured.

    Attributes:
        turns: Repetitions of every measurement.
        graphs: Networks in a batch.
        largest: Operations of the largest network.
    """

    turns: int
    graphs: int
    largest: int


THOROUGH = Effort(turns=7, graphs=500, largest=max(SIZES))
QUICK = Effort(turns=3, graphs=50, largest=3_000)


def main() -> None:
    """Measure, print and write the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns, smaller batches and networks")
    effort = QUICK if parser.parse_args().quick else THOROUGH
    torch.set_num_threads(1)
    bundle = load_bundle("nnformer-base")
    figures = [
        *warm_figures(bundle, effort),
        *command_figures(effort.turns),
        *form_figures(bundle),
        *scaling_figures([size for size in SIZES if size <= effort.largest]),
    ]
    for figure in figures:
        operations = "" if figure.operations is None else f"{figure.operations:,} operations"
        print(f"{figure.what:<48} {operations:>18} {figure.value:12.4g} {figure.unit}")
    write_table(figures)
    draw_scaling(figures)


def warm_figures(bundle: Bundle, effort: Effort) -> Iterator[Figure]:
    """Predictions in a process that has made some already."""
    predictor = Predictor(bundle)

    def forward_pass(features: Sequence[GraphFeatures]) -> Callable[[], object]:
        return lambda: bundle.predict(features, [PLATFORM], [1] * len(features))

    def from_bytes(models: Sequence[bytes]) -> Callable[[], object]:
        return lambda: predictor.predict_many(models, [PLATFORM])

    resnet50 = "ResNet-50, ONNX file to prediction"
    cases: dict[str, Callable[[], object]] = {
        resnet50: lambda: [predictor.predict(RESNET50, PLATFORM) for _ in range(PREDICTIONS_A_TURN)]
    }
    for kind, cells in {"NAS-Bench-201 cells": 1, "NAS-Bench-201 networks": CELLS_A_NETWORK}.items():
        models = [cells_in_a_row(cells, seed) for seed in range(effort.graphs)]
        cases[f"{kind}, features to predictions"] = forward_pass([features_of(model) for model in models])
        cases[f"{kind}, ONNX bytes to predictions"] = from_bytes(models)
    for what, seconds in medians(cases, effort.turns, cpu_seconds).items():
        if what == resnet50:
            yield Figure(what, None, seconds / PREDICTIONS_A_TURN * 1e3, "ms")
        else:
            yield Figure(what, None, effort.graphs / seconds, "graphs/s")


def command_figures(turns: int) -> Iterator[Figure]:
    """The command line, from the start of its process to the end."""
    commands = {
        "costmodel --help": ["--help"],
        "costmodel platforms": ["platforms"],
        "costmodel predict, ResNet-50": ["predict", str(RESNET50)],
    }
    cases = {what: lambda arguments=arguments: run_command(arguments) for what, arguments in commands.items()}
    for what, seconds in medians(cases, turns, cpu_seconds_of_children).items():
        yield Figure(what, None, seconds, "s")


def form_figures(bundle: Bundle) -> Iterator[Figure]:
    """How far the edge-list form is from the dense one, in single precision."""
    for size in SIZES_OF_DENSE_FORM:
        features = features_of(NETWORKS["NAS-Bench-201"](size))
        batch = collate([features])
        dense = batch.to_dense()
        with torch.inference_mode():
            differences = [
                member.trunk(batch) - member.trunk.forward_dense(dense)[dense.node_mask] for member in bundle.members
            ]
        largest = max(float(difference.abs().max()) for difference in differences)
        yield Figure("edge-list form against dense form", len(features), largest, "largest difference of an embedding")


def scaling_figures(sizes: Iterable[int]) -> Iterator[Figure]:
    """Time and memory of one prediction as networks grow, each in a process of its own."""
    for kind in NETWORKS:
        for size in sizes:
            with ProcessPoolExecutor(max_workers=1, mp_context=get_context("forkserver")) as process:
                yield from process.submit(predict_once, kind, size).result()


def predict_once(kind: str, size: int) -> list[Figure]:
    """Time and peak memory of this process when it predicts one network of about ``size`` operations."""
    torch.set_num_threads(1)
    bundle = load_bundle("nnformer-base")
    model = NETWORKS[kind](size)
    Predictor(bundle).predict(RESNET50, PLATFORM)  # the first prediction of a process also starts the libraries
    started = time.thread_time()
    features = features_of(model)
    read = time.thread_time()
    bundle.predict([features], [PLATFORM], [1])
    predicted = time.thread_time()
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return [
        Figure(f"{kind}, reading", len(features), read - started, "s"),
        Figure(f"{kind}, forward pass", len(features), predicted - read, "s"),
        Figure(f"{kind}, peak memory", len(features), peak_kib / 1024, "MiB"),
    ]


def chain(size: int) -> bytes:
    """Convolutions in a row, about ``size`` of them."""
    net = NetworkBuilder("chain")
    x = net.image(32)
    for _ in range(size):
        x = net.conv(x, 16, 3)
    return serialized(net, x)


def cells_in_a_row(cells: int, seed: int) -> bytes:
    """A random cell of NAS-Bench-201, ``cells`` times in a row, behind a convolution."""
    net = NetworkBuilder("cells")
    x = net.conv(net.image(32), 16, 3)
    cell = Cell.draw(np.random.default_rng(seed))
    for index in range(cells):
        with net.scope(f"cell{index}"):
            x = cell.apply(net, x)
    return serialized(net, x)


def cells_of_operations(size: int) -> bytes:
    """As many cells in a row as make about ``size`` operations."""
    seed = 0
    one, two = (len(features_of(cells_in_a_row(count, seed))) for count in (1, 2))
    return cells_in_a_row(round(size / (two - one)), seed)


NETWORKS: Mapping[str, Callable[[int], bytes]] = {"chain": chain, "NAS-Bench-201": cells_of_operations}
"""Kinds of networks that come in any size."""


def serialized(net: NetworkBuilder, output: Tensor) -> bytes:
    """The network as an ONNX file without weights."""
    return bytes(net.to_model(output).SerializeToString())


def features_of(model: bytes) -> GraphFeatures:
    """What the forward pass needs to know of an ONNX file."""
    return build_features(load_graph(model))


def run_command(arguments: Sequence[str]) -> None:
    """Run the command line in a process of its own, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "costmodel", *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def cpu_seconds() -> float:
    """CPU time of this thread so far."""
    return time.thread_time()


def cpu_seconds_of_children() -> float:
    """CPU time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def medians(cases: Mapping[str, Callable[[], object]], turns: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds that each of ``cases`` takes, by ``clock``; a first turn to warm up is not counted."""
    seconds: dict[str, list[float]] = {what: [] for what in cases}
    for _ in range(turns + 1):
        for what, run in cases.items():
            started = clock()
            run()
            seconds[what].append(clock() - started)
    return {what: median(taken[1:]) for what, taken in seconds.items()}


def write_table(figures: Sequence[Figure]) -> None:
    """The figures as CSV, each with the machine it was measured on."""
    machine = default_platform_name(
        Environment.capture(runtime="torch", runtime_version=torch.__version__, threads=torch.get_num_threads())
    )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*Figure._fields, "machine"])
        for figure in figures:
            writer.writerow([*figure._replace(value=float(f"{figure.value:.4g}")), machine])


def draw_scaling(figures: Sequence[Figure]) -> None:
    """Time over the size of the network, on logarithmic axes, and memory, on linear ones."""
    import matplotlib.pyplot as plt

    plot, (times, memory) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    curves = dict.fromkeys(f.what for f in figures if f.what.startswith(tuple(NETWORKS)) and f.operations)
    for what in curves:
        points = [(f.operations, f.value) for f in figures if f.what == what]
        axes = memory if what.endswith("memory") else times
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=what)
    times.set(xscale="log", yscale="log", ylabel="CPU seconds, one thread")
    memory.set(ylabel="MiB, the whole process", ylim=(0, None))
    for axes in (times, memory):
        axes.set_xlabel("operations")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(PLOT, dpi=100)


if __name__ == "__main__":
    main()
