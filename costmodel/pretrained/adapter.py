"""A platform that joined after training: what its time is made of, in terms of platforms that the weights know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from costmodel.errors import DataError, UnknownNameError
from costmodel.features.cost_term import CostTerm
from costmodel.features.graph_features import GraphFeatures
from costmodel.features.kernel_class import KernelClass
from costmodel.features.work import work_by_operation
from costmodel.files import replaced
from costmodel.platforms import Platform
from costmodel.pretrained.folder import PLATFORM, SCHEMA_VERSION, parsed, read_document

__all__ = ["Adapter", "AdapterCorrection", "load_adapter", "save_adapter", "sum_by_kernel"]

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_OfTerms = tuple[_Factor, _Factor, _Factor, _Factor]
"""One for each :class:`~costmodel.features.cost_term.CostTerm`."""


class AdapterCorrection(BaseModel):
    """A network's correction, linear in its log latencies on known platforms.

    Attributes:
        offset: Its value where all of those are zero.
        weights: What the log latency, of milliseconds, on a known platform adds, by name.
        limit: It is cut off there, up and down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset: _Finite
    weights: dict[str, _Finite]
    limit: float = Field(ge=0, allow_inf_nan=False)

    def of(self, latency_ms: Float[np.ndarray, "platforms"], platforms: Sequence[str]) -> float:
        """The correction of a network that takes ``latency_ms`` on ``platforms``."""
        weights = np.array([self.weights.get(name, 0.0) for name in platforms])
        return float(np.clip(self.offset + np.log(latency_ms) @ weights, -self.limit, self.limit))


class Adapter(BaseModel):
    r"""How the latency on a new platform follows from what weights predict for the platforms they know.

    .. math::
        \mathrm{latency} = e^{\gamma} \sum_i \sum_t s_{k_i t} \sum_p w_{pt} \, m_{ipt}

    with :math:`m_{ipt}` the milliseconds of operation *i* on known platform *p* that go into
    :class:`~costmodel.features.cost_term.CostTerm` *t*, :math:`w_{pt}` what the new platform has of each known
    one, :math:`s_{kt}` how many times as long kernels of class *k* take on it, and :math:`\gamma` a
    :class:`AdapterCorrection` of the network as a whole.  A platform may also have rates of its own,
    :math:`\sum_i \sum_t r_{k_i t} \, x_{it}` for the work *x* of
    :func:`~costmodel.features.work.work_by_operation`: without a mix they are the latency before the correction,
    beside one the geometric mean of both is.

    Attributes:
        platform: The new platform.
        weights: Name of the weights it was fitted on.
        fingerprint: :attr:`~costmodel.pretrained.Bundle.fingerprint` of those weights.
        mix: What it has of each term of a known platform, by name; platforms left out have no part in it.  Empty only
            where there are rates.
        factors: For a class of kernels, by name, a factor for each term; 1 where left out.
        rates: For a class of kernels, by name, milliseconds per GFLOP, per megabyte of activations, per megabyte of
            weights and per operation; either for every class or none.
        correction: Of the whole network's log latency.
        error_quantile: The absolute log error that nine in ten networks are expected to stay within.
        provenance: Measurements, settings, versions: free text for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    platform: Platform
    weights: str
    fingerprint: str
    mix: dict[str, _OfTerms]
    factors: dict[str, _OfTerms] = {}
    rates: dict[str, _OfTerms] = {}
    correction: AdapterCorrection | None = None
    error_quantile: float = Field(ge=0, allow_inf_nan=False)
    provenance: dict[str, Any] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Adapter:
        if not any(any(of_terms) for of_terms in (self.mix or self.rates).values()):
            raise ValueError("every weight of the mix is zero, and every rate")
        unknown = (self.factors.keys() | self.rates.keys()) - KernelClass.__members__.keys()
        if unknown:
            raise ValueError(f"unknown kernel classes {', '.join(sorted(unknown))}")
        without = [name for name in KernelClass.__members__ if self.rates and name not in self.rates]
        if without:
            raise ValueError(f"no rates for the kernel classes {', '.join(without)}")
        return self

    def mix_of(self, platforms: Sequence[str]) -> Float[np.ndarray, "platforms terms"]:
        """The mix as an array over known platforms.

        Raises:
            UnknownNameError: The mix has a platform that is not among them.
        """
        for name in self.mix:
            if name not in platforms:
                raise UnknownNameError("platform", name, platforms)
        nothing = (0.0,) * len(CostTerm)
        return np.array([self.mix.get(name, nothing) for name in platforms])

    def op_ms(
        self,
        term_ms: Float[np.ndarray, "nodes platforms terms"],
        graph: GraphFeatures,
        batch: int,
        platforms: Sequence[str],
    ) -> Float[np.ndarray, "nodes"]:
        """Milliseconds of each operation on the new platform.

        Args:
            term_ms: Milliseconds on each known platform.
            graph: The network.
            batch: Images a run.
            platforms: Names of the known platforms.
        """
        parts = self._parts(term_ms, graph, batch, platforms)
        milliseconds = _geometric_mean([part.sum(axis=1) for part in parts])
        if self.correction is not None:
            milliseconds = milliseconds * np.exp(self.correction.of(term_ms.sum(axis=(0, 2)), platforms))
        return milliseconds

    def term_shares(
        self,
        term_ms: Float[np.ndarray, "nodes platforms terms"],
        graph: GraphFeatures,
        batch: int,
        platforms: Sequence[str],
    ) -> Float[np.ndarray, "nodes terms"]:
        """Which part of each operation's time goes into each term on the new platform; arguments as in :meth:`op_ms`.

        The parts add up to 1, or are all 0 for an operation that takes no time.
        """
        total: Float[np.ndarray, "nodes terms"] = np.zeros((len(graph), len(CostTerm)))
        for part in self._parts(term_ms, graph, batch, platforms):
            total += part / part.sum()
        whole = total.sum(axis=1, keepdims=True)
        shares: Float[np.ndarray, "nodes terms"] = np.divide(total, whole, out=np.zeros_like(total), where=whole > 0)
        return shares

    def _parts(
        self,
        term_ms: Float[np.ndarray, "nodes platforms terms"],
        graph: GraphFeatures,
        batch: int,
        platforms: Sequence[str],
    ) -> list[Float[np.ndarray, "nodes terms"]]:
        """Milliseconds by the mix and by rates of the platform's own, as far as there are both."""
        parts: list[Float[np.ndarray, "nodes terms"]] = []
        if self.mix:
            mixed = np.einsum("npt,pt->nt", term_ms, self.mix_of(platforms))
            parts.append(mixed * _by_kernel(self.factors)[graph.kernels])
        if self.rates:
            parts.append(work_by_operation(graph, batch) * _by_kernel(self.rates)[graph.kernels])
        return parts


