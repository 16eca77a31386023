"""Reading results that came a long way: what is damaged is left out and named, the rest counts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError

from costmodel.data.journal import JournalContent, JournalHeader
from costmodel.data.records import Visit
from costmodel.errors import DataError

__all__ = ["read_results"]

_MAY_DIFFER = {"environment": {"memory_bytes"}}
"""What one machine reports differently from one start to the next."""


def read_results(text: bytes, where: str) -> tuple[JournalContent, list[str]]:
    """Read a journal line by line, forgiving what :class:`~costmodel.data.journal.Journal` refuses.

    Left out are lines that are no visit (with a time of zero, for example), lines that are there twice, and what
    follows the header of another platform.

    Args:
        text: The file's content.
        where: Name of the file, for messages.

    Returns:
        The header with the usable visits, and a sentence on everything left out.

    Raises:
        DataError: The first line is no header.
    """
    end = text.rfind(b"\n") + 1
    first, *others = text[:end].splitlines() or [b""]
    header = _header(first, where)
    visits: dict[bytes, Visit] = {}
    problems: list[str] = []
    repeated: list[int] = []
    is_foreign = False
    for number, line in enumerate(others, start=2):
        entry = _entry(line)
        if isinstance(entry, JournalHeader):
            differences = _differences(header, entry)
            is_foreign = bool(differences)
            if is_foreign:
                problems.append(f"{where}: from line {number} on, another platform was measured ({differences}).")
        elif isinstance(entry, str):
            problems.append(f"{where}, line {number}: {entry}.")
        elif line in visits:
            repeated.append(number)
        elif not is_foreign:
            visits[line] = entry
    if repeated:
        problems.append(f"{where}: lines that are there twice count once: {_listed(repeated)}.")
    if end < len(text):
        problems.append(f"{where}: the last line is not finished.")
    return JournalContent(header, tuple(visits.values()), len(text) - end), problems


def _header(line: bytes, where: str) -> JournalHeader:
    try:
        return JournalHeader.model_validate_json(line)
    except ValidationError as error:
        raise DataError(
            f"{where}: expected a first line that tells where the results come from, got {line[:60]!r} "
            f"({_first_fault(error)}). Bring the whole file back from the device."
        ) from error


def _entry(line: bytes) -> JournalHeader | Visit | str:
    """What a line holds, or what is wrong with it, with the name of the model where it has one."""
    try:
        fields = json.loads(line)
        if fields["kind"] == "header":
            return JournalHeader.model_validate(fields)
    except (ValueError, TypeError, KeyError):
        return f"no visit, but {line[:60].decode(errors='replace')!r}"
    try:
        return Visit.model_validate_json(line)
    except ValidationError as error:
        return f"{fields.get('model', 'a visit')}: {_first_fault(error)}"


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _differences(first: JournalHeader, other: JournalHeader) -> str:
    """Names of the fields in which two headers differ; empty for the same platform."""
    old, new = (header.model_dump(mode="json", exclude=_MAY_DIFFER) for header in (first, other))
    return ", ".join(
        f"{section}.{name}"
        for section in ("environment", "settings")
        for name in {**old[section], **new[section]}
        if old[section].get(name) != new[section].get(name)
    )


def _listed(numbers: Sequence[int], most: int = 8) -> str:
    return ", ".join(map(str, numbers[:most])) + (f" and {len(numbers) - most} more" if len(numbers) > most else "")
