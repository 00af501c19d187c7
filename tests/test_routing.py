"""Rules with options of ours, and a map that counts its changes."""

from __future__ import annotations

import threading
import typing as t

import pytest

from asyncflask.routing import Map, Rule


def test_the_map_counts_its_changes() -> None:
    url_map = Map()
    before = url_map.changes
    url_map.add(Rule("/a", endpoint="a"))
    assert url_map.changes == before + 1


def test_a_copied_rule_keeps_its_options() -> None:
    copied: t.Any = Rule("/up", endpoint="up", stream_body=True).empty()
    assert copied.stream_body is True


@pytest.mark.parametrize(
    ("name", "value"),
    [("merge_slashes", False), ("redirect_defaults", False), ("default_subdomain", "www")],
)
def test_a_changed_setting_counts(name: str, value: t.Any) -> None:
    url_map = Map()
    before = url_map.changes
    setattr(url_map, name, value)
    assert url_map.changes == before + 1


def test_sorting_the_rules_is_no_change() -> None:
    url_map = Map([Rule("/<a>", endpoint="a"), Rule("/b", endpoint="b")])
    before = url_map.changes
    url_map.update()
    assert url_map.changes == before


def test_what_a_factory_added_before_it_failed_counts() -> None:
    class Failing(Rule):
        def get_rules(self, map: t.Any) -> t.Iterator[Rule]:
            yield Rule("/a", endpoint="a")
            raise LookupError

    url_map = Map()
    before = url_map.changes
    with pytest.raises(LookupError):
        url_map.add(Failing("/", endpoint="x"))
    assert url_map.changes == before + 1


def test_no_change_of_many_threads_is_missed() -> None:
    url_map = Map()
    before = url_map.changes

    def add(number: int) -> None:
        for each in range(50):
            url_map.add(Rule(f"/{number}/{each}", endpoint="e"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert url_map.changes == before + 200
