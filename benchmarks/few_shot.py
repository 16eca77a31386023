"""What the benchmarks of new devices share: a calibration tested on networks it did not see, and many summed up."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from costmodel.calibration.adaptation import adapt
from costmodel.calibration.interval import error_quantile_of_few
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.selection import SELECTIONS, selection_for
from costmodel.training import accuracy_within, interval_coverage, kendall_tau, mape_percent

SIZES = (3, 5, 10, 20, 50)
DEFAULT_SELECTION = "representative"
SIZES_OF_OTHER_SELECTIONS = (10, 20)


@dataclass(frozen=True)
class Draw:
    """One calibration and its error on other networks.

    Attributes:
        device: What is new.
        platform: The platform of it.
        selection: How the networks were chosen.
        networks: How many it was calibrated with.
        seed: Of the choice.
        predictor: What predicted.
        strategy: The strategy that the leave-one-out error chose, where there was a choice.
        mape_percent: Mean absolute percentage error.
        within_10_percent: Share of networks within 10 %.
        kendall_tau: Rank correlation.
        spearman: Rank correlation.
        coverage_percent: Networks inside their 90 % interval, where there is one.
    """

    device: str
    platform: str
    selection: str
    networks: int
    seed: int
    predictor: str
    strategy: str
    mape_percent: float
    within_10_percent: float
    kendall_tau: float
    spearman: float
    coverage_percent: float


def draw_of(
    predicted_ms: np.ndarray,
    measured_ms: np.ndarray,
    *,
    where: tuple[str, str, str, int, int],
    predictor: str,
    strategy: str = "",
    error_quantile: float = np.nan,
) -> Draw:
    """Sum up predictions; ``where`` is the first five fields of :class:`Draw`."""
    widening = np.exp(error_quantile)
    covered = interval_coverage(predicted_ms / widening, predicted_ms * widening, measured_ms)
    return Draw(
        *where,
        predictor=predictor,
        strategy=strategy,
        mape_percent=mape_percent(predicted_ms, measured_ms),
        within_10_percent=accuracy_within(predicted_ms, measured_ms),
        kendall_tau=kendall_tau(predicted_ms, measured_ms),
        spearman=float(spearmanr(predicted_ms, measured_ms).statistic),
        coverage_percent=np.nan if np.isnan(error_quantile) else covered,
    )


def half_of(candidates: np.ndarray, seed: int) -> np.ndarray:
    """Half of the rows, so that a selection without chance in it differs from seed to seed."""
    return np.random.default_rng(seed).permutation(candidates)[: len(candidates) // 2]


def choices(pool: np.ndarray, embedding: np.ndarray, seed: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """Every selection and size that is looked at, with the rows that it chooses.

    Args:
        pool: The rows to choose from.
        embedding: Where the network of each of them stands.
        seed: Of the selection.
    """
    for name in SELECTIONS:
        for size in SIZES if name == DEFAULT_SELECTION else SIZES_OF_OTHER_SELECTIONS:
            yield name, size, pool[selection_for(name).select(embedding, size, seed=seed)]


def calibrated_draw(
    profiles: NetworkProfiles,
    latency_ms: np.ndarray,
    rows: np.ndarray,
    test: np.ndarray,
    where: tuple[str, str, str, int, int],
) -> Draw:
    """A calibration with the networks at ``rows``, tested on those at ``test``."""
    adaptation = adapt(profiles.subset(rows), latency_ms[rows])
    return draw_of(
        adaptation.mixture.latency_ms(profiles.subset(test)),
        latency_ms[test],
        where=where,
        predictor="calibrated",
        strategy=adaptation.chosen.strategy,
        error_quantile=error_quantile_of_few(np.log(adaptation.chosen.left_out_ms / latency_ms[rows])),
    )


def write_draws(draws: Iterable[Draw], path: Path) -> None:
    """One line a draw."""
    rows = [asdict(draw) for draw in draws]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: round(cell, 4) if isinstance(cell, float) else cell for key, cell in row.items()} for row in rows
        )


def kept_draws(path: Path, make: Callable[[], Iterable[Draw]]) -> list[Draw]:
    """The draws that are in a file, or else those that are made now, and put there."""
    if not path.exists():
        write_draws(make(), path)
    with path.open(newline="") as stream:
        return [Draw(**{f.name: _parsed(f, row[f.name]) for f in fields(Draw)}) for row in csv.DictReader(stream)]


def _parsed(field: Field[Any], cell: str) -> str | int | float:
    return {"int": int, "float": float}.get(str(field.type), str)(cell)


def print_summary(draws: Sequence[Draw], by: str = "device") -> None:
    """Mean and standard deviation over draws, for each device or platform, size, selection and predictor."""
    groups: dict[tuple[str, int, str, str], list[Draw]] = {}
    for draw in draws:
        key = (getattr(draw, by), draw.networks, draw.selection, draw.predictor)
        groups.setdefault(key, []).append(draw)
    for (name, networks, selection, predictor), same in sorted(groups.items()):
        figures = {
            field: np.array([getattr(draw, field) for draw in same])
            for field in ("mape_percent", "kendall_tau", "spearman", "coverage_percent")
        }
        cells = "  ".join(f"{field} {column.mean():7.3f} +- {column.std():5.3f}" for field, column in figures.items())
        print(f"{name:<28} k={networks:<3} {selection:<15} {predictor:<24} {cells}")


def plot_learning_curves(draws: Sequence[Draw], selection: str, figure: str, label: str, path: Path) -> None:
    """One panel a device: ``figure`` over the number of networks, mean over draws with its standard deviation."""
    import matplotlib.pyplot as plt

    devices = list(dict.fromkeys(draw.device for draw in draws))
    columns = min(len(devices), 3)
    fig, axes = plt.subplots(
        -(-len(devices) // columns), columns, figsize=(3.6 * columns, 3.0 * -(-len(devices) // columns)), squeeze=False
    )
    for axis, device in zip(axes.flat, devices, strict=False):
        for predictor in dict.fromkeys(draw.predictor for draw in draws):
            points = [
                np.array(
                    [
                        getattr(draw, figure)
                        for draw in draws
                        if (draw.device, draw.predictor, draw.networks) == (device, predictor, size)
                        and draw.selection in (selection, "")
                    ]
                )
                for size in SIZES
            ]
            drawn = [(size, column) for size, column in zip(SIZES, points, strict=True) if len(column)]
            axis.errorbar(
                [size for size, _ in drawn],
                [column.mean() for _, column in drawn],
                [column.std() for _, column in drawn],
                marker="o",
                capsize=2,
                label=predictor,
            )
        axis.set(title=device, xscale="log", xticks=SIZES, xticklabels=SIZES, xlabel="networks measured", ylabel=label)
        axis.minorticks_off()
    axes.flat[0].legend(fontsize=7)
    fig.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)
