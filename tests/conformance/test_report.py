"""What is told of the results."""

from __future__ import annotations

import pytest

from . import report
from .runs import Outcome, Result

GOOD = Outcome(passed=["a::one", "a::two", "b::three"], exit="0", seconds=1.5)


def test_all_pass() -> None:
    result = Result("Flask-Books[x]==1.2", GOOD, GOOD)
    page = report.page({"books": result})
    assert "| books | Flask-Books 1.2 | 0 | 3 | 3 | 100.0 % |  |" in page
    assert "\nNone.\n" in page
    assert " ".join(report.line("books", result).split()) == "books 3 of 3 100.0 % 1.5 s"


def test_failures_are_named() -> None:
    ours = Outcome(passed=["b::three"], failed={"a::one": "assert 1 == 2", "a": "no module"})
    result = Result("Flask-Books==1.2", Outcome(GOOD.passed, {"b::four": "no server"}, 2), ours)
    assert result.lost() == {"a::one": "assert 1 == 2", "a::two": "no module"}
    page = report.page({"books": result})
    assert "| books | Flask-Books 1.2 | 3 | 3 | 1 | 33.3 % |  |" in page
    assert "- books: `a::one`: not explained yet." in page
    assert report.unexplained("books", result) == ["a::one", "a::two"]


def test_a_crash_is_told() -> None:
    result = Result("Flask-Books==1.2", GOOD, Outcome(exit="timeout"))
    assert set(result.lost().values()) == {"it was not run"}
    assert "pytest ended with timeout" in report.line("books", result)


def test_over_asgi() -> None:
    result = Result("Flask-Books==1.2", GOOD, GOOD, Outcome(passed=["a::one"]))
    assert report.line("books", result).endswith("over ASGI 1")


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(999, 1000, "99.9 %"), (1999, 2000, "99.9 %"), (0, 0, "0.0 %")]
)
def test_all_is_said_of_all_only(part: int, whole: int, shown: str) -> None:
    assert report.percent(part, whole) == shown
