"""Watching a search: what is said of each round is true, a task ends when it should, and nothing else ends anything."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from math import nan
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm", reason="the search is TVM's: pip install '.[tvm]'")

import tvm_ffi
from rich.console import Console
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
from tvm.s_tir.meta_schedule.cost_model import PyCostModel
from tvm.s_tir.meta_schedule.runner import PyRunner, PyRunnerFuture, RunnerResult

from costmodel.errors import UsageError
from costmodel.integrations.tvm.callback import LiveTable, Promise, Round, RoundLog, TaskProgress, log_times_of
from costmodel.integrations.tvm.tuning_callback import TuningCallback

A_ROUND = 8

# --- A world in which a candidate's time is what its program says ---

Secs = Callable[[int], float]
"""Time of the program with a hash; NaN for one that does not run."""


def by_hash(key: int) -> float:
    return (1 + key % 1009) * 1e-6


@derived_object
class HashBuilder(PyBuilder):  # type: ignore[misc]
    """Builds a folder that is named after the program."""

    def __init__(self, folder: Path, fails: Callable[[int], bool] = lambda key: False) -> None:
        super().__init__()
        self.folder, self.fails = folder, fails

    def build(self, build_inputs: list[Any]) -> list[Any]:
        return [self.built(tvm_ffi.structural_hash(found.mod)) for found in build_inputs]

    def built(self, key: int) -> Any:
        if self.fails(key):
            return BuilderResult(None, "does not compile")
        path = self.folder / str(key) / "library"
        path.parent.mkdir(exist_ok=True)
        return BuilderResult(str(path), None)


@derived_object
class Later(PyRunnerFuture):  # type: ignore[misc]
    def __init__(self, result: Any, *, is_done: bool) -> None:
        super().__init__()
        self.found, self.is_done = result, is_done

    def done(self) -> bool:
        return self.is_done

    def result(self) -> Any:
        return self.found


@derived_object
class HashRunner(PyRunner):  # type: ignore[misc]
    """Runs a program for the time that its hash says; ``at_once`` like a runner here, else like one elsewhere."""

    def __init__(self, secs: Secs = by_hash, *, at_once: bool = True) -> None:
        super().__init__()
        self.secs, self.at_once = secs, at_once
        self.rounds: list[list[float]] = []

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        times = [self.secs(int(Path(str(found.artifact_path)).parent.name)) for found in runner_inputs]
        self.rounds.append([1e3 * secs for secs in times])
        return [Later(self.result(secs), is_done=self.at_once) for secs in times]

    def result(self, secs: float) -> Any:
        # The median of these is the time; neither the mean nor the least is.
        return RunnerResult(None, "crashed") if secs != secs else RunnerResult([0.9 * secs, secs, 5 * secs], None)


@derived_object
class HashModel(PyCostModel):  # type: ignore[misc]
    """Knows the time of each program, or something else; counts how often it was taught."""

    def __init__(self, score: Secs, **says: bool) -> None:
        super().__init__()
        self.score, self.updates = score, 0
        self.__dict__.update(says)

    def load(self, path: str) -> None:
        raise NotImplementedError

    def save(self, path: str) -> None:
        Path(path).write_text(str(self.updates))

    def update(self, context: Any, candidates: list[Any], results: list[Any]) -> None:
        self.updates += 1

    def predict(self, context: Any, candidates: list[Any]) -> np.ndarray:
        return np.array([self.score(tvm_ffi.structural_hash(found.sch.mod)) for found in candidates])


def knowing(secs: Secs = by_hash) -> Any:
    return HashModel(lambda key: 1 / secs(key), scores_are_speeds=True)


@pytest.fixture(autouse=True)
def quiet(caplog) -> Iterator[None]:
    """TVM's own log of each round is not what is tested."""
    tvm_logger = logging.getLogger("tvm.s_tir.meta_schedule")
    before = tvm_logger.level
    tvm_logger.setLevel(logging.ERROR)
    yield
    tvm_logger.setLevel(before)


