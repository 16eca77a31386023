"""The variants that a machine can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from costmodel.errors import UnknownNameError, UsageError
from costmodel.integrations.onnxruntime.model_format import ModelFormat
from costmodel.integrations.onnxruntime.variant import CPU_PROVIDER, DEFAULT_VARIANT, Variant

__all__ = ["DEFAULT_GRAPH_OPTIMIZATIONS", "candidate_variants"]

DEFAULT_GRAPH_OPTIMIZATIONS = ("all", "extended")
"""Less than these is slower wherever it was measured."""

_REMOTE_PROVIDERS = frozenset({"AzureExecutionProvider"})
"""They run models elsewhere."""


def candidate_variants(
    *,
    formats: Sequence[ModelFormat] = tuple(ModelFormat),
    graph_optimizations: Sequence[str] = DEFAULT_GRAPH_OPTIMIZATIONS,
    threads: Sequence[int] = (1,),
    providers: Sequence[str] | None = None,
    session_config: Mapping[str, str] | None = None,
) -> list[Variant]:
    """Every combination, without duplicates; the default session is always the first.

    Args:
        formats: Formats of the model file.
        graph_optimizations: Levels of graph optimisation.
        threads: Numbers of intra-op threads.
        providers: Execution providers; ``None`` for all that the installed onnxruntime has.
        session_config: Entries of the configuration, which are tried together beside none.

    Raises:
        UnknownNameError: A level, a key of the configuration or an execution provider that is not known here.
        UsageError: Nothing to choose from, or a number or value outside of what onnxruntime takes.
    """
    configs: list[tuple[tuple[str, str], ...]] = [()]
    if session_config:
        configs.append(tuple(sorted(session_config.items())))
    choices = product(_present(providers), formats, graph_optimizations, threads, configs)
    found = [Variant(form, level, count, provider, config) for provider, form, level, count, config in choices]
    if not found:
        raise UsageError("nothing to choose from: expected a format, a level and a number of threads at least.")
    return list(dict.fromkeys([DEFAULT_VARIANT, *found]))


def _present(wanted: Sequence[str] | None) -> Iterator[str]:
    """The execution providers to try, the processor first.

    Raises:
        UnknownNameError: The installed onnxruntime lacks one that is wanted.
    """
    import onnxruntime

    here = [name for name in onnxruntime.get_available_providers() if name not in _REMOTE_PROVIDERS]
    for name in wanted or ():
        if name not in here:
            raise UnknownNameError("execution provider", name, here, "The installed onnxruntime has no others.")
    yield from sorted(wanted or here, key=lambda name: name != CPU_PROVIDER)
