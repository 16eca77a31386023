"""Times the models of a kit on the machine it runs on.  Needs Python 3.8, numpy and onnxruntime, nothing else.

In a kit this file is ``run.py``.  It visits every model a few times, in rounds, so that a model's visits lie far
apart and a disturbance cannot spoil them all.  Each visit is made by a process of its own and appended to
``results.jsonl`` before the next one starts: stopped at any moment, by a power cut too, it goes on where it was.

The method is that of ``costmodel.calibration.OnnxRuntimeMeasurer``, and the results are a journal of
``costmodel.data``; a device that has neither can be measured all the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import distributions
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

__all__ = ["Method", "ProviderError", "Results", "environment", "main", "time_visit"]

_CPU_PROVIDER = "CPUExecutionProvider"
_ATTEMPTS = 2
"""A crash or a hang may be the machine's fault once."""

_INTERRUPTED = 130

_ONE_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The reference kernel is timed by its thread's CPU time, so its library must not start others."""

_REFERENCE_SIZE = 384
"""113 MFLOP: 1 to 3 ms on one core of a server."""

_REFERENCE_REPEATS = 3

_MAY_CHANGE = ("memory_bytes",)
"""Fields of the environment that differ from one start of the same machine to the next."""

_NUMPY_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}

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


@dataclass(frozen=True)
class Method:
    """How one model is timed.

    Attributes:
        threads: Intra-op threads; there is always one inter-op thread.
        runs: Timed runs in a visit.
        provider: Execution provider.
    """

    threads: int
    runs: int
    provider: str = _CPU_PROVIDER

    @property
    def is_on_cpu(self) -> bool:
        """Whether the CPU does the work, so that its time can be compared with the wall clock's."""
        return self.provider == _CPU_PROVIDER

    @property
    def uses_cpu_time(self) -> bool:
        """Whether the calling thread does all the work; Windows counts a thread's time in steps of 16 ms."""
        return self.is_on_cpu and self.threads == 1 and os.name != "nt"

    def settings(self) -> dict[str, Any]:
        """Every choice that changes a latency."""
        return {
            "graph_optimization": "all",
            "providers": [self.provider],
            "package": _runtime_package(),
            "runs": self.runs,
        }

    def options(self) -> list[str]:
        """This method as options of the command line."""
        return [f"--threads={self.threads}", f"--runs={self.runs}", f"--provider={self.provider}"]


# --- Timing one model: what the process of a visit does ---


class ProviderError(Exception):
    """The execution provider does not start, so no model could be measured."""


def time_visit(model: Path, method: Method) -> dict[str, Any]:
    """Load a model, run it once to warm up, time a few runs, and time the reference kernel before and after.

    Args:
        model: An ONNX file with weights, all input shapes fixed.
        method: How to time it.

    Returns:
        ``run_ms``, ``clock``, ``wall_cpu_ratio`` and ``reference_ms`` as a journal's visit has them.

    Raises:
        ProviderError: onnxruntime would quietly measure something else.
        Exception: Whatever onnxruntime raises when it does not take the model.
    """
    before_ms = _reference_kernel_ms()
    session = _session(model, method)
    feeds = _random_feeds(session)
    session.run(None, feeds)
    cpu_clock = time.thread_time_ns if method.uses_cpu_time else time.process_time_ns
    wall_ns, cpu_ns = [], []
    for _ in range(method.runs):
        wall_start, cpu_start = time.perf_counter_ns(), cpu_clock()
        session.run(None, feeds)
        cpu_ns.append(cpu_clock() - cpu_start)
        wall_ns.append(time.perf_counter_ns() - wall_start)
    has_ratio = method.is_on_cpu and sum(cpu_ns) > 0
    return {
        "run_ms": [elapsed_ns / 1e6 for elapsed_ns in (cpu_ns if method.uses_cpu_time else wall_ns)],
        "clock": "cpu" if method.uses_cpu_time else "wall",
        "wall_cpu_ratio": sum(wall_ns) * method.threads / sum(cpu_ns) if has_ratio else None,
        "reference_ms": min(before_ms, _reference_kernel_ms()),
    }


