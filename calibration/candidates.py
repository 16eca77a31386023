"""Networks that a new device may be asked to run: small ones of every family, made here, weights and all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from costmodel.calibration.measurement import Measurement
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.selection import RandomSelection, SelectionStrategy
from costmodel.calibration.sources import FamilyNetwork
from costmodel.data.families import FAMILIES, generate
from costmodel.data.records import MeasurementRecord
from costmodel.data.weightless import graph_hash
from costmodel.errors import DataError, UsageError
from costmodel.features import GraphFeatures, build_features
from costmodel.graph import load_graph
from costmodel.pretrained import Bundle

__all__ = ["CandidatePool", "candidate_networks"]

_MOST_FLOPS = 8e9
"""A small board takes seconds for more."""


def candidate_networks(per_family: int = 12) -> list[FamilyNetwork]:
    """The first ``per_family`` networks of every family, at batch 1."""
    return [FamilyNetwork(family, seed) for family in FAMILIES for seed in range(per_family)]


@dataclass(frozen=True)
class CandidatePool:
    """Networks to choose from, and what known platforms would take for them.

    Attributes:
        networks: The networks.
        features: Features of each.
        profiles: Their profiles, at batch 1.
    """

    networks: tuple[FamilyNetwork, ...]
    features: tuple[GraphFeatures, ...]
    profiles: NetworkProfiles

    @classmethod
    def of_networks(cls, bundle: Bundle, networks: Iterable[FamilyNetwork]) -> CandidatePool:
        """The pool of ``networks``, without the largest.

        Args:
            bundle: Weights to predict with.
            networks: Candidates, :func:`candidate_networks` for example.
        """
        kept, features = [], []
        for network in networks:
            found = build_features(load_graph(generate(network.family, network.seed, weights=False)))
            if found.work[:, 0].sum() <= _MOST_FLOPS:
                kept.append(network)
                features.append(found)
        profiles = NetworkProfiles.of_features(bundle, features, [1] * len(features))
        return cls(tuple(kept), tuple(features), profiles)

    def choose(self, count: int, strategy: SelectionStrategy, *, held_back: int = 0, seed: int = 0) -> list[int]:
        """Rows of networks to fit a new platform to, then of others, drawn at random, to test it on.

        Args:
            count: How many to fit it to.
            strategy: How to choose those.
            held_back: How many to test it on.
            seed: Of what is random in either choice.

        Raises:
            UsageError: The pool is smaller than that.
        """
        if count + held_back > len(self.networks):
            raise UsageError(
                f"asked for {count} networks to fit and {held_back} to test, but there are only {len(self.networks)}."
            )
        fitted = strategy.select(self.profiles.embedding(), count, seed=seed)
        others = [row for row in range(len(self.networks)) if row not in fitted]
        if not held_back:
            return fitted
        drawn = RandomSelection().select(self.profiles.embedding()[others], held_back, seed=seed)
        return [*fitted, *(others[row] for row in drawn)]

    def measurements(self, records: Iterable[MeasurementRecord]) -> dict[str, Measurement]:
        """What was measured, by the name of the network: networks of this pool only, without those that failed.

        Args:
            records: Of a journal, for example, which may hold what earlier calibrations measured as well.

        Raises:
            DataError: A network of that name was measured, but not this one: it was made by another version.
        """
        rows = {network.name: row for row, network in enumerate(self.networks)}
        found = {}
        for record in records:
            row = rows.get(record.model)
            if row is None or record.latency_ms is None or record.batch is None:
                continue
            network = self.networks[row]
            if record.model_hash != graph_hash(generate(network.family, network.seed, weights=False)):
                raise DataError(
                    f"{network.name} was measured as another version of this package makes it. "
                    "Calibrate into another folder with -o DIR, or under another name."
                )
            found[network.name] = Measurement(
                network.name, network.family, self.features[row], record.batch, record.latency_ms
            )
        return found
