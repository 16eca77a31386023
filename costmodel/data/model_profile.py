"""The kernels of a run and their times, as they are kept beside a latency."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt, ValidationError

from costmodel.errors import DataError
from costmodel.files import replaced

__all__ = ["KernelTime", "ModelProfile", "NodeTime", "read_profiles"]


class NodeTime(NamedTuple):
    """What the kernels of one node take.

    Attributes:
        node: Name of the node.
        time_ms: All of them together, in one run.
    """

    node: str
    time_ms: float


class KernelTime(BaseModel):
    """A kernel that the runtime ran.

    Attributes:
        name: As the runtime calls it.
        op_type: Operator that it computes; a fused one, or one of the runtime's own, where it rewrote the graph.
        node: The node of the model that it stands for; of several that were fused, the last one as a rule.  ``None``
            for what the runtime put in, such as changes of layout.
        time_ms: Its time in one run, without that of kernels in its own branches or loops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op_type: str
    node: str | None
    time_ms: NonNegativeFloat


class ModelProfile(BaseModel):
    """The kernels of a model on a platform.

    Attributes:
        schema_version: Version of this layout.
        model: Name that its measurements are filed under.
        platform: Where it ran.
        runs: How many runs the times are a mean of.
        run_ms: Time of a run while kernels were timed, a little more than all of them take, and than the latency.
        kernels: In the order they ran.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: Literal[1] = 1
    model: str
    platform: str
    runs: PositiveInt
    run_ms: NonNegativeFloat
    kernels: tuple[KernelTime, ...]

    @property
    def kernels_ms(self) -> float:
        """Time of all kernels in one run."""
        return sum(kernel.time_ms for kernel in self.kernels)

    @property
    def mapped_share(self) -> float:
        """Part of the kernels' time, 0 to 1, that is known to belong to a node."""
        total_ms = self.kernels_ms
        return sum(time_ms for _, time_ms in self.by_node()) / total_ms if total_ms else 0.0

    def by_node(self) -> list[NodeTime]:
        """Time of each node that has kernels, in the order they ran."""
        times: Counter[str] = Counter()
        for kernel in self.kernels:
            if kernel.node is not None:
                times[kernel.node] += kernel.time_ms  # type: ignore[assignment]  # counters count fractions as well
        return [NodeTime(node, time_ms) for node, time_ms in times.items()]

    def by_op_type(self) -> dict[str, float]:
        """Milliseconds in one run of each operator, most first."""
        times: Counter[str] = Counter()
        for kernel in self.kernels:
            times[kernel.op_type] += kernel.time_ms  # type: ignore[assignment]
        return dict(times.most_common())

    @classmethod
    def load(cls, path: Path) -> ModelProfile:
        """Read a file that :meth:`save` wrote.

        Raises:
            DataError: It cannot be read, or is something else.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise DataError(f"cannot read the profile {path}: {error.strerror}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(
                f"{path} is no profile: {first['msg']}. Make one with: costmodel measure --profile DIR"
            ) from error

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            DataError: It cannot be written.
        """
        try:
            with replaced(path) as partial:
                partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot write the profile {path}: {error.strerror}. Choose another place.") from error


def read_profiles(folder: Path) -> list[ModelProfile]:
    """Read every profile of a folder, ordered by file.

    Raises:
        DataError: There is none, or a file is something else.
    """
    profiles = [ModelProfile.load(path) for path in sorted(folder.glob("*.json"))]
    if not profiles:
        raise DataError(f"{folder} holds no profiles; make some with: costmodel measure --profile {folder}")
    return profiles
