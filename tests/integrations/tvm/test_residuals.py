"""A Gaussian process on what models were off by, checked where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("tvm", reason="the package of TVM's candidates needs TVM: pip install '.[tvm]'")

from costmodel.integrations.tvm.learning.residuals import Residuals


def drawn(count: int, columns: int = 3, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Points, and predictions that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, columns)), rng.normal(0.0, 0.5, count)


def smooth(points: np.ndarray) -> np.ndarray:
    """Between -0.6 and 0.6, of the first two columns."""
    return 0.6 * np.sin(points[:, 0]) * np.cos(points[:, 1])


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


# --- What is predicted ---


def test_a_smooth_function_of_the_points_is_found_better_than_by_the_mean():
    points, log_times = drawn(48)
    others, of_others = drawn(200, seed=8)
    off = smooth(points)

    found, _ = Residuals(points, log_times, log_times + off).predict(others, of_others)

    assert error(found, smooth(others)) < 0.7 * error(off.mean(), smooth(others))
    assert np.corrcoef(found, smooth(others))[0, 1] > 0.8


def test_what_was_measured_is_learned_and_what_nothing_explains_is_not():
    points, log_times = drawn(48)
    noise = np.random.default_rng(9).normal(0.0, 0.5, 48)

    of_signal, _ = Residuals(points, log_times, log_times + smooth(points)).predict(points, log_times)
    of_noise, _ = Residuals(points, log_times, log_times + noise).predict(points, log_times)

    assert error(of_signal, smooth(points)) < 0.3 * smooth(points).std()
    assert error(of_noise, noise) > 0.6 * noise.std()


def test_it_is_surer_of_what_was_measured_than_of_what_is_far_from_it():
    points, log_times = drawn(48)
    residuals = Residuals(points, log_times, log_times + smooth(points))

    _, at_measured = residuals.predict(points, log_times)
    _, far_away = residuals.predict(points + 3 * np.sign(points), log_times)
    _, farther = residuals.predict(100 * np.sign(points), log_times)

    assert far_away.mean() > 2 * at_measured.mean()
    assert farther.min() > at_measured.max()


def test_more_measurements_leave_less_open():
    points, log_times = drawn(64)
    others, of_others = drawn(32, seed=8)
    off = smooth(points)

    _, few = Residuals(points[:8], log_times[:8], log_times[:8] + off[:8]).predict(others, of_others)
    _, many = Residuals(points, log_times, log_times + off).predict(others, of_others)

    assert many.mean() < 0.8 * few.mean()


def test_the_same_offset_everywhere_is_that_offset_elsewhere_too():
    points, log_times = drawn(12)
    others, of_others = drawn(20, seed=8)

    found, deviation = Residuals(points, log_times, log_times - 3.7).predict(10 * others, of_others)

    np.testing.assert_allclose(found, -3.7)
    assert (deviation > 0).all()


def test_the_unit_of_time_does_not_matter():
    points, log_times = drawn(24)
    others, of_others = drawn(20, seed=8)
    measured = log_times + smooth(points)

    in_secs, deviation = Residuals(points, log_times, measured).predict(others, of_others)
    in_ms, same_deviation = Residuals(points, log_times, measured + np.log(1e3)).predict(others, of_others)

    np.testing.assert_allclose(in_ms, in_secs + np.log(1e3))
    np.testing.assert_allclose(same_deviation, deviation)


@pytest.mark.parametrize(("factor", "sign"), [(2.0, 1), (0.5, -1)])
def test_differences_that_were_predicted_too_small_or_too_large_are_stretched_or_shrunk(factor, sign):
    """Where no point tells candidates apart, nothing but the prediction says what it is off by."""
    _, log_times = drawn(32)
    same = np.zeros((32, 3))
    beyond = np.array([-1.5, -0.5, 0.5, 1.5])

    found, _ = Residuals(same, log_times, factor * log_times).predict(np.zeros((4, 3)), beyond)

    np.testing.assert_allclose(found, (factor - 1) * beyond, atol=0.2 * abs(factor - 1))
    assert (np.sign(np.diff(found)) == sign).all()


# --- What tells candidates apart ---


def test_columns_that_do_not_move_say_nothing_even_if_they_move_later():
    points, log_times = drawn(24)
    others, of_others = drawn(20, seed=8)
    measured = log_times + smooth(points)
    still = np.full((24, 1), 5.0)
    nearly_still = still * (1 + 1e-4 * np.random.default_rng(3).random((24, 1)))

    without = Residuals(points, log_times, measured).predict(others, of_others)
    for column in (still, nearly_still, np.zeros((24, 1))):
        residuals = Residuals(np.hstack([points, column]), log_times, measured)
        for later in (5.0, 0.0, 1e6):
            found = residuals.predict(np.hstack([others, np.full((20, 1), later)]), of_others)
            np.testing.assert_allclose(found, without)


def test_the_scale_of_a_column_does_not_matter():
    points, log_times = drawn(24)
    others, of_others = drawn(20, seed=8)
    measured = log_times + smooth(points)
    scale = np.array([1e-3, 1.0, 1e5])

    plain = Residuals(points, log_times, measured).predict(others, of_others)
    scaled = Residuals(scale * points, log_times, measured).predict(scale * others, of_others)

    np.testing.assert_allclose(scaled, plain)


# --- Little to go by ---


def test_two_measurements_suffice():
    points, log_times = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.2, -0.2])
    measured = log_times + np.array([0.5, -0.5])

    found, deviation = Residuals(points, log_times, measured).predict(points, log_times)

    assert 0 < found[0] < 0.5, "less than what was seen, as there may be noise"
    assert found[0] == pytest.approx(-found[1])
    assert (deviation > 0).all()


@pytest.mark.parametrize("same_prediction", [True, False])
def test_candidates_that_cannot_be_told_apart_do_no_harm(same_prediction):
    points, log_times = np.ones((8, 3)), np.zeros(8) if same_prediction else np.linspace(-0.5, 0.5, 8)
    measured = log_times + 0.1 * np.array([1, -1, -1, 1, 1, -1, -1, 1])

    found, deviation = Residuals(points, log_times, measured).predict(points, log_times)

    np.testing.assert_allclose(found, 0, atol=0.02)
    assert np.isfinite(deviation).all()


def test_a_candidate_that_was_measured_many_times_counts_and_does_no_harm():
    points, log_times = drawn(16)
    others, of_others = drawn(20, seed=8)
    again = np.append(np.arange(16), np.full(20, 3))
    measured = (log_times + smooth(points))[again]

    found, deviation = Residuals(points[again], log_times[again], measured).predict(points, log_times)

    assert abs(found[3] - smooth(points)[3]) < 0.05
    assert np.isfinite(deviation).all()
    assert np.isfinite(Residuals(points[again], log_times[again], measured).predict(others, of_others)).all()


def test_one_candidate_measured_more_often_than_all_others_leaves_them_their_say():
    for seed in range(8):
        points, log_times = drawn(16, seed=seed)
        again = np.append(np.arange(16), np.full(48, 3))
        measured = (log_times + smooth(points))[again]

        found, _ = Residuals(points[again], log_times[again], measured).predict(points + 0.05, log_times)

        assert np.corrcoef(found, smooth(points))[0, 1] > 0.9


# --- Extremes ---

sizes = st.floats(-1e12, 1e12)
log_secs = st.floats(-50, 50)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_everything_is_finite_however_extreme_points_and_times_are(data):
    count, columns = data.draw(st.integers(2, 6)), data.draw(st.integers(0, 3))
    points, others = data.draw(arrays(float, (count, columns), elements=sizes)), np.empty((4, columns))
    others[:] = data.draw(arrays(float, (4, columns), elements=st.one_of(sizes, st.floats(-1e100, 1e100))))
    log_times, measured, of_others = (data.draw(arrays(float, size, elements=log_secs)) for size in (count, count, 4))

    found, deviation = Residuals(points, log_times, measured).predict(others, of_others)

    assert np.isfinite(found).all()
    assert np.isfinite(deviation).all()
    assert (deviation >= 0).all()
