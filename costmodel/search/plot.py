"""A picture of what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from costmodel.errors import MissingDependencyError
from costmodel.files import replaced
from costmodel.search.front import Candidate, pareto_front

__all__ = ["plot_front"]


def plot_front(candidates: Sequence[Candidate], platform: str, path: Path) -> None:
    """Draw accuracy over latency, the front as steps; PNG, SVG or PDF by the file's name.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "search", "drawing the front") from error

    front = pareto_front(candidates)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    latencies, accuracies = ([getattr(one, name) for one in candidates] for name in ("latency_ms", "accuracy_percent"))
    axes.scatter(latencies, accuracies, s=8, color="#9aa5b1", label=f"{len(candidates)} architectures", linewidths=0)
    axes.step(
        [one.latency_ms for one in front],
        [one.accuracy_percent for one in front],
        where="post",
        marker="o",
        markersize=4,
        color="#c2410c",
        label=f"{len(front)} on the front",
    )
    axes.set_xlabel(f"predicted latency on {platform}, ms")
    axes.set_ylabel("predicted accuracy, %")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    with replaced(path) as partial:
        figure.savefig(partial, format=path.suffix.removeprefix(".") or "png", dpi=150)
