"""Variants as a search space of Optuna, whose studies begin with those that are expected to be fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from costmodel.errors import UsageError
from costmodel.integrations.onnxruntime.candidates import DEFAULT_GRAPH_OPTIMIZATIONS
from costmodel.integrations.onnxruntime.model_format import ModelFormat
from costmodel.integrations.onnxruntime.ranking import Estimate
from costmodel.integrations.onnxruntime.variant import Variant

if TYPE_CHECKING:
    import optuna

__all__ = ["VariantSpace"]


@dataclass(frozen=True)
class VariantSpace:
    """Every combination of some formats, levels and numbers of threads.

    Attributes:
        formats: Formats of the model file.
        graph_optimizations: Levels of graph optimisation.
        threads: Numbers of intra-op threads.

    Raises:
        UsageError: There is nothing to choose from.
    """

    formats: Sequence[ModelFormat] = tuple(ModelFormat)
    graph_optimizations: Sequence[str] = DEFAULT_GRAPH_OPTIMIZATIONS
    threads: Sequence[int] = (1,)

    def __post_init__(self) -> None:
        if not (self.formats and self.graph_optimizations and self.threads):
            raise UsageError("expected a format, a level and a number of threads at least.")

    @property
    def variants(self) -> list[Variant]:
        """All of them."""
        return [
            Variant(model_format, level, threads)
            for model_format in self.formats
            for level in self.graph_optimizations
            for threads in self.threads
        ]

    def suggest(self, trial: optuna.Trial) -> Variant:
        """The variant that a trial of a study is to try; for the user's objective."""
        return Variant(
            ModelFormat(trial.suggest_categorical("format", [str(model_format) for model_format in self.formats])),
            trial.suggest_categorical("graph_optimization", list(self.graph_optimizations)),
            trial.suggest_categorical("threads", list(self.threads)),
        )

    def enqueue(self, study: optuna.Study, estimates: Mapping[Variant, Estimate], count: int) -> list[Variant]:
        """Let a study try the variants first that are expected to be fastest; its sampler goes on from there.

        Each of those trials has the attributes ``estimated_by`` and ``estimated_gain``.  Variants that the study has
        tried, or is to try, are not enqueued again.

        Args:
            study: Of an objective that asks :meth:`suggest`.
            estimates: In order, as :func:`~costmodel.integrations.onnxruntime.ranking.rank_variants` has them; those
                outside of this space are passed over.
            count: How many to enqueue.

        Returns:
            Those variants.
        """
        space = set(self.variants)
        first = dict(islice(((v, estimate) for v, estimate in estimates.items() if v in space), count))
        for variant, estimate in first.items():
            study.enqueue_trial(
                {
                    "format": str(variant.format),
                    "graph_optimization": variant.graph_optimization,
                    "threads": variant.threads,
                },
                user_attrs={"estimated_by": str(estimate.by), "estimated_gain": estimate.gain},
                skip_if_exists=True,
            )
        return list(first)
