"""The tasks that weights are trained on, and how a Relax module becomes tasks."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("tvm", reason="tasks are TVM's: pip install '.[tvm]'")

import tvm_ffi
from tvm import relax, tirx
from tvm.s_tir.analysis import estimate_tir_flops

from costmodel.errors import UnknownNameError, UnsupportedModelError
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.workloads import WIDE_WORKLOADS, WORKLOADS, Workload, extract_tasks, find_workload

MOST_FLOPS = 0.5e9
ALL = (*WORKLOADS, *WIDE_WORKLOADS)


@pytest.fixture(scope="module")
def modules(target):
    """The task of every workload, by its name."""
    return {workload.name: workload.module(target) for workload in ALL}


def two_operators():
    """A matmul with its bias, and a softmax, which is not fused with it."""
    builder = relax.BlockBuilder()
    shapes = {"x": (8, 16), "w": (16, 4), "b": (4,)}
    x, w, b = (relax.Var(name, relax.TensorType(shape, "float32")) for name, shape in shapes.items())
    with builder.function("main", [x, w, b]):
        with builder.dataflow():
            dense = builder.emit(relax.op.add(relax.op.matmul(x, w), b))
            output = builder.emit_output(relax.op.nn.softmax(dense))
        builder.emit_func_output(output)
    return builder.get()


def test_names_are_unique_and_begin_with_the_kind():
    assert len({workload.name for workload in ALL}) == len(ALL)
    assert len(WORKLOADS) == 48
    assert len({workload.kind for workload in WORKLOADS}) == 14
    assert all(workload.name.startswith(f"{workload.kind}-") and workload.source for workload in ALL)


def test_the_wide_catalogue_has_kinds_of_its_own():
    assert {workload.kind for workload in WIDE_WORKLOADS} - {workload.kind for workload in WORKLOADS} == {
        *("conv1d", "conv3d", "dilated"),
        *("log_softmax", "rms_norm", "group_norm", "instance_norm"),
    }


def test_every_workload_becomes_one_task_unlike_all_others(modules):
    for module in modules.values():
        (function,) = module.functions.values()
        assert isinstance(function, tirx.PrimFunc)
        assert module.get_global_vars()[0].name_hint == "main"
    assert len({tvm_ffi.structural_hash(module) for module in modules.values()}) == len(ALL)


@pytest.mark.parametrize("name", [workload.name for workload in ALL])
def test_a_task_is_no_larger_than_promised_and_can_be_read_as_it_is(name, modules):
    assert 0 < estimate_tir_flops(modules[name]) <= MOST_FLOPS
    graph = read_candidate(modules[name])
    assert graph.statements
    assert candidate_features([graph])[0].work.any()


def test_what_follows_an_operator_is_fused_with_it(modules):
    """The result of the convolution is no argument, that of the last operation is."""
    read = read_candidate(modules["conv1x1-256x14x14-1024-add"])

    written = Counter(access.is_argument for found in read.statements for access in found.accesses if access.is_store)
    assert written[True] == 1
    assert written[False] >= 2


def test_a_workload_is_found_by_its_name():
    assert find_workload("softmax-12x197x197") is next(w for w in WORKLOADS if w.name == "softmax-12x197x197")
    assert find_workload("rms_norm-64x512") is next(w for w in WIDE_WORKLOADS if w.name == "rms_norm-64x512")


def test_a_wrong_name_is_refused_with_those_that_are_near():
    with pytest.raises(
        UnknownNameError, match=r"unknown workload 'softmax-12x197x196'\. Did you mean softmax-12x197x197"
    ):
        find_workload("softmax-12x197x196")


def test_tasks_of_a_module_are_extracted_with_what_is_fused(target):
    tasks = {task.task_name: task for task in extract_tasks(two_operators(), target)}

    assert set(tasks) == {"fused_matmul_add", "softmax"}
    assert all(task.weight == 1 for task in tasks.values())
    graph = read_candidate(tasks["fused_matmul_add"].dispatched[0])
    assert [loop.extent for loop in graph.loops][:3] == [8, 4, 16]


def test_the_same_operator_twice_is_one_task_that_counts_twice(target):
    builder = relax.BlockBuilder()
    x, w = relax.Var("x", relax.TensorType((8, 8), "float32")), relax.Var("w", relax.TensorType((8, 8), "float32"))
    with builder.function("main", [x, w]):
        with builder.dataflow():
            once = builder.emit(relax.op.matmul(x, w))
            output = builder.emit_output(relax.op.matmul(once, w))
        builder.emit_func_output(output)

    (task,) = extract_tasks(builder.get(), target)
    assert task.weight == 2


def test_a_workload_of_several_tasks_is_refused(target):
    workload = Workload("both", "both-8x16", "a test", two_operators)

    with pytest.raises(UnsupportedModelError, match=r"both-8x16: expected one task, got .*softmax"):
        workload.module(target)