@pytest.fixture
def tune(matmul, target, tmp_path) -> Callable[..., Any]:
    """Tunes matmuls of these sizes and returns the database."""

    def tuned(
        callbacks: list[Any],
        *,
        sizes: tuple[int, ...] = (32,),
        runner: Any = None,
        builder: Any = None,
        model: Any = None,
        trials: int = 3 * A_ROUND,
        a_task: int | None = None,
        scheduler: str = "gradient",
        names: tuple[str, ...] = (),
    ) -> Any:
        strategy = ms.search_strategy.EvolutionarySearch(population_size=16, genetic_num_iters=1, init_min_unmeasured=4)
        tasks = [
            ms.TuneContext(
                mod=matmul(size).module(target),
                target=target,
                space_generator="post-order-apply",
                search_strategy=strategy,
                task_name=name,
                num_threads=1,
                rand_state=3,
            ).clone()
            for size, name in zip(sizes, names or [f"matmul-{size}" for size in sizes], strict=True)
        ]
        (tmp_path / "built").mkdir(exist_ok=True)
        return ms.tune.tune_tasks(
            tasks=tasks,
            task_weights=[1.0] * len(tasks),
            work_dir="",
            max_trials_global=trials,
            max_trials_per_task=a_task,
            num_trials_per_iter=A_ROUND,
            builder=builder or HashBuilder(tmp_path / "built"),
            runner=runner or HashRunner(),
            database=ms.database.MemoryDatabase(),
            cost_model=model or ms.cost_model.RandomModel(seed=1),
            task_scheduler=scheduler,
            measure_callbacks=callbacks,
        )

    return tuned


def around(tuning: Any) -> list[Any]:
    return [tuning, *ms.MeasureCallback.create("default"), tuning]


def before(tuning: Any) -> list[Any]:
    return [tuning, *ms.MeasureCallback.create("default")]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- What is said of a round ---


def test_each_round_is_a_line_that_says_what_was_measured(tune, tmp_path):
    log, model, runner = tmp_path / "logs" / "tuning.jsonl", knowing(), HashRunner()
    start = monotonic()

    tune(before(TuningCallback(cost_model=model, log=log)), model=model, runner=runner)

    found = lines(log)
    fastest = [min(of_round) for of_round in runner.rounds]
    assert len(found) == 3
    assert [entry["round"] for entry in found] == [1, 2, 3]
    assert {entry["task"] for entry in found} == {"matmul-32"}
    assert [entry["trials"] for entry in found] == [8, 16, 24]
    assert [entry["failed"] for entry in found] == [0, 0, 0]
    np.testing.assert_allclose([entry["round_best_ms"] for entry in found], fastest)
    np.testing.assert_allclose([entry["best_ms"] for entry in found], np.minimum.accumulate(fastest))
    assert [entry["rank_accuracy"] for entry in found] == [1.0] * 3
    assert found[0]["predicted_improvement"] is None
    for number in (1, 2):
        promised = 1 - fastest[number] / min(fastest[:number])
        assert found[number]["predicted_improvement"] == pytest.approx(promised)
    seconds = [entry["seconds"] for entry in found]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < monotonic() - start
    assert [(entry["schema_version"], entry["stopped"]) for entry in found] == [(1, False)] * 3


def test_log_times_tell_an_improvement_too(tune):
    """With logarithms of time, whose zero is anywhere."""
    tuning = TuningCallback(cost_model=HashModel(lambda key: 7 - np.log(by_hash(key)), scores_are_log_times=True))
    runner = HashRunner()

    tune(before(tuning), runner=runner, trials=2 * A_ROUND)

    first, second = map(min, runner.rounds)
    assert tuning.rounds[0].predicted_improvement == pytest.approx(1 - second / first)


def test_scores_without_a_unit_put_in_order_and_promise_nothing(tune):
    wrong = HashModel(by_hash)  # the slower, the better
    tuning = TuningCallback(cost_model=wrong)

    tune(before(tuning))

    assert tuning.rounds[0].rank_accuracy == 0
    assert tuning.rounds[0].predicted_improvement is None


def test_without_a_model_only_times_are_told(tune, tmp_path):
    log = tmp_path / "tuning.jsonl"

    tune(before(TuningCallback(log=log)))

    assert [(entry["rank_accuracy"], entry["predicted_improvement"]) for entry in lines(log)] == [(None, None)] * 3
    assert lines(log)[-1]["best_ms"] > 0


