"""``costmodel tvm tune``: from a tiny ONNX file to a library, in one go or in several; what goes wrong on the way."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from costmodel.errors import MeasurementError
from costmodel.predictor import Predictor

needs_tvm = pytest.mark.skipif(find_spec("tvm") is None, reason="TVM is not installed: pip install '.[tvm]'")

WEIGHTS = "weights.safetensors"
TUNE = ("net.onnx", "-o", "tuned", "-w", WEIGHTS, "-p", "*i9*")


@pytest.fixture
def run(run: Callable[..., Any]) -> Callable[..., Any]:
    """Runs ``costmodel tvm tune``."""
    return partial(run, "tune")


def write_network(path: str, batch: int | str = 16, width: int | str = 24, seed: int = 0) -> None:
    """Two products, the first with an activation: two tasks."""
    generator = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(generator.standard_normal((24, 24), dtype=np.float32), name) for name in ("v", "w")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 24])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def network(run, monkeypatch, untrained_bundle) -> None:
    """A network, and a cost model that never learned, in the folder of ``run``; what predicts shares has not either."""
    if find_spec("tvm") is None:
        pytest.skip("TVM is not installed: pip install '.[tvm]'")
    from costmodel.integrations.tvm import network_tuning
    from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
    from costmodel.integrations.tvm.weights import save_weights

    write_network("net.onnx")
    torch.manual_seed(0)
    save_weights([CandidateModel(CandidateModelConfig.of_size(16, 1))], WEIGHTS)
    monkeypatch.setattr(Predictor, "from_pretrained", lambda: Predictor(untrained_bundle))
    search = {"population_size": 8, "genetic_num_iters": 1, "init_min_unmeasured": 4}
    monkeypatch.setattr(network_tuning, "_SEARCH", search)
    monkeypatch.setattr(network_tuning, "_TRIALS_A_ROUND", 4)


@pytest.fixture
def timed(monkeypatch) -> list[float]:
    """Seconds that tasks without tuning and candidates are said to take, in turn; the last for ever.  Nothing runs."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.runner import PyRunner, RunnerResult

    from costmodel.integrations.tvm import measuring

    secs = [2e-3, 2e-3, 1e-3]

    @derived_object
    class Invented(PyRunner):
        def run(self, runner_inputs: list[Any]) -> list[Any]:
            times = [secs.pop(0) if len(secs) > 1 else secs[0] for _ in runner_inputs]
            return [measuring.Finished(RunnerResult([time], None)) for time in times]

        def close(self) -> None: ...

    monkeypatch.setattr(measuring, "CpuTimeRunner", Invented)
    return secs


def records() -> int:
    return Path("tuned/database_tuning_record.json").read_bytes().count(b"\n")


# --- From a file to a library ---


@needs_tvm
def test_from_a_file_to_a_library_and_on(run, network):
    first = run(*TUNE, "--trials", "6", "-f", "json")
    measured = Path("tuned/database_tuning_record.json").read_bytes()
    again = run(*TUNE, "--trials", "6", "-f", "csv")

    assert (first.code, first.err) == (0, "")
    document = json.loads(first.out)
    assert len(document["tasks"]) == 2
    assert sum(row["trials"] for row in document["tasks"]) == 6
    assert sum(row["share"] for row in document["tasks"]) == pytest.approx(1)
    assert all(row["measured"] == row["trials"] for row in document["tasks"])
    assert all(1e-5 < row[name] < 100 for row in document["tasks"] for name in ("untuned_ms", "best_ms"))
    library = document["library"]
    assert library["path"] == "tuned/network.so"
    assert 0 <= library["difference"] <= library["tolerance"] == 1e-3
    assert library["tuned_ms"] > 0
    assert (library["onnxruntime_difference"] is None) == (find_spec("onnxruntime") is None)
    names = {path.name for path in Path("tuned").iterdir()}
    assert {"network.so", "model.safetensors", "rounds.jsonl", "tuning.json", "database_workload.json"} <= names
    rounds = [json.loads(line) for line in Path("tuned/rounds.jsonl").read_text().splitlines()]
    assert {found["task"] for found in rounds} == {row["task"] for row in document["tasks"]}
    assert_computes("tuned/network.so")

    assert (again.code, again.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(again.out)))
    assert [float(row["best_ms"]) for row in rows] == [row["best_ms"] for row in document["tasks"]]
    assert Path("tuned/database_tuning_record.json").read_bytes() == measured, "nothing is measured twice"


