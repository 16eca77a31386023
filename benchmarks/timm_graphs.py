"""Read every architecture of timm's published benchmark as a graph, and say which cannot be read.

    python benchmarks/timm_graphs.py -o runs/timm-graphs [--all] [--part 0/2]

Needs ``pip install timm`` beside the project, and ``COSTMODEL_DATA`` (see ``costmodel.data.timm_benchmark``)
unless ``--all`` asks for every architecture of the installed timm at its default size instead.  Graphs that are
there already are kept, so an interrupted run goes on where it stopped; failures are listed in ``failures.csv``.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from pathlib import Path

import torch
from timm_models import add_part_option, create_on_meta, import_timm, share_of, time_limit

from costmodel.data import GraphStore
from costmodel.data.timm_benchmark import read_timm_benchmark, timm_benchmark_path
from costmodel.graph import load_graph

TIME_LIMIT_S = 300


def wanted(everything: bool) -> list[tuple[str, int]]:
    """Pairs of architecture and image size."""
    if not everything:
        return sorted({(row.arch, row.image_size) for row in read_timm_benchmark(timm_benchmark_path())})
    timm = import_timm()
    sizes = []
    for arch in timm.list_models():
        config = timm.models.get_pretrained_cfg(arch)
        sizes.append((arch, config.input_size[-1] if config and config.input_size else 224))
    return sizes


def main() -> int:
    """Export what is missing; returns 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="every architecture of timm at its default size")
    add_part_option(parser)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    store = GraphStore(arguments.output)
    failures = []
    pairs = share_of(wanted(arguments.all), arguments.part)
    for index, (arch, size) in enumerate(pairs):
        key = f"{arch}@{size}"
        if key in store:
            continue
        began = time.perf_counter()
        try:
            with time_limit(TIME_LIMIT_S):
                module, image = create_on_meta(arch, size)
                graph = load_graph(module, example_inputs=(image,)).renamed(key)
            store.write(key, graph)
            print(f"{index} {key}: {len(graph)} operations, {time.perf_counter() - began:.1f} s", flush=True)
        except Exception as error:  # the table of failures is the point
            failures.append(f'{arch},{size},"{str(error).splitlines()[0] if str(error) else type(error).__name__}"')
            print(f"{index} {key}: {failures[-1]}", file=sys.stderr, flush=True)
        finally:
            gc.collect()
    if failures:
        arguments.output.mkdir(parents=True, exist_ok=True)
        failed = arguments.output / f"failures-{arguments.part.partition('/')[0]}.csv"
        failed.write_text("\n".join(["arch,image_size,error", *failures]) + "\n")
    print(f"{len(pairs) - len(failures)} of {len(pairs)} architectures read")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
