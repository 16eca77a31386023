from __future__ import annotations

import numpy as np
import pytest

from costmodel.calibration.selection import (
    SELECTIONS,
    DOptimalSelection,
    KCentreSelection,
    RandomSelection,
    RepresentativeSelection,
    SelectionStrategy,
    selection_for,
)
from costmodel.calibration.testing import SelectionConformance
from costmodel.errors import DataError, UnknownNameError, UsageError


class TestRandom(SelectionConformance):
    def make_selection(self) -> SelectionStrategy:
        return RandomSelection()


class TestKCentre(SelectionConformance):
    def make_selection(self) -> SelectionStrategy:
        return KCentreSelection()


class TestDOptimal(SelectionConformance):
    def make_selection(self) -> SelectionStrategy:
        return DOptimalSelection()


class TestRepresentative(SelectionConformance):
    def make_selection(self) -> SelectionStrategy:
        return RepresentativeSelection()


def clusters() -> np.ndarray:
    """Three crowds of ten around (0, 0), (10, 0) and (0, 10), and one stray far off."""
    rng = np.random.default_rng(0)
    crowds = [centre + rng.normal(scale=0.1, size=(10, 2)) for centre in ([0, 0], [10, 0], [0, 10])]
    return np.concatenate([*crowds, [[30.0, 30.0]]])


@pytest.mark.parametrize("name", ["k-centre", "representative"])
def test_every_crowd_is_represented(name):
    crowds = {row // 10 for row in selection_for(name).select(clusters(), 4)}
    assert crowds == {0, 1, 2, 3}


def test_representatives_of_few_clusters_come_from_the_crowds():
    assert all(row < 30 for row in RepresentativeSelection().select(clusters()[:30], 3))


def test_d_optimal_starts_with_the_farthest_and_then_looks_elsewhere():
    points = np.array([[5.0, 0.1], [4.9, 0.0], [0.0, 2.0], [0.1, 0.1]])
    assert DOptimalSelection().select(points, 2) == [0, 2]


def test_names_lead_to_selections():
    assert next(iter(SELECTIONS)) == "representative"
    with pytest.raises(UnknownNameError, match="k-centre"):
        selection_for("k-center")


@pytest.mark.parametrize("count", [0, 4])
def test_more_than_there_are_cannot_be_chosen(count):
    with pytest.raises(UsageError, match=f"between 1 and 3 networks, got {count}"):
        RandomSelection().select(np.zeros((3, 2)), count)


def test_a_plug_in_that_chooses_twice_is_told():
    class Same(SelectionStrategy):
        name = "same"

        def _select(self, embedding, count, rng):
            return [0] * count

    with pytest.raises(DataError, match="same: asked for 2 different rows"):
        Same().select(np.zeros((3, 2)), 2)
