"""Relax modules, as the frontends leave them → :class:`~costmodel.graph.OpGraph`."""

from costmodel.integrations.tvm.relax_reader.naming import unique_names, with_unique_names
from costmodel.integrations.tvm.relax_reader.passes import RELAX_PASSES
from costmodel.integrations.tvm.relax_reader.reader import entry_function, read_relax

__all__ = [
    # reading
    "entry_function",
    "read_relax",
    # simplifying what was read
    "RELAX_PASSES",
    # who is who in both
    "unique_names",
    "with_unique_names",
]
