"""What candidates are compiled for, as TVM writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tvm
from tvm.target import codegen

from costmodel.calibration.measurers.tvm_compiler import last_line
from costmodel.errors import UsageError

__all__ = ["EXAMPLE", "as_json", "host_target", "require_measurable_here", "target_from"]

EXAMPLE = '{"kind": "llvm", "mcpu": "skylake-avx512", "num-cores": 1}'
"""How a target is written."""

_CPU = 1
"""TVM's number for processors."""


def host_target() -> Any:
    """One core of this machine's processor, which goes by LLVM's name for it."""
    return tvm.target.Target({"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu(), "num-cores": 1})


def target_from(described: Mapping[str, Any]) -> Any:
    """The target that ``described`` says, see :data:`EXAMPLE`.

    Raises:
        UsageError: TVM knows no such target, or LLVM no such processor.
    """
    try:
        target = tvm.target.Target(dict(described))
    except Exception as error:  # TVM's exceptions share no base class but Exception
        raise UsageError(
            f"TVM knows no such target ({last_line(error)}). A target is written like {EXAMPLE}"
        ) from error
    _require_known_processor(target)
    return target


def as_json(target: Any) -> str:
    """A target in one line, the same for targets that are equal; TVM's own text has attributes in any order."""
    return json.dumps(json.loads(str(target)), sort_keys=True)


def require_measurable_here(target: Any) -> None:
    """Check that candidates for ``target`` can be timed on one core of this machine.

    Raises:
        UsageError: It is not this sort of processor, or not said to have one core.
    """
    found = ""
    if target.get_target_device_type() != _CPU:
        found = f"kind {target.kind.name!r}"
    elif _architecture(_triple(target)) != _architecture(codegen.llvm_get_system_triple()):
        found = f"mtriple {_triple(target)!r}"
    elif target.attrs.get("num-cores") != 1:
        found = f"num-cores {target.attrs.get('num-cores', 'not given')}"
    if found:
        raise UsageError(
            "candidates are timed on this machine, by the CPU time of one thread; expected a processor of the "
            f"architecture {_architecture(codegen.llvm_get_system_triple())} with num-cores 1, such as "
            f"{as_json(host_target())}, got {found}."
        )


def _require_known_processor(target: Any) -> None:
    """TVM takes any name for a processor, and compiles for an old one if LLVM does not know it."""
    processor = target.attrs.get("mcpu")
    if target.kind.name == "llvm" and processor and not codegen.llvm_is_valid_cpu(processor, _triple(target)):
        raise UsageError(
            f"LLVM knows no processor {processor!r} of {_triple(target)}. "
            f"Its name for this machine's is {codegen.llvm_get_system_cpu()!r}; a target is written like {EXAMPLE}"
        )


def _triple(target: Any) -> str:
    return str(target.attrs.get("mtriple") or codegen.llvm_get_system_triple())


def _architecture(triple: str) -> str:
    return triple.partition("-")[0]
