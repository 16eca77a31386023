"""Profiles of torch modules: do they add up, do they agree with profilers that run the model, what do they cost?

    python benchmarks/torch_profiles.py architectures
    python benchmarks/torch_profiles.py shares
    python benchmarks/torch_profiles.py cost
    python benchmarks/torch_profiles.py rewrites

``architectures`` profiles one architecture of each family of timm, 65 in all.  ``shares`` compares the predicted share
of time of each kind of operator with onnxruntime's own profile of this machine, on the platform of the shipped weights
that was measured on such a processor, and with ``torch.profiler``.  ``cost`` is the time and memory of a profile of
ResNet-50, in fresh processes.  ``rewrites`` is how well ``RewriteMeter`` agrees with the whole network predicted again.
Each writes ``benchmarks/results/torch-profiles-STEP.csv``.  All need ``pip install timm onnxscript`` and the ``ort``
extra beside the project.
"""

from __future__ import annotations

import argparse
import csv
import gc
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm_models import create_on_meta, import_timm, time_limit
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from costmodel import Predictor
from costmodel.calibration import OnnxFile, OnnxRuntimeMeasurer, Profiler
from costmodel.graph import load_graph
from costmodel.integrations.torch import Profile, RewriteMeter, profile

RESULTS = Path(__file__).parent / "results"
EXAMPLE = Path(__file__).parents[1] / "examples"
TIME_LIMIT_S = 240

# --- Do they add up? ---

ARCHITECTURES = 65
PLATFORMS = ("rtx4090-pt2.4-amp-nhwc", "i9-10940x-pt2.4-fp32-dynamo", "epyc-f25m1-ort1.32-fp32-1t")
SMALL = ("nano", "atto", "femto", "pico", "tiny", "xxs", "mini", "small", "_s", "18", "050", "b0", "s0", "0")
"""Parts of names of small architectures, the smallest first."""


def one_of_each_family() -> list[tuple[str, int]]:
    """An architecture of each of timm's families, which are its modules, and the size of its image; a small one."""
    timm = import_timm()
    families: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        families[timm.models.model_entrypoint(name).__module__.rpartition(".")[2]].append(name)
    chosen = []
    for names in families.values():
        name = min(names, key=lambda name: next((i for i, part in enumerate(SMALL) if part in name), len(SMALL)))
        config = timm.models.get_pretrained_cfg(name)
        chosen.append((name, config.input_size[-1] if config and config.input_size else 224))
    return chosen


def architectures() -> Iterator[dict[str, Any]]:
    """A row for each architecture: sums of modules and operations against the network's latency."""
    predictor = Predictor.from_pretrained()
    done = 0
    for name, size in one_of_each_family():
        began = time.process_time()
        try:
            with time_limit(TIME_LIMIT_S):
                module, image = create_on_meta(name, size)
        except Exception as error:  # timm cannot build it at this size
            print(f"{name}: not built: {str(error).splitlines()[0]}", flush=True)
            continue
        found = profile(module, image, PLATFORMS, predictor=predictor)
        yield {
            "architecture": name,
            "operations": found.total.operations,
            "modules_apart_ms": max(gap_of_modules(found, platform) for platform in PLATFORMS),
            "operations_apart_percent": round(max(gap_of_operations(found, platform) for platform in PLATFORMS), 9),
            "cpu_secs": round(time.process_time() - began, 2),
        }
        done += 1
        gc.collect()
        if done == ARCHITECTURES:
            return


def gap_of_modules(found: Profile, platform: str) -> float:
    """Milliseconds between the network and all that is written in its modules; each module counts once."""
    own = sum(row.own.times[platform].latency_ms for row in found.by_module().walk())
    return abs(own - found.total.times[platform].latency_ms)


def gap_of_operations(found: Profile, platform: str) -> float:
    """Per cent between the predicted latency and the sum of the operations."""
    latency_ms = found.predictions[platform].latency_ms
    return 100 * abs(sum(row.work.times[platform].latency_ms for row in found.operations) / latency_ms - 1)


def say_architectures(rows: list[dict[str, Any]]) -> None:
    """Counts and the largest gaps."""
    print(
        f"{len(rows)} architectures profiled; modules are {max(row['modules_apart_ms'] for row in rows)} ms apart at "
        f"most, operations {max(row['operations_apart_percent'] for row in rows)} %"
    )


# --- Do they agree with profilers that run the model? ---

MODELS = (
    "resnet18",
    "mobilenetv3_small_100",
    "efficientnet_b0",
    "regnetx_004",
    "densenet121",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "mixer_s32_224",
    "poolformer_s12",
    "ghostnet_100",
)
ORT_PLATFORM, TORCH_PLATFORM = "epyc-f25m1-ort1.32-fp32-1t", "i9-10940x-pt2.4-fp32-dynamo"
KINDS = {
    "convolution": ("conv", "mkldnn_convolution"),
    "matrix product": ("gemm", "matmul", "addmm", "linear", "bmm", "attention", "scaled_dot_product", "einsum", "mm"),
    "pooling": ("pool", "reducemean", "mean", "reduce"),
    "normalisation": ("norm",),
    "activation": ("relu", "gelu", "swish", "silu", "hard", "sigmoid", "softmax", "clip", "erf", "elu", "tanh", "mish"),
    "element-wise": ("add", "mul", "sub", "div", "pow", "sqrt"),
}


