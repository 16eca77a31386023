"""Networks tuned end to end at equal trials: NN-Former against TVM's own cost model.

    python benchmarks/tvm_tuning.py tune -o runs/tvm-tuning [--network NAME] [--seed 0]
    python benchmarks/tvm_tuning.py summary -o runs/tvm-tuning

``tune`` tunes each network with one cost model after the other, which of them first depends on the seed; builder,
runner, search and trials are the same, 128 of each task.  Compiled then are the networks as they were tuned by the
first 64 trials of each task, by all, and without tuning, and these programs are timed in turns.  A tuning that was
interrupted starts again, one that is there already is not made again.  ``summary`` writes
``benchmarks/results/tvm-tuning.csv``.  Needs the ``tvm``, ``bench`` and ``dev`` extras, and nothing else on the
machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig, XGBModel
from tvm_offline import write

from costmodel.calibration.measurers.random_inputs import random_inputs
from costmodel.integrations.tvm import NNFormerCostModel, TuningCallback
from costmodel.integrations.tvm.allocated_tuning import tune_allocated
from costmodel.integrations.tvm.collecting import open_database
from costmodel.integrations.tvm.intrinsics import import_intrinsics
from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder, NetworkTimer
from costmodel.integrations.tvm.networks import compile_network, import_onnx, load_onnx
from costmodel.integrations.tvm.targets import host_target
from costmodel.integrations.tvm.workloads import extract_tasks

RESULTS = Path(__file__).parent / "results" / "tvm-tuning.csv"
TRIALS = (64, 128)
ROUND = 16
SEEDS = 3
VISITS = 10
SEARCH = {"population_size": 256, "genetic_num_iters": 3, "init_min_unmeasured": 32}
"""As ``costmodel tvm tune`` searches."""


# --- Networks: small ones that devices run, so that eighteen tunings end in six hours of one core ---


class DsCnn(nn.Module):
    """Keyword spotting: Zhang et al. 2017, in the size of MLPerf Tiny."""

    shape = (1, 1, 49, 10)

    def __init__(self) -> None:
        super().__init__()
        blocks = [layer for _ in range(4) for layer in (*_conv(64, 64, 3, groups=64), *_conv(64, 64, 1))]
        self.layers = nn.Sequential(
            nn.ZeroPad2d((1, 1, 4, 5)),
            nn.Conv2d(1, 64, (10, 4), stride=2),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 12),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the words."""
        return self.layers(x)


class ResNet8(nn.Module):
    """Image classification in MLPerf Tiny: the ResNet of He et al. 2016 for CIFAR-10, one block a stage."""

    shape = (1, 3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, 3))
        self.main = nn.ModuleList(
            nn.Sequential(*_conv(before, after, 3, stride=stride), nn.Conv2d(after, after, 3, padding=1))
            for before, after, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.shortcuts = nn.ModuleList([nn.Identity(), nn.Conv2d(16, 32, 1, stride=2), nn.Conv2d(32, 64, 1, stride=2)])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        x = self.stem(x)
        for main, shortcut in zip(self.main, self.shortcuts, strict=True):
            x = torch.relu(main(x) + shortcut(x))
        return self.head(x)


class TinyBert(nn.Module):
    """Two layers, 128 wide, of two heads, on 128 embedded words: BERT-Tiny of Turc et al. 2019."""

    shape = (1, 128, 128)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "input": nn.Linear(128, 384),
                    "output": nn.Linear(128, 128),
                    "norm": nn.LayerNorm(128),
                    "mlp": nn.Sequential(nn.Linear(128, 512), nn.GELU(), nn.Linear(512, 128)),
                    "mlp_norm": nn.LayerNorm(128),
                }
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer makes of each word."""
        for layer in self.layers:
            q, k, v = layer["input"](x).reshape(1, 128, 3, 2, 64).permute(2, 0, 3, 1, 4).unbind(0)
            weights = torch.softmax(q @ k.transpose(-2, -1) / 8, dim=-1)
            mixed = (weights @ v).permute(0, 2, 1, 3).reshape(1, 128, 128)
            x = layer["norm"](x + layer["output"](mixed))
            x = layer["mlp_norm"](x + layer["mlp"](x))
        return x


def _conv(before: int, after: int, size: int, *, stride: int = 1, groups: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2, groups=groups), nn.ReLU()


NETWORKS: dict[str, Callable[[], nn.Module]] = {"DS-CNN": DsCnn, "ResNet-8": ResNet8, "BERT-Tiny": TinyBert}


def onnx_model(name: str) -> Any:
    """A network as ``costmodel tvm tune`` reads it; random weights, the same each time."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(network, (torch.randn(network.shape),), path, dynamo=True, verbose=False)
        return load_onnx(path)


# --- Tuning ---

COST_MODELS: dict[str, Callable[[int], Any]] = {
    "NN-Former": lambda seed: NNFormerCostModel.from_pretrained(),  # noqa: ARG005  # nothing is drawn
    # TVM's own 100 trials of warm-up would leave most of 128 to chance; after one round it does better.
    "TVM's XGBModel": lambda seed: XGBModel(config=XGBConfig(seed=seed), num_warmup_samples=ROUND, num_tuning_cores=1),
}


