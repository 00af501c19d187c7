from __future__ import annotations

import io

from asyncflask.load.progress import Glance, Progress
from asyncflask.load.record import Record

MS = 1_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def two_seconds(progress: Progress) -> None:
    progress.show(Glance(100, 0, 100, 200 * MS), 1.0)
    progress.show(Glance(150, 3, 150, 1200 * MS), 2.0)
    progress.close()


def test_a_line_each_second_tells_of_that_second() -> None:
    out = io.StringIO()
    two_seconds(Progress(stream=out))
    assert out.getvalue().splitlines() == [
        "    1 s        100/s  mean  2.00 ms  answered 100  errors 0",
        "    2 s         50/s  mean  20.0 ms  answered 150  errors 3",
    ]


def test_on_a_terminal_it_is_one_line_that_goes() -> None:
    out = Terminal()
    two_seconds(Progress(stream=out))
    assert "\n" not in out.getvalue()
    assert out.getvalue().count("\r") == 3
    assert out.getvalue().endswith("\r\x1b[K")


def test_quiet_is_quiet() -> None:
    for out in (io.StringIO(), Terminal()):
        progress = Progress(quiet=True, stream=out)
        progress.say("warming up")
        two_seconds(progress)
        assert out.getvalue() == ""


def test_a_second_without_an_answer() -> None:
    out = io.StringIO()
    Progress(stream=out).show(Glance(0, 4), 1.0)
    assert out.getvalue() == "    1 s          0/s  mean        -  answered 0  errors 4\n"


def test_what_is_said_stays() -> None:
    out = Terminal()
    Progress(stream=out).say("warming up")
    assert out.getvalue() == "warming up\n"


def test_a_glance_at_a_record_adds_up() -> None:
    record = Record()
    record.answer(0, 3 * MS, 500, 0, 0)
    glance = Glance.at(record)
    assert glance == Glance(1, 1, 1, 3 * MS)
    assert glance + glance == Glance(2, 2, 2, 6 * MS)
