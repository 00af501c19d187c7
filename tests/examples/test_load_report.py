"""The page of `asyncflask load --html`, in Chromium."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from asyncflask.load.html import page
from asyncflask.load.thresholds import Share, Thresholds

from ..load.outcomes import outcome, record, scenario_outcome
from .browser import Browser, Tab

#: Texts of charts that stick out of their picture, and so are cut off.
CUT_OFF = """
return [...document.querySelectorAll("svg")].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
  }).map(text => text.textContent);
});
"""
#: Labels of the axis below that run into each other.
CROWDED = """
return [...document.querySelectorAll("svg")].flatMap(svg => {
  const boxes = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect());
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
}).length;
"""
#: Cells that are higher than three lines: their text is broken into letters.
BROKEN = """
return [...document.querySelectorAll("td, th")].filter(cell =>
  cell.getBoundingClientRect().height > 70 && !cell.querySelector(".example")
).map(cell => cell.textContent);
"""
WIDE = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
LIMITS = Thresholds(p99=0.01, errors=Share(5, False))

PAGES = {
    "plain": outcome(),
    "limits": outcome(limits=LIMITS, share=0.99, interrupted=True),
    "few": outcome(record(2)),
    "many": outcome(record(3000)),
    "scenario": scenario_outcome(),
}


@pytest.fixture(params=[*PAGES])
def tab(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Tab:
    file = tmp_path / "report.html"
    file.write_text(page(PAGES[request.param]), encoding="utf-8")
    return browser.tab(file.as_uri())


def test_a_page_is_complete_and_readable(tab: Tab) -> None:
    assert tab.complaints() == []
    assert tab.run("return performance.getEntriesByType('resource').length") == 0
    assert tab.run(CUT_OFF) == []
    assert tab.run(CROWDED) == 0
    assert tab.all("svg")
    assert tab.text("h1")


def test_a_page_fits_a_telephone(tab: Tab) -> None:
    size: dict[str, t.Any] = {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    tab.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert tab.run(WIDE) is False
    assert tab.run(BROKEN) == []
    tab.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
