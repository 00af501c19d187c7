"""Tracebacks that begin at the user's code: what lies above it is ours and tells them nothing."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

import anyio
import click

_OURS = (
    *(str(Path(module).parent) for module in (anyio.__file__, click.__file__)),
    str(Path(__file__).parent.parent),
    "<frozen importlib",
)
_PYTHON = sysconfig.get_path("stdlib")


def user_traceback(error: BaseException) -> str:
    """Return the traceback of `error`, less the frames that led to the user's code.

    A syntax error names file and line itself, and has no frame of the user's. Where another error
    has none either, the fault is ours, and nothing is left out.
    """
    found = _first_foreign(error.__traceback__)
    if found is not None or isinstance(error, SyntaxError):
        error = error.with_traceback(found)
    return "".join(traceback.format_exception(error))


def _first_foreign(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def _is_machinery(filename: str) -> bool:
    in_python = filename.startswith(_PYTHON) and "site-packages" not in filename
    return in_python or filename.startswith(_OURS)