def assert_computes(library: str) -> None:
    import tvm
    from tvm import relax

    image = np.random.default_rng(1).standard_normal((16, 24), dtype=np.float32)
    v, w = (numpy_helper.to_array(tensor) for tensor in onnx.load("net.onnx").graph.initializer)
    machine = relax.VirtualMachine(tvm.runtime.load_module(library), tvm.cpu())
    found = machine["main"](tvm.runtime.tensor(image)).numpy()
    np.testing.assert_allclose(found, np.maximum(image @ v, 0) @ w, rtol=1e-3, atol=1e-3)


@needs_tvm
def test_more_trials_go_on_and_ctrl_c_loses_nothing(run, network, timed, monkeypatch):
    from costmodel.integrations.tvm import measuring
    from costmodel.integrations.tvm.ranker import CandidateRanker

    timed[:] = [2e-3, 2e-3, *(1e-3 + 1e-5 * number for number in range(50))]

    done = run(*TUNE, "--trials", "8")
    assert (done.code, done.err) == (0, "")
    assert records() == 8
    assert "times as fast" in done.out
    assert "at most 0.001 is allowed" in done.out
    library = Path("tuned/network.so").read_bytes()

    build, built = measuring.InProcessBuilder.build, []

    def press_after_five(self: Any, build_inputs: list[Any]) -> list[Any]:
        built.extend(build_inputs)
        if len(built) == 6:  # the first round of four is measured by then
            os.kill(os.getpid(), signal.SIGINT)
        return build(self, build_inputs)

    with monkeypatch.context() as patch:
        patch.setattr(measuring.InProcessBuilder, "build", press_after_five)
        interrupted = run(*TUNE, "--trials", "24")
    assert interrupted.code == 130
    assert interrupted.err.endswith("Everything measured is in tuned; run the same command again to go on.\n")
    assert records() == 12
    assert Path("tuned/network.so").read_bytes() == library

    learn, learned = CandidateRanker.learn, []

    def learn_and_count(self: Any, task: str, candidates: list[Any], run_secs: list[float]) -> None:
        learned.append(len(candidates))
        learn(self, task, candidates, run_secs)

    monkeypatch.setattr(CandidateRanker, "learn", learn_and_count)
    resumed = run(*TUNE, "--trials", "24", "-f", "json")
    assert (resumed.code, resumed.err) == (0, "")
    assert records() == 24
    tasks = json.loads(resumed.out)["tasks"]
    assert sum(row["measured"] for row in tasks) == 24
    assert learned[0] == 3 + 4, "what earlier runs measured of the task that was interrupted"
    assert sum(learned) == 24
    assert len({json.loads(line)["seconds"] for line in Path("tuned/rounds.jsonl").read_text().splitlines()}) > 3


@needs_tvm
def test_what_is_slower_than_without_tuning_is_left_out(run, network, timed):
    timed[:] = [1e-3, 1e-3, 2e-3]

    done = run(*TUNE, "--trials", "4", "-f", "csv")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["untuned_ms"], row["best_ms"], row["is_faster"]) for row in rows] == [("1.0", "2.0", "False")] * 2


@needs_tvm
def test_a_task_that_was_stopped_stays_stopped_until_it_may_take_more(run, network, timed):
    timed[:] = [1e-3]  # nothing is ever gained, and models that say so would be a lot to ask of the untrained
    early = (*TUNE, "--early-stop", "0.99")

    stopped = run(*early, "--trials", "80", "-f", "json")
    count = records()
    again = run(*early, "--trials", "80", "-f", "json")

    assert (stopped.code, again.code) == (0, 0)
    assert count < 80
    assert records() == count
    assert run(*early, "--trials", "120").code == 0
    assert records() > count


