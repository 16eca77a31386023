"""Kill a calibration again and again: nothing that was measured may be lost or counted twice.

    python benchmarks/faults.py [here] [kit] [--kills 30] [--interrupts 6] [--seed 0]

``here`` is ``costmodel calibrate --here``, ``kit`` the runner of an export kit.  Each is started, ended by SIGKILL at a
random moment (the whole process group, or the parent alone) and started again with the same command, until it has been
killed so often; one that completes is checked, and another begins in an empty folder.  Interrupts, as by Ctrl-C, come
on top.  Moments are drawn from the whole life of the process, from between two visits, and from the time after the last
one, in which the platform is fitted and saved.

After each end the journal has to begin with all the complete lines that it ever had, to have no more visits to a model
than were asked for, and every file of the platform's folder has to be whole or missing.  At completion each model has
its visits, the platform's latencies are those of the journal, and the platform predicts.  Writes
``benchmarks/results/faults.csv`` and exits with 1 if anything was wrong.  Needs a system with signals.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from costmodel import Predictor
from costmodel.calibration.testing import Job, Run
from costmodel.data.families import generate
from costmodel.data.journal import Journal
from costmodel.data.records import Status
from costmodel.errors import CostModelError
from costmodel.pretrained import load_adapter

RESULTS = Path(__file__).parent / "results" / "faults.csv"
COSTMODEL = (sys.executable, "-m", "costmodel")

MOMENTS = ("any", "visit", "visit", "end")
"""From the whole life of the process; around a visit, twice as often; after the last visit."""

MOST_EXTRA_VISITS = 4
"""So many more visits, at most, are let pass before a moment around a visit."""


@dataclass(frozen=True)
class Subject:
    """What is disturbed.

    Attributes:
        job: What measures.
        folder: Of the platform that is made of its visits.
        finish: The command that makes the platform; none where the job does.
    """

    job: Job
    folder: Path
    finish: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timetable:
    """When things happen in a run that nobody disturbs, in seconds.

    Attributes:
        start_s: From the start to the first visit.
        visit_s: From one visit to the next.
        end_s: From the last visit to the end.
        whole_s: From the start to the end.
    """

    start_s: float
    visit_s: float
    end_s: float
    whole_s: float

    def __str__(self) -> str:
        return (
            f"{self.start_s:.2f} s to the first visit, {1e3 * self.visit_s:.0f} ms to each of the others, "
            f"{self.end_s:.2f} s from the last one to the end"
        )

    @classmethod
    def of(cls, job: Job) -> Timetable:
        """Run a job of several visits without a disturbance.

        Raises:
            RuntimeError: It fails.
        """
        run = Run(job)
        times_s: dict[int, float] = {}
        for now_s in run.watch():
            times_s.setdefault(job.visit_count(), now_s)
        whole_s = run.seconds()
        wrong = run.completes()
        if wrong:
            raise RuntimeError(wrong[0])
        times_s.pop(0)
        first_s, last_s = min(times_s.values()), max(times_s.values())
        return cls(first_s, (last_s - first_s) / (job.visits * job.models - 1), whole_s - last_s, whole_s)

    def wait_for(self, moment: str, run: Run, chance: random.Random) -> bool:
        """Wait for a moment of :data:`MOMENTS` in ``run``; whether it came before the run's own end."""
        share, visits = chance.random(), run.before + 1 + chance.randrange(MOST_EXTRA_VISITS)
        if moment == "any":
            return run.wait_for(lambda: True, share * self.whole_s)
        if moment == "visit":
            return run.wait_for(lambda: run.job.visit_count() >= visits, 2 * share * self.visit_s)
        until_read_s = 0.8 * self.start_s if run.job.is_measured() else 0.0
        return run.wait_for(run.job.is_measured, until_read_s + share * self.end_s)


