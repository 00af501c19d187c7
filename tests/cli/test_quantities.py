from __future__ import annotations

import typing as t
from pathlib import Path

import click
import pytest

from asyncflask.cli.quantities import Body, Duration, Errors, Header


def read(kind: t.Any, text: str) -> t.Any:
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10), ("10", 10), ("500ms", 0.5), ("1.5s", 1.5), ("2m", 120), ("1h", 3600),
        ("50us", 0.00005), (".5s", 0.5), (" 3 S ", 3),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert read(Duration(), text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1 s s", "1e3", "nan", "inf", "0", "0ms"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        read(Duration(), text)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("A: b", ("A", "b")),
        ("X-Y:c:d", ("X-Y", "c:d")),
        ("Empty:", ("Empty", "")),
    ],
)
def test_headers(text: str, pair: tuple[str, str]) -> None:
    assert read(Header(), text) == pair


@pytest.mark.parametrize("text", ["", "a", ": b", "a b: c", "a: b\r\nc: d", "ü: x", "a: \0"])
def test_what_is_no_header(text: str) -> None:
    with pytest.raises(click.BadParameter):
        read(Header(), text)


def test_bodies(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"\xff\0")
    assert read(Body(), "a=ü") == "a=ü".encode()
    assert read(Body(), f"@{file}") == b"\xff\0"
    assert read(Body(), "") == b""
    assert read(Body(is_json=True), '{"a": [1]}') == b'{"a": [1]}'


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Body(), "@/not/there", "cannot be read: No such file"),
        (Body(is_json=True), "{a: 1}", "not JSON"),
    ],
)
def test_what_is_no_body(kind: Body, text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        read(kind, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", (0, False)), ("3", (3, False)), ("0.5%", (0.5, True)), ("1 %", (1, True))],
)
def test_numbers_of_errors(text: str, value: tuple[float, bool]) -> None:
    assert read(Errors(), text) == value


@pytest.mark.parametrize("text", ["", "-1", "a", "%", "1%%", "nan", "inf"])
def test_what_is_no_number_of_errors(text: str) -> None:
    with pytest.raises(click.BadParameter):
        read(Errors(), text)
