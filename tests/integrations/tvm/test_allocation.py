"""Trials go where the time goes, to the last one."""

from __future__ import annotations

import logging
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm", reason="tasks are TVM's: pip install '.[tvm]'")

import numpy as np
import tvm
import tvm_ffi
from tvm import relax
from tvm.relax import op
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.analysis import estimate_tir_flops
from tvm.s_tir.meta_schedule.testing.dummy_object import DummyBuilder, DummyRunner

from costmodel.errors import UsageError
from costmodel.integrations.tvm.allocated_tuning import tune_allocated
from costmodel.integrations.tvm.allocation import allocate_trials
from costmodel.integrations.tvm.estimate import estimate, load_relax
from costmodel.integrations.tvm.fusion import fused_groups, task_key
from costmodel.integrations.tvm.relax_reader import unique_names
from costmodel.integrations.tvm.task_shares import task_shares
from costmodel.integrations.tvm.workloads import extract_tasks, relax_module
from costmodel.prediction import OpPrediction, Prediction
from costmodel.predictor import Predictor

# --- Arithmetic ---


@pytest.mark.parametrize(
    ("shares", "total", "bounds", "trials"),
    [
        ([0.5, 0.3, 0.2], 10, {}, [5, 3, 2]),
        ([1, 1, 1], 10, {}, [4, 3, 3]),
        ([1, 3], 10, {}, [2, 8]),
        ([1, 2, 4], 10, {}, [1, 3, 6]),
        ([1, 1, 6], 10, {"least": 0}, [1, 1, 8]),
        ([2, 1, 1], 3, {"least": 0}, [1, 1, 1]),
        ([0.9, 0.1, 0.0], 10, {"least": 0}, [9, 1, 0]),
        ([0.9, 0.1, 0.0], 12, {"least": 2}, [8, 2, 2]),
        ([0.9, 0.1, 0.0], 6, {"least": 2}, [2, 2, 2]),
        ([0.98, 0.01, 0.01], 100, {"most": 50}, [50, 25, 25]),
        ([0.9, 0.05, 0.05], 100, {"most": 50, "least": 30}, [40, 30, 30]),
        ([8, 1, 1], 100, {"most": 60}, [60, 20, 20]),
        ([8, 4, 1, 1], 100, {"most": 40}, [40, 40, 10, 10]),
        ([6, 3, 1], 100, {"most": 40}, [40, 40, 20]),
        ([1, 0, 0], 30, {"most": 10, "least": 0}, [10, 10, 10]),
        ([1, 0, 0], 20, {"most": 10, "least": 0}, [10, 5, 5]),
        ([0, 0], 5, {}, [3, 2]),
        ([7], 5, {}, [5]),
        ([1, 1], 0, {"least": 0}, [0, 0]),
    ],
)
def test_trials_are_in_proportion_within_bounds(shares, total, bounds, trials):
    assert allocate_trials(shares, total, **bounds) == trials


@settings(max_examples=300, deadline=None)
@given(
    shares=st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=40),
    extra=st.integers(0, 3000),
    least=st.integers(0, 20),
    room=st.none() | st.integers(0, 200),
)
def test_all_trials_are_given_out_within_bounds_and_to_those_who_weigh_more(shares, extra, least, room):
    count, most = len(shares), None if room is None else least + room
    total = least * count + (extra if room is None else extra % (room * count + 1))

    trials = allocate_trials(shares, total, least=least, most=most)

    assert sum(trials) == total
    assert all(least <= of_one <= (total if most is None else most) for of_one in trials)
    in_order = sorted(range(count), key=lambda task: shares[task])
    assert all(trials[a] <= trials[b] + (shares[a] == shares[b]) for a, b in pairwise(in_order))
    free = [task for task in range(count) if least < trials[task] < (total + 1 if most is None else most)]
    if len(free) > 1 and sum(shares[task] for task in free):
        weight, given_out = sum(Fraction(shares[task]) for task in free), sum(trials[task] for task in free)
        for task in free:  # rounding moves each by less than one, and their sum by as much for each
            assert abs(trials[task] - given_out * Fraction(shares[task]) / weight) < 1 + len(free)


