"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["counted", "format_count", "format_ms", "format_percent"]

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def counted(number: int, noun: str) -> str:
    """``1 network``, ``3 networks``; for nouns whose plural ends in an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_count(count: float) -> str:
    """Three significant digits and a decimal prefix: ``4.12G``, ``25.6M``, ``12``."""
    for scale, prefix in _PREFIXES:
        # 999.5 is where three digits round up to the next prefix.
        if count >= 0.9995 * scale:
            return f"{_three_digits(count / scale)}{prefix}"
    return f"{count:.3g}"


def format_ms(latency_ms: float) -> str:
    """Milliseconds with three significant digits and never an exponent: ``0.0123``, ``4.56``, ``1234``."""
    return _three_digits(latency_ms)


def format_percent(share: float) -> str:
    """A share between 0 and 1 in whole percent, ``< 1 %`` where that would round to a false zero."""
    if 0 < share < 0.005:
        return "< 1 %"
    return f"{100 * share:.0f} %"


def _three_digits(number: float) -> str:
    if number >= 99.95:
        return f"{number:.0f}"
    if number >= 9.995:
        return f"{number:.1f}"
    if number >= 0.9995:
        return f"{number:.2f}"
    return f"{number:.4f}"