def test_what_fails_is_counted_and_has_no_time(tune, tmp_path):
    """A quarter does not build, a quarter does not run."""
    log = tmp_path / "tuning.jsonl"
    builder = HashBuilder(tmp_path / "built", fails=lambda key: key % 4 == 0)
    runner = HashRunner(lambda key: nan if key % 4 == 1 else by_hash(key))

    tune(before(TuningCallback(cost_model=knowing(), log=log)), builder=builder, runner=runner)

    last = lines(log)[-1]
    ran = [found for of_round in runner.rounds for found in of_round if found == found]
    assert last["trials"] == 24
    assert last["failed"] == 24 - len(ran) > 0
    assert last["best_ms"] == pytest.approx(min(ran))
    assert {entry["rank_accuracy"] for entry in lines(log)} == {1.0}


def test_rounds_in_which_nothing_runs_leave_everything_unknown(tune, tmp_path):
    log, model = tmp_path / "tuning.jsonl", knowing()

    tune(
        before(TuningCallback(cost_model=model, log=log, stop_below=0.5, patience=1)), runner=HashRunner(lambda _: nan)
    )

    assert [entry["failed"] for entry in lines(log)] == [8, 16, 24]
    unknown = ("best_ms", "round_best_ms", "rank_accuracy", "predicted_improvement")
    assert all(entry[name] is None for entry in lines(log) for name in unknown)


def test_a_task_tuned_again_goes_on_and_another_of_its_name_does_not(tune):
    tuning = TuningCallback()

    tune(before(tuning), names=("main",))
    tune(before(tuning), names=("main",), trials=A_ROUND)
    tune(before(tuning), names=("main",), sizes=(64,), trials=A_ROUND)

    assert [(last.task, last.round, last.trials) for last in tuning.rounds] == [("main", 4, 32), ("main (2)", 1, 8)]


# --- Where it stands ---


def test_behind_the_update_nothing_is_compared_and_a_warning_says_so(tune, caplog):
    model = knowing()
    tuning = TuningCallback(cost_model=model, stop_below=0.9, patience=1)

    tune([*ms.MeasureCallback.create("default"), tuning], model=model)

    assert (tuning.rounds[0].round, tuning.rounds[0].rank_accuracy) == (3, None)
    assert [record.message for record in caplog.records if "stands behind the update" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1


def test_a_model_that_is_not_taught_may_be_compared_from_anywhere(tune, caplog):
    tuning = TuningCallback(cost_model=knowing())

    tune([*ms.MeasureCallback.create("default"), tuning], model=knowing())

    assert tuning.rounds[0].rank_accuracy == 1
    assert not caplog.records


@pytest.mark.parametrize(("place", "updates"), [(around, "3"), (before, "2")])
def test_a_checkpoint_has_learned_from_the_last_round_when_saved_behind_the_update(tune, tmp_path, place, updates):
    model, path, log = knowing(), tmp_path / "models" / "model", tmp_path / "tuning.jsonl"

    tune(place(TuningCallback(cost_model=model, checkpoint=path, log=log)), model=model)

    assert path.read_text() == updates
    assert list(path.parent.iterdir()) == [path]
    assert len(lines(log)) == 3, "two places, but one line a round"


def test_two_places_and_several_tasks_are_not_mixed_up(tune, tmp_path):
    model, log = knowing(), tmp_path / "tuning.jsonl"

    tune(around(TuningCallback(cost_model=model, log=log)), model=model, sizes=(32, 64), trials=6 * A_ROUND)

    found = lines(log)
    assert len(found) == 6
    for name in ("matmul-32", "matmul-64"):
        rounds = [entry["round"] for entry in found if entry["task"] == name]
        assert rounds == list(range(1, len(rounds) + 1)) != []


# --- Ending a task ---

SCHEDULERS = pytest.mark.parametrize("scheduler", ["gradient", "round-robin"])
RUNNERS = pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])


@SCHEDULERS
@RUNNERS
def test_a_task_ends_when_nothing_is_expected_and_the_other_goes_on(tune, tmp_path, scheduler, at_once):
    """All of the smaller task take the same time; of the larger, every round is expected to be twice as fast."""
    log = tmp_path / "tuning.jsonl"
    halving = Halving()
    model = HashModel(halving.speed, scores_are_speeds=True)
    tuning = TuningCallback(cost_model=model, log=log, stop_below=0.02, patience=2)

    tune(
        [halving, *before(tuning)],
        sizes=(32, 64),
        runner=HashRunner(lambda _: 1e-3, at_once=at_once),
        model=model,
        trials=10 * A_ROUND,
        scheduler=scheduler,
    )

    small, large = ([entry for entry in lines(log) if entry["task"] == name] for name in ("matmul-32", "matmul-64"))
    assert [entry["stopped"] for entry in small] == [False, False, True]
    assert [entry["predicted_improvement"] for entry in small] == [None, 0, 0]
    assert len(large) == 7, "the trials that one does not need go to the other"
    assert not any(entry["stopped"] for entry in large)
    assert all(entry["predicted_improvement"] == pytest.approx(0.5) for entry in large[1:])


