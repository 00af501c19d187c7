from __future__ import annotations

import pytest

from asyncflask.load.durations import shown


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 s"),
        (51, "0.05 us"),
        (1_234, "1.23 us"),
        (999_400, "999 us"),
        (999_600, "1.00 ms"),
        (9_996_000, "10.0 ms"),
        (12_340_000, "12.3 ms"),
        (99_960_000, "100 ms"),
        (1_500_000_000, "1.50 s"),
        (4_000_000_000_000, "4,000 s"),
    ],
)
def test_three_digits_and_a_unit(nanoseconds: int, text: str) -> None:
    assert shown(nanoseconds) == text