def kind_of(operator: str) -> str:
    """What sort of operator it is, whatever it is called; data movement is among the others."""
    name = operator.lower().removeprefix("aten::")
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")


def shares() -> Iterator[dict[str, Any]]:
    """A row for each model, profiler and kind of operator."""
    predictor = Predictor.from_pretrained()
    timm = import_timm()
    for name in MODELS:
        torch.manual_seed(0)
        module, image = timm.create_model(name).eval(), torch.randn(1, 3, 224, 224)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.onnx"
            torch.onnx.export(module, (image,), path, dynamo=True, verbose=False)
            by_ort = profile(path, platform=ORT_PLATFORM, predictor=predictor)
            measured_by_ort = ort_times(path, by_ort)
        yield from rows_of(name, "onnxruntime", kinds_of(by_ort, ORT_PLATFORM), measured_by_ort)
        by_torch = profile(module, image, TORCH_PLATFORM, predictor=predictor)
        yield from rows_of(name, "torch.profiler", kinds_of(by_torch, TORCH_PLATFORM), torch_times(module, image))
        print(name, flush=True)


def kinds_of(found: Profile, platform: str) -> Mapping[str, float]:
    """Predicted milliseconds of each kind of operator."""
    times: Counter[str] = Counter()
    for row in found.by_operator(platform):
        times[kind_of(row.op_type)] += row.work.times[platform].latency_ms
    return times


def ort_times(path: Path, predicted: Profile) -> Mapping[str, float]:
    """Milliseconds that onnxruntime's kernels took, by the kind of the predicted operation that has their node."""
    with Profiler(OnnxRuntimeMeasurer()) as profiler:
        found = profiler.profile(OnnxFile.at(path))
    kinds = {source: kind_of(row.op_type) for row in predicted.operations for source in row.sources}
    times: Counter[str] = Counter()
    for kernel in found.kernels:
        times[kinds.get(kernel.node or "", kind_of(kernel.op_type))] += kernel.time_ms
    return times


def torch_times(module: torch.nn.Module, image: torch.Tensor, runs: int = 10) -> Mapping[str, float]:
    """Milliseconds of its own that each kind of ATen operator took in eager mode, the first run not counted."""
    with torch.inference_mode():
        module(image)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
            for _ in range(runs):
                module(image)
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        if event.key.startswith("aten::"):
            times[kind_of(event.key)] += event.self_cpu_time_total * 1e-3 / runs
    return times