@pytest.mark.parametrize(
    ("shares", "total", "bounds", "message"),
    [
        ([], 5, {}, "no tasks"),
        ([1, -0.1], 5, {}, r"share of task 1 is -0\.1"),
        ([1, float("nan")], 5, {}, "share of task 1 is nan"),
        ([1, float("inf")], 5, {}, "share of task 1 is inf"),
        ([1, 1, 1], 11, {"least": 4}, "3 tasks of at least 4 trials take 12, got 11"),
        ([1, 1], 11, {"most": 5}, "2 tasks of at most 5 trials take 10, got 11"),
        ([1, 1], 11, {"most": 5, "least": 6}, "least=6 and most=5"),
        ([1, 1], 11, {"least": -1}, "least=-1"),
        ([1, 1], -1, {"least": 0}, "got -1"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(shares, total, bounds, message):
    with pytest.raises(UsageError, match=message):
        allocate_trials(shares, total, **bounds)


# --- Shares ---


def const(*shape: int) -> Any:
    return relax.const(np.full(shape, 0.5, dtype="float32"))


def module_of(write: Any, *shapes: tuple[int, ...]) -> Any:
    return relax_module(shapes, write)


def convolutions(x: Any) -> Any:
    """Two of one shape, each fused with what follows, a pooling, and the same activation of the same image twice."""
    x = op.nn.relu(op.nn.conv2d(x, const(8, 8, 3, 3), padding=1))
    x = op.nn.relu(op.nn.conv2d(x, const(8, 8, 3, 3), padding=1))
    pooled = op.nn.max_pool2d(x, (2, 2), (2, 2))
    return op.add(
        op.nn.conv2d(op.exp(pooled), const(8, 8, 1, 1)), op.nn.conv2d(op.exp(pooled), const(8, 8, 3, 3), padding=1)
    )


IMAGE = (1, 8, 8, 8)


def predicted(module: Any, ms_of: dict[str, float] | None = None) -> Prediction:
    """A prediction that gives each operation a time by its type, by default 1 ms."""
    graph = load_relax(module)
    per_op = tuple(
        OpPrediction(
            found.name, found.op_type, "", (ms_of or {}).get(found.op_type, 1.0), 0.0, 0, 0, 0, 0, found.sources
        )
        for found in graph
    )
    total = sum(found.latency_ms for found in per_op)
    return Prediction("net", "a platform", 1, total, total, total, 1.0, (), per_op)


def by_name(tasks: list[Any], shares: list[float]) -> dict[str, float]:
    return {str(task.task_name).rstrip("0123456789"): share for task, share in zip(tasks, shares, strict=True)}


def parts(x: Any) -> Any:
    """A tuple in the middle, a normalisation that is taken apart, and a branch that is fused with nothing."""
    first, second = op.split(x, 2, 1)[0], op.split(x, 2, 1)[1]
    x = op.concat([op.nn.relu(first), op.exp(second)], 1)
    x = op.nn.batch_norm(x, *[const(8)] * 4, axis=1, training=False)[0]
    return op.nn.conv2d(op.nn.max_pool2d(x, (2, 2)), const(8, 8, 1, 1))


def channels_last(x: Any) -> Any:
    x = op.nn.relu(op.nn.conv2d(x, const(8, 3, 3, 8), padding=1, data_layout="NHWC", kernel_layout="OHWI"))
    return op.matmul(op.mean(x, [1, 2]), const(8, 10))


@pytest.mark.parametrize("write", [convolutions, parts, channels_last])
def test_groups_are_the_tasks_that_tvm_extracts(target, write):
    module = module_of(write, IMAGE)

    groups = fused_groups(module, target, "main")

    occurrences = Counter(group.task for group in groups)
    tasks = extract_tasks(module, target)
    assert occurrences == {task_key(task.dispatched[0]["main"]): task.weight for task in tasks}


def test_groups_hold_every_operation(target):
    module = module_of(convolutions, IMAGE)

    groups = fused_groups(module, target, "main")

    placed = set().union(*(group.sources for group in groups))
    assert placed == set(unique_names(module["main"]).values())


def test_twins_stand_for_each_other_and_lookalikes_do_not(target):
    """Two branches that compute the same, and one with other weights."""
    weights, others = const(8, 8, 3, 3), const(8, 8, 3, 3)

    def branches(x: Any) -> Any:
        first, twin, lookalike = (op.nn.relu(op.nn.conv2d(x, of_one)) for of_one in (weights, weights, others))
        return [op.nn.max_pool2d(branch, (2, 2)) for branch in (first, twin, lookalike)]

    module = module_of(lambda x: relax.Tuple(branches(x)), IMAGE)
    groups = fused_groups(module, target, "main")

    sources = [group.sources for group in groups if len(group.sources) > 1]
    assert sorted(map(len, sources)) == [2, 2, 2, 4, 4], "pools and branches of the twins, then the third branch"
    lone = next(found for found in sources if len(found) == 2 and sources.count(found) == 1)
    assert all(lone.isdisjoint(found) for found in sources if found != lone)


def test_parts_of_a_tuple_are_told_apart(target):
    def halves(x: Any) -> Any:
        pair = op.split(x, 2, 1)
        return relax.Tuple([op.nn.max_pool2d(pair[0], (2, 2)), op.nn.max_pool2d(pair[1], (2, 2))])

    split, first, second = fused_groups(module_of(halves, IMAGE), target, "main")

    assert len({split.sources, first.sources, second.sources}) == 3
    assert first.task == second.task != split.task


def test_the_share_of_a_task_is_what_its_operations_take_in_all_its_places(target, caplog):
    module = module_of(convolutions, IMAGE)
    tasks = extract_tasks(module, target)
    prediction = predicted(module, {"Conv": 10.0, "MaxPool": 4.0, "Exp": 3.0, "Relu": 2.0, "Add": 1.0})

    shares = by_name(tasks, task_shares(tasks, module, prediction))

    total = 4 * 10 + 4 + 2 * 3 + 2 * 2 + 1
    weight = {str(task.task_name).rstrip("0123456789"): task.weight for task in tasks}
    assert weight["fused_conv2d_relu"] == 2
    assert shares["fused_conv2d_relu"] == pytest.approx(2 * (10 + 2) / total)
    assert shares["max_pool2d"] == pytest.approx(4 / total)
    assert shares["tir_exp"] == pytest.approx(2 * 3 / total)
    assert sum(shares.values()) == pytest.approx(1)
    assert not caplog.records


def attention(q: Any, k: Any, v: Any) -> Any:
    scores = op.matmul(q, op.permute_dims(k, [0, 1, 3, 2]))
    return op.matmul(op.nn.softmax(op.multiply(scores, const()), -1), v)


def test_an_operation_that_several_tasks_make_up_is_divided_by_their_flops(target):
    module = module_of(attention, *[(1, 2, 16, 8)] * 3)
    prediction = predicted(module)
    assert [found.op_type for found in prediction.per_op] == ["Attention"]
    tasks = extract_tasks(module, target)

    shares = task_shares(tasks, module, prediction)

    flops = [estimate_tir_flops(task.dispatched[0]) * task.weight for task in tasks]
    assert len([share for share in shares if share > 0]) >= 3
    assert shares == pytest.approx([count / sum(flops) for count in flops])


def test_tasks_from_elsewhere_are_judged_by_flops_and_the_log_says_so(target, caplog):
    module = module_of(convolutions, IMAGE)
    other = module_of(lambda x, w: op.matmul(x, w), (64, 64), (64, 64))
    own, (foreign,) = extract_tasks(module, target), extract_tasks(other, target)
    tasks = [*own, foreign]

    shares = task_shares(tasks, module, predicted(module))

    flops = [estimate_tir_flops(task.dispatched[0]) * task.weight for task in tasks]
    assert shares[-1] / sum(shares[:-1]) == pytest.approx(flops[-1] / sum(flops[:-1]))
    assert sum(shares) == pytest.approx(1)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"1 of {len(tasks)} tasks are judged by their FLOPs")
    assert "matmul" in record.getMessage()


def test_a_prediction_of_another_network_leaves_flops_only(target, caplog):
    module = module_of(convolutions, IMAGE)
    tasks = extract_tasks(module, target)

    shares = task_shares(tasks, module, Prediction("net", "a platform", 1, 1.0, 1.0, 1.0, 1.0))

    flops = [estimate_tir_flops(task.dispatched[0]) * task.weight for task in tasks]
    assert shares == pytest.approx([count / sum(flops) for count in flops])
    assert caplog.records[0].getMessage().startswith(f"{len(tasks)} of {len(tasks)} tasks")


def test_shares_of_no_tasks_are_none(target):
    module = module_of(convolutions, IMAGE)

    assert task_shares([], module, predicted(module)) == []


def test_from_a_module_to_trials(target, untrained_bundle):
    module = module_of(convolutions, IMAGE)
    tasks = extract_tasks(module, target)
    prediction = estimate(module, "*i9*", predictor=Predictor(untrained_bundle))

    shares = task_shares(tasks, module, prediction)
    trials = allocate_trials(shares, 100)

    assert sum(trials) == 100
    heaviest = max(range(len(tasks)), key=shares.__getitem__)
    assert trials[heaviest] == max(trials)
    assert trials[heaviest] == pytest.approx(100 * shares[heaviest], abs=len(tasks))


# --- Tuning ---


def records_of(database: Any, tasks: list[Any]) -> list[int]:
    counts = Counter(
        tvm_ffi.structural_hash(record.workload.mod["main"]) for record in database.get_all_tuning_records()
    )
    return [counts[tvm_ffi.structural_hash(task.dispatched[0]["main"])] for task in tasks]


def tuned(tasks: list[Any], trials: list[int], folder: Any, **settings: Any) -> Any:
    tvm_logger = logging.getLogger("tvm.s_tir.meta_schedule")
    tvm_logger.setLevel(logging.ERROR)
    strategy = ms.search_strategy.EvolutionarySearch(population_size=16, genetic_num_iters=1, init_min_unmeasured=4)
    keep_artifacts = [ms.measure_callback.AddToDatabase(), ms.measure_callback.UpdateCostModel()]
    chosen = {"cost_model": "random", "measure_callbacks": keep_artifacts, "strategy": strategy, **settings}
    try:
        return tune_allocated(
            tasks,
            trials,
            work_dir=folder,
            builder=DummyBuilder(),
            runner=DummyRunner(),
            num_threads=1,
            seed=1,
            **chosen,
        )
    finally:  # pytest gives loggers that do not propagate a handler without a name, which TVM chokes on next time
        tvm_logger.propagate = True


@pytest.fixture(scope="module")
def matmuls(target) -> list[Any]:
    """Two tasks with room for dozens of candidates each, and one that is passed over."""
    modules = [module_of(lambda x, w: op.matmul(x, w), (size, size), (size, size)) for size in (32, 48, 64)]
    return [extract_tasks(module, target)[0] for module in modules]


def test_each_task_gets_its_trials(matmuls, tmp_path):
    database = tuned(matmuls, [12, 5, 0], tmp_path, num_trials_per_iter=8)

    assert records_of(database, matmuls) == [12, 5, 0]
    assert [database.has_workload(task.dispatched[0]) for task in matmuls] == [True, True, False]
    assert (tmp_path / "database_tuning_record.json").exists()


def test_a_database_of_ones_own_is_filled_and_returned(matmuls, tmp_path):
    own = ms.database.MemoryDatabase()

    database = tuned(matmuls, [0, 0, 4], tmp_path, database=own)

    assert database.same_as(own)
    assert records_of(own, matmuls) == [0, 0, 4]


@pytest.mark.parametrize(
    ("trials", "settings", "message"),
    [
        ([1, 2], {}, "each of 3 tasks, got 2"),
        ([1, 2, -1], {}, "not negative, got -1"),
        ([1, 2, 3], {"max_trials_per_task": 3}, "max_trials_per_task follows from the trials"),
    ],
)
def test_numbers_that_fit_no_tasks_are_refused(matmuls, tmp_path, trials, settings, message):
    with pytest.raises(UsageError, match=message):
        tuned(matmuls, trials, tmp_path, **settings)


def test_a_scheduled_task_is_refused(matmuls, tmp_path):
    scheduled = tvm.IRModule({"main": matmuls[0].mod["main"].with_attr("tirx.is_scheduled", True)})
    done = ms.ExtractedTask("done", scheduled.with_attr("tirx.is_scheduled", True), matmuls[0].target, [scheduled], 1)

    with pytest.warns(UserWarning, match="already scheduled"), pytest.raises(UsageError, match="1 of 2 tasks"):
        tuned([matmuls[1], done], [1, 1], tmp_path)
