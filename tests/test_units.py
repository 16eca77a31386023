from __future__ import annotations

import pytest

from costmodel.units import format_count, format_ms, format_percent


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (12, "12"), (999, "999"), (999.6, "1.00k"), (25.6e6, "25.6M"), (4.12e9, "4.12G"), (999.7e9, "1.00T")],
)
def test_counts_keep_three_digits(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize(("ms", "text"), [(0.01234, "0.0123"), (4.555, "4.55"), (9.996, "10.0"), (12345.6, "12346")])
def test_milliseconds_never_have_an_exponent(ms, text):
    assert format_ms(ms) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.001, "< 1 %"), (0.43, "43 %"), (1, "100 %")])
def test_a_small_share_is_not_zero(share, text):
    assert format_percent(share) == text
