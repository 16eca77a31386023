"""MetaSchedule asks the model: real candidates of a tiny matmul, through TVM's own calls."""

from __future__ import annotations

import gc
import logging
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm", reason="the search is TVM's: pip install '.[tvm]'")

import synthetic_candidates as made_up
import tvm
import tvm_ffi
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.runner import RunnerResult
from tvm.script import tirx as T  # noqa: N812  # as TVM's own scripts have it

from costmodel.errors import WeightsError
from costmodel.integrations.tvm import NNFormerCostModel, cost_model
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.measuring import CpuTimeRunner, InProcessBuilder
from costmodel.integrations.tvm.ranker import CandidateRanker

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 16


@pytest.fixture(scope="module")
def context(matmul, target, intrinsics) -> Any:
    return context_of(matmul(SIZE), target)


def context_of(workload: Any, target: Any, name: str = "matmul") -> Any:
    return ms.TuneContext(
        mod=workload.module(target),
        target=target,
        space_generator="post-order-apply",
        search_strategy="replay-trace",
        task_name=name,
        num_threads=1,
        rand_state=1,
    )


@pytest.fixture(scope="module")
def candidates(context) -> list[Any]:
    """Twelve different ones, at random."""
    context.pre_tuning(
        max_trials=64,
        num_trials_per_iter=32,
        design_spaces=context.generate_design_space(),
        database=ms.database.MemoryDatabase(),
        cost_model=ms.CostModel.create("random"),
    )
    by_key = {key_of(found): found for found in context.generate_measure_candidates()}
    context.notify_runner_results([], [])
    context.post_tuning()
    assert len(by_key) >= 12
    return list(by_key.values())[:12]


def key_of(candidate: Any) -> int:
    return tvm_ffi.structural_hash(candidate.sch.mod)


@pytest.fixture
def ranker() -> CandidateRanker:
    return CandidateRanker(made_up.disagreeing())


