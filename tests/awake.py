"""A clock that stands still while the machine lets this process do nothing.

A machine with other work, or a virtual one, stops a process for seconds now and then. What a test
takes is judged by this clock: such a stop is not the tested code's doing. A deadlock, a sleep, a
loop that is kept busy and a regular expression that goes mad all take their time on it.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t

#: Seconds from one look at the time to the next.
TICK = 0.05

#: Seconds between two looks from which on the process was stopped, and not just one of many.
STOPPED = 0.25


class AwakeClock:
    """Counts seconds, but for those in which the process neither ran nor could have.

    :param now: the time, in seconds.
    :param worked: the processor time that the process has used, in seconds. While it is used, the
        process is not stopped, even if no other thread gets the interpreter's lock.
    """

    def __init__(
        self,
        now: t.Callable[[], float] = time.monotonic,
        worked: t.Callable[[], float] = time.process_time,
    ) -> None:
        self._now, self._worked = now, worked
        self._seen, self._work_seen = now(), worked()
        self.stopped = 0.0  #: seconds for which it stood still, as far as somebody has looked
        self.unlock()

    def unlock(self) -> None:
        """Make a new lock; in a forked process, whose parent's may be held for ever."""
        self._lock = threading.RLock()  # a signal's handler may ask while its thread is asking

    def now(self) -> float:
        """Return the seconds on this clock, which begins anywhere."""
        with self._lock:
            now, worked = self._now(), self._worked()
            idle = now - self._seen - max(0.0, worked - self._work_seen)
            if idle > STOPPED:
                self.stopped += idle
            self._seen, self._work_seen = now, worked
            return now - self.stopped

    def start(self) -> None:
        """Have a thread look at the time, as long as the process lives."""
        threading.Thread(target=self._watch, name="awake-clock", daemon=True).start()

    def _watch(self) -> None:
        never = threading.Event()
        while not never.wait(TICK):
            self.now()


#: The clock of this process. The tests' set-up starts it.
clock: t.Final = AwakeClock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=clock.unlock)

#: The seconds on it.
now = clock.now
