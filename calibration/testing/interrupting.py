"""To end a command at any moment and start it again, and to see whether its journal has lost anything.

Needs a system with process groups and signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SIGNALS", "Job", "Run"]

SIGNALS = {"group": "SIGKILL", "parent": "SIGKILL", "ctrl-c": "SIGINT"}
"""What a run can be ended by: all processes of it killed, the first one killed, or all interrupted."""

_INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes; the second one, which a shell shows as the first, is that of an interpreter that was about to end."""


@dataclass(frozen=True)
class Job:
    """A command that measures, and goes on where it stopped.

    Attributes:
        command: To run again and again.
        journal: Its visits.
        visits: Asked for, to each model.
        models: How many there are.
    """

    command: tuple[str, ...]
    journal: Path
    visits: int
    models: int

    def lines(self) -> bytes:
        """The complete lines of the journal."""
        raw = self.journal.read_bytes() if self.journal.exists() else b""
        return raw[: raw.rfind(b"\n") + 1]

    def torn_bytes(self) -> int:
        """Length of an unfinished last line."""
        return (self.journal.stat().st_size if self.journal.exists() else 0) - len(self.lines())

    def visit_count(self) -> int:
        """Complete visits in the journal."""
        return max(self.lines().count(b"\n") - 1, 0)

    def visits_by_model(self) -> Counter[str]:
        """How many complete visits each model has."""
        return Counter(json.loads(line)["model"] for line in self.lines().splitlines()[1:])

    def is_measured(self) -> bool:
        """Whether all visits are made."""
        return self.visit_count() >= self.visits * self.models

    def faults(self, known: bytes) -> list[str]:
        """What is wrong with the journal: lines that went, and visits that are too many.

        Args:
            known: Complete lines that it has had.
        """
        lost = [] if self.lines().startswith(known) else ["complete lines of the journal are gone"]
        counts = self.visits_by_model().items()
        return lost + [f"{model} has {count} visits" for model, count in counts if count > self.visits]


class Run:
    """The command of a job, running in a process group of its own.

    Args:
        job: The job.
        patience_s: After which a run that does not end is an error.

    Attributes:
        job: The job.
        before: Visits that the journal had at the start.
        seen: Complete lines of the journal, at the last look while the command was running.
    """

    def __init__(self, job: Job, patience_s: float = 600.0) -> None:
        self.job = job
        self.before = job.visit_count()
        self.seen = job.lines()
        self._patience_s = patience_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the process has ended
        self._start = time.monotonic()
        self._process = subprocess.Popen(
            job.command, stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True
        )

    @property
    def has_completed(self) -> bool:
        """Whether the command came to its own good end."""
        return self._process.poll() == 0

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def watch(self) -> Iterator[float]:
        """Look at the journal every few milliseconds, until the process has ended.

        Yields:
            Seconds since the start.

        Raises:
            TimeoutError: It does not end.
        """
        while self._process.poll() is None:
            self.seen = self.job.lines()
            yield self.seconds()
            if self.seconds() > self._patience_s:
                os.killpg(self._process.pid, signal.SIGKILL)
                raise TimeoutError(f"{' '.join(self.job.command)}: no end after {self._patience_s:g} s")
            time.sleep(0.002)

    def wait_for(self, is_due: Callable[[], bool], delay_s: float = 0.0) -> bool:
        """Wait for a moment; whether it came before the process's own end.

        Args:
            is_due: Whether what comes before the moment has happened.
            delay_s: From then to the moment.
        """
        moment_s: float | None = None
        for now_s in self.watch():
            if moment_s is None and is_due():
                moment_s = now_s + delay_s
            if moment_s is not None and now_s >= moment_s:
                return True
        return False

    def end(self, by: str) -> list[str]:
        """End it by one of :data:`SIGNALS`; gives what is wrong with the way it ended."""
        send = os.kill if by == "parent" else os.killpg
        with suppress(ProcessLookupError):  # it has just ended by itself
            send(self._process.pid, signal.Signals[SIGNALS[by]])
        code = self._process.wait(self._patience_s)
        wrong = [] if self._group_ends() else ["a process outlived its parent"]
        said = self._last_words()
        if by == "ctrl-c" and code not in (0, *_INTERRUPTED):
            wrong.append(f"exit code {code} after ctrl-c")
        if by == "ctrl-c" and "Traceback" in said:
            wrong.append("a traceback after ctrl-c")
        return wrong

    def completes(self) -> list[str]:
        """Wait for its own end; gives what is wrong with that."""
        for _ in self.watch():
            pass
        code, said = self._process.returncode, self._last_words()
        return [f"exit code {code}: {said[-300:]}"] if code else []

    def _last_words(self) -> str:
        """What came on stderr."""
        with self._errors:
            self._errors.seek(0)
            return self._errors.read().decode(errors="replace")

    def _group_ends(self, within_s: float = 10.0) -> bool:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.01)
        os.killpg(self._process.pid, signal.SIGKILL)
        return False
