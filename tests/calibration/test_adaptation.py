from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from costmodel.calibration import calibrate
from costmodel.calibration.adaptation import adapt
from costmodel.calibration.interval import error_quantile_of_few
from costmodel.calibration.measurement import Measurement
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies import (
    Averaged,
    CalibrationStrategy,
    Corrected,
    MixedPlatforms,
    OwnRates,
    RescaledPlatform,
)
from costmodel.calibration.testing import synthetic_profiles
from costmodel.data.families import generate
from costmodel.errors import DataError
from costmodel.features import build_features
from costmodel.graph import load_graph
from costmodel.predictor import Predictor
from costmodel.training import mape_percent


def test_the_strategy_with_the_least_left_out_error_is_chosen():
    profiles = synthetic_profiles(20)
    latency_ms = profiles.latency_ms @ np.array([0.5, 0.0, 3.0])
    adaptation = adapt(profiles, latency_ms, [RescaledPlatform(), MixedPlatforms()])
    assert adaptation.chosen.strategy == "mixed platforms"
    assert not adaptation.fell_back
    assert adaptation.chosen.error_percent == min(candidate.error_percent for candidate in adaptation.candidates)


def test_left_out_predictions_do_not_see_their_own_measurement():
    profiles = synthetic_profiles(6)
    latency_ms = profiles.latency_ms[:, 0].copy()
    latency_ms[2] *= 50
    left_out_ms = adapt(profiles, latency_ms, [RescaledPlatform()]).chosen.left_out_ms
    np.testing.assert_allclose(left_out_ms[2], profiles.latency_ms[2, 0])


def test_a_fit_to_the_others_is_no_fit_to_all():
    profiles = synthetic_profiles(4, platforms=1)
    latency_ms = profiles.latency_ms[:, 0] * np.array([1.0, 1.0, 2.0, 50.0])
    left_out_ms = adapt(profiles, latency_ms, [RescaledPlatform()]).chosen.left_out_ms
    np.testing.assert_allclose(left_out_ms[3], profiles.latency_ms[3, 0])


def test_what_several_strategies_build_on_is_fitted_once_for_each_network_left_out():
    class Counted(MixedPlatforms):
        fits = 0

        def _fit(self, fits):
            self.fits += 1
            return super()._fit(fits)

    counted, profiles = Counted(), synthetic_profiles(6)
    adapt(profiles, profiles.latency_ms[:, 1], [counted, Corrected(counted), Corrected(Corrected(counted))])
    assert counted.fits in (6, 7)  # once more where it, or what builds on it, is chosen and fitted to all


def test_it_falls_back_to_the_best_known_platform():
    class Wild(CalibrationStrategy):
        name = "wild"

        def _fit(self, fits):
            mixture = fits.of(MixedPlatforms())
            return type(mixture)(100 * mixture.mix, mixture.factors)

    profiles = synthetic_profiles(6)
    adaptation = adapt(profiles, 2 * profiles.latency_ms[:, 1], [Wild()])
    assert adaptation.fell_back
    assert [candidate.strategy for candidate in adaptation.candidates] == ["rescaled platform", "wild"]
    assert mape_percent(adaptation.mixture.latency_ms(profiles), 2 * profiles.latency_ms[:, 1]) < 1e-6


@pytest.mark.parametrize("strategy", [OwnRates(), Averaged(), Corrected(Averaged())], ids=lambda found: found.name)
def test_what_was_fitted_is_what_the_predictor_says(untrained_bundle, strategy):
    models = [generate(family, 0, batch=2, weights=False) for family in ("alexnet", "resnet", "squeezenet", "vgg")]
    starts = [len(build_features(load_graph(model))) for model in models]
    measured = [Measurement.of_model(model, 0.5 * count) for model, count in zip(models, starts, strict=True)]
    calibration = calibrate(Predictor(untrained_bundle), measured, "board", strategies=[strategy])
    assert calibration.adaptation.chosen.strategy == strategy.name
    predicted = [calibration.predictor.predict(model, platform="board").latency_ms for model in models]
    np.testing.assert_allclose(predicted, calibration.adaptation.mixture.latency_ms(calibration.profiles), rtol=1e-5)


@pytest.mark.parametrize("networks", [0, 2])
def test_two_measurements_are_too_few(networks):
    with pytest.raises(DataError, match=f"measurements of {networks} networks, expected at least 3"):
        adapt(synthetic_profiles(networks), np.ones(networks))


@pytest.mark.parametrize("count", [3, 6, 12, 30])
def test_intervals_hold_nine_in_ten_whatever_the_number_of_errors(count):
    rng = np.random.default_rng(count)
    held = [
        abs(new) <= error_quantile_of_few(errors)
        for errors, new in ((rng.normal(size=count), rng.normal()) for _ in range(3000))
    ]
    assert 0.87 < np.mean(held) < 0.95


def test_fewer_errors_make_wider_intervals():
    widths = [error_quantile_of_few(np.ones(count)) for count in (3, 6, 12)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > norm.ppf(0.95)


def test_no_error_is_nothing_to_go_by():
    with pytest.raises(DataError, match="at least three measurements"):
        error_quantile_of_few(np.empty(0))


def test_intervals_are_no_narrower_than_those_of_the_platforms_it_is_made_of(untrained_bundle):
    models = [generate(family, 0, weights=False) for family in ("alexnet", "resnet", "squeezenet", "vgg")]
    features = [build_features(load_graph(model)) for model in models]
    profiles = NetworkProfiles.of_features(untrained_bundle, features, [1] * len(models))

    def quantile(latency_ms):
        measured = [
            Measurement.of_model(model, ms, name=f"n-{ms}") for model, ms in zip(models, latency_ms, strict=True)
        ]
        found = calibrate(Predictor(untrained_bundle), measured, "board", strategies=[RescaledPlatform()])
        return found.adapter.error_quantile

    exact = profiles.latency_ms[:, 1] * 3
    assert quantile(exact) == pytest.approx(untrained_bundle.config.error_quantiles[1])
    assert quantile(exact * np.array([1, 2, 4, 8])) > 1


def test_shares_count_time_and_add_up_to_one():
    profiles = synthetic_profiles(5)
    mixture = MixedPlatforms().fit(profiles, profiles.latency_ms[:, 0] + 100 * profiles.latency_ms[:, 2])
    shares = mixture.shares(profiles)
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == 2
    assert not OwnRates().fit(profiles, profiles.latency_ms[:, 0]).shares(profiles).any()
