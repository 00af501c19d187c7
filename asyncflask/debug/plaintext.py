"""The traceback as the interpreter prints it, for terminals and for programs."""

from __future__ import annotations

import traceback

from .bounded import Bounded
from .printable import printable
from .redaction import Redactor

#: Characters of the text. A message can be of any length; a terminal should not be.
LONGEST = 200_000


def traceback_text(exc: BaseException, redactor: Redactor, bounded: Bounded) -> str:
    """Return the traceback of an exception and of those it came from, with secrets masked."""

    def formatted() -> str:
        lines: list[str] = []
        room = LONGEST
        for line in traceback.TracebackException.from_exception(exc, compact=True).format():
            if room <= 0:
                lines.append("...\n")
                break
            # Of code only literals are masked, of messages everything that looks like a secret.
            mask = redactor.source if line.lstrip(" |").startswith('File "') else redactor.text
            lines.append(mask(line[: room + redactor.longest]))
            room -= len(line)
        return "".join(lines)

    return printable(bounded.call(formatted))
