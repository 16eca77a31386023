"""A few measurements → a platform that predictions can be made for, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from costmodel.calibration.adaptation import STRATEGIES, Adaptation, adapt
from costmodel.calibration.interval import error_quantile_of_few
from costmodel.calibration.measurement import Measurement
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.strategies import CalibrationStrategy, LogCorrection, Mixture
from costmodel.features.kernel_class import KernelClass
from costmodel.platforms import Platform, named_platform
from costmodel.predictor import Predictor
from costmodel.pretrained import Adapter, Bundle

__all__ = ["Calibration", "calibrate"]


@dataclass(frozen=True)
class Calibration:
    """A new platform, and the evidence for it.

    Attributes:
        adapter: The platform, to be saved with :func:`costmodel.pretrained.save_adapter`.
        predictor: The predictor, which now knows it.
        adaptation: What was fitted, and the strategies it was chosen from.
        fitted: The measurements it was fitted to.
        held_back: The measurements it was only tested on.
        held_back_ms: Predictions for those, milliseconds.
        profiles: Of the networks it was fitted to.
        held_back_profiles: Of those it was only tested on.
    """

    adapter: Adapter
    predictor: Predictor
    adaptation: Adaptation
    fitted: tuple[Measurement, ...]
    held_back: tuple[Measurement, ...]
    held_back_ms: Float[np.ndarray, "held_back"]
    profiles: NetworkProfiles
    held_back_profiles: NetworkProfiles

    @property
    def platform(self) -> Platform:
        """The new platform."""
        return self.adapter.platform

    @cached_property
    def fitted_ms(self) -> Float[np.ndarray, "fitted"]:
        """Measured latencies it was fitted to."""
        return _latencies(self.fitted)


def calibrate(
    predictor: Predictor,
    measurements: Sequence[Measurement],
    platform: Platform | str,
    *,
    held_back: Sequence[Measurement] = (),
    strategies: Sequence[CalibrationStrategy] = STRATEGIES,
) -> Calibration:
    """Fit a new platform to measurements of a few networks.

    Args:
        predictor: What it is fitted on; left as it is.
        measurements: At least three, of different networks.
        platform: The platform, or a name for it.
        held_back: Measurements that the fit does not see, which only the width of intervals is taken from.
        strategies: What to try beside the best known platform rescaled.

    Raises:
        DataError: There are fewer than three measurements, or the name is taken.
    """
    bundle = predictor.bundle
    profiles = _profiles(bundle, measurements)
    adaptation = adapt(profiles, _latencies(measurements), strategies)
    held_back_profiles = _profiles(bundle, held_back)
    held_back_ms = adaptation.mixture.latency_ms(held_back_profiles)
    log_errors = np.concatenate(
        [
            np.log(adaptation.chosen.left_out_ms / _latencies(measurements)),
            np.log(held_back_ms / _latencies(held_back)),
        ]
    )
    # Networks to calibrate with are of a few families: on others it will not do better than the known platforms that it
    # is made of do on families that they never saw.
    on_unseen_families = float(adaptation.mixture.shares(profiles) @ np.array(bundle.config.error_quantiles))
    adapter = _adapter(
        bundle,
        named_platform(platform) if isinstance(platform, str) else platform,
        adaptation.mixture,
        max(error_quantile_of_few(log_errors), on_unseen_families),
        {
            "calibrated_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "strategy": adaptation.chosen.strategy,
            "error_percent": {c.strategy: round(c.error_percent, 2) for c in adaptation.candidates},
            "fitted": [_evidence(measurement) for measurement in measurements],
            "held_back": [_evidence(measurement) for measurement in held_back],
        },
    )
    return Calibration(
        adapter,
        predictor.with_platform(adapter),
        adaptation,
        tuple(measurements),
        tuple(held_back),
        held_back_ms,
        profiles,
        held_back_profiles,
    )


def _latencies(measurements: Sequence[Measurement]) -> Float[np.ndarray, "networks"]:
    return np.array([measurement.latency_ms for measurement in measurements], dtype=np.float64)


def _profiles(bundle: Bundle, measurements: Sequence[Measurement]) -> NetworkProfiles:
    return NetworkProfiles.of_features(
        bundle,
        [measurement.features for measurement in measurements],
        [measurement.batch for measurement in measurements],
    )


def _adapter(
    bundle: Bundle, platform: Platform, mixture: Mixture, error_quantile: float, provenance: dict[str, Any]
) -> Adapter:
    mix = {
        known.name: tuple(map(float, of_terms))
        for known, of_terms in zip(bundle.config.platforms, mixture.mix, strict=True)
        if of_terms.any()
    }
    factors = {
        kernel.name: tuple(map(float, mixture.factors[kernel]))
        for kernel in KernelClass
        if not (mixture.factors[kernel] == 1).all()
    }
    rates = {} if mixture.rates is None else {k.name: tuple(map(float, mixture.rates[k])) for k in KernelClass}
    return Adapter.model_validate(
        {
            "platform": platform,
            "weights": bundle.config.name,
            "fingerprint": bundle.fingerprint,
            "mix": mix,
            "factors": factors,
            "rates": rates,
            "correction": _correction(bundle, mixture.correction),
            "error_quantile": error_quantile,
            "provenance": provenance,
        }
    )


def _correction(bundle: Bundle, correction: LogCorrection | None) -> dict[str, Any] | None:
    if correction is None:
        return None
    names = [platform.name for platform in bundle.config.platforms]
    weights = dict(zip(names, map(float, correction.weights), strict=True))
    return {"offset": correction.offset, "weights": weights, "limit": correction.limit}


def _evidence(measurement: Measurement) -> dict[str, Any]:
    return {"model": measurement.name, "batch": measurement.batch, "latency_ms": measurement.latency_ms}
