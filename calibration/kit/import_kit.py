"""Results that came back from a device → measurements to calibrate with, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from costmodel.calibration.kit.checks import file_fault, unit_doubt, visit_fault
from costmodel.calibration.kit.contents import KitContents
from costmodel.calibration.kit.manifest import RESULTS_FILE, KitModel
from costmodel.calibration.kit.results_file import read_results
from costmodel.calibration.measurement import Measurement
from costmodel.data.journal import JournalHeader
from costmodel.data.records import MeasurementRecord, Status, Visit
from costmodel.errors import CostModelError, DataError
from costmodel.platforms import Platform, PlatformKind, measured_platform
from costmodel.platforms.environment import default_platform_name
from costmodel.units import counted

__all__ = ["KitResults", "import_kit"]

_SHOWN = 5
"""Problems that an error repeats; the first few say what happened to the others."""


@dataclass(frozen=True)
class KitResults:
    """What a kit brought back.

    Attributes:
        header: The machine, the runtime and the settings.
        records: One for each model that was measured, or failed on the device, in the order of the kit.
        problems: A sentence on everything that was left out or is odd.
    """

    header: JournalHeader
    records: tuple[MeasurementRecord, ...]
    problems: tuple[str, ...]
    _measurements: tuple[Measurement, ...]

    def measurements(self) -> list[Measurement]:
        """What a platform can be fitted to: the measured networks that a graph can be made of."""
        return list(self._measurements)

    def platform(self, name: str) -> Platform:
        """The device as a platform.

        Args:
            name: Canonical name.
        """
        kind = PlatformKind.CPU if _is_cpu(self.header) else PlatformKind.GPU
        platform = measured_platform(name, self.header.environment)
        return platform.model_copy(update={"kind": kind, "source": "measured with a kit of costmodel calibrate export"})


def import_kit(path: Path, results: Path | None = None) -> KitResults:
    """Read and check what a kit brought back.

    Args:
        path: The kit, a folder or a zip file.
        results: The file of results; by default the one in the kit.

    Raises:
        UsageError: There is no kit.
        DataError: A file of it cannot be read, or nothing in the results can be used.
    """
    contents = KitContents(path)
    journal, problems = read_results(_results_text(contents, results), str(results or path / RESULTS_FILE))
    header = _named(journal.header)
    visits, faults = _usable_visits(journal.by_model(), contents)
    problems += faults
    problems += _count_problems(visits, contents.manifest.settings.visits)
    records = [MeasurementRecord.from_visits(header.platform, past) for past in visits.values() if past]
    problems += _record_problems(records)
    measured, faults = _measured(records, contents)
    problems += faults
    if not measured:
        raise DataError("\n".join([f"{path}: none of the results can be used.", *problems[:_SHOWN]]))
    doubt = unit_doubt(measured, header.environment.threads) if _is_cpu(header) else None
    return KitResults(
        header,
        tuple(records),
        (*problems, *([doubt] if doubt else [])),
        tuple(measurement for _, measurement in measured),
    )


def _results_text(contents: KitContents, results: Path | None) -> bytes:
    if results is None:
        if not contents.has(RESULTS_FILE):
            raise DataError(
                f"{contents.path} holds no {RESULTS_FILE}; start run.py on the device, and bring that file back here."
            )
        return contents.read(RESULTS_FILE)
    try:
        return results.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the results {results}: {error.strerror}.") from error


def _named(header: JournalHeader) -> JournalHeader:
    """With the name that the platform would have been measured under here; the runner gives none."""
    return header.model_copy(update={"platform": default_platform_name(header.environment)})


def _is_cpu(header: JournalHeader) -> bool:
    return header.settings.get("providers") == ["CPUExecutionProvider"]


def _usable_visits(
    by_model: Mapping[str, Sequence[Visit]], contents: KitContents
) -> tuple[dict[str, list[Visit]], list[str]]:
    """The usable visits to each model of the kit, and what is wrong with the others."""
    usable: dict[str, list[Visit]] = {}
    problems = [
        f"{name}: not a model of this kit."
        for name in by_model
        if name not in {m.name for m in contents.manifest.models}
    ]
    for model in contents.manifest.models:
        usable[model.name], faults = _sorted_out(by_model.get(model.name, []), model, contents)
        problems += faults
    return usable, problems


def _sorted_out(visits: Sequence[Visit], model: KitModel, contents: KitContents) -> tuple[list[Visit], list[str]]:
    fault = file_fault(model, contents)
    if fault:
        return [], [f"{model.name}: {fault}."]
    faults = [visit_fault(visit, model) for visit in visits]
    usable = [visit for visit, fault in zip(visits, faults, strict=True) if fault is None]
    counts = Counter(fault for fault in faults if fault)
    return usable, [f"{model.name}: {fault} ({counted(count, 'visit')} left out)." for fault, count in counts.items()]


def _count_problems(visits: Mapping[str, Sequence[Visit]], planned: int) -> Iterable[str]:
    missing = [name for name, past in visits.items() if not past]
    counts = {name: len(past) for name, past in visits.items() if past and past[-1].status is Status.OK}
    fewer = [f"{name} ({count})" for name, count in counts.items() if count < planned]
    more = [f"{name} ({count})" for name, count in counts.items() if count > planned]
    if missing:
        yield f"no usable visit: {', '.join(missing)}."
    plan = counted(planned, "visit")
    if fewer:
        yield f"fewer than the {plan} planned: {', '.join(fewer)}; start run.py again to make the others."
    if more:
        yield f"more than the {plan} planned, which all count: {', '.join(more)}."


def _record_problems(records: Iterable[MeasurementRecord]) -> Iterable[str]:
    for record in records:
        if record.status is not Status.OK:
            yield f"{record.model}: {record.status} on the device: {record.reason}."
        elif not record.is_trusted:
            yield (
                f"{record.model}: the device was busy (wall/CPU ratio {record.wall_cpu_ratio:.2f}), so its time may be "
                "too long."
            )


def _measured(
    records: Iterable[MeasurementRecord], contents: KitContents
) -> tuple[list[tuple[MeasurementRecord, Measurement]], list[str]]:
    files = {model.name: model.file for model in contents.manifest.models}
    measured, problems = [], []
    for record in records:
        if record.latency_ms is None:
            continue
        content = contents.read(files[record.model])
        try:
            measured.append((record, Measurement.of_model(content, record.latency_ms, name=record.model)))
        except CostModelError as error:
            problems.append(f"{record.model}: {error}")
    return measured, problems
