"""Collecting records of a tiny matmul, with real measurements once and with invented ones where those do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tvm", reason="candidates are TVM's: pip install '.[tvm]'")

import tvm_ffi
from tvm import relax
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
from tvm.s_tir.meta_schedule.runner import PyRunner, RunnerResult

from costmodel.errors import UsageError
from costmodel.integrations.tvm.candidate import candidate_features, read_candidate
from costmodel.integrations.tvm.collecting import Collector, open_database
from costmodel.integrations.tvm.measuring import CpuTimeRunner, Finished, InProcessBuilder
from costmodel.integrations.tvm.records import TaskRecords, read_records
from costmodel.integrations.tvm.workloads import Workload, relax_module

SIZE = 16


def key_of(module) -> int:
    return tvm_ffi.structural_hash(module)


@derived_object
class FakeBuilder(PyBuilder):
    """A library is a file that holds the key of its candidate; notes what it built, and fails where it is told to."""

    def __init__(self, fails: Callable[[int], bool] = lambda key: False) -> None:
        super().__init__()
        self.built: list[int] = []
        self.fails = fails

    def build(self, build_inputs):
        return [self._built(key_of(build_input.mod)) for build_input in build_inputs]

    def _built(self, key: int) -> BuilderResult:
        self.built.append(key)
        if self.fails(key):
            return BuilderResult(None, "does not compile: it is told to")
        library = Path(tempfile.mkdtemp(prefix="costmodel-fake-")) / "candidate.so"
        library.write_text(str(key))
        return BuilderResult(str(library), None)


@derived_object
class FakeRunner(PyRunner):
    """Times go by the key of a candidate; fails where it is told to."""

    def __init__(self, fails: Callable[[int], bool] = lambda key: False) -> None:
        super().__init__()
        self.fails = fails

    def run(self, runner_inputs):
        return [Finished(self._timed(int(Path(str(found.artifact_path)).read_text()))) for found in runner_inputs]

    def _timed(self, key: int) -> RunnerResult:
        if self.fails(key):
            return RunnerResult(None, "does not run: it is told to")
        return RunnerResult([invented_secs(key)], None)


def invented_secs(key: int) -> float:
    return 1e-9 * invented_ns(key)


def invented_ns(key: int) -> int:
    return 1 + key % 10**6


def in_ns(run_secs) -> list[int]:
    return [round(1e9 * secs) for secs in run_secs]


class NoSearchError(Exception):
    """Collecting got as far as the search."""


def no_search():
    raise NoSearchError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(matmul) -> Workload:
    return matmul(SIZE)


@pytest.fixture
def collector(target, folder):
    """Makes collectors, each of which opens the same database anew."""

    def make(builder, runner, cost_model=lambda: ms.cost_model.RandomModel(seed=0)) -> Collector:
        return Collector(open_database(folder / "records"), target, builder, runner, cost_model)

    return make


def recorded(folder) -> dict[int, list[float]]:
    """Times in the database by the key of the candidate; a candidate that is there twice has two."""
    found: dict[int, list[float]] = {}
    records = open_database(folder / "records").get_all_tuning_records()
    for record, module in zip(records, modules_of(folder), strict=True):
        found.setdefault(key_of(module), []).append(min(float(secs) for secs in record.run_secs))
    return found


def modules_of(folder) -> list:
    """The candidates in the database."""
    records = open_database(folder / "records").get_all_tuning_records()
    return [record.as_measure_candidate().sch.mod for record in records]


def test_candidates_are_measured_and_read_back(collector, tiny, target, folder):
    runner = CpuTimeRunner(visits=1, run_secs=0.001)
    try:
        count = collector(InProcessBuilder(), runner).collect(tiny, 8)
    finally:
        runner.close()

    times = recorded(folder)
    assert count == len(times) == 8
    assert all(1e-7 < secs < 1e-3 for of_one in times.values() for secs in of_one)
    assert not list(folder.glob("costmodel-*")), "libraries are removed once they were measured"
    (records,) = read_records(open_database(folder / "records"), target, [tiny])
    assert (records.name, records.kind, len(records)) == ("matmul-16", "matmul", 8)
    assert sorted(records.run_secs) == sorted(secs for of_one in times.values() for secs in of_one)


def test_collecting_again_measures_what_is_missing_and_no_more(collector, tiny, folder):
    first, again, more = FakeBuilder(), FakeBuilder(), FakeBuilder()

    assert collector(first, FakeRunner()).collect(tiny, 8) == 8
    before = recorded(folder)
    assert collector(again, FakeRunner()).collect(tiny, 8) == 8
    assert collector(more, FakeRunner()).collect(tiny, 20) == 20

    assert set(first.built) == set(before)
    assert again.built == []
    assert len(recorded(folder)) == 20
    assert before.items() <= recorded(folder).items(), "what was there stays as it is"
    assert not set(more.built[:6]) & set(before), "the random half is drawn on"


def test_as_many_as_asked_for_though_the_search_comes_to_what_is_there(collector, matmul, folder):
    """It does not know which ones the random half has had, and among few candidates it meets them again."""
    assert collector(FakeBuilder(), FakeRunner()).collect(matmul(3), 64) == 64
    assert len(recorded(folder)) == 64


def test_an_interrupted_random_half_goes_on(collector, tiny, folder):
    """However much of it is there: drawing from the start again gives only what is known for many batches."""
    for count in (264, 400):
        with pytest.raises(NoSearchError):
            collector(FakeBuilder(), FakeRunner(), no_search).collect(tiny, count)
        assert len(recorded(folder)) == count // 2


def test_what_does_not_build_or_run_is_left_out(collector, tiny, target, folder):
    builder = FakeBuilder(fails=lambda key: key % 5 == 0)

    collector(builder, FakeRunner(fails=lambda key: key % 5 == 1)).collect(tiny, 40)

    good = {key for key in builder.built if key % 5 > 1}
    assert 0 < len(good) < len(set(builder.built))
    assert {key for key, times in recorded(folder).items() if min(times) < 1} == good
    (records,) = read_records(open_database(folder / "records"), target, [tiny])
    assert set(in_ns(records.run_secs)) == {invented_ns(key) for key in good}
    assert not list(folder.glob("costmodel-*"))


def test_the_random_half_differs_with_the_seed(collector, tiny, target, folder):
    built = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        builder = FakeBuilder()
        database = open_database(folder / name)
        with pytest.raises(NoSearchError):
            Collector(database, target, builder, FakeRunner(), no_search, seed).collect(tiny, 32)
        built.append(builder.built)

    assert len(built[0]) == 16
    assert built[0] == built[1] != built[2]


def test_a_task_with_few_candidates_ends_when_there_are_no_others(collector, folder):
    workload, random = Workload("reduction", "sum-4x4", "a test", row_sums), FakeBuilder()
    with pytest.raises(NoSearchError):
        collector(random, FakeRunner(), no_search).collect(workload, 60)

    count = collector(FakeBuilder(), FakeRunner()).collect(workload, 60)

    assert len(random.built) == len(set(random.built)), "none is measured twice"
    assert 10 < len(random.built) <= count == len(recorded(folder)) < 60


def row_sums():
    return relax_module([(4, 4)], lambda x: relax.op.sum(x, axis=1))


def test_one_candidate_is_too_few(collector, tiny):
    with pytest.raises(UsageError, match="at least 2 candidates a task, got 1"):
        collector(FakeBuilder(), FakeRunner()).collect(tiny, 1)


# --- Records ---


def test_records_are_read_task_by_task(collector, tiny, matmul, target, folder):
    other = matmul(8)
    for workload in (tiny, other):
        with pytest.raises(NoSearchError):
            collector(FakeBuilder(), FakeRunner(), no_search).collect(workload, 12)
    read: list[str] = []

    first, second = read_records(open_database(folder / "records"), target, [tiny], read.append)

    assert (first.name, first.kind, len(first)) == ("matmul-16", "matmul", 6)
    assert second.name == second.kind == f"task-{key_of(other.module(target)) & 0xFFFFFFFF:08x}"
    assert read == [first.name, second.name]
    for records in (first, second):
        modules = [found for found in modules_of(folder) if invented_ns(key_of(found)) in in_ns(records.run_secs)]
        features = candidate_features([read_candidate(found) for found in modules])
        expected = dict(zip([invented_ns(key_of(found)) for found in modules], features, strict=True))
        for candidate, time_ns in zip(records.candidates, in_ns(records.run_secs), strict=True):
            np.testing.assert_array_equal(candidate.tokens, expected[time_ns].tokens)


def test_some_records_of_a_task_and_others_joined_to_them(collector, tiny, target, folder):
    with pytest.raises(NoSearchError):
        collector(FakeBuilder(), FakeRunner(), no_search).collect(tiny, 12)
    (records,) = read_records(open_database(folder / "records"), target, [tiny])

    some = records.subset([4, 1])

    assert isinstance(some, TaskRecords)
    assert (some.name, some.kind, len(some)) == (records.name, records.kind, 2)
    assert some.run_secs.tolist() == [records.run_secs[4], records.run_secs[1]]
    assert some.candidates == (records.candidates[4], records.candidates[1])

    joined = some.joined(records)
    assert len(joined) == 8
    assert joined.run_secs.tolist() == [*some.run_secs, *records.run_secs]
    assert joined.candidates == (*some.candidates, *records.candidates)
