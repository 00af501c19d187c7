"""What there is to say about an exception, as plain text in plain data.

Everything in a report is an exact `str`, printable and free of secrets: whoever renders it need
only escape it. It holds no frame and no object of the app.
"""

from __future__ import annotations

import inspect
import types
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from .bounded import Bounded
from .printable import printable
from .redaction import Redactor
from .reprs import SafeRepr
from .source import Line, Span, excerpt, is_library, source_lines, span_of

#: Characters of an exception's message, or of one of its notes.
LONGEST_MESSAGE = 4000
#: Frames of one traceback: of a deep recursion, this many at its outer and at its inner end.
OUTERMOST, INNERMOST = 15, 35
#: Local variables of one frame.
MOST_LOCALS = 100
#: Notes of one exception.
MOST_NOTES = 20
#: Exceptions on one page, and members of one group: as many as `traceback` shows of a group.
MOST_EXCEPTIONS, MOST_MEMBERS = 40, 15

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Frame:
    """A place that the exception passed through."""

    file: str
    number: int
    function: str
    is_async: bool
    is_library: bool
    lines: tuple[Line, ...]
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that were left out."""

    count: int


@dataclass(slots=True)
class Report:
    """An exception, what it came from and what it holds."""

    type: str
    message: str
    notes: list[str]
    frames: list[Frame | Gap]  # the innermost first
    members: list[Report] = field(default_factory=list)  # of an exception group
    left_out: int = 0  # members that are not shown
    origin: Report | None = None
    link: str = ""  # how it came from there


class Reporter:
    """Makes reports.

    :param redactor: masks the secrets.
    :param bounded: bounds the time that `str()` and `repr()` of the app's objects may take.
    """

    def __init__(self, redactor: Redactor, bounded: Bounded) -> None:
        self._redactor = redactor
        self._bounded = bounded
        self._repr = SafeRepr(redactor, bounded)
        self._seen: set[int] = set()

    def report(self, exc: BaseException) -> Report:
        """Return the report of an exception, of those it came from and of those it holds."""
        self._seen.add(id(exc))
        report = Report(
            printable(_type_name(type(exc))),
            self._message(exc),
            [self._message(note) for note in _notes(exc)],
            list(self._frames(exc)),
        )
        if isinstance(exc, BaseExceptionGroup):
            shown = exc.exceptions[:MOST_MEMBERS]
            report.members = [self.report(member) for member in shown if self._is_new(member)]
            report.left_out = len(exc.exceptions) - len(report.members)
        self._add_origin(report, exc)
        return report

    def _add_origin(self, report: Report, exc: BaseException) -> None:
        origin, link = exc.__cause__, "caused by"
        if origin is None and not exc.__suppress_context__:
            origin, link = exc.__context__, "raised while handling"
        if origin is not None and self._is_new(origin):
            report.origin, report.link = self.report(origin), link

    def _is_new(self, exc: BaseException) -> bool:
        return id(exc) not in self._seen and len(self._seen) < MOST_EXCEPTIONS

    def _message(self, source: object) -> str:
        redactor = self._redactor

        def shortened() -> str:
            text = str.__str__(str(source))
            masked = redactor.text(text[: LONGEST_MESSAGE + redactor.longest])
            rest = len(text) - LONGEST_MESSAGE
            return masked if rest <= 0 else f"{masked[:LONGEST_MESSAGE]}... ({rest:,} more)"

        return printable(self._bounded.call(shortened))

    def _frames(self, exc: BaseException) -> Iterator[Frame | Gap]:
        if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
            yield self._syntax_error(exc)
        traces = list(_traces(exc.__traceback__))
        traces.reverse()
        gap = len(traces) - OUTERMOST - INNERMOST
        for index, trace in enumerate(traces):
            if gap <= 0 or not INNERMOST <= index < INNERMOST + gap:
                yield self._frame(trace)
            elif index == INNERMOST:
                yield Gap(gap)

    def _frame(self, trace: types.TracebackType) -> Frame:
        frame, code = trace.tb_frame, trace.tb_frame.f_code
        lines = source_lines(code.co_filename, frame.f_globals)
        return Frame(
            self._name(code.co_filename),
            trace.tb_lineno,
            self._name(code.co_qualname),
            bool(code.co_flags & _ASYNC),
            is_library(code.co_filename),
            excerpt(lines, span_of(trace, lines), self._redactor),
            tuple(
                (self._name(name), printable(self._repr.named(name, value)))
                for name, value in islice(_variables(frame), MOST_LOCALS)
            ),
        )

    def _syntax_error(self, exc: SyntaxError) -> Frame:
        file, number = str(exc.filename), exc.lineno or 1
        start, end = (exc.offset or 1) - 1, (exc.end_offset or 0) - 1
        span = Span(number, number, start, end if end > start else start + 1)
        lines = excerpt(source_lines(file, None), span, self._redactor)
        return Frame(self._name(file), number, "", False, is_library(file), lines, ())

    def _name(self, text: str) -> str:
        return printable(self._redactor.values(text))


def _traces(trace: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _type_name(cls: type[BaseException]) -> str:
    module = str(cls.__module__)
    return (
        cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"
    )


def _notes(exc: BaseException) -> list[object]:
    notes = getattr(exc, "__notes__", None)
    return notes[:MOST_NOTES] if isinstance(notes, list) else []


def _variables(frame: types.FrameType) -> Iterator[tuple[str, t.Any]]:
    """Yield a frame's local variables; of a module's, those that are neither code nor modules."""
    module = frame.f_locals is frame.f_globals
    for name, value in list(frame.f_locals.items()):
        if name.startswith(("__", ".")):
            continue
        if not (module and isinstance(value, (types.ModuleType, types.FunctionType, type))):
            yield name, value
