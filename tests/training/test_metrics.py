from __future__ import annotations

import numpy as np
import pytest

from costmodel.training import accuracy_within, interval_coverage, kendall_tau, mape_percent

MEASURED = np.array([10.0, 20.0, 40.0, 80.0])


def test_mape_is_relative_to_the_measurement():
    assert mape_percent(np.array([5.0, 30.0, 40.0, 80.0]), MEASURED) == pytest.approx(25.0)


def test_accuracy_counts_both_sides_of_the_measurement():
    assert accuracy_within(np.array([9.1, 21.9, 45.0, 71.0]), MEASURED) == pytest.approx(50.0)


def test_kendall_tau_of_a_swap():
    assert kendall_tau(np.array([2.0, 1.0, 3.0, 4.0]), MEASURED) == pytest.approx(4 / 6)


def test_coverage_includes_the_ends():
    low, high = np.array([10.0, 21.0, 0.0, 0.0]), np.array([11.0, 30.0, 40.0, 79.0])
    assert interval_coverage(low, high, MEASURED) == pytest.approx(50.0)
