"""Calls other people's code (`__repr__`, `__str__`) within bounds of time.

Python cannot interrupt a function from outside, so each call runs in a helper thread, which is left
behind if it takes too long. It ends by itself, or with the process: it is a daemon.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t
from collections.abc import Callable
from contextvars import copy_context

#: Seconds for one value. An honest repr takes microseconds; one that loads from a database, some
#: milliseconds; and who debugs will wait this long, for once.
PER_CALL = 0.5
#: Seconds for one page, however many values there are.
PER_PAGE = 3.0

_Job = tuple[Callable[[], str], "queue.SimpleQueue[str | BaseException]"]


class Bounded:
    """Calls functions that return text, one after the other, and never waits for long.

    :param per_call: seconds that one call may take.
    :param per_page: seconds that all of them may take.
    """

    def __init__(self, per_call: float = PER_CALL, per_page: float = PER_PAGE) -> None:
        self._per_call = per_call
        self._left = per_page
        self._context = copy_context()  # proxies and the like shall work there too
        self._jobs: queue.SimpleQueue[_Job | None] | None = None

    def call(self, func: Callable[[], str]) -> str:
        """Return what `func` returns, or a note in angle brackets on why there is nothing."""
        if self._left <= 0:
            return "<not shown: the values before it took too long>"
        if self._jobs is None:
            self._jobs = self._start()
        answer: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
        limit, began = min(self._per_call, self._left), time.monotonic()
        self._jobs.put((func, answer))
        try:
            result = answer.get(timeout=limit)
        except queue.Empty:
            self.close()  # this thread is busy; the next call gets another
            return f"<not shown: took longer than {limit:g} s>"
        finally:
            self._left -= time.monotonic() - began
        if isinstance(result, BaseException):
            return f"<not shown: raised {type(result).__name__}>"
        return result

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the helper thread end."""
        jobs, self._jobs = self._jobs, None
        if jobs is not None:
            jobs.put(None)

    def _start(self) -> queue.SimpleQueue[_Job | None]:
        jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(
            target=self._context.copy().run,
            args=(_work, jobs),
            name="asyncflask-debug-page",
            daemon=True,
        ).start()
        return jobs


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        func, answer = job
        try:
            answer.put(str.__str__(func()))
        except BaseException as error:  # whatever it is, it must not pass for the page's failure
            answer.put(error)
        del job, func, answer