def tune(tasks: Sequence[Any], name: str, seed: int, folder: Path) -> None:
    """Tune all tasks; ``folder`` then has TVM's database, and how long it took in ``seconds.json``."""
    if (folder / "seconds.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    cost_model = COST_MODELS[name](seed)
    # Notes when each round ended; a task's first round begins where the last one of the task before it ended.
    callback = TuningCallback(log=folder / "rounds.jsonl", live=False)
    with closing(CpuTimeRunner()) as runner:
        tune_allocated(
            tasks,
            [max(TRIALS)] * len(tasks),
            work_dir=folder,
            database=open_database(folder),
            cost_model=cost_model,
            num_trials_per_iter=ROUND,
            log_files=False,
            strategy=ms.search_strategy.EvolutionarySearch(**SEARCH),
            seed=seed + 1,
            num_threads=1,
            builder=InProcessBuilder(),
            runner=runner,
            measure_callbacks=[callback, *ms.MeasureCallback.create("default")],
        )
    rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    (folder / "seconds.json").write_text(json.dumps({trials: seconds_until(rounds, trials) for trials in TRIALS}))


def seconds_until(rounds: Sequence[Mapping[str, Any]], trials: int) -> float:
    """What the rounds took in which each task came to so many trials."""
    starts = [0.0, *(found["seconds"] for found in rounds)]
    spans = zip(rounds, starts, strict=False)
    return sum(found["seconds"] - start for found, start in spans if found["trials"] <= trials)


def first_trials(folder: Path, trials: int, into: Path) -> Any:
    """A database of the first trials of each task, as if the tuning had ended there."""
    into.mkdir()
    shutil.copy(folder / "database_workload.json", into)
    counts: Counter[int] = Counter()
    with (into / "database_tuning_record.json").open("w") as copy:
        for line in (folder / "database_tuning_record.json").read_text().splitlines(keepends=True):
            workload = json.loads(line)[0]
            counts[workload] += 1
            if counts[workload] <= trials:
                copy.write(line)
    return open_database(into)


def tuned(network: str, seed: int, run: Path) -> Iterator[dict[str, Any]]:
    """One row per cost model and number of trials."""
    model = onnx_model(network)
    module, target = import_onnx(model), host_target()
    tasks = list(extract_tasks(module, target))
    # Seconds that neither cost model is to blame for.
    import_intrinsics()
    names = list(COST_MODELS)[:: 1 if seed % 2 == 0 else -1]
    for name in names:
        start = monotonic()
        tune(tasks, name, seed, run / folder_of(network, name, seed))
        print(f"{network} {seed}: {name}, {len(tasks)} tasks, {monotonic() - start:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as made, closing(NetworkTimer()) as timer:
        libraries = {("", 0): Path(made) / "untuned.so"}
        compile_network(module, target).export_library(str(libraries["", 0]))
        for name in names:
            for trials in TRIALS:
                libraries[name, trials] = library = Path(made) / f"{len(libraries)}.so"
                database = first_trials(run / folder_of(network, name, seed), trials, library.with_suffix(""))
                compile_network(module, target, database).export_library(str(library))
        inputs = random_inputs(model)
        outputs = timer.visit(libraries["", 0], inputs).outputs
        times: dict[tuple[str, int], list[float]] = {key: [] for key in libraries}
        for _ in range(VISITS):
            for key, library in libraries.items():
                found = timer.visit(library, inputs)
                np.testing.assert_allclose(found.outputs[0], outputs[0], rtol=1e-3, atol=1e-3)
                times[key].append(found.latency_ms)
    for name in COST_MODELS:
        seconds = json.loads((run / folder_of(network, name, seed) / "seconds.json").read_text())
        for trials in TRIALS:
            yield {
                "network": network,
                "tasks": len(tasks),
                "seed": seed,
                "cost_model": name,
                "trials": trials,
                "latency_ms": float(np.median(times[name, trials])),
                "untuned_ms": float(np.median(times["", 0])),
                "seconds": float(seconds[str(trials)]),
            }


def folder_of(network: str, name: str, seed: int) -> str:
    """Where a tuning is kept."""
    return f"{network}-{name.split()[-1]}-{seed}"


def summary(rows: Sequence[Mapping[str, str]]) -> None:
    """Means and standard deviations over seeds, and how the two compare seed by seed."""
    theirs = {(r["network"], r["seed"], r["trials"]): r for r in rows if r["cost_model"] != "NN-Former"}
    for network in NETWORKS:
        for trials in map(str, TRIALS):
            same = [row for row in rows if (row["network"], row["trials"]) == (network, trials)]
            for name in COST_MODELS:
                of_one = [row for row in same if row["cost_model"] == name]
                if not of_one:
                    continue
                latency = np.array([float(row["latency_ms"]) for row in of_one])
                seconds = np.array([float(row["seconds"]) for row in of_one])
                untuned = np.mean([float(row["untuned_ms"]) for row in of_one])
                others = np.array([float(theirs[network, r["seed"], trials]["latency_ms"]) for r in of_one])
                print(
                    f"{network:<10} {trials:>4} a task  {name:<15} {latency.mean():.4f} ± {latency.std():.4f} ms "
                    f"(untuned {untuned:.4f}), {np.exp(np.log(latency / others).mean()):.3f} of XGBModel's, "
                    f"{seconds.mean():.0f} ± {seconds.std():.0f} s"
                )


def main() -> None:
    """Some tunings, or all of them together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["tune", "summary"])
    parser.add_argument("-o", "--run", type=Path, required=True)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: all")
    parser.add_argument("--seed", type=int, action="append", help=f"default: 0 to {SEEDS - 1}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.step == "tune":
        for seed in arguments.seed or range(SEEDS):
            for network in arguments.network or NETWORKS:
                path = arguments.run / f"{network}-{seed}.csv"
                if not path.exists():
                    write(path, list(tuned(network, seed, arguments.run)))
        return
    rows = [row for path in sorted(arguments.run.glob("*.csv")) for row in csv.DictReader(path.open())]
    write(RESULTS, rows)
    summary(rows)


if __name__ == "__main__":
    main()
