"""The page: one file, whose every text is text, with nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asyncflask.load.html import page
from asyncflask.load.outcome import Outcome
from asyncflask.load.record import Record
from asyncflask.load.thresholds import Share, Thresholds

from .outcomes import MS, outcome, record, scenario_outcome

#: Elements without an end.
VOID = {"meta"}
LIMITS = Thresholds(p99=0.01, errors=Share(5, False))


class Reader(HTMLParser):
    """Reads a page, and whether its elements are nested as they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(
    params=[
        outcome(),
        outcome(limits=LIMITS, share=0.99, interrupted=True),
        outcome(Record()),
        outcome(record(1)),
        scenario_outcome(),
    ],
    ids=["plain", "limits", "nothing", "one", "scenario"],
)
def made(request: pytest.FixtureRequest) -> Outcome:
    found: Outcome = request.param
    return found


def test_it_is_well_formed(made: Outcome) -> None:
    assert Reader(page(made)).open == []


def test_nothing_comes_from_elsewhere(made: Outcome) -> None:
    text = page(made)
    read = Reader(text)
    assert {"script", "link", "img", "iframe"}.isdisjoint(read.seen)
    assert {"src", "href", "xlink:href", "style"}.isdisjoint(name for name, _ in read.attributes)
    assert re.search(r"url\(|@import", text) is None


def test_text_is_escaped() -> None:
    text = page(scenario_outcome())
    assert "<b>buy</b>" not in text
    assert "&lt;b&gt;buy&lt;/b&gt;" in text
    assert "late &amp; &lt;slow&gt;" in text
    assert "b=&lt;c&gt;" in text


def test_it_has_the_figures() -> None:
    read = Reader(page(outcome(limits=LIMITS)))
    for expected in ("100.0", "100 kB", "Status 200", "--max-p99", "broken", "ok", "50.5 ms"):
        assert expected in read.texts, expected
    assert read.seen.count("svg") == 4


def test_a_client_that_was_the_limit_is_said_at_the_top() -> None:
    text = page(outcome(share=0.99))
    assert text.index("The client was the limit") < text.index("<dl>")


def test_a_gap_has_no_latency_of_zero() -> None:
    gap = record(10)
    gap.answer(0, 3_000 * MS, 200, 0, 0)
    points = re.findall(r'class="max" points="([^"]+)"', page(outcome(gap)))
    assert [len(each.split()) for each in points] == [1]


def test_it_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(outcome()), encoding="utf-8")
    assert file.stat().st_size < 100_000


def test_errors_over_time_have_a_line() -> None:
    made = record(200)
    assert 'class="errors"' not in page(outcome(made))
    made.fail(0, 300 * MS, "connection reset", "Read <error>")
    text = page(outcome(made))
    assert len(re.findall(r'<polyline class="errors"', text)) == 1
    assert '<b class="errors">errors</b>' in text
    assert "Read &lt;error&gt;" in text


def test_what_was_never_sent_is_among_the_answers() -> None:
    made = record(50)
    made.miss(5 * MS, is_run=False)
    read = Reader(page(outcome(made)))
    assert read.texts[read.texts.index("never sent") + 1] == "1"


def test_a_run_of_a_moment_has_no_course() -> None:
    assert "Over time" not in page(outcome(record(1)))
    assert "Over time" in page(outcome(record(200)))
