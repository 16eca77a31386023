"""Folders of tuning records → tasks to learn from or to be tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costmodel.cli.talk import wants_progress
from costmodel.errors import DataError
from costmodel.integrations.cli.options import parse_target

if TYPE_CHECKING:
    from costmodel.integrations.tvm.records import TaskRecords

__all__ = ["open_records", "read_folders", "target_of_records"]

_FILES = ("database_workload.json", "database_tuning_record.json")


def read_folders(
    folders: Sequence[Path], target: str | None, *, of_one_target: bool = False
) -> tuple[list[TaskRecords], list[Any]]:
    """The tasks of several folders by name, and the targets that they were measured on.

    What several folders of one target have of a task counts as one; on another target it is another task, since times
    are compared within a task only.

    Args:
        folders: Each with TVM's JSON database.
        target: As typed; ``None`` for the one that the records name.
        of_one_target: Whether all folders have to be of the same target, as they have to if it is typed.

    Raises:
        UsageError: TVM knows no such target.
        DataError: A folder holds no records, or damaged ones; its records are of several targets, or name none.
    """
    from costmodel.integrations.tvm.records import read_records
    from costmodel.integrations.tvm.targets import as_json
    from costmodel.integrations.tvm.workloads import WIDE_WORKLOADS, WORKLOADS

    typed = None if target is None else parse_target(target)
    for folder in folders:
        _require_files(folder)
    tasks: dict[tuple[str, str], TaskRecords] = {}
    targets: dict[str, Any] = {}
    with _counted("reading records", sum(map(_count_workloads, folders))) as advance:
        databases = [_with_records(folder) for folder in folders]
        if of_one_target or typed is not None:
            target_of_records(databases)
        for database in databases:
            measured_on = typed or target_of_records([database])
            if measured_on is None:
                raise DataError("the records do not name their target; say which one it is with --target.")
            name_of_target = as_json(measured_on)
            targets[name_of_target] = measured_on
            for task in read_records(database, measured_on, (*WORKLOADS, *WIDE_WORKLOADS), advance):
                key = task.name, name_of_target
                tasks[key] = tasks[key].joined(task) if key in tasks else task
    return [tasks[key] for key in sorted(tasks)], [targets[name] for name in sorted(targets)]


def open_records(folder: Path) -> Any:
    """TVM's JSON database in ``folder``, which is made if needed.

    Raises:
        DataError: It cannot be made, or is damaged.
    """
    from costmodel.calibration.measurers.tvm_compiler import last_line
    from costmodel.integrations.tvm.collecting import open_database

    try:
        return open_database(folder)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror}. Choose another one.") from error
    except Exception as error:  # TVM's exceptions share no base class but Exception
        raise DataError(
            f"the tuning records in {folder} cannot be read: {last_line(error)}. If what wrote them was killed, the "
            f"last line of {_FILES[1]} may be cut short: remove it. Otherwise copy both files again."
        ) from error


def target_of_records(databases: Sequence[Any]) -> Any:
    """The one target that all records name; ``None`` if they name none.

    Raises:
        DataError: They name several.
    """
    from costmodel.integrations.tvm.targets import as_json

    records = [record for database in databases for record in database.get_all_tuning_records()]
    targets = {as_json(record.target) if record.target else "none": record.target for record in records}
    if len(targets) > 1:
        raise DataError(
            f"the records are of {len(targets)} targets, whose times cannot be compared: {', '.join(sorted(targets))}. "
            "Name folders of one target."
        )
    return next(iter(targets.values()), None)


def _require_files(folder: Path) -> None:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder} holds no tuning records: there is no {' and no '.join(missing)}. "
            f"Name a folder that TVM tuned in, or measure some: costmodel tvm collect -o {folder}"
        )


def _with_records(folder: Path) -> Any:
    database = open_records(folder)
    if not len(database):
        raise DataError(f"{folder} holds no tuning records yet; measure some: costmodel tvm collect -o {folder}")
    return database


def _count_workloads(folder: Path) -> int:
    with (folder / _FILES[0]).open("rb") as lines:
        return sum(1 for _ in lines)


@contextmanager
def _counted(doing: str, total: int) -> Iterator[Callable[[str], None] | None]:
    """What to call with the name of each thing that is done, for a progress bar; ``None`` where nobody would see it."""
    if not wants_progress():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda name: bar.update(task, advance=1, description=f"{doing} of {name}")