def rows_of(
    model: str, profiler: str, predicted: Mapping[str, float], measured: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """Both as per cent of their sums."""
    totals = sum(predicted.values()), sum(measured.values())
    for kind in (*KINDS, "other"):
        said, was = 100 * predicted.get(kind, 0.0) / totals[0], 100 * measured.get(kind, 0.0) / totals[1]
        yield {
            "model": model,
            "profiler": profiler,
            "kind": kind,
            "predicted_percent": round(said, 2),
            "measured_percent": round(was, 2),
            "apart_points": round(said - was, 2),
        }


def say_shares(rows: list[dict[str, Any]]) -> None:
    """The mean and the largest difference of each model and kind."""
    for profiler in ("onnxruntime", "torch.profiler"):
        for key in ("model", "kind"):
            for value in dict.fromkeys(row[key] for row in rows):
                apart = [abs(row["apart_points"]) for row in rows if (row["profiler"], row[key]) == (profiler, value)]
                print(f"{profiler:<15} {value:<24} {np.mean(apart):5.1f} points apart, {max(apart):5.1f} at most")


# --- What do they cost? ---

REPEATS = 5
COST_SCRIPT = """
import resource, sys, time
sys.path.insert(0, {example!r})
import torch
from profile_fx_model import ResNet50
with torch.device("meta"):
    module, image = ResNet50(), torch.zeros(1, 3, 224, 224)
before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wall, cpu = time.perf_counter(), time.process_time()
from costmodel.integrations.torch import profile
def timed(wall, cpu):
    profile(module, image, "i9-10940x-pt2.4-fp32-dynamo")
    return time.perf_counter() - wall, time.process_time() - cpu
cold = timed(wall, cpu)
warm = timed(time.perf_counter(), time.process_time())
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
print(*cold, *warm, memory)
"""


def cost() -> Iterator[dict[str, Any]]:
    """A row for each fresh process: the first profile with its imports, the next one, and the memory of both."""
    script = COST_SCRIPT.format(example=str(EXAMPLE))
    for repeat in range(REPEATS):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        names = ("cold_wall_secs", "cold_cpu_secs", "warm_wall_secs", "warm_cpu_secs", "memory_mib")
        yield {
            "repeat": repeat,
            **{name: round(float(text), 3) for name, text in zip(names, done.stdout.split(), strict=True)},
        }


def say_cost(rows: list[dict[str, Any]]) -> None:
    """Medians."""
    for name in list(rows[0])[1:]:
        print(f"{name:<16} {np.median([row[name] for row in rows]):.2f}")


# --- Is a local change predicted as the whole is? ---

REWRITTEN = ("resnet18", "mobilenetv3_small_100", "convnext_atto", "vit_tiny_patch16_224")
CHANGES_EACH = 24


def rewrites() -> Iterator[dict[str, Any]]:
    """A row for each change: what the meter says, what the whole predicted again says, and what each costs."""
    predictor = Predictor.from_pretrained()
    for name in REWRITTEN:
        module, image = create_on_meta(name, 224)
        graph_module = make_fx(module, tracing_mode="fake", _allow_non_fake_inputs=True)(image)
        meter = RewriteMeter(graph_module, TORCH_PLATFORM, predictor=predictor)
        rng = np.random.default_rng(0)
        for number in range(CHANGES_EACH):
            undo = changed_somewhere(graph_module.graph, rng)
            if undo is None:
                continue
            meter.change_ms()  # infers the shapes of new nodes
            began = time.perf_counter()
            change_ms = meter.change_ms()
            meter_secs = time.perf_counter() - began
            whole_ms = predictor.predict(load_graph(graph_module), TORCH_PLATFORM).latency_ms - meter.latency_ms
            whole_secs = time.perf_counter() - began - meter_secs
            undo()
            yield {
                "model": name,
                "nodes": len(graph_module.graph.nodes),
                "change": number,
                "latency_ms": round(meter.latency_ms, 5),
                "meter_ms": round(change_ms, 5),
                "whole_ms": round(whole_ms, 5),
                "meter_cost_ms": round(1e3 * meter_secs, 2),
                "whole_cost_ms": round(1e3 * whole_secs, 2),
            }
        print(name, flush=True)


ACTIVATIONS = (
    torch.ops.aten.relu.default,
    torch.ops.aten.gelu.default,
    torch.ops.aten.silu.default,
    torch.ops.aten.hardswish.default,
    torch.ops.aten.sigmoid.default,
)


def changed_somewhere(graph: fx.Graph, rng: np.random.Generator) -> Callable[[], None] | None:
    """Put another call in the place of one that keeps the shape, or leave it out; how to put it back."""
    same_shape = [
        node
        for node in graph.nodes
        if node.op == "call_function"
        and node.users
        and node.args
        and isinstance(node.args[0], fx.Node)
        and isinstance(node.meta.get("val"), torch.Tensor)
        and getattr(node.args[0].meta.get("val"), "shape", None) == node.meta["val"].shape
    ]
    node = same_shape[rng.integers(len(same_shape))]
    source = node.args[0]
    new = None
    if rng.random() < 0.5:
        with graph.inserting_after(node):
            new = graph.call_function(ACTIVATIONS[rng.integers(len(ACTIVATIONS))], (source,))
    readers = list(node.users)
    for reader in readers:
        reader.replace_input_with(node, new or source)

    def undo() -> None:
        for reader in readers:
            reader.replace_input_with(new or source, node)
        if new is not None:
            graph.erase_node(new)

    return undo


def say_rewrites(rows: list[dict[str, Any]]) -> None:
    """How often the sign is right, how far off the change is, and what it costs."""
    for name in (*REWRITTEN, "all"):
        same = [row for row in rows if name in (row["model"], "all")]
        meter, whole = (np.array([row[key] for row in same]) for key in ("meter_ms", "whole_ms"))
        latency = np.array([row["latency_ms"] for row in same])
        counts = np.abs(whole) > 1e-3 * latency
        right = (np.sign(meter) == np.sign(whole))[counts].mean()
        costs = [np.median([row[key] for row in same]) for key in ("meter_cost_ms", "whole_cost_ms")]
        print(
            f"{name:<24} {len(same):>3} changes, {counts.sum()} of them over 0.1 % of the latency: sign right in "
            f"{100 * right:.0f} %, {100 * np.abs(meter - whole).mean() / np.abs(whole).mean():.0f} % off on average; "
            f"{costs[0]:.1f} ms instead of {costs[1]:.1f}"
        )


STEPS: dict[str, tuple[Callable[[], Iterator[dict[str, Any]]], Callable[[list[dict[str, Any]]], None]]] = {
    "architectures": (architectures, say_architectures),
    "shares": (shares, say_shares),
    "cost": (cost, say_cost),
    "rewrites": (rewrites, say_rewrites),
}


def main() -> None:
    """One step: its table, and what there is to say of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    make, say = STEPS[arguments.step]
    rows = list(make())
    with (RESULTS / f"torch-profiles-{arguments.step}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    say(rows)


if __name__ == "__main__":
    main()
