"""What is minimised, what is reported, and that training and its files keep what they promise."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

import synthetic_candidates as made_up

from costmodel.errors import DataError, UnknownNameError, UsageError, WeightsError
from costmodel.integrations.tvm import weights
from costmodel.integrations.tvm.learning import (
    CandidateFitConfig,
    centred_huber,
    fit_candidates,
    pair_accuracy,
    predict_log_times,
    ranking_loss,
    top_k_score,
)
from costmodel.integrations.tvm.learning.fitting import describe_candidates
from costmodel.integrations.tvm.learning.pretraining import TrainedMembers, train_members, usable_tasks
from costmodel.integrations.tvm.model import CandidateModel, CandidateModelConfig
from costmodel.integrations.tvm.weights import find_weights, load_weights, save_weights

pytestmark = pytest.mark.usefixtures("one_thread")

ONE_TASK = torch.zeros(3, dtype=torch.long)


def are_equal(some: CandidateModel, other: CandidateModel) -> bool:
    others = other.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in some.state_dict().items())


# --- What is minimised ---


def ranking(log_time: list[float], measured: list[float], task: Tensor = ONE_TASK) -> float:
    return float(ranking_loss(torch.tensor(log_time), torch.tensor(measured), task))


def huber(log_time: list[float], measured: list[float], task: Tensor = ONE_TASK) -> float:
    return float(centred_huber(torch.tensor(log_time), torch.tensor(measured), task))


def test_the_ranking_loss_by_hand():
    """The pairs (0, 1), (0, 2) and (1, 2) are 1/2, 2 and 3/2 apart, which counts as 1 at most."""
    weight = np.array([0.5, 1.0, np.exp(-0.5)])
    loss = np.log1p(np.exp(2 * np.array([0.0 - 1.0, 0.0 - 0.5, 1.0 - 0.5])))

    assert ranking([0.0, 1.0, 0.5], [0.0, 0.5, 2.0]) == pytest.approx((weight * loss).sum() / weight.sum())


@pytest.mark.parametrize(("wrong", "right"), [([1, 0, 2], [0, 1, 2]), ([0, 2, 1], [0, 1, 2]), ([2, 1, 0], [1, 2, 0])])
def test_the_ranking_loss_falls_when_a_wrong_pair_is_put_right(wrong, right):
    measured = [0.0, 0.5, 1.0]

    assert ranking(list(map(float, right)), measured) < ranking(list(map(float, wrong)), measured) - 0.1


def test_a_mistake_near_the_fastest_counts_more_than_one_among_the_slowest():
    measured = [0.0, 0.5, 1.0]

    assert ranking([0.5, 0.0, 1.0], measured) > ranking([0.0, 1.0, 0.5], measured)


def test_pairs_of_different_tasks_do_not_count():
    task = torch.tensor([0, 0, 1, 1])
    measured = [0.0, 1.0, 5.0, 6.0]
    tied = ranking([0.0, 0.0, 0.0, 0.0], measured, task)

    assert tied == pytest.approx(np.log(2))
    assert ranking([9.0, 9.0, -9.0, -9.0], measured, task) == pytest.approx(tied), "slow ones taken for faster"
    assert ranking([0.0, 1.0], [0.0, 1.0], torch.tensor([0, 1])) == 0


def test_equal_times_have_no_order_to_learn():
    log_time = torch.tensor([0.0, 3.0, -2.0], requires_grad=True)

    loss = ranking_loss(log_time, torch.full((3,), 0.7), ONE_TASK)
    loss.backward()

    assert float(loss.detach()) == 0
    assert log_time.grad.tolist() == [0, 0, 0]


def test_the_centred_huber_loss_by_hand():
    """Off by -1, 0 and 1 after the mean is taken out: each costs its size but for half of delta."""
    assert huber([4.0, 5.0, 6.0], [0.0, 0.0, 0.0]) == pytest.approx((2 * (1 - 0.05)) / 3)
    assert huber([0.05, -0.05], [0.0, 0.0], torch.tensor([0, 0])) == pytest.approx(0.5 * 0.05**2 / 0.1)


def test_the_centred_huber_loss_ignores_a_shift_of_a_task_but_not_of_a_candidate():
    task, measured = torch.tensor([0, 1, 0, 1]), [0.0, 1.0, 2.0, 3.0]
    log_time = [0.1, 1.3, 2.2, 2.9]

    shifted = [value + (5.0 if number else -3.0) for value, number in zip(log_time, task.tolist(), strict=True)]

    assert huber(shifted, measured, task) == pytest.approx(huber(log_time, measured, task), rel=1e-4)
    assert huber([5.0, 4.0, 7.0, 6.0], measured, task) == pytest.approx(0, abs=1e-6)
    assert huber([5.0, 4.0, 7.5, 6.0], measured, task) > 0.1


# --- What is reported ---


@pytest.mark.parametrize(
    ("predicted", "measured", "accuracy"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([3, 2, 1], [10, 20, 30], 0),
        ([2, 1, 3], [10, 20, 30], 2 / 3),
        ([1, 1, 3], [10, 20, 30], 2.5 / 3),  # a tie counts half
        ([0, 0, 0], [10, 20, 30], 0.5),
        ([1, 2, 3], [10, 10, 30], 1),  # equal times are no pair
    ],
)
def test_pair_accuracy_is_the_share_of_pairs_in_the_right_order(predicted, measured, accuracy):
    assert pair_accuracy(np.array(predicted, dtype=float), np.array(measured, dtype=float)) == pytest.approx(accuracy)


def test_pairs_that_hardly_differ_can_be_left_out():
    predicted, measured = np.array([2.0, 1.0, 3.0]), np.array([1.0, 1.25, 2.0])

    assert pair_accuracy(predicted, measured) == pytest.approx(2 / 3)
    assert pair_accuracy(predicted, measured, least_difference=0.25) == 1, "no more than that is left out too"
    assert np.isnan(pair_accuracy(predicted, measured, least_difference=1.0))


@pytest.mark.parametrize("measured", [[], [1.0], [2.0, 2.0, 2.0]])
def test_without_pairs_there_is_no_accuracy(measured):
    assert np.isnan(pair_accuracy(np.arange(len(measured), dtype=float), np.array(measured)))


@pytest.mark.parametrize(("k", "score"), [(1, 2 / 5), (2, 2 / 4), (3, 2 / 4), (4, 1), (9, 1)])
def test_top_k_is_how_near_the_best_of_those_chosen_comes_to_the_best_of_all(k, score):
    predicted, run_secs = np.array([0.3, 0.9, 0.1, 0.2]), np.array([8.0, 2.0, 5.0, 4.0])

    assert top_k_score(predicted, run_secs, k) == pytest.approx(score)


# --- Training ---


@pytest.fixture(scope="module")
def tasks() -> list[Any]:
    return [made_up.task(24, seed=1, name="one"), made_up.task(12, seed=2, name="other")]


SHORT = CandidateFitConfig(steps=60, seed=3)


def test_training_lowers_the_loss_and_puts_candidates_in_order(tasks):
    model, steps, losses = made_up.untrained(), [], []
    others = made_up.task(32, seed=9)
    before = pair_accuracy(predict_log_times([model], others.candidates)[0], others.run_secs)

    trained = fit_candidates(model, tasks, SHORT, lambda step, loss: (steps.append(step), losses.append(loss)))

    assert trained is model
    assert not trained.training
    assert steps == list(range(1, 61))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert pair_accuracy(predict_log_times([model], others.candidates)[0], others.run_secs) > before + 0.2


def test_training_with_the_same_seed_comes_to_the_same_weights(tasks):
    one, same, other = (
        fit_candidates(made_up.untrained(), tasks, SHORT.model_copy(update={"steps": 5, "seed": seed}))
        for seed in (3, 3, 4)
    )

    assert are_equal(one, same)
    assert not are_equal(one, other)


def test_parameters_that_ask_for_no_gradient_stay_as_they_are(tasks):
    model, before = made_up.untrained(), made_up.untrained()
    for parameter in [*model.trunk.parameters(), model.log_rates]:
        parameter.requires_grad = False

    fit_candidates(model, tasks, SHORT.model_copy(update={"steps": 5}))

    changed = {
        name.partition(".")[0]
        for name, tensor in model.state_dict().items()
        if not torch.equal(tensor, before.state_dict()[name])
    }
    assert changed == {"head"}


def test_equal_times_train_without_a_hitch():
    task = replace(made_up.task(4), run_secs=np.full(4, 1e-3))

    model = fit_candidates(made_up.untrained(), [task], SHORT.model_copy(update={"steps": 3}))

    assert np.isfinite(predict_log_times([model], task.candidates)).all()


def test_a_description_begins_with_what_is_predicted():
    members, candidates = made_up.disagreeing(3), made_up.candidates(5)

    log_times, embeddings = describe_candidates(members, candidates)

    np.testing.assert_array_equal(predict_log_times(members, candidates), log_times)
    assert (log_times.shape, embeddings.shape) == ((3, 5), (5, 3 * 2 * 16))
    for number, member in enumerate(members):
        of_one = describe_candidates([member], candidates)
        np.testing.assert_array_equal(of_one[0][0], log_times[number])
        np.testing.assert_array_equal(of_one[1], embeddings[:, 32 * number : 32 * (number + 1)])


def test_many_candidates_at_once_are_described_like_one_at_a_time():
    members, candidates = made_up.disagreeing(), made_up.candidates(130)

    log_times, embeddings = describe_candidates(members, candidates)

    alone = [describe_candidates(members, [found]) for found in candidates]
    np.testing.assert_allclose(log_times, np.concatenate([found for found, _ in alone], axis=1), atol=1e-4)
    np.testing.assert_allclose(embeddings, np.concatenate([found for _, found in alone]), atol=1e-4)


def test_no_candidates_are_described_by_nothing():
    log_times, embeddings = describe_candidates(made_up.disagreeing(), [])

    assert (log_times.shape, embeddings.shape) == ((2, 0), (0, 64))


def test_an_untrained_model_predicts_simple_physics():
    (found,) = made_up.candidates(1)
    model = made_up.untrained()

    expected = np.log((found.work.astype(np.float64) @ model.log_rates.detach().exp().numpy()).sum())

    assert predict_log_times([model], [found])[0, 0] == pytest.approx(expected, abs=1e-4)


# --- Members, one after the other ---

FEW_STEPS = CandidateFitConfig(steps=3, seed=5)


@pytest.fixture
def train(tasks) -> Callable[..., tuple[TrainedMembers, list[tuple[int, int]]]]:
    """Trains members, and tells which steps of which members were done."""

    def trained(members: int = 2, config: CandidateFitConfig = FEW_STEPS, some=None, **settings: Any):
        done: list[tuple[int, int]] = []
        found = train_members(
            tasks if some is None else some,
            made_up.SHAPE,
            config,
            members=members,
            on_step=lambda member, step, _: done.append((member, step)),
            **settings,
        )
        return found, done

    return trained


def test_members_differ_in_their_seed(train):
    found, done = train()

    assert (found.seeds, len(found.members), len(found.final_losses)) == ((5, 6), 2, 2)
    assert done == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert not are_equal(*found.members)
    alone, _ = train(1, FEW_STEPS.model_copy(update={"seed": 6}))
    assert are_equal(alone.members[0], found.members[1])


def test_members_of_an_interrupted_run_are_not_trained_again(train, tmp_path, caplog):
    checkpoint = tmp_path / "run.partial"
    whole, _ = train()
    train(1, checkpoint=checkpoint)

    with caplog.at_level(logging.INFO, logger="costmodel"):
        resumed, done = train(checkpoint=checkpoint)

    assert {member for member, _ in done} == {1}
    assert "members finished in an earlier run: 1" in caplog.text
    assert resumed.final_losses == pytest.approx(whole.final_losses)
    assert (resumed.seeds, len(resumed.members)) == (whole.seeds, 2)
    assert all(map(are_equal, resumed.members, whole.members))

    fewer, done = train(1, checkpoint=checkpoint)
    assert (len(fewer.members), len(fewer.final_losses), done) == (1, 1, [])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": FEW_STEPS.model_copy(update={"learning_rate": 1e-3})}, "learning_rate"),
        ({"some": [made_up.task(4)]}, "records"),
        ({"start_from": [made_up.untrained()]}, "start_from"),
    ],
)
def test_a_run_with_another_setting_starts_anew_and_says_so(change, named, train, tmp_path, caplog):
    checkpoint = tmp_path / "run.partial"
    train(1, checkpoint=checkpoint)

    _, done = train(1, checkpoint=checkpoint, **change)

    assert [member for member, _ in done] == [0, 0, 0]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"other settings ({named}); training starts anew" in warning.getMessage()
    assert not train(1, checkpoint=checkpoint, **change)[1], "its own members take the place of the others"


@pytest.mark.parametrize("content", [b"no weights", None], ids=["damaged", "of something else"])
def test_a_checkpoint_that_cannot_be_used_is_told_and_replaced(content, train, tmp_path, caplog):
    checkpoint = tmp_path / "run.partial"
    if content is None:
        save_weights(made_up.disagreeing(), checkpoint, {"notes": "not of a run"})
    else:
        checkpoint.write_bytes(content)

    _, done = train(1, checkpoint=checkpoint)

    assert len(done) == 3
    assert "cannot be gone on from" in caplog.text
    assert load_weights(checkpoint)[1].members == 1


def test_members_start_from_others_in_turn_and_leave_them_as_they_are(train):
    start_from = made_up.disagreeing(2)

    found, _ = train(3, start_from=start_from)

    assert all(map(are_equal, start_from, made_up.disagreeing(2)))
    heads = [model.head[-1].weight.detach() for model in start_from]
    nearest = [
        int(np.argmin([float((member.head[-1].weight.detach() - head).norm()) for head in heads]))
        for member in found.members
    ]
    assert nearest == [0, 1, 0]
    assert not are_equal(found.members[0], found.members[2]), "from the same, but with another seed"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"members": 0}, UsageError, "at least one member to train, got 0"),
        ({"some": []}, DataError, "got no task"),
        ({"some": [made_up.task(3), made_up.task(1, name="alone")]}, DataError, "got matmul 3, alone 1"),
        ({"start_from": [CandidateModel(CandidateModelConfig.of_size(8, 1))]}, UsageError, "another shape"),
    ],
)
def test_members_that_cannot_be_trained_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        train(**settings)


def test_tasks_of_one_candidate_have_no_order():
    two, one = made_up.task(2), made_up.task(1)

    assert usable_tasks([one, two, one]) == [two]


# --- Weights ---


@pytest.fixture
def path(tmp_path) -> Path:
    """Of a file with two models."""
    found = tmp_path / "model.safetensors"
    save_weights(made_up.disagreeing(), found, {"data": "made up", "seeds": [0, 1]})
    return found


def rewritten(path: Path, **header: Any) -> None:
    """Put something else into the header of a file."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["costmodel"])
    save_file(load_file(path), path, {"costmodel": json.dumps(about | header)})


