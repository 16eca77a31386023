from __future__ import annotations

import numpy as np
import pytest

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies import (
    Averaged,
    CalibrationStrategy,
    Corrected,
    MixedPlatforms,
    Mixture,
    OwnRates,
    RescaledPlatform,
    ScaledKernels,
)
from costmodel.calibration.testing import StrategyConformance, synthetic_profiles
from costmodel.errors import DataError
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass


class TestRescaledPlatform(StrategyConformance):
    def make_strategy(self) -> CalibrationStrategy:
        return RescaledPlatform()


class TestMixedPlatforms(StrategyConformance):
    def make_strategy(self) -> CalibrationStrategy:
        return MixedPlatforms()


class TestScaledKernels(StrategyConformance):
    def make_strategy(self) -> CalibrationStrategy:
        return ScaledKernels()


class TestOwnRates(StrategyConformance):
    largest_error = 0.35

    def make_strategy(self) -> CalibrationStrategy:
        return OwnRates()


class TestAveraged(StrategyConformance):
    def make_strategy(self) -> CalibrationStrategy:
        return Averaged()


class TestCorrected(StrategyConformance):
    def make_strategy(self) -> CalibrationStrategy:
        return Corrected(ScaledKernels())


def error(strategy: CalibrationStrategy, latency_ms: np.ndarray) -> float:
    profiles = synthetic_profiles(len(latency_ms))
    mixture = strategy.fit(profiles.subset(range(25)), latency_ms[:25])
    return float(np.abs(mixture.latency_ms(profiles.subset(range(25, len(latency_ms)))) / latency_ms[25:] - 1).mean())


def test_a_sum_of_two_platforms_is_found_by_mixing():
    profiles = synthetic_profiles(60)
    latency_ms = profiles.latency_ms @ np.array([0.5, 0.0, 3.0])
    assert error(MixedPlatforms(), latency_ms) < 0.05 < error(RescaledPlatform(), latency_ms)


def test_slow_convolutions_are_found_by_scaling_kernels():
    profiles = synthetic_profiles(60)
    slower = np.ones((len(KernelClass), len(CostTerm)))
    slower[KernelClass.CONV] = 3
    latency_ms = Mixture(np.outer([1.0, 0, 0], np.ones(len(CostTerm))), slower).latency_ms(profiles)
    assert error(ScaledKernels(), latency_ms) < 0.85 * error(MixedPlatforms(), latency_ms)
    assert ScaledKernels().fit(profiles, latency_ms).factors[KernelClass.CONV].max() > 1.5


def test_a_platform_unlike_any_known_one_is_found_by_its_own_rates():
    profiles = synthetic_profiles(60)
    rates = np.tile([3.0, 1.0, 2.0, 0.5], (len(KernelClass), 1))
    latency_ms = np.einsum("nkt,kt->n", profiles.work, rates)
    assert error(OwnRates(), latency_ms) < 0.01 < 0.2 < error(ScaledKernels(), latency_ms)
    np.testing.assert_allclose(OwnRates().fit(profiles, latency_ms).rates, rates, rtol=1e-6)


def test_slow_convolutions_have_slow_rates_of_their_own():
    profiles = synthetic_profiles(60)
    rates = np.tile([3.0, 1.0, 2.0, 0.5], (len(KernelClass), 1))
    rates[KernelClass.CONV] *= 5
    found = OwnRates().fit(profiles, np.einsum("nkt,kt->n", profiles.work, rates)).rates
    assert (found[KernelClass.CONV] > 1.4 * np.median(found, axis=0)).all()


def test_joined_networks_keep_their_work_and_times():
    profiles = synthetic_profiles(7)
    joined = profiles.subset(range(3)).joined(profiles.subset(range(3, 7)))
    np.testing.assert_array_equal(joined.work, profiles.work)
    np.testing.assert_array_equal(joined.term_ms, profiles.term_ms)


def test_averaging_is_the_geometric_mean_of_both():
    profiles = synthetic_profiles(20)
    latency_ms = profiles.latency_ms[:, 0] * np.linspace(1, 3, 20)
    both = [strategy.fit(profiles, latency_ms).latency_ms(profiles) for strategy in (ScaledKernels(), OwnRates())]
    averaged = Averaged().fit(profiles, latency_ms).latency_ms(profiles)
    np.testing.assert_allclose(averaged, np.sqrt(both[0] * both[1]))


def test_a_card_in_large_batches_is_found_by_mixing():
    profiles = synthetic_profiles(60)
    latency_ms = profiles.term_ms[:, 1, :, : CostTerm.WEIGHT_BYTES].sum(axis=(1, 2))
    assert error(MixedPlatforms(), latency_ms) < 0.05 < error(RescaledPlatform(), latency_ms)


def test_a_quotient_of_two_platforms_is_found_by_correcting():
    profiles = synthetic_profiles(60)
    latency_ms = profiles.latency_ms[:, 0] ** 1.5 / profiles.latency_ms[:, 1] ** 0.5
    assert error(Corrected(RescaledPlatform()), latency_ms) < 0.5 * error(RescaledPlatform(), latency_ms)


def test_a_correction_does_not_run_away():
    profiles = synthetic_profiles(20)
    mixture = Corrected(RescaledPlatform()).fit(profiles, profiles.latency_ms[:, 0] ** 1.2)
    huge = NetworkProfiles(1e6 * profiles.term_ms, profiles.work)
    measured = np.abs(mixture.correction.of(profiles.latency_ms)).max()
    assert np.abs(mixture.correction.of(huge.latency_ms)).max() <= 1.5 * measured + 1e-9


def test_the_rescaled_platform_is_the_nearest_one():
    profiles = synthetic_profiles(20)
    mixture = RescaledPlatform().fit(profiles, 7 * profiles.latency_ms[:, 2])
    np.testing.assert_allclose(mixture.mix, [[0] * 4, [0] * 4, [7] * 4])


@pytest.mark.parametrize("latency_ms", [[1.0, -1.0], [1.0, np.nan], [1.0]])
def test_labels_that_make_no_sense_are_refused(latency_ms):
    with pytest.raises(DataError, match="mixed platforms"):
        MixedPlatforms().fit(synthetic_profiles(2), np.array(latency_ms))


def test_a_plug_in_that_fits_nothing_is_told():
    class Nothing(CalibrationStrategy):
        name = "nothing"

        def _fit(self, fits):
            return Mixture(np.zeros((3, len(CostTerm))), np.ones((len(KernelClass), len(CostTerm))))

    with pytest.raises(DataError, match=r"nothing: .* 0\.0 ms"):
        Nothing().fit(synthetic_profiles(2), np.ones(2))
