"""Escaping that cannot be talked out of."""

from __future__ import annotations

from markupsafe import Markup

from asyncflask.debug.markup import Html, fill, join


class Trusted(Html):
    pass


class Rendered:
    def __html__(self) -> str:
        return "<b>"

    def __str__(self) -> str:
        return Markup("<i>")


def test_only_our_own_markup_is_trusted() -> None:
    values = ("<x>", Markup("<x>"), Trusted("<x>"))
    for value in values:
        assert fill("<p>{value}</p>", value=value) == "<p>&lt;x&gt;</p>"
    assert fill("{value}", value=Rendered()) == "&lt;i&gt;"
    assert fill("{value}", value=Html("<x>")) == "<x>"


def test_attributes_are_safe_too() -> None:
    assert fill('<p class="{value}">', value="\"'&") == '<p class="&quot;&#x27;&amp;">'


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert fill("{a}{b}", a="{b}", b="{a!r:>99}{0}") == "{b}{a!r:&gt;99}{0}"


def test_parts_are_joined() -> None:
    joined = join([fill("{a}", a="<"), Html("<br>")])
    assert type(joined) is Html
    assert fill("{joined}", joined=joined) == "&lt;<br>"
