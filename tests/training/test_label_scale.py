"""Accuracies become normal scores, and come back."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from costmodel.training.label_scale import LabelScale

LABELS = np.array([10.0, 55.0, 90.0, 91.0, 91.0, 92.0])


def test_ranks_decide():
    scores = LabelScale.of(LABELS).scores_of(LABELS)

    np.testing.assert_allclose(scores, norm.ppf(np.array([0.5, 1.5, 2.5, 4, 4, 5.5]) / 6))


def test_scores_come_back_as_accuracies():
    scale = LabelScale.of(LABELS)

    np.testing.assert_allclose(scale.percent_of(scale.scores_of(LABELS)), LABELS)


def test_beyond_the_labels_it_goes_on_and_stays_a_percentage():
    scale = LabelScale.of(LABELS)

    assert 92 < scale.percent_of(np.array(scale.scores[-1] + 0.1)) < 93
    assert scale.percent_of(np.array([-50.0, 50.0])).tolist() == [0, 100]


@pytest.mark.parametrize("count", [2, 3, 128, 129, 130, 1000])
def test_the_order_is_kept(count):
    percent = np.random.default_rng(count).uniform(1, 99, count).round(1)
    scale = LabelScale.of(percent)

    assert len(scale.percent) <= 129
    assert (np.diff(scale.scores_of(np.sort(percent))) >= 0).all()
    assert LabelScale.model_validate_json(scale.model_dump_json()) == scale


def test_knots_must_ascend():
    with pytest.raises(ValidationError, match="ascend"):
        LabelScale(percent=(2.0, 1.0), scores=(0.0, 1.0))
    with pytest.raises(ValidationError, match="a score for each"):
        LabelScale(percent=(1.0, 2.0), scores=(0.0, 1.0, 2.0))