def test_weights_come_back_as_they_were_written(path):
    members, about = load_weights(path)

    assert (about.members, about.model, about.schema_version) == (2, made_up.SHAPE, 1)
    assert about.provenance == {"data": "made up", "seeds": [0, 1]}
    assert all(map(are_equal, members, made_up.disagreeing()))
    assert not any(member.training for member in members)
    candidates = made_up.candidates(3)
    np.testing.assert_array_equal(
        predict_log_times(members, candidates), predict_log_times(made_up.disagreeing(), candidates)
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"feature_schema": "0123"}, "was trained on features 0123, this release computes .* costmodel tvm train"),
        ({"schema_version": 2}, "expected schema version 1, got 2"),
        ({"schema_version": None}, "expected schema version 1, got None"),
        ({"members": 3}, "does not hold the model that its header describes"),
        ({"members": 0}, "members: .* greater than 0"),
        ({"surprise": 1}, "surprise: .*not permitted"),
        (
            {"model": CandidateModelConfig.of_size(8, 1).model_dump(mode="json")},
            "does not hold the model that its header describes",
        ),
    ],
)
def test_a_header_that_does_not_fit_is_refused(header, message, path):
    rewritten(path, **header)

    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], "cannot be read as weights"),
        (lambda content: content[:20], "cannot be read as weights"),
        (lambda content: b"", "cannot be read as weights"),
        (lambda content: b"latency of a network, in milliseconds\n" * 10, "cannot be read as weights"),
    ],
    ids=["truncated", "almost nothing", "empty", "not safetensors"],
)
def test_a_damaged_file_is_refused(damage, message, path):
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(WeightsError, match=message):
        load_weights(path)