@dataclass
class End:
    """One end that a run came to.

    Attributes:
        job: Whose.
        calibration: Which one of the job it belongs to.
        by: What ended it; ``completed`` for a run that came to its own end.
        moment: What the moment was drawn from.
        at_s: Seconds since the start.
        before: Visits in the journal at the start.
        after: Visits in the journal at the end.
        torn_bytes: Of an unfinished last line.
        wrong: What is wrong; empty when all is well.
    """

    job: str
    calibration: int
    by: str
    moment: str
    at_s: float
    before: int
    after: int
    torn_bytes: int
    wrong: str


def here(folder: Path, options: argparse.Namespace) -> Subject:
    """This machine, in a folder of its own."""
    platform = folder / "platform"
    command = (
        *COSTMODEL, "calibrate", "--here", "-o", str(platform), "--count", str(options.count), "--held-back", "0",
        "--visits", str(options.visits), "--interval", "0", "-w", options.weights, "-f", "csv",
    )  # fmt: skip
    return Subject(Job(command, platform / "measurements.jsonl", options.visits, options.count), platform)


def kit(folder: Path, options: argparse.Namespace) -> Subject:
    """A kit, exported into a folder of its own."""
    place = folder / "kit"
    export = (
        *COSTMODEL, "calibrate", "export", str(place), "--count", str(options.count), "--held-back", "0",
        "--visits", str(options.visits), "-w", options.weights,
    )  # fmt: skip
    subprocess.run(export, check=True, capture_output=True)
    finish = (
        *COSTMODEL, "calibrate", "import", str(place), "--name", "board", "-o", str(folder / "platform"),
        "--held-back", "0", "-w", options.weights,
    )  # fmt: skip
    command = (sys.executable, str(place / "run.py"), "--interval", "0.01")
    return Subject(Job(command, place / "results.jsonl", options.visits, options.count), folder / "platform", finish)


SUBJECTS = {"here": here, "kit": kit}


def faults_of_files(folder: Path) -> list[str]:
    """What is wrong with the files of a platform."""
    is_whole = {"platform.json": is_json, "report.json": is_json, "report.html": is_page}
    there = [name for name in is_whole if (folder / name).exists()]
    return [f"{name} is not whole" for name in there if not is_whole[name]((folder / name).read_text())]


