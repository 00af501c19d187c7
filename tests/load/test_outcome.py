from __future__ import annotations

import typing as t

import pytest

from asyncflask.load.record import Record
from asyncflask.load.thresholds import Share, Thresholds

from .outcomes import MS, outcome, record, scenario_outcome

BROKEN = Thresholds(p99=0.001)


def test_the_exit_status() -> None:
    assert outcome().status == 0
    assert outcome(limits=Thresholds(p99=1)).status == 0
    assert outcome(limits=BROKEN).status == 1
    assert outcome(limits=BROKEN, interrupted=True).status == 130


def test_nothing_answered_is_a_failure() -> None:
    refused = Record()
    refused.fail(0, 1, "connection refused", "no")
    assert outcome(refused).status == 1
    assert outcome(Record()).status == 0  # nothing was asked either


def test_errors_alone_are_none_unless_limited() -> None:
    assert outcome(record(status=500)).status == 0
    assert outcome(record(status=500), Thresholds(errors=Share(0, False))).status == 1


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "3 connections, 5 s"),
        (
            {"plan": {"connections": 1, "duration": None, "requests": 2000}},
            "1 connection, 2,000 requests",
        ),
        ({"plan": {"duration": None, "requests": 1}}, "3 connections, 1 request"),
        (
            {"plan": {"rate": 1500.0}},
            "3 connections, 1,500 requests/s whatever the answers take, 5 s",
        ),
        ({"plan": {"warm_up": 2.0}}, "3 connections, 5 s, after 2 s of warm-up"),
        ({"place": "served"}, "3 connections, 5 s, server started here"),
        ({"place": "in process"}, "3 connections, 5 s, no server"),
    ],
)
def test_how_it_was_asked(more: dict[str, t.Any], text: str) -> None:
    assert outcome(**more).how == text


def test_several_processes_are_said() -> None:
    made = outcome()
    made.strain.shares.append(0.5)
    assert made.how == "3 connections, 2 client processes, 5 s"


def test_titles() -> None:
    assert outcome().title == "GET http://127.0.0.1:8000/a?b=<c>"
    assert scenario_outcome().title == "visit.py at http://127.0.0.1:8000/a?b=<c>"
    assert "20 runs/s" in scenario_outcome().how


def test_nothing_to_remark() -> None:
    assert [*outcome().remarks()] == []


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "Every answer was 404: is it"), (503, "answer was 503"), (302, "302, a redirect")],
)
def test_when_every_answer_is_the_same(status: int, said: str) -> None:
    (remark,) = outcome(record(status=status)).remarks()
    assert said in remark


def test_a_busy_client_is_the_limit_but_not_in_process() -> None:
    (remark,) = outcome(share=0.99).remarks()
    assert "The client was the limit" in remark
    (remark,) = outcome(share=0.99, place="in process").remarks()
    assert "took turns on one core" in remark


def unsent() -> Record:
    made = record()
    for _ in range(1234):
        made.miss(5 * MS, is_run=False)
    return made


def test_a_rate_that_was_not_reached() -> None:
    (remark,) = outcome(unsent()).remarks()
    assert remark.startswith("1,234 requests were due and never sent: all 3 connections were")
    busy, remark = outcome(unsent(), share=0.99).remarks()
    assert "The client was the limit" in busy
    assert "never sent: client or machine were too busy (see above)." in remark


def test_an_interrupt_is_said_first() -> None:
    remarks = [*outcome(unsent(), interrupted=True).remarks()]
    assert remarks[0].startswith("Interrupted")
