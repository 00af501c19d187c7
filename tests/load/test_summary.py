"""The members of the JSON report, which programs read."""

from __future__ import annotations

import json
import typing as t

from asyncflask.load.summary import VERSION, summary
from asyncflask.load.thresholds import Thresholds

from .outcomes import outcome, record, scenario_outcome

LATENCY = {
    "count", "mean", "deviation", "min", "p50", "p75", "p90", "p95", "p99", "p99.9", "max",
    "buckets",
}  # fmt: skip


def test_the_members() -> None:
    found = summary(outcome())
    assert set(found) == {
        "version", "asyncflask", "began", "interrupted", "status", "plan", "seconds", "rate",
        "errors", "unsent", "unfinished", "requests", "steps", "runs", "timeline", "client",
        "remarks", "thresholds",
    }  # fmt: skip
    assert set(found["requests"]) == {
        "answered", "failed", "statuses", "failures", "examples", "sent_body_bytes",
        "received_body_bytes", "latency",
    }  # fmt: skip
    assert set(found["requests"]["latency"]) == LATENCY
    assert set(found["plan"]) == {
        "url", "method", "connections", "duration", "requests", "rate", "warm_up", "timeout",
        "scenario", "allow_remote", "insecure", "body_bytes", "place",
    }  # fmt: skip
    assert set(found["client"]) == {"cpu", "loop_lag_p99", "late_start_p99", "was_limit"}
    assert set(found["timeline"][0]) == {"seconds", "count", "errors", "mean", "max"}


def test_the_values() -> None:
    found = summary(outcome(limits=Thresholds(p99=0.01)))
    assert (found["version"], found["began"]) == (VERSION, "2026-11-28T12:00:00+00:00")
    assert (found["status"], found["rate"], found["seconds"], found["errors"]) == (1, 100, 1, 0)
    requests = found["requests"]
    assert (requests["answered"], requests["statuses"]) == (100, {"200": 100})
    assert requests["latency"]["mean"] == 50.5
    assert abs(requests["latency"]["p99"] - 99) < 0.4
    assert sum(times for _, times in requests["latency"]["buckets"]) == 100
    assert sum(slot["count"] for slot in found["timeline"]) == 100
    assert found["runs"] is None
    assert found["client"] == {
        "cpu": [0.25],
        "loop_lag_p99": 2.0,
        "late_start_p99": 0.0,
        "was_limit": False,
    }
    (threshold,) = found["thresholds"]
    assert (threshold["name"], threshold["holds"]) == ("max-p99", False)


def test_a_scenario() -> None:
    found = summary(scenario_outcome())
    assert set(found["steps"]) == {"GET /", "<b>buy</b>"}
    assert (found["runs"]["done"], found["runs"]["failed"]) == (1, 2)
    assert set(found["runs"]["latency"]) == LATENCY
    assert found["steps"]["<b>buy</b>"]["failures"] == {"timeout": 1}


def test_it_is_json_without_the_headers_and_the_body() -> None:
    secret: dict[str, t.Any] = {"headers": (("Authorization", "tell-nobody"),), "body": b"secret"}
    text = json.dumps(summary(outcome(plan=secret)))
    assert "tell-nobody" not in text
    assert "secret" not in text
    assert json.loads(text)["plan"]["body_bytes"] == 6


def test_of_nothing_there_are_zeros() -> None:
    latency = summary(outcome(record(0)))["requests"]["latency"]
    assert set(latency) == LATENCY
    assert {value for name, value in latency.items() if name != "buckets"} == {0}


def test_the_client_was_the_limit() -> None:
    assert summary(outcome(share=0.98))["client"]["was_limit"] is True
    assert summary(outcome(share=0.98, place="in process"))["client"]["was_limit"] is False
