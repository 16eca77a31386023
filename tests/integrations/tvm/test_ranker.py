"""Candidates are put in order by what models say, and better once some of them were measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

import synthetic_candidates as made_up

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.tvm.learning import pair_accuracy, predict_log_times
from costmodel.integrations.tvm.learning.evaluation import order_of_members
from costmodel.integrations.tvm.model import CandidateModel
from costmodel.integrations.tvm.ranker import CandidateRanker
from costmodel.integrations.tvm.records import TaskRecords

pytestmark = pytest.mark.usefixtures("one_thread")

ENOUGH = 64
"""Measured candidates from which on the models themselves learn."""

OTHERS = made_up.candidates(32, seed=99)
"""Never measured."""


def learned(ranker: CandidateRanker, *tasks: TaskRecords) -> CandidateRanker:
    for task in tasks:
        ranker.learn(task.name, task.candidates, task.run_secs.tolist())
    return ranker


def weights_of(members: tuple[CandidateModel, ...]) -> list[torch.Tensor]:
    return [tensor.clone() for member in members for tensor in member.state_dict().values()]


def are_equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


# --- Before anything is measured ---


def test_unmeasured_candidates_are_ordered_by_the_mean_of_the_members():
    members = made_up.disagreeing()
    ranker = CandidateRanker(members)

    log_times = predict_log_times(members, OTHERS)

    assert (np.argsort(log_times[0]) != np.argsort(log_times[1])).any()
    np.testing.assert_array_equal(ranker.log_times(OTHERS), log_times)
    np.testing.assert_array_equal(ranker.log_times(OTHERS, "never heard of"), log_times)
    np.testing.assert_allclose(ranker.scores(OTHERS), np.exp(-log_times.mean(axis=0)))
    assert np.argsort(-ranker.scores(OTHERS)).tolist() == np.argsort(log_times.mean(axis=0)).tolist()


def test_exploration_adds_the_disagreement_of_the_members():
    members = made_up.disagreeing(3)
    log_times = predict_log_times(members, OTHERS)

    scores = CandidateRanker(members, exploration=1.5).scores(OTHERS)

    np.testing.assert_allclose(np.log(scores), 1.5 * log_times.std(axis=0, ddof=1) - log_times.mean(axis=0))


@pytest.mark.parametrize("exploration", [0.0, 2.0])
def test_the_order_of_members_is_that_of_a_ranker_that_learned_what_was_measured(exploration):
    task, members = made_up.task(24), made_up.disagreeing(3)
    measured, rest = np.arange(0, 24, 2), np.arange(1, 24, 2)
    ranker = learned(CandidateRanker(members, exploration=exploration), task.subset(measured.tolist()))

    numbers = order_of_members(members, task, exploration=exploration)(measured, rest)

    np.testing.assert_allclose(numbers, -np.log(ranker.scores(task.subset(rest.tolist()).candidates, task.name)))
    if exploration:
        sure = order_of_members(members, task)(measured, rest)
        assert (numbers < sure).all(), "what is open may be fast"


def test_no_candidates_have_no_scores():
    ranker = learned(CandidateRanker(made_up.disagreeing()), made_up.task(4))

    for task in (None, "matmul"):
        assert ranker.log_times([], task).shape == (2, 0)
        assert ranker.scores([], task).shape == (0,)


# --- A few measurements ---


@pytest.mark.parametrize("members", [made_up.disagreeing(), (made_up.untrained(),)], ids=["random", "physics"])
def test_measurements_put_candidates_of_the_task_that_were_not_measured_in_better_order(members):
    ranker = CandidateRanker(members)
    truth = np.array([made_up.secs_of(found) for found in OTHERS])
    before = pair_accuracy(ranker.log_times(OTHERS, "matmul").mean(axis=0), truth)

    learned(ranker, made_up.task(24))

    after = pair_accuracy(ranker.log_times(OTHERS, "matmul").mean(axis=0), truth)
    assert before < 0.4
    assert after > 0.8
    assert pair_accuracy(-ranker.scores(OTHERS, "matmul"), truth) == after


def test_each_batch_adds_to_those_before():
    task = made_up.task(24)
    at_once = learned(CandidateRanker(made_up.disagreeing()), task)

    by_and_by = learned(
        CandidateRanker(made_up.disagreeing()), task.subset(range(5)), task.subset([5]), task.subset(range(6, 24))
    )

    assert by_and_by.measured("matmul") == 24
    np.testing.assert_allclose(by_and_by.log_times(OTHERS, "matmul"), at_once.log_times(OTHERS, "matmul"))


def test_exploration_adds_what_measurements_leave_open():
    task, members = made_up.task(24), made_up.disagreeing()
    curious, sure = (learned(CandidateRanker(members, exploration=wish), task) for wish in (1.0, 0.0))

    def open_variance(candidates: Any) -> np.ndarray:
        deviation = np.log(curious.scores(candidates, "matmul") / sure.scores(candidates, "matmul"))
        return deviation**2 - sure.log_times(candidates, "matmul").var(axis=0, ddof=1)

    np.testing.assert_allclose(
        sure.scores(OTHERS, "matmul"), np.exp(-sure.log_times(OTHERS, "matmul").mean(axis=0)), err_msg="no bonus"
    )
    assert (open_variance(OTHERS) > 0).all()
    assert open_variance(OTHERS).mean() > 2 * open_variance(task.candidates).mean()
    np.testing.assert_allclose(
        sure.log_times(OTHERS, "matmul").var(axis=0),
        sure.log_times(OTHERS).var(axis=0),
        err_msg="what the members were off by is taken off all of them alike",
    )


def test_other_tasks_stay_as_they_are():
    ranker = learned(CandidateRanker(made_up.disagreeing()), made_up.task(8, seed=1, name="other"))
    other, none = ranker.log_times(OTHERS, "other"), ranker.log_times(OTHERS)

    learned(ranker, made_up.task(24))

    np.testing.assert_array_equal(ranker.log_times(OTHERS, "other"), other)
    np.testing.assert_array_equal(ranker.log_times(OTHERS), none)
    assert (ranker.measured("matmul"), ranker.measured("other"), ranker.measured("never heard of")) == (24, 8, 0)


def test_run_times_of_candidates_that_failed_are_passed_over():
    task, members = made_up.task(12), made_up.disagreeing()
    failed = {0: float("inf"), 3: 0.0, 4: float("nan"), 7: -1.0, 11: float("-inf")}
    run_secs = [failed.get(index, secs) for index, secs in enumerate(task.run_secs.tolist())]
    with_failures = CandidateRanker(members)

    with_failures.learn("matmul", task.candidates, run_secs)

    without = learned(CandidateRanker(members), task.subset(index for index in range(12) if index not in failed))
    assert with_failures.measured("matmul") == without.measured("matmul") == 7
    np.testing.assert_array_equal(with_failures.log_times(OTHERS, "matmul"), without.log_times(OTHERS, "matmul"))


def test_a_batch_in_which_all_failed_changes_nothing():
    ranker = CandidateRanker(made_up.disagreeing())
    before = ranker.log_times(OTHERS, "matmul")

    ranker.learn("matmul", OTHERS[:3], [float("inf"), float("nan"), 0.0])
    ranker.learn("matmul", [], [])

    assert ranker.measured("matmul") == 0
    np.testing.assert_array_equal(ranker.log_times(OTHERS, "matmul"), before)


def test_one_candidate_alone_changes_nothing_until_there_is_another():
    ranker, task = CandidateRanker(made_up.disagreeing(), exploration=1.0), made_up.task(2)
    before = ranker.scores(OTHERS, "matmul")

    learned(ranker, task.subset([0]))

    assert ranker.measured("matmul") == 1
    np.testing.assert_array_equal(ranker.scores(OTHERS, "matmul"), before)

    learned(ranker, task.subset([1]))
    assert (ranker.scores(OTHERS, "matmul") != before).all()


def test_a_frozen_one_learns_nothing_however_much_is_measured():
    members = made_up.disagreeing()
    ranker = CandidateRanker(members, frozen=True, exploration=1.0)
    before = ranker.scores(OTHERS, "matmul")

    learned(ranker, made_up.task(ENOUGH + 1))

    assert ranker.members == members
    np.testing.assert_array_equal(ranker.scores(OTHERS, "matmul"), before)


# --- Many measurements ---


def test_the_models_themselves_learn_from_64_measurements_and_those_passed_in_do_not():
    members = made_up.disagreeing()
    given = weights_of(members)
    most, last, alone = made_up.task(32), made_up.task(32, seed=1, name="other"), made_up.task(1, name="alone")
    ranker = learned(CandidateRanker(members), most, alone, last.subset(range(31)))

    assert ranker.members == members, "63 candidates of tasks that have an order"
    assert are_equal(weights_of(ranker.members), given)

    learned(ranker, last.subset([31]))
    assert are_equal(weights_of(members), given)
    for found, before in zip(ranker.members, members, strict=True):
        assert not are_equal(weights_of((found,)), weights_of((before,)))
    truth = np.array([made_up.secs_of(found) for found in OTHERS])
    before_and_after = [
        pair_accuracy(predict_log_times(models, OTHERS).mean(axis=0), truth) for models in (members, ranker.members)
    ]
    assert before_and_after[0] < 0.4
    assert before_and_after[1] > 0.6, "of tasks that were never measured too"
    for name in ("matmul", "other"):
        assert pair_accuracy(ranker.log_times(OTHERS, name).mean(axis=0), truth) > 0.8


def test_models_learn_from_all_measurements_anew_and_in_the_same_way_each_time():
    """From where training left them, not from where the last batch did."""
    task = made_up.task(ENOUGH + 16)

    twice = learned(CandidateRanker(made_up.disagreeing(1)), task.subset(range(ENOUGH)), task.subset(range(ENOUGH, 80)))

    once = learned(CandidateRanker(made_up.disagreeing(1)), task)
    assert are_equal(weights_of(twice.members), weights_of(once.members))


def test_models_that_learned_do_so_again_with_a_quarter_more_measurements():
    task = made_up.task(ENOUGH + 16)
    ranker = learned(CandidateRanker(made_up.disagreeing(1)), task.subset(range(ENOUGH)))
    at_64, order_at_64 = ranker.members, ranker.log_times(OTHERS, "matmul")

    learned(ranker, task.subset(range(ENOUGH, 79)))
    assert ranker.members == at_64
    assert (ranker.log_times(OTHERS, "matmul") != order_at_64).any(), "what they are off by is learned all the same"

    learned(ranker, task.subset([79]))
    assert ranker.members != at_64


# --- Files ---


def test_a_file_holds_the_models_as_measurements_left_them(tmp_path):
    path = tmp_path / "models" / "ranker.safetensors"
    ranker = CandidateRanker(made_up.disagreeing(), provenance={"seeds": [0, 1], "by": "a test"})
    learned(ranker, made_up.task(ENOUGH))

    ranker.save(path)

    found = CandidateRanker.load(path, frozen=True, exploration=0.5)
    assert (found.frozen, found.exploration) == (True, 0.5)
    assert found.provenance == {"seeds": [0, 1], "by": "a test"}
    assert found.measured("matmul") == 0
    assert are_equal(weights_of(found.members), weights_of(ranker.members))
    np.testing.assert_array_equal(found.log_times(OTHERS), ranker.log_times(OTHERS))


def test_restored_models_go_on_with_what_was_measured(tmp_path):
    path = tmp_path / "ranker.safetensors"
    others = made_up.disagreeing(3, seed=5)
    CandidateRanker(others, provenance={"by": "another"}).save(path)
    task, more = made_up.task(24), made_up.task(8, seed=1)
    ranker = learned(CandidateRanker(made_up.disagreeing()), task)

    ranker.restore(path)

    expected = learned(CandidateRanker(others), task)
    assert ranker.provenance == {"by": "another"}
    assert ranker.measured("matmul") == 24
    np.testing.assert_allclose(ranker.log_times(OTHERS, "matmul"), expected.log_times(OTHERS, "matmul"))

    learned(ranker, more)
    np.testing.assert_allclose(
        ranker.log_times(OTHERS, "matmul"), learned(expected, more).log_times(OTHERS, "matmul"), err_msg="32 in all"
    )


def test_a_file_that_is_not_there_leaves_everything_as_it_was(tmp_path):
    ranker = learned(CandidateRanker(made_up.disagreeing()), made_up.task(8))
    before = ranker.log_times(OTHERS, "matmul")

    with pytest.raises(UnknownNameError, match=r"none\.safetensors"):
        ranker.restore(tmp_path / "none.safetensors")

    np.testing.assert_array_equal(ranker.log_times(OTHERS, "matmul"), before)


# --- What makes no sense ---


def test_there_has_to_be_a_model():
    with pytest.raises(UsageError, match="at least one model to put candidates in order with, got none"):
        CandidateRanker([])


def test_exploration_is_not_negative():
    with pytest.raises(UsageError, match=r"exploration of at least 0, got -0\.1"):
        CandidateRanker(made_up.disagreeing(), exploration=-0.1)