def _reference_kernel_ms() -> float:
    """CPU time in milliseconds of one float32 matrix product of size 384, the fastest of three."""
    import numpy as np

    clock = time.perf_counter_ns if os.name == "nt" else time.thread_time_ns
    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((_REFERENCE_SIZE, _REFERENCE_SIZE), dtype=np.float32) for _ in range(2))
    out = np.matmul(left, right)  # the library's own warm-up
    elapsed_ns = []
    for _ in range(_REFERENCE_REPEATS):
        start = clock()
        np.matmul(left, right, out=out)
        elapsed_ns.append(clock() - start)
    return max(min(elapsed_ns), 1) / 1e6


def _session(model: Path, method: Method) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = method.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # errors are raised as well
    session = onnxruntime.InferenceSession(str(model), options, providers=[method.provider])
    used = session.get_providers()[0]
    if used != method.provider:
        raise ProviderError(f"{method.provider} does not start, onnxruntime fell back to {used}; is its library there?")
    return session


def _random_feeds(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Inputs that any model takes: normal floats; integers and booleans 0 or 1, which are valid as indices."""
    import numpy as np

    generator = np.random.default_rng(0)
    feeds = {}
    for value in session.get_inputs():
        if value.type not in _NUMPY_TYPES or not all(isinstance(size, int) for size in value.shape):
            raise ValueError(
                f"input {value.name!r} is a {value.type} of shape {value.shape}; expected numbers in a fixed shape"
            )
        dtype = np.dtype(_NUMPY_TYPES[value.type])
        is_float = dtype.kind == "f"
        drawn = generator.standard_normal(value.shape) if is_float else generator.integers(0, 2, value.shape)
        feeds[value.name] = drawn.astype(dtype)
    return feeds


def _serve_visit(model: Path, method: Method) -> NoReturn:
    """The whole life of a visit's process: one answer, as JSON, to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answers = os.dup(1)
    os.dup2(2, 1)  # a runtime's own chatter must not get into the answer
    try:
        answer = time_visit(model, method)
    except ProviderError as error:
        answer = {"unusable": str(error)}
    except Exception as error:  # onnxruntime's exceptions share no base class but Exception
        answer = {"refused": _first_line(str(error).strip() or type(error).__name__)}
    os.write(answers, json.dumps(answer).encode())
    os._exit(0)  # a runtime that crashes while it is taken down has answered all the same


def _end_with_parent() -> None:
    """Do not outlive a parent that was killed: a hung model would run for ever."""
    os.read(0, 1)  # nothing is ever written there; it ends when the parent does
    os._exit(1)


# --- The machine: what a journal's environment says ---


class _CpuInfo:
    """The first processor's block of Linux' ``/proc/cpuinfo``; empty on other systems.

    Args:
        text: The file's content.
    """

    def __init__(self, text: str) -> None:
        pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
        self._fields = {key.strip(): value.strip() for key, _, value in pairs}

    @property
    def name(self) -> str:
        """The processor's name, from elsewhere where the file has none."""
        if "model name" in self._fields:
            return self._fields["model name"]
        if "CPU part" in self._fields:  # ARM gives numbers where x86 gives a name
            return f"{platform.machine()} {self._fields.get('CPU implementer', '')} {self._fields['CPU part']}"
        return _macos_cpu_name() or platform.processor() or platform.machine() or "unknown"

    @property
    def isa(self) -> list[str]:
        """Instruction sets, each once."""
        flags = set(self._fields.get("flags", self._fields.get("Features", "")).split())
        return list(dict.fromkeys(isa for flag, isa in _ISA_OF_FLAG.items() if flag in flags))

    def number(self, field: str) -> int | None:
        """The number in a field."""
        value = self._fields.get(field, "")
        return int(value) if value.isdecimal() else None


def environment(threads: int) -> dict[str, Any]:
    """This machine and its onnxruntime, with the fields of ``costmodel.platforms.environment.Environment``."""
    import onnxruntime

    cpu = _CpuInfo(_text_of("/proc/cpuinfo"))
    return {
        "cpu": cpu.name,
        "cpu_family": cpu.number("cpu family"),
        "cpu_model": cpu.number("model"),
        "isa": cpu.isa,
        "logical_cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "governor": _first_line(_text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) or None,
        "os": platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "runtime": "onnxruntime",
        "runtime_version": onnxruntime.__version__,
        "threads": threads,
    }


def _runtime_package() -> str:
    """Which flavour of onnxruntime is installed: all are imported by one name."""
    for distribution in distributions():
        if "onnxruntime" in (distribution.read_text("top_level.txt") or "").split():
            return str(distribution.metadata["Name"])
    return "onnxruntime"


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


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _first_line(text: str) -> str:
    return text.splitlines()[0][:300] if text else ""


# --- The results: a journal, one line a visit ---


class Results:
    """The file that visits are appended to; made by :meth:`opened`.

    Attributes:
        visits: The visits it holds, of this start and of earlier ones, by model.
    """

    def __init__(self, path: Path, stream: FileIO) -> None:
        self._path = path
        self._stream = stream
        self.visits: dict[str, list[dict[str, Any]]] = {}

    @classmethod
    @contextmanager
    def opened(cls, path: Path, header: Mapping[str, Any]) -> Iterator[Results]:
        """Open the file for appending; nobody else can until the context ends.

        A new file gets ``header`` as its first line; an unfinished last line is removed.

        Raises:
            SystemExit: Another process has it open, it was made under other conditions, or it cannot be written.
        """
        try:
            stream = path.open("ab", buffering=0)
        except OSError as error:
            sys.exit(f"cannot write {path}: {error.strerror}. Make room, or move the whole folder to another place.")
        with stream:
            _lock(stream, path)
            results = cls(path, stream)
            results._prepare(header)
            yield results

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line and wait until it is on the disk.

        Raises:
            SystemExit: It cannot be written, e.g. because the disk is full.  The file is as it was before.
        """
        length = os.fstat(self._stream.fileno()).st_size
        rest = json.dumps(line).encode() + b"\n"
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):  # the next start removes what is left of the line
                self._truncate(length)
            sys.exit(
                f"cannot append to {self._path}: {error.strerror}. Everything measured before is kept; free some space "
                "and start this again to go on."
            )
        if line["kind"] == "visit":
            self.visits.setdefault(line["model"], []).append(dict(line))

    def _prepare(self, header: Mapping[str, Any]) -> None:
        raw = self._path.read_bytes()
        end = raw.rfind(b"\n") + 1
        if not end:
            if not json.dumps(header).encode().startswith(raw):
                sys.exit(f"{self._path} holds something else than results; move it away.")
            self._truncate(0)
            self.append(header)
            _sync_folder(self._path.parent)
            return
        first, *others = raw[:end].splitlines()
        self._check_same_conditions(_parsed(first), header)
        self._truncate(end)
        for number, line in enumerate(others, start=2):
            visit = _parsed(line)
            if visit.get("kind") == "visit" and isinstance(visit.get("model"), str) and "status" in visit:
                self.visits.setdefault(visit["model"], []).append(visit)
            else:
                _say(f"{self._path.name}, line {number} is damaged and does not count.")

    def _check_same_conditions(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        has_conditions = all(isinstance(found.get(part), dict) for part in ("environment", "settings"))
        if found.get("kind") != "header" or not has_conditions:
            sys.exit(f"{self._path} holds something else than results; move it away.")
        old, new = _conditions(found), _conditions(wanted)
        differences = [f"{name} was {old.get(name)!r}, now {new[name]!r}" for name in new if old.get(name) != new[name]]
        if differences:
            sys.exit(
                f"{self._path} was measured under other conditions: {'; '.join(differences)}. Measure under the same "
                "ones, or move the file away to begin anew."
            )

    def _truncate(self, length: int) -> None:
        self._stream.truncate(length)
        os.fsync(self._stream.fileno())


def _lock(stream: FileIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        _say(f"no file locks on this system: make sure that only one process at a time writes {path.name}.")
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another process is writing {path}; wait until it has finished.")
    except OSError:
        _say(f"no file locks in {path.parent}: make sure that only one process at a time writes {path.name}.")


def _sync_folder(folder: Path) -> None:
    """Wait until the names of the files in it are on the disk, where the system can do that."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network folders cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _conditions(header: Mapping[str, Any]) -> dict[str, Any]:
    together = {**header["environment"], **header["settings"]}
    return {name: value for name, value in together.items() if name not in _MAY_CHANGE}


# --- The rounds: what the process that the user starts does ---


class _Visitor:
    """Makes visits in processes of their own."""

    def __init__(self, folder: Path, method: Method, time_limit_s: float) -> None:
        self._folder = folder
        self._method = method
        self._time_limit_s = time_limit_s
        # The children read the one end; the other is closed by the system when this process ends, however it does.
        self._lifeline, self._held = os.pipe()

    def visit(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """One line of the results: a model that crashes, hangs or is refused is one as well.

        Raises:
            SystemExit: The execution provider does not start.
        """
        for _ in range(_ATTEMPTS):
            outcome = self._attempt(model)
            if outcome["status"] in ("ok", "refused"):
                break
        return {
            "kind": "visit",
            "model": model["name"],
            "model_hash": model["graph_hash"],
            "batch": model["batch"],
            "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **outcome,
        }

    def _attempt(self, model: Mapping[str, Any]) -> dict[str, Any]:
        file = str(self._folder / model["file"])
        command = [sys.executable, str(Path(__file__).resolve()), f"--visit={file}", *self._method.options()]
        try:
            child = subprocess.run(
                command,
                stdin=self._lifeline,
                capture_output=True,
                timeout=self._time_limit_s,
                env=self._variables(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"status": "hung", "reason": f"no answer within {self._time_limit_s:g} s"}
        answer = _parsed(child.stdout)
        if not answer:
            return {"status": "crashed", "reason": _death_notice(child.returncode, child.stderr)}
        if "unusable" in answer:
            sys.exit(answer["unusable"])
        if "refused" in answer:
            return {"status": "refused", "reason": answer["refused"]}
        return {"status": "ok", **answer}

    def _variables(self) -> dict[str, str]:
        """Numeric libraries read these when they are imported."""
        ones = dict.fromkeys(_ONE_THREAD_VARIABLES, "1")
        return {**os.environ, "OMP_NUM_THREADS": str(self._method.threads), **ones}


def _death_notice(code: int, errors: bytes) -> str:
    cause = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
    last_words = errors.decode(errors="replace").strip().splitlines()[-1:]
    return f"the process {cause}" + "".join(f": {line[:300]}" for line in last_words)


def _measure(
    models: Sequence[Mapping[str, Any]], visitor: _Visitor, results: Results, visits: int, interval_s: float
) -> None:
    """Go round the models until each has its visits, or has failed."""
    for round_number in range(visits):
        due = [model for model in models if _is_due(results.visits.get(model["name"], []), round_number)]
        start = time.monotonic()
        for position, model in enumerate(due, start=1):
            visit = visitor.visit(model)
            results.append(visit)
            _say(f"round {round_number + 1}/{visits}, model {position}/{len(due)}: {_described(visit)}")
        if due and round_number + 1 < visits:
            time.sleep(max(start + interval_s - time.monotonic(), 0))


def _is_due(past: Sequence[Mapping[str, Any]], round_number: int) -> bool:
    return len(past) <= round_number and not _has_failed(past)


def _has_failed(past: Sequence[Mapping[str, Any]]) -> bool:
    return any(visit["status"] != "ok" for visit in past)


def _described(visit: Mapping[str, Any]) -> str:
    if visit["status"] == "ok":
        return f"{visit['model']} {min(visit['run_ms']):.4g} ms"
    return f"{visit['model']} {visit['status']}: {visit['reason']}"


def _check_models(folder: Path, models: Sequence[Mapping[str, Any]], results: Results) -> None:
    """A copy that went wrong is found before anything is measured.

    Raises:
        SystemExit: A file is missing or another one, or the results hold visits to another model of that name.
    """
    wrong = [model["file"] for model in models if _sha256_of(folder / model["file"]) != model["sha256"]]
    if wrong:
        sys.exit(f"missing, or not as manifest.json says: {', '.join(wrong)}. Copy the whole folder here once more.")
    for model in models:
        past = results.visits.get(model["name"], [])
        if any(visit.get("model_hash") != model["graph_hash"] for visit in past):
            sys.exit(f"the results hold visits to another model {model['name']}; move them away to begin anew.")


def _sha256_of(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def _check_runtime(provider: str) -> None:
    """Say what is missing before anything is measured.

    Raises:
        SystemExit: A package is not installed, or has no such provider.
    """
    try:
        import numpy  # noqa: F401  # only whether it is there
        import onnxruntime
    except ImportError as error:
        sys.exit(f"{error}. Install what is needed with: {sys.executable} -m pip install numpy onnxruntime")
    available = onnxruntime.get_available_providers()
    if provider not in available:
        sys.exit(f"this onnxruntime has no {provider}; it has {', '.join(available)}.")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- The command line ---


def main() -> None:
    """Measure the kit in whose folder this file is.

    Raises:
        SystemExit: Always, with the exit code: 0 when every model was measured or failed for good.
    """
    arguments = _parser().parse_args()
    if arguments.visit:
        _serve_visit(Path(arguments.visit), Method(arguments.threads, arguments.runs, arguments.provider))
    try:
        _measure_kit(Path(__file__).resolve().parent, arguments)
    except KeyboardInterrupt:
        _say("stopped. Every finished visit is in results.jsonl; start this again to go on.")
        sys.exit(_INTERRUPTED)
    sys.exit(0)


def _measure_kit(folder: Path, arguments: argparse.Namespace) -> None:
    manifest = _manifest(folder)
    settings = manifest["settings"]
    method = Method(arguments.threads or settings["threads"], arguments.runs or settings["runs"], arguments.provider)
    _check_runtime(method.provider)
    header = {
        "kind": "header",
        "schema_version": 1,
        "platform": "unnamed",  # whoever brings the results home gives a name
        "environment": environment(method.threads),
        "settings": method.settings(),
    }
    with Results.opened(folder / "results.jsonl", header) as results:
        _check_models(folder, manifest["models"], results)
        visitor = _Visitor(folder, method, arguments.time_limit)
        _measure(manifest["models"], visitor, results, arguments.visits or settings["visits"], arguments.interval)
        failed = [name for name, past in results.visits.items() if _has_failed(past)]
    _say(f"finished: {len(manifest['models'])} models, {len(failed)} of them failed. Bring back results.jsonl.")


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = _parsed(path.read_bytes())
    except OSError as error:
        sys.exit(f"cannot read {path}: {error.strerror}. This file must be in the folder of a kit.")
    if manifest.get("schema_version") != 1:
        sys.exit(f"{path} is not a manifest that this file understands; copy the whole folder here once more.")
    return manifest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Time the models in this folder; results.jsonl gets the results. Start it again to go on.",
        epilog="What is not given is as manifest.json says.",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="threads that run one model")
    parser.add_argument("--visits", type=_positive, metavar="N", help="visits to each model; the fastest run counts")
    parser.add_argument("--runs", type=_positive, metavar="N", help="timed runs in a visit")
    parser.add_argument(
        "--time-limit", type=_seconds, default=120.0, metavar="S", help="end a visit that takes longer (default: 120)"
    )
    parser.add_argument(
        "--interval", type=_seconds, default=5.0, metavar="S", help="start rounds at least this far apart (default: 5)"
    )
    parser.add_argument(
        "--provider", default=_CPU_PROVIDER, metavar="NAME", help=f"execution provider (default: {_CPU_PROVIDER})"
    )
    parser.add_argument("--visit", metavar="FILE", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"expected 1, 2, 3 ..., got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


if __name__ == "__main__":
    main()
