"""One tuning task: an operator of a given shape, as it leaves the fusion of a whole network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax
from tvm.s_tir.meta_schedule import relax_integration

from costmodel.errors import UnsupportedModelError

__all__ = ["Workload", "extract_tasks", "legalised", "stages_of_fusion"]


@dataclass(frozen=True)
class Workload:
    """A task to be tuned.

    Attributes:
        kind: What sort of operator it is: those of a kind resemble each other.
        name: Unique; tells the shape.
        source: Where networks have it.
        build: Makes a Relax module of that operator, and of what is fused with it.
    """

    kind: str
    name: str
    source: str
    build: Callable[[], Any]

    def module(self, target: Any) -> Any:
        """The task's ``IRModule``, whose ``main`` is one function of TIR.

        Raises:
            UnsupportedModelError: It does not become exactly one task.
        """
        tasks = extract_tasks(self.build(), target)
        if len(tasks) != 1:
            raise UnsupportedModelError(f"{self.name}: expected one task, got {[task.task_name for task in tasks]}.")
        return tasks[0].dispatched[0]


def legalised(module: Any, target: Any) -> Any:
    """A Relax module with its operators written out in TIR and fused, as MetaSchedule tunes them."""
    return stages_of_fusion(module, target)[-1]


def stages_of_fusion(module: Any, target: Any) -> tuple[Any, Any, Any]:
    """A Relax module on its way to tasks.

    Returns:
        It with its operators written out in TIR; with what runs together in one function of Relax; with each of those
        functions as one of TIR.
    """
    with target, tvm.transform.PassContext(opt_level=3):
        spelt_out = _SPELL_OUT(module)
        grouped = relax.transform.FuseOps()(spelt_out)
        return spelt_out, grouped, relax.transform.FuseTIR()(grouped)


_SPELL_OUT = tvm.transform.Sequential(
    [
        relax.transform.DecomposeOpsForInference(),
        relax.transform.CanonicalizeBindings(),
        relax.transform.LegalizeOps(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
    ]
)


def extract_tasks(module: Any, target: Any) -> Sequence[Any]:
    """The tuning tasks of a Relax module, which need not be legalised yet.

    ``relax_integration.extract_tasks`` finds nothing, and says nothing, in a module that is not.
    """
    found: Sequence[Any] = relax_integration.extract_tasks(legalised(module, target), target)
    return found