@needs_tvm
def test_sizes_that_are_open_can_be_given(run, network, timed):
    write_network("net.onnx", "n", "m")

    refused = run(*TUNE, "--trials", "2")
    done = run(*TUNE, "--trials", "2", "--shape", "x:16x24")

    assert refused.code == 2
    assert "--shape x:1x" in refused.err
    assert done.code == 0
    assert_computes("tuned/network.so")


@needs_tvm
def test_where_the_latency_cannot_be_predicted_flops_share_out(run, network, timed, monkeypatch):
    from costmodel.errors import UnsupportedModelError
    from costmodel.integrations.tvm import network_tuning

    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedModelError("an operation nobody knows.")

    monkeypatch.setattr(network_tuning, "estimate", refuse)

    done = run(*TUNE, "--trials", "4", "-f", "json")

    assert done.code == 0
    assert "trials go by FLOPs: an operation nobody knows." in done.err
    assert sum(row["measured"] for row in json.loads(done.out)["tasks"]) == 4


# --- What goes wrong ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "MODEL"),
        (("net.onnx",), "-o"),
        ((*TUNE, "--trials", "0"), "--trials"),
        ((*TUNE, "--early-stop", "-0.1"), "--early-stop"),
        ((*TUNE, "--format", "xml"), "table"),
    ],
)
def test_what_is_typed_wrong(run, arguments, message):
    done = run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


@needs_tvm
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing.onnx", *TUNE[1:]), 3, "cannot read missing.onnx: No such file"),
        (("damaged.onnx", *TUNE[1:]), 3, "damaged.onnx is not an ONNX model"),
        (("empty.onnx", *TUNE[1:]), 3, "empty.onnx has no operations"),
        (("weightless.onnx", *TUNE[1:]), 3, "Copy the files beside it"),
        (("unknown.onnx", *TUNE[1:]), 3, "TVM's importer does not take the model"),
        (("open.onnx", *TUNE[1:]), 2, "the file leaves sizes open that only you know"),
        ((*TUNE, "--shape", "z:1x2"), 2, "z"),
        ((*TUNE, "--batch", "3"), 2, "export it at that batch"),
        ((*TUNE[:3], "-w", "nnformer-metaschedul"), 2, "unknown cost model 'nnformer-metaschedul'"),
        ((*TUNE[:3], "-w", "damaged.onnx"), 1, "cannot be read as weights"),
        ((*TUNE[:5], "-p", "abacus"), 2, "abacus"),
        ((*TUNE, "--target", "warp-drive"), 2, "--target"),
        ((*TUNE, "--target", "cuda"), 2, "by the CPU time of one thread"),
        ((*TUNE, "--target", "llvm"), 2, "num-cores not given"),
        ((*TUNE, "--early-stop", "1"), 2, "expected a fraction"),
        (("net.onnx", "-o", "net.onnx/tuned", *TUNE[3:]), 2, "cannot"),
        (("net.onnx", "-o", "collected", *TUNE[3:]), 2, "no tuning.json"),
        (("net.onnx", "-o", "broken", *TUNE[3:]), 1, "is damaged"),
    ],
)
def test_what_cannot_be_tuned(run, network, timed, arguments, code, message):
    Path("damaged.onnx").write_bytes(Path("net.onnx").read_bytes()[:-100] + b"\xff" * 9)
    Path("empty.onnx").write_bytes(b"")
    write_network("open.onnx", 16, "width")
    model = onnx.load("net.onnx")
    model.graph.node[1].op_type, model.graph.node[1].domain = "Warp", "drive"
    model.opset_import.append(helper.make_opsetid("drive", 1))
    onnx.save(model, "unknown.onnx")
    onnx.save(
        onnx.load("net.onnx"), "weightless.onnx", save_as_external_data=True, size_threshold=0, location="weights"
    )
    Path("weights").unlink()
    Path("collected").mkdir()
    Path("collected/database_tuning_record.json").write_text("")
    Path("broken").mkdir()
    Path("broken/tuning.json").write_text("{")

    done = run(*arguments)

    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert not Path("tuned/network.so").exists()


