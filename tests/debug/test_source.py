"""Source code around a failing line."""

from __future__ import annotations

import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import asyncflask
from asyncflask.debug.printable import printable
from asyncflask.debug.redaction import MASK, Redactor
from asyncflask.debug.source import (
    WIDEST,
    Line,
    Span,
    excerpt,
    is_library,
    source_lines,
    span_of,
)

NOTHING: dict[str, str] = {}
LINES = [f"line {n}\n" for n in range(1, 31)]


def cut(lines: list[str], *span: int) -> tuple[Line, ...]:
    return excerpt(lines, Span(*span), Redactor())


def innermost(func: Callable[[], object]) -> types.TracebackType:
    try:
        func()
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        assert trace is not None
        return trace
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("span", "numbers"),
    [
        ((10, 10), range(6, 15)),
        ((1, 1), range(1, 6)),
        ((30, 30), range(26, 31)),
        ((10, 13), range(6, 15)),
        ((10, 16), range(6, 17)),
        ((10, 29), range(6, 19)),  # a statement of any length takes a bounded place
        ((40, 40), ()),
    ],
)
def test_window(span: tuple[int, int], numbers: range) -> None:
    lines = cut(LINES, *span)
    assert [line.number for line in lines] == list(numbers)
    assert [line.number for line in lines if line.current] == [span[0]] * bool(lines)


def test_blank_lines_at_the_ends_are_left_out() -> None:
    lines = cut(["\n", "  \n", "a\n", "\n", "b\n", "\n"], 5, 5)
    assert [line.number for line in lines] == [3, 4, 5]
    assert [line.number for line in cut(["\n"] * 9, 5, 5)] == [5]


def test_columns() -> None:
    assert cut(["x = a + b\n"], 1, 1, 4, 9) == (Line(1, "x = ", "a + b", "", True),)
    assert cut(["x = a + b\n"], 1, 1) == (Line(1, "x = a + b", current=True),)
    assert cut(["f(\n", "    a,\n", ")  # end\n"], 1, 3, 0, 1) == (
        Line(1, "", "f(", "", True),
        Line(2, "    ", "a,", ""),
        Line(3, "", ")", "  # end"),
    )


def test_no_columns_where_they_would_be_off() -> None:
    assert cut(['token = "abc" + f(x)\n'], 1, 1, 16, 20)[0] == Line(
        1, f'token = "{MASK}" + f(x)', current=True
    )
    (line,) = cut(["x" * 1000], 1, 1, 4, 9)
    assert (len(line.before), line.failing) == (WIDEST + 1, "")


def test_hidden_characters_are_shown() -> None:
    (line,) = cut(["a = '\u202e' + b\n"], 1, 1, 4, 7)
    assert (line.before, line.failing, line.after) == ("a = ", "'\\u202e'", " + b")


def test_span_counts_characters() -> None:
    def fails() -> Any:
        return "é日" + NOTHING["x"] + "y"

    trace = innermost(fails)
    lines = source_lines(__file__, None)
    span = span_of(trace, lines)
    assert span.column is not None
    assert lines[span.line - 1][span.column : span.end_column] == 'NOTHING["x"]'
    assert span_of(trace, []).line == span.line


def test_span_without_columns() -> None:
    code = compile("1 / 0", "<made>", "exec")
    bare = code.replace(co_linetable=b"\xe8\x00" * 8)  # line numbers only: PEP 626's "no column"
    trace = innermost(lambda: exec(bare))
    assert span_of(trace, ["1 / 0"])[2:] == (None, None)


@pytest.mark.parametrize(
    "file",
    [
        os.__file__,
        click.__file__,
        asyncflask.__file__,
        "<frozen importlib._bootstrap>",
        "/x/dist-packages/y.py",
    ],
)
def test_library_files(file: str | None) -> None:
    assert file is not None
    assert is_library(file)


@pytest.mark.parametrize("file", [__file__, "app.py", "<string>", "/srv/app/views.py"])
def test_own_files(file: str) -> None:
    assert not is_library(file)


def test_source_comes_from_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("one\n")
    assert source_lines(str(file), None) == ["one\n"]
    file.write_text("one\ntwo\n")
    assert source_lines(str(file), None) == ["one\n", "two\n"]
    assert source_lines(str(tmp_path / "missing.py"), None) == []


def test_loader_may_fail() -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            raise RuntimeError

    names = {"__name__": "loaded", "__loader__": Loader()}
    assert source_lines("/nowhere/loaded.py", names) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本\n\ttext", "plain é 日本\n\ttext"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb", "a\\rb"),
        ("\ud800\u200b\u2028\x7f", "\\ud800\\u200b\\u2028\\x7f"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