def _by_kernel(named: Mapping[str, Sequence[float]]) -> Float[np.ndarray, "kernels terms"]:
    """Numbers of every class of kernels, 1 where ``named`` says nothing."""
    table = np.ones((len(KernelClass), len(CostTerm)))
    for name, of_terms in named.items():
        table[KernelClass[name]] = of_terms
    return table


def _geometric_mean(parts: Sequence[Float[np.ndarray, "nodes"]]) -> Float[np.ndarray, "nodes"]:
    """Operations that add up to the geometric mean of the parts' sums, each with the mean of its shares in them."""
    totals = [part.sum() for part in parts]
    shares = sum(part / total for part, total in zip(parts, totals, strict=True)) / len(parts)
    mean: Float[np.ndarray, "nodes"] = np.exp(np.mean(np.log(totals))) * shares
    return mean


def sum_by_kernel(
    term_ms: Float[np.ndarray, "nodes platforms terms"], kernels: Int[np.ndarray, "nodes"]
) -> Float[np.ndarray, "platforms kernels terms"]:
    """The milliseconds of a network, apart for each class of kernels."""
    totals = np.zeros((len(KernelClass), *term_ms.shape[1:]))
    np.add.at(totals, kernels, term_ms)
    return totals.swapaxes(0, 1)


def load_adapter(folder: str | Path) -> Adapter:
    """Read the platform that :func:`save_adapter` wrote to ``folder``.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    path = Path(folder) / PLATFORM
    return parsed(Adapter, read_document(path), path)


def save_adapter(adapter: Adapter, folder: str | Path) -> None:
    """Write ``platform.json`` into ``folder``, made if needed; one that is there is replaced in one step.

    Raises:
        DataError: The file cannot be written.
    """
    path = Path(folder) / PLATFORM
    try:
        with replaced(path) as partial:
            partial.write_text(adapter.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise DataError(
            f"cannot write the platform {path}: {error.strerror}. Nothing that was measured is lost: "
            "make room, or name another folder, and run the command again."
        ) from error
