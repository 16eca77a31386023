"""A platform that joined after training: what its time is made of, in terms of platforms that the weights know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from costmodel.errors import DataError, UnknownNameError
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass
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
    :class:`AdapterCorrection` of the network as a whole.

    Attributes:
        platform: The new platform.
        weights: Name of the weights it was fitted on.
        fingerprint: :attr:`~costmodel.pretrained.Bundle.fingerprint` of those weights.
        mix: What it has of each term of a known platform, by name; platforms left out have no part in it.
        factors: For a class of kernels, by name, a factor for each term; 1 where left out.
        correction: Of the whole network's log latency.
        error_quantile: The absolute log error that nine in ten networks are expected to stay within.
        provenance: Measurements, settings, versions: free text for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    platform: Platform
    weights: str
    fingerprint: str
    mix: dict[str, _OfTerms] = Field(min_length=1)
    factors: dict[str, _OfTerms] = {}
    correction: AdapterCorrection | None = None
    error_quantile: float = Field(ge=0, allow_inf_nan=False)
    provenance: dict[str, Any] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Adapter:
        if not any(any(of_terms) for of_terms in self.mix.values()):
            raise ValueError("every weight of the mix is zero")
        unknown = self.factors.keys() - KernelClass.__members__.keys()
        if unknown:
            raise ValueError(f"unknown kernel classes {', '.join(sorted(unknown))}")
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
        kernels: Int[np.ndarray, "nodes"],
        platforms: Sequence[str],
    ) -> Float[np.ndarray, "nodes"]:
        """Milliseconds of each operation on the new platform.

        Args:
            term_ms: Milliseconds on each known platform.
            kernels: Class of kernels of each operation.
            platforms: Names of the known platforms.
        """
        factors = np.ones((len(KernelClass), len(CostTerm)))
        for name, of_terms in self.factors.items():
            factors[KernelClass[name]] = of_terms
        mixed = np.einsum("npt,pt->nt", term_ms, self.mix_of(platforms))
        milliseconds: Float[np.ndarray, "nodes"] = (mixed * factors[kernels]).sum(axis=1)
        if self.correction is not None:
            milliseconds = milliseconds * np.exp(self.correction.of(term_ms.sum(axis=(0, 2)), platforms))
        return milliseconds


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
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(adapter.model_dump_json(indent=1) + "\n")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}; name another folder, or make room.") from error
