"""Tables and charts are made of the JSON of a run, and the committed ones of the committed JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart, page, publish, results, rounds
from benchmarks.selection import PARTS


def facts() -> results.Facts:
    """Return the facts of a run that was not: a loss, a missing figure, a busy client."""
    found: dict[str, rounds.Found] = {
        "in-process": {
            ("str", "asyncflask"): [2.0, 2.2],
            ("str", "starlette"): [9.0, 9.0],
            ("str", "bare"): [1.0, 1.0],
            ("form", "asyncflask"): [100.0, 110.0],
            ("form", "falcon"): [50.0, 50.0],
        },
        "server": {
            ("str", "asyncflask"): [30.0],
            ("str", "bare"): [25.0],
            ("str", "flask-granian"): [1234.0],
            ("str", "flask-gevent"): [1500.0],
            ("session", "asyncflask"): [31.0],
        },
    }
    rate = {"per_second": 20_000.0, "p50": 1.0, "p90": 1.5, "p99": 2.0, "slowest": 3.0}
    rated = {
        ("str@32", "asyncflask"): [rate | {"client": 0.99}],
        ("str@32", "starlette"): [rate | {"per_second": 21_000.0, "client": 0.5}],
    }
    settings = {part: {"rounds": 2, "seconds": 0.1, "turns": 3} for part in PARTS}
    return results.facts(
        found, rated, [], settings | {"client": "wrk", "quick": False, "took": 90, "starts": 3}
    )


def test_the_tables_show_losses_as_such() -> None:
    text = page.section(facts(), {"in-process form": "A parser in C was tried."})
    assert "| str | 1.00 | 2.10 | 2.10 | Starlette | 9.00 | 0.23 | yes |" in text
    assert "| form, 10 fields | - | 105 | - | Falcon | 50.0 | 2.10 | **no** |" in text
    loss = "- in process, form, 10 fields: 105, where Falcon has 50.0 (2.10 x). A parser in C"
    assert loss in text
    loss = (
        "- requests per second, str at 32 connections: 20,000, where Starlette has 21,000 (0.95 x)."
    )
    assert loss in text
    assert "| session, read and written | - | 31.0 | - | - | - | - | - |" in text
    assert (
        "| server CPU, str: asyncflask / bare ASGI | 1.20 | 1.20 - 1.20 | 1.15 | **no** |" in text
    )
    assert "| str | 32 | ≥ 20,000 | 21,000 |" in text
    assert "| str | 32 | 1.00 / 2.00 | 1.00 / 2.00 |" in text
    assert (
        "in one run of 2 minutes; in each of 3 starts, in-process: 2 rounds of 3 turns of 0.1 s;"
        in text
    )


def test_the_json_has_a_line_for_each_figure() -> None:
    told = facts()
    text = results.dumped(told)
    assert json.loads(text) == told
    figure = '"us": { "median": 1.0, "lowest": 1.0, "highest": 1.0, "rounds": [ 1.0, 1.0 ] }'
    assert figure in [line.strip() for line in text.splitlines()]


def test_a_quick_run_is_told_as_such() -> None:
    told = facts()
    assert "worth nothing" not in page.section(told)
    told["settings"]["quick"] = True
    assert page.section(told).startswith("**This was a quick run")


def test_without_a_loss_there_is_none() -> None:
    told = facts()
    del told["figures"]["in-process"]["form"]
    del told["figures"]["throughput"]
    assert page.losses(told, {}) == ["Nowhere."]


def test_the_readme_has_the_best_of_flasks_servers() -> None:
    [row] = [line for line in page.readme(facts()).splitlines() if line.startswith("| str ")]
    assert row == "| str | 25.0 | 30.0 | - | - | - | - | - | 1,234 |"


def test_a_chart_has_a_bar_for_each_figure() -> None:
    told = facts()
    drawn = ElementTree.fromstring(chart.chart(told, "in-process"))
    space = "{http://www.w3.org/2000/svg}"
    bars = drawn.findall(f"{space}g/{space}rect")
    lengths = [float(bar.attrib["width"]) / chart.BARS for bar in bars[:3]]
    assert lengths == pytest.approx([1.0 / 9.0, 2.1 / 9.0, 1.0], abs=0.001)
    assert len(bars) == 5
    words = [text.text for text in drawn.iter(f"{space}text")]
    assert words[:5] == [
        "microseconds (shorter is better)",
        "str",
        "bare ASGI",
        "1.00",
        "asyncflask",
    ]
    rates = chart.chart(told, "throughput")
    assert "longer is better" in rates
    assert ">20,000<" in rates


def test_figures_go_between_the_marks() -> None:
    text = f"before\n{publish.BEGIN}old{publish.END}\nafter"
    made = publish.replaced(text, "new\n")
    assert made == f"before\n{publish.BEGIN}new\n{publish.END}\nafter"
    with pytest.raises(ValueError, match="needs a line <!-- benchmarks: begin -->"):
        publish.replaced("no marks", "new\n")


def test_publishing_writes_what_a_run_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "HOME", tmp_path)
    for name in ("RESULTS", "NOTES", "PAGE", "README"):
        monkeypatch.setattr(publish, name, tmp_path / name)
    monkeypatch.setattr(publish, "CHARTS", tmp_path / "charts")
    (tmp_path / "NOTES").write_text("{}")
    for name in ("PAGE", "README"):
        (tmp_path / name).write_text(f"# {name}\n{publish.BEGIN}{publish.END}")
    file = tmp_path / "found.json"
    file.write_text(json.dumps(facts()))
    publish.main([str(file)])
    assert json.loads((tmp_path / "RESULTS").read_text()) == facts()
    assert page.section(facts()) in (tmp_path / "PAGE").read_text()
    assert page.readme(facts()) in (tmp_path / "README").read_text()
    assert {each.stem for each in (tmp_path / "charts").iterdir()} == {*PARTS}


def test_the_documentation_shows_the_committed_figures() -> None:
    committed = json.loads(publish.RESULTS.read_text())
    made = publish.written(committed)
    assert publish.PAGE in made
    for file, text in made.items():
        assert file.read_text() == text, f"{file.name} is not what `make bench-docs` writes"
    charts = {file.name for file in publish.CHARTS.iterdir()}
    assert charts == {f"{part}.svg" for part in committed["figures"]}


def test_no_figure_is_written_by_hand() -> None:
    before, _, rest = publish.PAGE.read_text().partition(publish.BEGIN)
    after = rest.partition(publish.END)[2]
    assert not re.findall(r"\d[\d.,]* (?:us|µs|ms|microseconds|requests)\b", before + after)