@pytest.fixture
def model(ranker) -> NNFormerCostModel:
    return NNFormerCostModel(ranker)


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Keys of the candidates that were read, each time that they were."""
    keys: list[int] = []

    def noting(module: Any) -> Any:
        keys.append(tvm_ffi.structural_hash(module))
        return read_candidate(module)

    monkeypatch.setattr(cost_model, "read_candidate", noting)
    return keys


@T.prim_func(s_tir=True)
def ones(a: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("ones"):
            v = T.axis.spatial(4, i)
            a[v] = T.float32(1)


@T.prim_func(s_tir=True)
def nothing(a: T.Buffer((4,), "float32")):
    T.evaluate(0)


@T.prim_func(s_tir=True)
def calls(a: T.Buffer((4,), "float32")):
    for i in range(4):
        T.evaluate(T.call_extern("int32", "a_kernel_written_by_hand", i))


def candidate_of(**functions: Any) -> Any:
    module = tvm.IRModule({name: found.with_attr("global_symbol", name) for name, found in functions.items()})
    return ms.MeasureCandidate(tvm.s_tir.Schedule(module), [])


def unreadable() -> Any:
    """With two functions, there is none that is the candidate."""
    return candidate_of(main=ones, other=nothing)


def ran(*run_secs: float) -> Any:
    return RunnerResult(list(run_secs), None)


def failed() -> Any:
    return RunnerResult(None, "does not run: it is told to")


# --- Scores ---


def test_each_candidate_has_the_score_that_the_ranker_gives_it(model, ranker, context, candidates):
    scores = model.predict(context, candidates)

    features = candidate_features([read_candidate(found.sch.mod) for found in candidates])
    np.testing.assert_allclose(scores, ranker.scores(features), rtol=1e-5)
    assert scores.shape == (12,)
    assert (np.isfinite(scores) & (scores > 0)).all()
    assert len(np.unique(scores)) > 6
    assert model.scores_are_speeds


def test_a_candidate_is_read_once_and_has_the_same_score_wherever_it_stands(model, context, candidates, read):
    first = model.predict(context, candidates)
    copies = [ms.MeasureCandidate(found.sch.copy(), found.args_info) for found in reversed(candidates)]

    again = model.predict(context, copies + candidates[:2])
    model.update(context, candidates[:4], [ran(1e-6 * (1 + number)) for number in range(4)])

    np.testing.assert_allclose(again, [*first[::-1], *first[:2]], rtol=1e-5)
    assert read == [key_of(found) for found in candidates]


def test_the_features_of_those_not_seen_for_the_longest_are_dropped(model, context, candidates, read, monkeypatch):
    monkeypatch.setattr(cost_model, "_KEPT", 3)
    keys = [key_of(found) for found in candidates]

    for wanted in ([0, 1, 2], [0], [3], [0, 2, 3], [1]):
        model.predict(context, [candidates[index] for index in wanted])

    assert read == [keys[index] for index in (0, 1, 2, 3, 1)]


def test_a_candidate_that_cannot_be_read_has_the_worst_score(model, context, candidates, read, caplog):
    some = [candidates[0], unreadable(), candidates[1]]

    scores = model.predict(context, some)
    again = model.predict(context, some)

    assert scores[1] == 0
    np.testing.assert_allclose(scores[[0, 2]], model.predict(context, candidates[:2]), rtol=1e-5)
    np.testing.assert_array_equal(again, scores)
    assert [record.getMessage() for record in caplog.records] == [
        "a candidate cannot be scored: expected a module with one function of TIR, got 2."
    ], "once"
    assert read.count(key_of(some[1])) == 1


def test_a_candidate_without_loops_and_statements_has_the_worst_score(model, context, candidates):
    assert model.predict(context, [candidate_of(main=nothing), candidates[0]])[0] == 0


def test_a_candidate_that_only_calls_what_is_not_read_has_the_worst_score(model, context, candidates):
    assert model.predict(context, [candidate_of(main=calls), *candidates])[0] == 0


def test_measurements_of_a_candidate_that_only_calls_what_is_not_read_are_passed_over(model, context, candidates):
    model.update(context, [candidate_of(main=calls), *candidates[:3]], [ran(1e-6), ran(2e-6), ran(3e-6), ran(4e-6)])

    assert model.ranker.measured(cost_model._task(context)) == 3
    assert (model.predict(context, candidates) > 0).all()


@pytest.mark.parametrize("log_time", [np.nan, -1e4, 1e4])
def test_there_is_no_score_that_is_not_finite(log_time, context, candidates):
    class Lost:
        """A ranker that has lost its mind."""

        def scores(self, found: list[Any], task: str) -> np.ndarray:
            with np.errstate(over="ignore"):
                return np.exp(-np.full(len(found), log_time))

    assert NNFormerCostModel(Lost()).predict(context, candidates[:3]).tolist() == [0, 0, 0]


# --- Learning ---


def test_measurements_put_the_candidates_of_their_task_in_order(model, ranker, context, candidates):
    """The truth is the other way round than the models say."""
    before = model.predict(context, candidates)
    secs = before / before.max() * 1e-5

    model.update(context, candidates, [ran(found) for found in secs])

    after = model.predict(context, candidates)
    assert np.corrcoef(np.log(after), -np.log(secs))[0, 1] > 0.8
    assert ranker.measured(cost_model._task(context)) == 12


def test_tasks_of_one_name_are_told_apart_by_what_they_compute(model, context, candidates, matmul, target):
    other, named = context_of(matmul(8), target), context_of(matmul(SIZE), target, "another name")
    before = model.predict(context, candidates)

    model.update(context, candidates, [ran(1e-6 * (1 + number)) for number in range(12)])

    assert not np.allclose(model.predict(context, candidates), before)
    for found in (other, named):
        np.testing.assert_array_equal(model.predict(found, candidates), before)


def test_what_failed_or_has_no_time_is_passed_over(model, context, candidates):
    results = [
        *(ran(3e-6, 1e-6, 2e-6), ran(4e-6), ran(5e-6)),
        *(failed(), ran(float("nan")), ran(0.0), ran(-1.0), ran(float("inf")), ran()),
        RunnerResult([1e-6], "crashed in the end"),
    ]

    model.update(context, [*candidates[:10], unreadable()], [*results, ran(1e-6)])

    only_good = NNFormerCostModel(CandidateRanker(made_up.disagreeing()))
    only_good.update(context, candidates[:3], [ran(1e-6), ran(4e-6), ran(5e-6)])
    assert model.ranker.measured(cost_model._task(context)) == 3
    np.testing.assert_allclose(
        model.predict(context, candidates), only_good.predict(context, candidates), err_msg="the fastest run counts"
    )


def test_a_round_in_which_all_failed_changes_nothing(model, context, candidates):
    before = model.predict(context, candidates)

    model.update(context, candidates[:3], [failed(), ran(float("nan")), failed()])
    model.update(context, [unreadable()], [ran(1e-6)])
    model.update(context, [], [])

    np.testing.assert_array_equal(model.predict(context, candidates), before)


# --- Files, through TVM ---


def test_what_tvm_saves_it_loads(model, context, candidates, tmp_path):
    path = tmp_path / "model.safetensors"
    other = NNFormerCostModel(CandidateRanker(made_up.disagreeing(3, seed=7)))
    assert not np.allclose(other.predict(context, candidates), model.predict(context, candidates))

    ms.CostModel.save(model, str(path))
    ms.CostModel.load(other, str(path))

    np.testing.assert_array_equal(other.predict(context, candidates), model.predict(context, candidates))


def test_a_saved_model_is_a_pretrained_one(model, context, candidates, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(str(path))

    plain = NNFormerCostModel.from_pretrained(path)
    curious = NNFormerCostModel.from_pretrained(path, frozen=True, exploration=1.0)

    expected = model.predict(context, candidates)
    np.testing.assert_array_equal(plain.predict(context, candidates), expected)
    assert (curious.predict(context, candidates) > expected).all()
    assert (curious.ranker.frozen, plain.ranker.frozen) == (True, False)


@pytest.fixture
def no_model(tmp_path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_text("no weights")
    return path


def test_a_file_that_is_no_model_says_so_and_leaves_the_model_as_it_was(model, context, candidates, no_model):
    before = model.predict(context, candidates)

    with pytest.raises(Exception, match=r"model\.safetensors cannot be read as weights"):
        model.load(str(no_model))

    np.testing.assert_array_equal(model.predict(context, candidates), before)


def test_a_file_that_is_no_model_is_an_error_of_ours(model, no_model):
    with pytest.raises(WeightsError):
        model.load(str(no_model))


# --- In a search ---


@pytest.fixture
def runner() -> Iterator[CpuTimeRunner]:
    runner = CpuTimeRunner(visits=1, run_secs=0.001)
    yield runner
    runner.close()


def test_a_search_asks_it_learns_from_it_and_comes_to_records(model, matmul, target, runner, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tvm_logger = logging.getLogger("tvm.s_tir.meta_schedule")
    monkeypatch.setattr(tvm_logger, "level", tvm_logger.level)
    module = matmul(SIZE).module(target)

    database = ms.tune_tir(
        module,
        target,
        str(tmp_path / "work"),
        max_trials_global=8,
        num_trials_per_iter=4,
        builder=InProcessBuilder(),
        runner=runner,
        cost_model=model,
        strategy=ms.search_strategy.EvolutionarySearch(
            population_size=16, genetic_num_iters=1, init_min_unmeasured=4, init_measured_ratio=0.0
        ),
        num_tuning_cores=1,
        seed=3,
    )

    records = database.get_all_tuning_records()
    assert len(records) == 8
    assert all(1e-8 < float(min(record.run_secs)) < 1e-2 for record in records)
    (learned,) = model.ranker._measured.values()
    assert sorted(learned.run_secs) == pytest.approx(sorted(float(min(record.run_secs)) for record in records))
    assert (tmp_path / "work" / "database_tuning_record.json").is_file()
    compiled = ms.tir_integration.compile_tir(database, module, target)
    assert compiled is not None
    assert not list(Path(tmp_path).glob("costmodel-*")), "libraries are removed once they were measured"


def test_a_model_that_is_let_go_is_gone(context, candidates):
    """Though TVM's object holds on to what it calls: there is no circle."""
    ranker = CandidateRanker(made_up.disagreeing())
    model, watched = NNFormerCostModel(ranker), weakref.ref(ranker)
    model.predict(context, candidates[:2])
    gc.disable()
    try:
        del ranker, model
        assert watched() is None
    finally:
        gc.enable()
