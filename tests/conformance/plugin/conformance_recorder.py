"""A pytest plugin that writes down how each test ended, as it ends, one JSON line a test.

It is loaded into the environment of the suite under test, so it needs nothing but pytest. Each line
holds the test's id, ``passed``, ``failed`` or ``skipped``, and the first line of the error. A run
that is killed leaves the lines of the tests before.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


class Recorder:
    """Sums up the reports of setup, call and teardown to one outcome a test."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.reports: list[pytest.TestReport] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(report.nodeid, "failed", first_line(report))

    def pytest_runtest_logstart(self) -> None:
        self.reports.clear()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        wrong = [report for report in self.reports if report.failed]
        # An expected failure is neither here nor there, whether it comes to pass or not.
        other = [each for each in self.reports if each.skipped or hasattr(each, "wasxfail")]
        outcome = "failed" if wrong else "skipped" if other else "passed"
        self.write(nodeid, outcome, first_line(wrong[0]) if wrong else "")

    def write(self, node: str, outcome: str, error: str) -> None:
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps([node, outcome, error]) + "\n")


def first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext.strip().rpartition("\n")[2]
    return str(text).partition("\n")[0][:300]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(Path(os.environ["CONFORMANCE_RECORD"])))
