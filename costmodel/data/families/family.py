"""What a family of networks is: a random architecture, kept within a budget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar
from zlib import crc32

import numpy as np
from onnx import ModelProto

from costmodel.data.families.builder import NetworkBuilder, Tensor
from costmodel.errors import GraphError, UsageError

__all__ = ["Family"]

MAX_PARAMETERS = 28_000_000
"""Keeps a float32 file below 120 MB."""

_MAX_DRAWS = 500


class Family(ABC):
    """A family of networks that differ in depth, width, kernels, resolution and the like.

    A family writes :meth:`build`; users call :meth:`generate`, which checks what
    was built and draws again where a variant is too small or too large.

    Attributes:
        name: What users type, and the start of every graph's name.
        min_macs: Fewest multiply-accumulate operations of a variant, per image.
        max_macs: Most multiply-accumulate operations of a variant, per image.
    """

    name: ClassVar[str]
    min_macs: ClassVar[int] = 20_000_000
    max_macs: ClassVar[int] = 2_000_000_000

    def generate(self, seed: int, *, batch: int = 1, weights: bool = True) -> ModelProto:
        """The variant that ``seed`` stands for.

        Args:
            seed: Same seed, same network; not negative.
            batch: Images per run.  Does not change the architecture.
            weights: Whether to fill the weights in; without them the model has
                all its shapes but cannot run.

        Raises:
            UsageError: A negative seed or a batch below one.
            GraphError: The family breaks its contract: the network does not end in
                ``(batch, classes)``, or no variant keeps to the budget.
        """
        if seed < 0 or batch < 1:
            raise UsageError(
                f"family {self.name!r}: expected a seed of at least 0 and a batch of at least 1, "
                f"got seed {seed} and batch {batch}."
            )
        architecture_rng = np.random.default_rng([crc32(self.name.encode()), seed])
        weights_rng = np.random.default_rng(seed) if weights else None
        for _ in range(_MAX_DRAWS):
            net = NetworkBuilder(f"{self.name}-{seed:04d}", batch=batch)
            output = self.build(net, architecture_rng)
            if len(output.shape) != 2 or output.shape[0] != batch:
                raise GraphError(
                    f"family {self.name!r}: expected an output (batch, classes), got shape {output.shape}."
                )
            if self._within_budget(net):
                return net.to_model(output, weights_rng=weights_rng)
        raise GraphError(
            f"family {self.name!r}: none of {_MAX_DRAWS} variants has {self.min_macs} to {self.max_macs} MACs and at "
            f"most {MAX_PARAMETERS} parameters; widen the budget or narrow what build() draws."
        )

    @abstractmethod
    def build(self, net: NetworkBuilder, rng: np.random.Generator) -> Tensor:
        """Add one random variant to the empty ``net``.

        Args:
            net: Where layers are added; all of its methods keep shapes consistent.
            rng: The only source of randomness.

        Returns:
            The class scores, ``(batch, classes)``.
        """

    def _within_budget(self, net: NetworkBuilder) -> bool:
        return self.min_macs <= net.macs // net.batch <= self.max_macs and net.parameter_count <= MAX_PARAMETERS
