"""Entries of a session's configuration, which onnxruntime accepts unread when their key is misspelt."""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.errors import UnknownNameError, UsageError

__all__ = ["SESSION_CONFIG_KEYS", "check_session_config", "parse_session_config"]

_SWITCH = frozenset({"0", "1"})

_FREE: frozenset[str] = frozenset()
"""Numbers and lists, which onnxruntime itself reads."""

SESSION_CONFIG_KEYS: Mapping[str, frozenset[str]] = {
    "mlas.nchwc_depthwise_sliding": _SWITCH,
    "mlas.qnbit.force_fp32": _SWITCH,
    "mlas.use_lut_gemm": _SWITCH,
    "optimization.disable_specified_optimizers": _FREE,
    "optimization.enable_cast_chain_elimination": _SWITCH,
    "optimization.enable_gelu_approximation": _SWITCH,
    "session.disable_aot_function_inlining": _SWITCH,
    "session.disable_cpu_ep_fallback": _SWITCH,
    "session.disable_double_qdq_remover": _SWITCH,
    "session.disable_prepacking": _SWITCH,
    "session.disable_qdq_constant_folding": _SWITCH,
    "session.disable_quant_qdq": _SWITCH,
    "session.dynamic_block_base": _FREE,
    "session.enable_dq_matmulnbits_fusion": _SWITCH,
    "session.enable_quant_qdq_cleanup": _SWITCH,
    "session.force_spinning_stop": _SWITCH,
    "session.graph_optimizations_loop_level": frozenset({"0", "1", "2"}),
    "session.inter_op.allow_spinning": _SWITCH,
    "session.intra_op.allow_spinning": _SWITCH,
    "session.intra_op_thread_affinities": _FREE,
    "session.qdq_matmulnbits_accuracy_level": _FREE,
    "session.qdq_matmulnbits_block_size": _FREE,
    "session.qdqisint8allowed": _SWITCH,
    "session.set_denormal_as_zero": _SWITCH,
    "session.use_device_allocator_for_initializers": _SWITCH,
    "session.x64quantprecision": _SWITCH,
}
"""Keys of onnxruntime 1.32 that can change how fast a session runs, with the values each takes; no values: any text."""


def check_session_config(entries: Mapping[str, str]) -> None:
    """Make sure that onnxruntime will heed ``entries``.

    Raises:
        UnknownNameError: A key is not known.
        UsageError: A key does not take that value.
    """
    for key, value in entries.items():
        if key not in SESSION_CONFIG_KEYS:
            raise UnknownNameError(
                "session-config key", key, SESSION_CONFIG_KEYS, "onnxruntime would take it without a word."
            )
        allowed = SESSION_CONFIG_KEYS[key]
        if allowed and value not in allowed:
            raise UsageError(f"{key} takes {' or '.join(sorted(allowed))}, got {value!r}.")


def parse_session_config(texts: list[str]) -> dict[str, str]:
    """Entries from texts such as ``"session.disable_prepacking=1"``.

    Raises:
        UsageError: A text is written otherwise, names a key twice, or has a value that the key does not take.
        UnknownNameError: A key is not known.
    """
    entries: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"cannot read {text!r}; expected KEY=VALUE, e.g. session.disable_prepacking=1")
        if key in entries:
            raise UsageError(f"{key} is given twice; give each key once.")
        entries[key] = value
    check_session_config(entries)
    return entries
