"""What a calibration came to, as JSON, CSV and text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from costmodel.calibration.adaptation import STRATEGIES
from costmodel.calibration.report import wording
from costmodel.calibration.report.family_error import FamilyError, family_errors
from costmodel.calibration.report.kernel_factor import KernelFactor, kernel_factors
from costmodel.calibration.report.learning_curve import LearningPoint, learning_curve
from costmodel.calibration.report.network_result import NetworkResult, Role, network_results
from costmodel.calibration.report.platform_share import PlatformShare, platform_shares
from costmodel.cli.output import Report
from costmodel.units import format_ms

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from costmodel.calibration.calibration import Calibration

__all__ = ["CalibrationReport"]

_WORST = 5


class CalibrationReport(Report):
    """A new platform: what was done, how far to trust it, and what to do next.

    Args:
        calibration: What it is about.
        suggestions: Names of networks to measure next, see :func:`costmodel.calibration.report.suggest_next`.
        folder: Where the platform was saved; ``None`` where its name finds it.
    """

    def __init__(
        self, calibration: Calibration, *, suggestions: Sequence[str] = (), folder: Path | None = None
    ) -> None:
        self.calibration = calibration
        self.suggestions = tuple(suggestions)
        self.folder = folder

    @property
    def next_command(self) -> str:
        """What predicts with the platform."""
        return f"costmodel predict MODEL.onnx -p {shlex.quote(str(self.folder or self.calibration.platform.name))}"

    @cached_property
    def results(self) -> tuple[NetworkResult, ...]:
        """Every network that was measured, those it was fitted to first."""
        return network_results(self.calibration)

    @cached_property
    def family_errors(self) -> tuple[FamilyError, ...]:
        """The error in each family, the largest first."""
        return family_errors(self.results)

    @cached_property
    def platform_shares(self) -> tuple[PlatformShare, ...]:
        """Known platforms it resembles, the most alike first."""
        return platform_shares(self.calibration)

    @property
    def has_own_rates(self) -> bool:
        """Whether work at rates of the platform's own has a part in predictions."""
        return bool(self.calibration.adapter.rates)

    @cached_property
    def kernel_factors(self) -> tuple[KernelFactor, ...]:
        """Classes of kernels that are slower or faster than on those, the most striking first."""
        return kernel_factors(self.calibration)

    @cached_property
    def learning_curve(self) -> tuple[LearningPoint, ...]:
        """The error against how many of the measured networks are fitted, by the library's own strategies."""
        calibration = self.calibration
        tried = {candidate.strategy for candidate in calibration.adaptation.candidates}
        return learning_curve(
            calibration.profiles.joined(calibration.held_back_profiles),
            np.array([result.measured_ms for result in self.results]),
            strategies=[strategy for strategy in STRATEGIES if strategy.name in tried],
        )

    @property
    def correction_percent(self) -> float | None:
        """How far the mixture is corrected, up or down, on average of the networks fitted; ``None`` for not at all."""
        correction = self.calibration.adaptation.mixture.correction
        if correction is None:
            return None
        return float(100 * np.abs(np.expm1(correction.of(self.calibration.profiles.latency_ms))).mean())

    @property
    def interval_factor(self) -> float:
        """The 90 % interval reaches from the prediction divided by this to the prediction times this."""
        return float(np.exp(self.calibration.adapter.error_quantile))

    def results_of(self, role: Role) -> tuple[NetworkResult, ...]:
        """The networks whose measurements were used so."""
        return tuple(result for result in self.results if result.role is role)

    def error_percent(self, role: Role) -> float:
        """Mean absolute error on those, in per cent of what was measured; there must be one."""
        return float(np.mean([abs(result.off_percent) for result in self.results_of(role)]))

    def document(self) -> dict[str, object]:
        """Everything; what there is nothing to say of is ``null`` or empty."""
        calibration, held_back = self.calibration, self.results_of(Role.HELD_BACK)
        return {
            "platform": calibration.platform.name,
            "strategy": calibration.adaptation.chosen.strategy,
            "strategies": [
                {"strategy": candidate.strategy, "error_percent": candidate.error_percent}
                for candidate in calibration.adaptation.candidates
            ],
            "fell_back": calibration.adaptation.fell_back,
            "fallback": wording.fallback_sentence(self) or None,
            "error_percent": self.error_percent(Role.FITTED),
            "held_back_error_percent": self.error_percent(Role.HELD_BACK) if held_back else None,
            "interval": {
                "factor": self.interval_factor,
                "coverage_percent": _coverage_percent(self.results),
                "held_back_coverage_percent": _coverage_percent(held_back),
            },
            "mix": [share.to_dict() for share in self.platform_shares],
            "rates": self.calibration.adapter.rates,
            "kernel_factors": [factor.to_dict() for factor in self.kernel_factors],
            "correction_percent": self.correction_percent,
            "families": [error.to_dict() for error in self.family_errors],
            "learning_curve": [point.to_dict() for point in self.learning_curve],
            "suggestions": list(self.suggestions),
            "networks": list(self.rows()),
        }

    def columns(self) -> Sequence[str]:
        """The fields of a network's result."""
        return ("model", "family", "batch", "role", "measured_ms", "predicted_ms", "low_ms", "high_ms", "within")

    def rows(self) -> Iterable[dict[str, object]]:
        """One row per measured network."""
        for result in self.results:
            yield {**result.to_dict()}

    def tables(self) -> Iterable[RenderableType]:
        """Sentences, and the networks that are farthest off."""
        yield self._sentences()
        yield ""
        yield self._worst_networks()

    def _sentences(self) -> RenderableType:
        from rich.table import Table

        platform = self.calibration.platform.name
        lines = {
            "fit": wording.fit_sentence(self),
            "alike": wording.resemblance_sentence(self),
            "kernels": wording.kernels_sentence(self),
            "corrected": wording.correction_sentence(self),
            "interval": wording.interval_sentence(self),
            "test": wording.test_sentence(self),
            "trust": wording.trust_sentence(self),
            "measure": f"These would tell most: {', '.join(self.suggestions)}." if self.suggestions else "",
            "next": self.next_command,
        }
        table = Table(
            box=None, pad_edge=False, show_header=False, title=f"{platform}, calibrated", title_justify="left"
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for heading, sentence in lines.items():
            if sentence:
                table.add_row(heading, sentence)
        return table

    def _worst_networks(self) -> RenderableType:
        from rich.table import Table

        worst = sorted(self.results, key=lambda result: abs(result.off_percent), reverse=True)[:_WORST]
        table = Table(box=None, pad_edge=False, title=f"Farthest off of {len(self.results)}", title_justify="left")
        table.add_column("network", overflow="fold")
        table.add_column("used", no_wrap=True)
        for heading in ("measured ms", "predicted ms", "off"):
            table.add_column(heading, justify="right", no_wrap=True)
        for result in worst:
            table.add_row(
                result.model,
                result.role,
                format_ms(result.measured_ms),
                format_ms(result.predicted_ms),
                f"{result.off_percent:+.1f} %",
            )
        return table


def _coverage_percent(results: Sequence[NetworkResult]) -> float | None:
    if not results:
        return None
    return 100 * sum(result.within for result in results) / len(results)
