"""From an exception to a message on stderr and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback

from costmodel.cli.talk import is_debugging
from costmodel.errors import CostModelError

__all__ = ["FAILURE", "INTERRUPTED", "OK", "UNSUPPORTED_MODEL", "USAGE", "report_error"]

OK = 0
FAILURE = 1
USAGE = 2
UNSUPPORTED_MODEL = 3
INTERRUPTED = 130


def report_error(error: Exception, about: str = "") -> int:
    """Say on stderr what went wrong.

    The traceback is shown only under ``--debug``.

    Args:
        error: Any exception.
        about: What was worked on; said first where the message itself does not name it.

    Returns:
        The exit code that tells the same to a script.
    """
    if is_debugging():
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, CostModelError):
        place = f"{about}: " if about not in str(error) else ""
        print(f"error: {place}{error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError) and error.errno is not None:
        print(f"error: {_of_the_machine(error)}", file=sys.stderr)
        return FAILURE
    print(
        f"error: {type(error).__name__}: {error}\n"
        "This is a fault in costmodel, not in what you typed. `costmodel --debug COMMAND ...` shows where it is.",
        file=sys.stderr,
    )
    return FAILURE


def _of_the_machine(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename is not None else ""
    advice = {
        errno.ENOSPC: " Make room, or choose another folder.",
        errno.EDQUOT: " Make room, or choose another folder.",
        errno.EACCES: " Choose another folder, or have yourself let in.",
        errno.EROFS: " Choose another folder.",
    }
    return f"{place}{error.strerror}.{advice.get(error.errno or 0, '')}"
