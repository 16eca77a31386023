"""Which networks a command measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.talk import tracked

if TYPE_CHECKING:
    from costmodel.calibration.candidates import CandidatePool
    from costmodel.predictor import Predictor

__all__ = [
    "DEFAULT_SELECTION",
    "CountOption",
    "HeldBackOption",
    "SeedOption",
    "SelectOption",
    "VisitsOption",
    "choose_networks",
]

DEFAULT_SELECTION = "representative"
"""What did best in ``benchmarks/new_device_timm.py``."""

CountOption = Annotated[int, typer.Option("--count", min=3, metavar="N", help="Networks to measure and fit.")]
HeldBackOption = Annotated[int, typer.Option(min=0, metavar="N", help="Networks to measure and only test on.")]
SelectOption = Annotated[
    str,
    typer.Option("--select", metavar="NAME", help="How to choose: representative, k-centre, d-optimal or random."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the choice of networks.")]
VisitsOption = Annotated[int, typer.Option(min=1, help="Rounds over the networks; the fastest run counts.")]


def choose_networks(
    predictor: Predictor, count: int, held_back: int, selection: str, seed: int
) -> tuple[CandidatePool, list[int]]:
    """The networks there are, and the rows of those to measure: first those to fit, then those to test.

    Raises:
        UnknownNameError: There is no such selection.
        UsageError: There are fewer networks than that.
    """
    from costmodel.calibration.candidates import CandidatePool, candidate_networks
    from costmodel.calibration.selection import selection_for

    strategy = selection_for(selection)
    with tracked(candidate_networks(), "choosing networks", few=0) as networks:
        pool = CandidatePool.of_networks(predictor.bundle, networks)
    return pool, pool.choose(count, strategy, held_back=held_back, seed=seed)