@derived_object
class Halving(ms.measure_callback.PyMeasureCallback):  # type: ignore[misc]
    """A model that says each round of the larger task runs at twice the speed of what was measured before."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self.now: set[int] = set()
        self.large = False

    def apply(self, scheduler: Any, task_id: int, candidates: list[Any], built: list[Any], ran: list[Any]) -> None:
        self.seen |= self.now
        self.now = {tvm_ffi.structural_hash(found.sch.mod) for found in candidates}
        self.large = str(scheduler.tasks_[task_id].ctx.task_name) == "matmul-64"

    def speed(self, key: int) -> float:
        return 2.0 if self.large and key in self.now else 1.0


@pytest.mark.parametrize("strategy", ["replay-trace", "replay-func"])
def test_searches_without_a_model_end_too(matmul, target, tmp_path, strategy):
    model = HashModel(lambda _: 1.0, scores_are_speeds=True)
    tuning = TuningCallback(cost_model=model, stop_below=0.02, patience=1)
    (tmp_path / "built").mkdir()

    ms.tune.tune_tasks(
        tasks=[
            ms.TuneContext(
                matmul(32).module(target),
                target=target,
                space_generator="post-order-apply",
                search_strategy=strategy,
                num_threads=1,
                rand_state=3,
            ).clone()
        ],
        task_weights=[1.0],
        work_dir="",
        max_trials_global=10 * A_ROUND,
        num_trials_per_iter=A_ROUND,
        builder=HashBuilder(tmp_path / "built"),
        runner=HashRunner(lambda _: 1e-3),
        database=ms.database.MemoryDatabase(),
        cost_model=model,
        measure_callbacks=before(tuning),
    )

    assert (tuning.rounds[0].stopped, tuning.rounds[0].trials) == (True, 2 * A_ROUND)


def test_what_was_measured_before_the_end_is_in_the_database(tune):
    model = HashModel(lambda _: 1.0, scores_are_speeds=True)
    tuning = TuningCallback(cost_model=model, stop_below=0.02, patience=1)

    database = tune(around(tuning), model=model, runner=HashRunner(lambda _: 1e-3), trials=10 * A_ROUND)

    assert tuning.rounds[0].stopped
    assert len(database.get_all_tuning_records()) == 2 * A_ROUND


def test_a_stopped_task_that_is_tuned_again_gets_its_patience_back(tune):
    model = HashModel(lambda _: 1.0, scores_are_speeds=True)
    tuning = TuningCallback(cost_model=model, stop_below=0.02, patience=2)
    for _ in range(2):
        tune(before(tuning), model=model, runner=HashRunner(lambda _: 1e-3), trials=10 * A_ROUND)

    assert (tuning.rounds[0].stopped, tuning.rounds[0].round) == (True, 3 + 2)


def rounds_of(*expected_and_best: tuple[float, float], stop_below: float = 0.1) -> list[int]:
    """How many vain rounds there are after each of several rounds, by what they promised and their best time."""
    task, found = TaskProgress("a task"), []
    for log_time, best_ms in expected_and_best:
        promise = Promise(np.array([1.0]), np.array([log_time]), 0.0)
        task.add(["candidate"], np.array([best_ms]), promise, 0.0, stop_below)
        found.append(task.vain_rounds)
    return found


def test_a_round_is_vain_when_little_was_expected_and_little_gained():
    little, much = np.log(0.95), np.log(0.8)

    assert rounds_of((much, 10.0), (little, 10.0), (little, 10.0), (much, 10.0), (little, 10.0)) == [0, 1, 2, 0, 1]
    assert rounds_of((much, 10.0), (little, 8.0), (little, 7.9)) == [0, 0, 1], "gained 20 %, then 1 %"
    assert rounds_of((much, 10.0), (little, nan), (little, 10.0)) == [0, 0, 1], "a round that failed is no evidence"


@pytest.mark.parametrize(
    ("log_times", "best", "ran", "improvement"),
    [
        ([0.0, np.log(0.5)], 0.0, [True, True], 0.5),
        ([0.0, np.log(0.5)], 0.0, [True, False], 0.0),
        ([np.log(2.0), np.log(3.0)], 0.0, [True, True], -1.0),
        ([0.0, 1.0], None, [True, True], None),
        ([0.0, 1.0], 0.0, [False, False], None),
        ([np.inf, np.inf], 0.0, [True, True], None),
        ([0.0, np.nan], 0.0, [True, True], None),
        ([0.0, 1.0], np.inf, [True, True], None),
        ([1e4, 1e4], 0.0, [True, True], 1 - np.exp(700)),
    ],
)
def test_improvement_is_that_of_the_fastest_that_ran(log_times, best, ran, improvement):
    promise = Promise(np.zeros(2), np.array(log_times), best)

    assert promise.improvement(np.array(ran)) == (None if improvement is None else pytest.approx(improvement))


def test_scores_become_log_times_where_the_model_says_what_they_are():
    class Model:
        scores_are_speeds = True

    assert log_times_of(np.array([2.0, 1.0, 0.0, -1.0]), Model()).tolist() == [-np.log(2), 0, np.inf, np.inf]
    assert log_times_of(np.array([2.0]), object()) is None


# --- Asking for what cannot be ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stop_below": 0.1}, "needs a cost model whose scores are times, got NoneType"),
        ({"stop_below": 0.1, "cost_model": "random"}, "expected the CostModel object"),
        ({"stop_below": 0.1, "cost_model": HashModel(by_hash)}, "needs a cost model whose scores are times"),
        ({"stop_below": 1.0, "cost_model": knowing()}, r"from 0 to below 1, got 1\.0"),
        ({"stop_below": -0.1, "cost_model": knowing()}, r"from 0 to below 1, got -0\.1"),
        ({"stop_below": nan, "cost_model": knowing()}, "from 0 to below 1, got nan"),
        ({"patience": 0}, "at least 1 round, got 0"),
        ({"checkpoint": "model"}, "there is no cost model to save"),
        ({"checkpoint": "/", "cost_model": knowing()}, "expected a file, got the folder /"),
        ({"log": "/dev/null"}, "/dev/null is no ordinary file"),
        ({"log": "/proc/tuning.jsonl"}, "cannot write the tuning log /proc/tuning.jsonl: "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(settings, message):
    with pytest.raises(UsageError, match=message):
        TuningCallback(**settings)


# --- The log ---


def finished(task: str = "matmul", *, stopped: bool = False, trials: int = 8) -> Round:
    return Round(task, 1, trials, 3, 1.5, None, 0.75, None, 2.0, stopped)


def test_a_log_goes_on_where_it_was_cut_off(tmp_path):
    path = tmp_path / "tuning.jsonl"
    RoundLog(path).append(finished("first"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])

    RoundLog(path).append(finished("second"))

    assert [entry["task"] for entry in lines(path)] == ["first", "second"]


@pytest.mark.parametrize("content", ["notes of mine", "notes\nof mine\n", '{"other": 1}\n'])
def test_a_file_of_somebody_else_is_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_text(content)

    with pytest.raises(UsageError, match=r"notes\.txt is not a log of tuning rounds"):
        RoundLog(path)
    assert path.read_text() == content


def test_a_full_disk_costs_a_line_and_one_warning(tune, tmp_path, monkeypatch, caplog):
    path = tmp_path / "tuning.jsonl"
    tuning = TuningCallback(log=path)
    write, calls = os.write, []

    def full_at_first(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return write(descriptor, data[:10])
        if len(calls) in (2, 3):
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("costmodel.integrations.tvm.callback.round_log.os.write", full_at_first)
    tune(before(tuning))

    assert [entry["round"] for entry in lines(path)] == [3]
    assert ["No space left" in record.message for record in caplog.records] == [True]


# --- The checkpoint ---


def test_a_model_that_cannot_be_saved_leaves_the_last_one_and_tuning_goes_on(tune, tmp_path, caplog):
    model, path = knowing(), tmp_path / "model"
    path.write_text("of yesterday")

    def save(to: str) -> None:
        Path(to).write_text("half")
        raise RuntimeError("no")

    model._inst.save = save
    tuning = TuningCallback(cost_model=model, checkpoint=path)
    tune(around(tuning), model=model)

    assert tuning.rounds[0].round == 3
    assert path.read_text() == "of yesterday"
    assert {found.name for found in tmp_path.iterdir()} == {"model", "built"}
    assert len(caplog.records) == 1
    assert "cannot be saved" in caplog.records[0].message


# --- The table ---


def drawn(*tables: list[Round], terminal: bool, trials_per_task: int | None = None, height: int = 40) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, height=height, color_system=None)
    table = LiveTable(trials_per_task, console)
    for rounds in tables:
        table.draw(rounds)
    return stream.getvalue()


def test_a_row_says_what_is_known_of_a_task():
    text = drawn([finished("conv2d"), finished("dense", stopped=True)], terminal=False)

    header, conv, dense = text.splitlines()
    assert " ".join(header.split()) == "task best ms last round's best rank accuracy trials failed saved"
    assert conv.split() == ["conv2d", "1.50", "-", "75", "%", "8", "3"]
    assert dense.split() == ["dense", "1.50", "-", "75", "%", "8", "3", "stopped"]


@pytest.mark.parametrize(("trials", "saved"), [(8, "56"), (64, "0"), (70, "0")])
def test_a_stopped_task_says_how_many_trials_that_saved(trials, saved):
    text = drawn([finished(stopped=True, trials=trials)], terminal=False, trials_per_task=64)

    assert text.split()[-1] == saved


def test_on_a_terminal_a_drawing_takes_the_place_of_the_one_before():
    text = drawn([finished("a")], [finished("a"), finished("b")], [finished("a")], terminal=True)

    up_and_clear = "\x1b[1A\x1b[2K"
    first, second, third = text.replace(up_and_clear, "^").split("task ")[1:]
    assert (first.count("^"), second.count("^"), third.count("^")) == (2, 3, 0)


@pytest.mark.parametrize(("terminal", "height"), [(False, 40), (True, 2)])
def test_elsewhere_or_where_it_does_not_fit_drawings_follow_each_other(terminal, height):
    text = drawn([finished("a")], [finished("a")], terminal=terminal, height=height)

    assert "\x1b[1A" not in text
    assert text.count("best ms") == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_tvm_writes_to_the_terminal_too_nothing_of_it_is_overwritten(monkeypatch):
    terminal, tvm_logger = Terminal(), logging.getLogger("tvm.s_tir.meta_schedule")
    handler = logging.StreamHandler(terminal)
    monkeypatch.setattr("sys.stdout", terminal)
    tvm_logger.addHandler(handler)
    try:
        tvm_logger.setLevel(logging.INFO)
        below = drawn([finished()], [finished()], terminal=True)
        tvm_logger.setLevel(logging.WARNING)
        in_place = drawn([finished()], [finished()], terminal=True)
    finally:
        tvm_logger.removeHandler(handler)

    assert "\x1b[1A" not in below
    assert "\x1b[1A" in in_place


@pytest.mark.parametrize(
    ("live", "terminal", "shown"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_the_table_is_drawn_on_stderr_where_that_is_a_terminal_or_as_told(tune, monkeypatch, live, terminal, shown):
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)

    tune(before(TuningCallback(live=live)))

    assert ("rank accuracy" in stderr.getvalue()) == shown


def test_a_table_that_cannot_be_drawn_costs_one_warning(tune, monkeypatch, caplog):
    def broken(self: LiveTable, rounds: object) -> None:
        raise UnicodeEncodeError("ascii", "x", 0, 1, "no")

    monkeypatch.setattr(LiveTable, "draw", broken)
    tuning = TuningCallback(live=True)
    tune(before(tuning))

    assert tuning.rounds[0].round == 3
    assert ["cannot be drawn" in record.message for record in caplog.records] == [True]


# --- Ctrl-C ---


def test_an_interrupt_ends_the_tuning_as_what_it_is(tune, monkeypatch):
    def interrupted(self: LiveTable, rounds: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveTable, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(before(TuningCallback(live=True)))


def test_an_interrupt_elsewhere_in_the_tuning_is_one_too(tune):
    def interrupted(key: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(before(TuningCallback()), runner=HashRunner(interrupted))
