import numpy as np
import pytest

from costmodel.search import Candidate, hypervolume, pareto_front


def candidates(*pairs):
    return [Candidate(f"a{index}", percent, ms) for index, (percent, ms) in enumerate(pairs)]


def test_the_front_has_what_nothing_beats():
    found = candidates((90, 5), (92, 9), (91, 9), (80, 5), (90, 6), (95, 20), (10, 1))
    assert [one.arch for one in pareto_front(found)] == ["a6", "a0", "a1", "a5"]


def test_equal_candidates_are_there_once():
    assert len(pareto_front(candidates((90, 5), (90, 5)))) == 1
    assert pareto_front([]) == []


def test_hypervolume_is_the_area_up_to_the_reference():
    found = candidates((60, 1), (80, 3), (70, 4), (99, 50), (40, 0.5))
    assert hypervolume(found, 50, 5) == (60 - 50) * 4 + (80 - 60) * 2
    assert hypervolume([], 50, 5) == 0


def test_hypervolume_agrees_with_counting_points():
    rng = np.random.default_rng(0)
    found = candidates(*zip(rng.uniform(0, 100, 30), rng.uniform(0, 10, 30), strict=True))
    points = rng.uniform((0, 0), (100, 10), (20_000, 2))
    dominated = np.zeros(len(points), dtype=bool)
    for _, percent, ms in found:
        dominated |= (points[:, 0] <= percent) & (points[:, 1] >= ms)
    assert hypervolume(found, 0, 10) == pytest.approx(1000 * dominated.mean(), rel=0.02)
