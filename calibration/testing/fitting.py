"""Test kits for those who write a selection or a calibration strategy."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.selection import SelectionStrategy
from costmodel.calibration.strategies import CalibrationStrategy
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass

__all__ = ["SelectionConformance", "StrategyConformance", "synthetic_profiles"]


def synthetic_profiles(networks: int, platforms: int = 3, seed: int = 0) -> NetworkProfiles:
    """Made-up networks, each with a few classes of kernels, on platforms that differ in every class and term."""
    rng = np.random.default_rng(seed)
    classes, terms = len(KernelClass), len(CostTerm)
    work = rng.lognormal(sigma=1.5, size=(networks, 1, classes, terms)) * (rng.random((networks, 1, classes, 1)) < 0.4)
    work[:, :, KernelClass.CONV] += 0.1
    return NetworkProfiles(work * rng.lognormal(sigma=1.0, size=(1, platforms, classes, terms)), work[:, 0])


class SelectionConformance:
    """The contract of :class:`~costmodel.calibration.selection.SelectionStrategy`, as tests.

    Subclass it and write :meth:`make_selection`; pytest then collects the tests::

        class TestMySelection(SelectionConformance):
            def make_selection(self):
                return MySelection()
    """

    def make_selection(self) -> SelectionStrategy:
        """A selection to test."""
        raise NotImplementedError(f"{type(self).__name__} must write make_selection().")

    def test_chooses_as_many_as_asked(self) -> None:
        """From one to all of them, each once."""
        embedding = synthetic_profiles(12).embedding()
        for count in (1, 5, 12):
            assert len(set(self.make_selection().select(embedding, count))) == count

    def test_the_seed_decides(self) -> None:
        """Chosen twice with one seed, the networks are the same."""
        embedding = synthetic_profiles(30).embedding()
        assert self.make_selection().select(embedding, 6, seed=3) == self.make_selection().select(embedding, 6, seed=3)

    def test_copes_with_copies(self) -> None:
        """Networks that are all alike can still be chosen from."""
        assert len(set(self.make_selection().select(np.zeros((8, 3)), 5))) == 5


class StrategyConformance:
    """The contract of :class:`~costmodel.calibration.strategies.CalibrationStrategy`, as tests.

    Subclass it and write :meth:`make_strategy`; pytest then collects the tests.

    Attributes:
        largest_error: What a known platform may be missed by, relative and on average; a strategy that does not look at
            known platforms needs more than the default.
    """

    largest_error = 0.2

    def make_strategy(self) -> CalibrationStrategy:
        """A strategy to test."""
        raise NotImplementedError(f"{type(self).__name__} must write make_strategy().")

    def test_finds_a_known_platform_twice_as_slow(self) -> None:
        """Within :attr:`largest_error` on networks it was not fitted to."""
        profiles = synthetic_profiles(60)
        latency_ms = 2 * profiles.latency_ms[:, 1]
        mixture = self.make_strategy().fit(profiles.subset(range(30)), latency_ms[:30])
        off = np.abs(mixture.latency_ms(profiles.subset(range(30, 60))) / latency_ms[30:] - 1)
        assert off.mean() < self.largest_error

    def test_units_do_not_matter(self) -> None:
        """A device a thousand times slower gets the same mixture, a thousand times slower."""
        profiles = synthetic_profiles(20)
        latency_ms = profiles.latency_ms[:, 0] + profiles.latency_ms[:, 2]
        once = self.make_strategy().fit(profiles, latency_ms).latency_ms(profiles)
        slower = self.make_strategy().fit(profiles, 1000 * latency_ms).latency_ms(profiles)
        np.testing.assert_allclose(slower, 1000 * once, rtol=1e-3)

    def test_copes_with_the_least_it_asks_for(self) -> None:
        """As few networks as it says it needs give positive latencies."""
        strategy, profiles = self.make_strategy(), synthetic_profiles(10)
        few = profiles.subset(range(strategy.least_networks))
        mixture = strategy.fit(few, few.latency_ms[:, 0])
        assert (mixture.latency_ms(profiles) > 0).all()