@needs_tvm
def test_a_folder_is_of_one_network_target_and_cost_model(run, network, timed):
    from costmodel.integrations.tvm.cost_model import NNFormerCostModel
    from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
    from costmodel.integrations.tvm.networks import import_onnx, load_onnx
    from costmodel.integrations.tvm.targets import host_target
    from costmodel.integrations.tvm.tuning_folder import TuningFolder
    from costmodel.integrations.tvm.weights import save_weights

    module = import_onnx(load_onnx("net.onnx"))
    TuningFolder.open("tuned", module, host_target(), NNFormerCostModel.from_pretrained(WEIGHTS))
    write_network("other.onnx", seed=1)
    save_weights([CandidateModel(CandidateModelConfig.of_size(16, 1))], "other.safetensors")

    few = ("--trials", "2")
    of_network = run("other.onnx", *TUNE[1:], *few)
    for_target = run(*TUNE, *few, "--target", '{"kind": "llvm", "num-cores": 1}')
    with_weights = run(*TUNE[:3], "-w", "other.safetensors", *TUNE[5:], *few)

    assert [done.code for done in (of_network, for_target, with_weights)] == [2, 2, 2]
    assert "tuned holds a tuning of another network" in of_network.err
    assert "tuned holds a tuning for {" in for_target.err
    assert "tuned holds a tuning with another cost model" in with_weights.err


@needs_tvm
def test_a_network_that_computes_something_else_is_not_written(run, network, timed, monkeypatch):
    from costmodel.integrations.tvm import network_check
    from costmodel.integrations.tvm.networks import compile_network, import_onnx, load_onnx

    write_network("other.onnx", seed=1)
    other = import_onnx(load_onnx("other.onnx"))

    def compile_other(module: Any, target: Any, database: Any = None) -> Any:
        return compile_network(module if database is None else other, target)

    monkeypatch.setattr(network_check, "compile_network", compile_other)

    done = run(*TUNE, "--trials", "2")

    assert (done.code, done.out) == (1, "")
    assert "computes something else than without tuning" in done.err
    assert not Path("tuned/network.so").exists()


@needs_tvm
def test_a_full_disk_is_told(run, network, timed, monkeypatch):
    from costmodel.integrations.tvm import network_check

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(network_check, "copyfile", no_room)
        unwritten = run(*TUNE, "--trials", "2")
    assert unwritten.code == 2
    assert "cannot write tuned/network.so: No space left on device" in unwritten.err
    assert not list(Path("tuned").glob(".network*"))

    # TVM says nothing when records do not reach the disk.
    database = Path("tuned/database_tuning_record.json")
    database.chmod(0o444)
    monkeypatch.setattr("costmodel.integrations.tvm.tuning_folder._RECORDS", "elsewhere.json")
    lost = run(*TUNE, "--trials", "8")
    assert lost.code == 1
    assert "is the disk full?" in lost.err


# --- What is compared ---


@needs_tvm
def test_a_library_that_does_not_run_is_an_error(tmp_path):
    from costmodel.integrations.tvm.measuring import NetworkTimer

    with closing(NetworkTimer()) as timer, pytest.raises(MeasurementError, match="the compiled network does not run"):
        timer.visit(tmp_path / "missing.so", [])


@needs_tvm
@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ([[1.0, -2.0]], [[1.0, -2.0]], 0.0),
        ([[1.0, -2.0]], [[1.5, -2.0]], 0.25),
        ([[1.0], [4.0]], [[1.0], [3.0]], 0.25),
        ([[0.0]], [[0.0]], 0.0),
        ([[0.0]], [[1e-9]], np.inf),
        ([[np.nan, np.inf, 1.0]], [[np.nan, np.inf, 1.0]], 0.0),
        ([[np.nan, 1.0]], [[0.0, 1.0]], np.inf),
        ([[1.0]], [[np.nan]], np.inf),
        ([[np.inf, 1.0]], [[-np.inf, 1.0]], np.inf),
        ([[1.0]], [[1.0, 1.0]], np.inf),
        ([[1.0]], [[1.0], [1.0]], np.inf),
        ([], [], 0.0),
    ],
)
def test_the_largest_difference(expected, found, difference):
    from costmodel.integrations.tvm.network_check import largest_difference

    one, other = ([np.array(output, dtype=np.float32) for output in outputs] for outputs in (expected, found))

    assert largest_difference(one, other) == pytest.approx(difference)
