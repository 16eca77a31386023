"""The machine and the runtime that a measurement was made on, and the platform's name made from them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt

from costmodel.platforms.platform import platform_name

__all__ = ["Environment", "default_platform_name", "device_slug", "runtime_slug"]

_ISA_OF_FLAG = {
    "avx": "avx",
    "f16c": "f16c",
    "fma": "fma",
    "avx2": "avx2",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "asimd": "neon",
    "neon": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "sve": "sve",
    "sve2": "sve2",
    "i8mm": "i8mm",
    "bf16": "bf16",
}
"""Instruction sets that kernels are written for, by the name Linux gives them."""

_RUNTIME_SHORT_NAMES = {"onnxruntime": "ort", "torch": "pt"}

_NOISE_IN_CPU_NAMES = re.compile(
    r"\((r|tm)\)|@.*|\bw/.*|\bwith\b.*|\d+-core|\b(amd|intel|cpu|processor|core|platinum|gold|silver|bronze)\b",
    re.IGNORECASE,
)

_NOISE_IN_ACCELERATOR_NAMES = re.compile(r"\b(nvidia|geforce|amd|intel|graphics|\d+gb|hbm\d\w*)\b", re.IGNORECASE)


class Environment(BaseModel):
    """The conditions of a measurement that a latency depends on.

    Attributes:
        accelerator: What computes, where that is not the processor, e.g. ``"NVIDIA H100 80GB HBM3"``.
        cpu: Model name as the system gives it; behind a hypervisor that may be no more than ``"AMD EPYC"``.
        cpu_family: Family number, where the system tells.
        cpu_model: Model number within the family, where the system tells.
        isa: Instruction sets that kernels are written for, e.g. ``("avx2", "avx512f")``.
        logical_cores: Cores the process may use.
        memory_bytes: Physical memory, where the system tells.
        governor: Frequency governor of the first core, where the system tells.
        os: Operating system.
        kernel: Its release.
        python: Python version.
        runtime: Package that runs the models, e.g. ``"onnxruntime"``.
        runtime_version: Its version.
        threads: Threads that one model is run with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cpu_family: int | None = None
    cpu_model: int | None = None
    isa: tuple[str, ...] = ()
    logical_cores: PositiveInt
    memory_bytes: PositiveInt | None = None
    governor: str | None = None
    os: str
    kernel: str
    python: str
    runtime: str
    runtime_version: str
    threads: PositiveInt
    accelerator: str | None = None

    @classmethod
    def capture(
        cls, *, runtime: str, runtime_version: str, threads: int, accelerator: str | None = None
    ) -> Environment:
        """Describe the machine this runs on.

        Args:
            runtime: Package that runs the models.
            runtime_version: Its version.
            threads: Threads that one model is run with.
            accelerator: What computes, where that is not the processor.
        """
        cpu = _CpuInfo.read()
        return cls(
            cpu=cpu.name,
            cpu_family=cpu.number("cpu family"),
            cpu_model=cpu.number("model"),
            isa=cpu.isa,
            logical_cores=_usable_cores(),
            memory_bytes=_memory_bytes(),
            governor=_first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            os=platform.system(),
            kernel=platform.release(),
            python=platform.python_version(),
            runtime=runtime,
            runtime_version=runtime_version,
            threads=threads,
            accelerator=accelerator,
        )


def default_platform_name(environment: Environment, precision: str = "fp32") -> str:
    """A name of the form ``device-runtime-precision-threads``, e.g. ``epyc-7r13-ort1.32-fp32-1t``.

    Where the hypervisor hides the processor's model, its family and model numbers stand in: ``epyc-f25m1-...``.
    An accelerator is named in its place, without threads: ``h100-pt2.11-bf16``.
    """
    threads = None if environment.accelerator else environment.threads
    return platform_name(device_slug(environment), runtime_slug(environment), precision, threads=threads)


def runtime_slug(environment: Environment) -> str:
    """Short name of the runtime with its version, e.g. ``ort1.32``."""
    major_minor = ".".join(environment.runtime_version.split(".")[:2])
    return _RUNTIME_SHORT_NAMES.get(environment.runtime, environment.runtime) + major_minor


def device_slug(environment: Environment) -> str:
    """Short name of what computes, e.g. ``epyc-7r13`` or ``rtx-4090``."""
    if environment.accelerator:
        return _slug(_NOISE_IN_ACCELERATOR_NAMES.sub(" ", environment.accelerator)) or "gpu"
    slug = _slug(_NOISE_IN_CPU_NAMES.sub(" ", environment.cpu)) or "cpu"
    names_a_model = any(character.isdigit() for character in slug)
    if names_a_model or environment.cpu_family is None or environment.cpu_model is None:
        return slug
    return f"{slug}-f{environment.cpu_family}m{environment.cpu_model}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class _CpuInfo:
    """The first processor's block of Linux' ``/proc/cpuinfo``; empty on other systems."""

    def __init__(self, text: str) -> None:
        pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
        self._fields = {key.strip(): value.strip() for key, _, value in pairs}

    @classmethod
    def read(cls) -> _CpuInfo:
        path = Path("/proc/cpuinfo")
        return cls(path.read_text(errors="replace") if path.exists() else "")

    @cached_property
    def name(self) -> str:
        if "model name" in self._fields:
            return self._fields["model name"]
        if "CPU part" in self._fields:  # ARM gives numbers where x86 gives a name
            return f"{platform.machine()} {self._fields.get('CPU implementer', '')} {self._fields['CPU part']}"
        return _macos_cpu_name() or platform.processor() or platform.machine() or "unknown"

    @property
    def isa(self) -> tuple[str, ...]:
        flags = set(self._fields.get("flags", self._fields.get("Features", "")).split())
        return tuple(dict.fromkeys(isa for flag, isa in _ISA_OF_FLAG.items() if flag in flags))

    def number(self, field: str) -> int | None:
        value = self._fields.get(field, "")
        return int(value) if value.isdecimal() else None


def _macos_cpu_name() -> str:
    if platform.system() != "Darwin":
        return ""
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
