"""Tune a small network with TVM, led by NN-Former and watched by a callback; compile it; check it.

    pip install 'nnformer-costmodel[tvm]'
    python examples/tvm_tuning_callback.py [--trials 64] [--weights NAME_OR_FILE]

Minutes on one core.  ``costmodel tvm tune MODEL.onnx -o FOLDER`` does the same for a file of yours, and goes on where
it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir import meta_schedule as ms

from costmodel.integrations.tvm import NNFormerCostModel, TuningCallback
from costmodel.integrations.tvm.allocated_tuning import tune_allocated
from costmodel.integrations.tvm.allocation import allocate_trials
from costmodel.integrations.tvm.estimate import estimate
from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder, NetworkTimer
from costmodel.integrations.tvm.networks import compile_network
from costmodel.integrations.tvm.targets import host_target
from costmodel.integrations.tvm.task_shares import task_shares
from costmodel.integrations.tvm.weights import DEFAULT_WEIGHTS
from costmodel.integrations.tvm.workloads import extract_tasks


def main() -> None:
    """Tune, compile, check, and say what it was good for."""
    options = parse_options()
    model = small_network()
    image = np.random.default_rng(1).standard_normal((1, 3, 32, 32), dtype=np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})

    # 1. From ONNX to Relax, weights and all.  The target is one core: candidates are timed by the CPU time of one
    #    thread, which does not count what else the machine does.
    module = from_onnx(model)
    target = host_target()

    with tempfile.TemporaryDirectory() as folder, closing(CpuTimeRunner()) as runner:
        work = Path(folder)

        # 2. The cost model takes the place of "xgb".  It has seen thousands of candidates of other networks, so that
        #    it puts the first ones in order too, and learns from every batch that is measured.
        cost_model = NNFormerCostModel.from_pretrained(options.weights)

        # 3. The callback notes each round, keeps what the model has learned, and ends a task once two rounds in a row
        #    were expected to bring, and brought, less than two per cent.  It stands in front of TVM's own callbacks,
        #    where predictions are still predictions, and behind them, where the model has learned from the round.
        tuning = TuningCallback(
            cost_model=cost_model,
            log=work / "rounds.jsonl",
            checkpoint=work / "model.safetensors",
            stop_below=0.02,
        )
        callbacks = [tuning, *ms.MeasureCallback.create("default"), tuning]

        # 4. What is to be tuned, and how many candidates of each.  Tasks that are predicted to take more of the
        #    network's latency get more: TVM's own scheduler begins with a round of each, large or small.
        tasks = extract_tasks(module, target)
        shares = task_shares(tasks, module, estimate(module, "epyc-f25m1-ort1.32-fp32-1t"))
        trials = allocate_trials(shares, options.trials)

        # 5. As ms.relax_integration.tune_relax with these arguments, but for the trials.  The search is a small one:
        #    with TVM's own sizes it would take longer on one core than all the measuring.
        database = tune_allocated(
            tasks,
            trials,
            work_dir=work,
            cost_model=cost_model,
            measure_callbacks=callbacks,
            builder=InProcessBuilder(),
            runner=runner,
            strategy=ms.search_strategy.EvolutionarySearch(
                population_size=64, genetic_num_iters=2, init_min_unmeasured=16
            ),
            num_trials_per_iter=8,
            log_files=False,
            seed=1,
        )

        # 6. Compile with the best candidates, and without any.
        before, after = work / "before.so", work / "after.so"
        compile_network(module, target).export_library(str(before))
        compile_network(module, target, database).export_library(str(after))

        # 7. Run both in a process of their own, and compare with what ONNX says the network computes.
        with closing(NetworkTimer()) as timer:
            untuned, tuned = timer.visit(before, [image]), timer.visit(after, [image])
        for run in (untuned, tuned):
            np.testing.assert_allclose(run.outputs[0], expected, rtol=1e-3, atol=1e-3)

        print_rounds((work / "rounds.jsonl").read_text().splitlines())
        print("outputs agree with ONNX's reference within 0.001")
        print(f"before: {untuned.latency_ms:.4f} ms, after: {tuned.latency_ms:.4f} ms")


def parse_options() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description="Tune a small network with TVM.")
    parser.add_argument("--trials", type=int, default=64, help="candidates to measure, of all tasks together")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the cost model to start with")
    return parser.parse_args()


def small_network() -> onnx.ModelProto:
    """Two convolutions with their activations and poolings, and a classifier."""
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        return numpy_helper.from_array((generator.standard_normal(shape) * scale).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pool1", "w2", "b2"], ["conv2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("GlobalAveragePool", ["relu2"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [
            weights("w1", 16, 3, 3, 3),
            weights("b1", 16),
            weights("w2", 32, 16, 3, 3),
            weights("b2", 32),
            weights("w3", 10, 32),
            weights("b3", 10),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def print_rounds(lines: Iterable[str]) -> None:
    """What the callback noted."""
    print(f"{'task':<28} {'round':>5} {'trials':>6} {'best ms':>9} {'pairs in order':>14}")
    for line in lines:
        found = json.loads(line)
        best = "" if found["best_ms"] is None else f"{found['best_ms']:.4f}"
        order = "" if found["rank_accuracy"] is None else f"{found['rank_accuracy']:.2f}"
        print(f"{found['task'][:28]:<28} {found['round']:>5} {found['trials']:>6} {best:>9} {order:>14}")


if __name__ == "__main__":
    main()