def is_json(text: str) -> bool:
    """Whether a file is a whole JSON document."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def is_page(text: str) -> bool:
    """Whether a file is a whole page of HTML."""
    return text.endswith("</html>\n")


def faults_at_completion(subject: Subject, predictor: Predictor) -> list[str]:
    """What is wrong with a job that says that it is done."""
    if subject.finish:
        finished = subprocess.run(subject.finish, capture_output=True, text=True, check=False)
        if finished.returncode:
            return [f"the platform cannot be made: {finished.stderr[-300:]}"]
    job = subject.job
    try:
        records = Journal(job.journal).read().records()
        adapter = load_adapter(subject.folder)
        model = generate("resnet", 0, weights=False)
        prediction = predictor.with_platform(subject.folder).predict(model, adapter.platform.name)
    except CostModelError as error:
        return [str(error)]
    wrong = [f"{record.model}: {record.status}" for record in records if record.status is not Status.OK]
    wrong += [f"{record.model} has {record.visits} visits" for record in records if record.visits != job.visits]
    if len(records) != job.models:
        wrong.append(f"{len(records)} of {job.models} models were measured")
    fitted = {row["model"]: row["latency_ms"] for row in adapter.provenance["fitted"]}
    if fitted != {record.model: record.latency_ms for record in records}:
        wrong.append("the platform was fitted to other latencies than the journal has")
    if not 0 < prediction.low_ms < prediction.latency_ms < prediction.high_ms:
        wrong.append(f"it predicts {prediction.latency_ms} ms")
    return wrong


class Trial:
    """A job that is disturbed until nothing is left to disturb it with.

    Args:
        name: Of the job, one of :data:`SUBJECTS`.
        folder: Where its calibrations are made.
        options: Of the command line.
        predictor: That their platforms join.
    """

    def __init__(self, name: str, folder: Path, options: argparse.Namespace, predictor: Predictor) -> None:
        self._name = name
        self._folder = folder
        self._options = options
        self._predictor = predictor
        self._chance = random.Random(f"{options.seed} {name}")
        self._disturbances = [self._chance.choice(("group", "parent")) for _ in range(options.kills)]
        self._disturbances += ["ctrl-c"] * options.interrupts
        self._chance.shuffle(self._disturbances)

    def ends(self) -> Iterator[End]:
        """Run it; every end that its runs come to."""
        timetable = Timetable.of(self._subject("undisturbed").job)
        print(f"{self._name}, undisturbed: {timetable}", flush=True)
        calibration = 0
        while self._disturbances or not calibration:
            for end in self._ends_until_completion(calibration, timetable):
                yield end
                if end.by == "completed" and end.wrong:
                    return
            calibration += 1

    def _subject(self, suffix: object) -> Subject:
        return SUBJECTS[self._name](self._folder / f"{self._name}-{suffix}", self._options)

    def _ends_until_completion(self, calibration: int, timetable: Timetable) -> Iterator[End]:
        subject, known, by = self._subject(calibration), b"", ""
        job = subject.job
        while by != "completed":
            run = Run(job)
            moment = self._moment()
            by = self._disturbances[-1] if moment and timetable.wait_for(moment, run, self._chance) else ""
            at_s = run.seconds()
            wrong = run.end(by) if by else run.completes()
            if by and not run.has_completed:
                self._disturbances.pop()
            else:  # perhaps because the moment came too late
                by, moment, at_s = "completed", "", run.seconds()
                wrong = wrong or faults_at_completion(subject, self._predictor)
            wrong += job.faults(max(known, run.seen, key=len)) + faults_of_files(subject.folder)
            known = job.lines()
            counts = run.before, job.visit_count(), job.torn_bytes()
            yield End(self._name, calibration, by, moment, round(at_s, 3), *counts, "; ".join(wrong))

    def _moment(self) -> str:
        if not self._disturbances:
            return ""
        moment = self._chance.choice(MOMENTS)
        # An interpreter that is starting has a traceback for Ctrl-C, whatever it is to run.
        return "visit" if moment == "any" and self._disturbances[-1] == "ctrl-c" else moment


def print_end(end: End) -> None:
    """Print one line."""
    print(
        f"{end.job:<5}{end.calibration:>3}  {end.by:<10}{end.moment:<6}{end.at_s:7.2f} s  visits {end.before:>3} to "
        f"{end.after:>3}  {end.wrong or 'ok'}",
        flush=True,
    )


def print_summary(ends: Sequence[End]) -> None:
    """Print how often each job was ended, and what came of it."""
    print("\njob    calibrations  killed: group  parent  ctrl-c  visits kept  torn lines  wrong")
    for name in dict.fromkeys(end.job for end in ends):
        of_job = [end for end in ends if end.job == name]
        counts = Counter(end.by for end in of_job)
        kept = sum(end.after - end.before for end in of_job)
        torn, wrong = sum(end.torn_bytes > 0 for end in of_job), sum(bool(end.wrong) for end in of_job)
        print(
            f"{name:<7}{counts['completed']:>12}{counts['group']:>15}{counts['parent']:>8}{counts['ctrl-c']:>8}"
            f"{kept:>13}{torn:>12}{wrong:>7}"
        )


def main() -> int:
    """Run the jobs; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="here, kit; by default both")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--interrupts", type=int, default=6)
    parser.add_argument("--count", type=int, default=6, help="networks to measure")
    parser.add_argument("--visits", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default="nnformer-base")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    unknown = set(arguments.jobs) - SUBJECTS.keys()
    if unknown:
        parser.error(f"expected jobs of {', '.join(SUBJECTS)}, got {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a child of one that ignores Ctrl-C would ignore it too
    predictor = Predictor.from_pretrained(arguments.weights)
    ends: list[End] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.jobs or SUBJECTS:
            for end in Trial(name, Path(folder), arguments, predictor).ends():
                print_end(end)
                ends.append(end)
    print_summary(ends)
    with arguments.output.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(End)])
        table.writeheader()
        table.writerows(asdict(end) for end in ends)
    return 1 if any(end.wrong for end in ends) else 0


if __name__ == "__main__":
    sys.exit(main())
