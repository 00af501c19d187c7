"""Source code around a failing line."""

from __future__ import annotations

import linecache
import os
import sysconfig
import types
import typing as t
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from .printable import printable
from .redaction import Redactor

#: Lines before and after the failing one.
AROUND = 4
#: Characters of a line; generated code has longer ones.
WIDEST = 300

_LIBRARIES = tuple(
    os.path.normcase(path) + os.sep
    for path in {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        str(Path(__file__).parents[1]),  # asyncflask itself
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of source code, in three parts: the middle one is what failed."""

    number: int
    before: str
    failing: str = ""
    after: str = ""
    current: bool = False


class Span(t.NamedTuple):
    """Where something failed: lines from 1, columns from 0, as characters; the end exclusive."""

    line: int
    end_line: int
    column: int | None = None
    end_column: int | None = None


def is_library(file: str) -> bool:
    """Whether a file is part of Python, of asyncflask or of an installed package."""
    if file.startswith("<frozen "):
        return True
    path = os.path.normcase(file)
    return path.startswith(_LIBRARIES) or bool(
        {"site-packages", "dist-packages"}.intersection(Path(path).parts)
    )


def span_of(trace: types.TracebackType, lines: t.Sequence[str]) -> Span:
    """Return what a traceback entry points at, as exactly as the code object knows it."""
    positions = islice(trace.tb_frame.f_code.co_positions(), trace.tb_lasti // 2, None)
    line, end_line, column, end_column = next(positions, (None, None, None, None))
    if line != trace.tb_lineno or end_line is None or column is None or end_column is None:
        return Span(trace.tb_lineno, trace.tb_lineno)
    return Span(
        line, end_line, _characters(lines, line, column), _characters(lines, end_line, end_column)
    )


def _characters(lines: t.Sequence[str], number: int, offset: int) -> int:
    """Turn an offset in UTF-8 bytes into one in characters."""
    text = lines[number - 1] if number <= len(lines) else ""
    return len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "replace"))


def source_lines(file: str, module_globals: dict[str, t.Any] | None) -> list[str]:
    """Return the lines of a source file; none if it cannot be had."""
    try:
        linecache.checkcache(file)
        return linecache.getlines(file, module_globals)
    except Exception:  # a loader of the app's own may raise anything
        return []


def excerpt(lines: t.Sequence[str], span: Span, redactor: Redactor) -> tuple[Line, ...]:
    """Return the lines around `span`, with literals of secrets masked."""
    first = max(1, span.line - AROUND)
    last = min(len(lines), max(span.line + AROUND, min(span.end_line, span.line + 2 * AROUND)))
    while first < min(span.line, last) and not lines[first - 1].strip():
        first += 1
    while last > span.end_line and not lines[last - 1].strip():
        last -= 1
    return tuple(_line(n, lines[n - 1], span, redactor) for n in range(first, last + 1))


def _line(number: int, raw: str, span: Span, redactor: Redactor) -> Line:
    text = raw.rstrip("\r\n")
    masked = redactor.source(text)
    current = number == span.line
    exact = masked == text and len(text) <= WIDEST  # or else the columns would be off
    if not (exact and span.line <= number <= span.end_line):
        return Line(number, _shown(masked), current=current)
    if span.column is None or span.end_column is None:
        return Line(number, printable(text), current=current)
    start = span.column if current else len(text) - len(text.lstrip())
    end = span.end_column if number == span.end_line else len(text.rstrip())
    before, failing, after = map(printable, (text[:start], text[start:end], text[end:]))
    return Line(number, before, failing, after, current)


def _shown(text: str) -> str:
    return printable(text if len(text) <= WIDEST else text[:WIDEST] + "\N{HORIZONTAL ELLIPSIS}")
