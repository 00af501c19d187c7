"""The clock that tests are judged by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import awake
from .awake import STOPPED, TICK, AwakeClock


class Machine:
    """What a clock looks at."""

    def __init__(self) -> None:
        self.time = self.work = 0.0

    def passes(self, seconds: float, worked: float = 0.0) -> None:
        self.time += seconds
        self.work += worked


def made() -> tuple[Machine, AwakeClock]:
    machine = Machine()
    return machine, AwakeClock(lambda: machine.time, lambda: machine.work)


def test_it_goes_on_while_somebody_looks() -> None:
    machine, clock = made()
    for _ in range(100):
        machine.passes(TICK)
        clock.now()
    assert round(clock.now(), 6) == round(100 * TICK, 6)


def test_it_stands_while_nobody_can_look() -> None:
    machine, clock = made()
    machine.passes(TICK)
    before = clock.now()
    machine.passes(3)
    assert round(clock.now() - before, 6) == 0
    machine.passes(STOPPED)  # so much a busy machine may take
    assert round(clock.now() - before, 6) == STOPPED


def test_it_goes_on_while_the_process_works() -> None:
    """As for a thread that does not give the interpreter's lock to the one that looks."""
    machine, clock = made()
    machine.passes(3, worked=2.9)
    assert clock.now() == 3
    machine.passes(3, worked=1)
    assert clock.now() == 4


def test_work_of_two_threads_is_no_time_lost() -> None:
    machine, clock = made()
    machine.passes(1, worked=2)
    assert clock.now() == 1


def test_it_goes_on_while_a_test_sleeps() -> None:
    began, there = time.monotonic(), awake.now()
    threading.Event().wait(4 * STOPPED)
    assert awake.now() - there <= time.monotonic() - began + TICK
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("awake-clock") == 1


SLEEPS = """
import time
from tests import awake
awake.clock.start()
began, at = awake.now(), time.monotonic()
print("there", flush=True)
input()
print(awake.now() - began, time.monotonic() - at)
"""


def test_it_stands_while_the_process_is_stopped() -> None:
    command = [sys.executable, "-c", SLEEPS]
    root = Path(__file__).parent.parent
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        threading.Event().wait(1.0)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("\n", timeout=10)
    awake_for, passed = map(float, out.split())
    assert passed >= 1.0
    assert awake_for <= passed - 0.7