@pytest.mark.parametrize("metadata", [None, {}, {"costmodel": "hello"}, {"costmodel": "[1]"}, {"costmodel": "null"}])
def test_tensors_of_something_else_are_refused(metadata, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata)

    with pytest.raises(WeightsError, match="holds no cost model of candidates"):
        load_weights(path)


@pytest.fixture
def shipped(path, monkeypatch) -> Path:
    """A package with weights of this name."""
    monkeypatch.setattr(weights, "__file__", str(path.parent / "package" / "weights.py"))
    found = path.parent / "package" / "pretrained" / "nnformer-small.safetensors"
    found.parent.mkdir(parents=True)
    return path.rename(found)


def test_weights_that_come_with_the_package_go_by_their_name(shipped):
    assert find_weights("nnformer-small") == shipped
    assert load_weights("nnformer-small")[1].members == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nnformer-smal", "unknown cost model 'nnformer-smal'. Did you mean nnformer-small?"),
        ("xgb", "unknown cost model 'xgb'. Known: nnformer-small."),
        ("/nowhere/model.safetensors", "Known: nnformer-small. A file that `save` wrote does as well."),
    ],
)
def test_an_unknown_name_tells_what_there_is(name, message, shipped):
    with pytest.raises(UnknownNameError) as caught:
        load_weights(name)
    assert message in str(caught.value)


def test_a_folder_is_no_file_of_weights(tmp_path):
    with pytest.raises(UnknownNameError):
        load_weights(tmp_path)


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left_behind(path):
    folder = path.parent / "folder"
    folder.mkdir()
    for place in (path / "inside a file.safetensors", folder):
        with pytest.raises(WeightsError, match=r"cannot write the cost model .* Make room, or choose another place"):
            save_weights(made_up.disagreeing(), place)

    assert sorted(found.name for found in path.parent.iterdir()) == ["folder", path.name]
    assert load_weights(path)[1].members == 2


def test_a_file_is_replaced_as_a_whole(path):
    save_weights(made_up.disagreeing(1), path)

    members, about = load_weights(path)
    assert (len(members), about.provenance) == (1, {})
    assert list(path.parent.iterdir()) == [path]
