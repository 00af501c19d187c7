"""The page as a whole: what it shows, that it is safe to look at, that it always comes."""

from __future__ import annotations

import asyncio
import gc
import json
import linecache
import re
import sys
import types
import weakref
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from asyncflask.debug import CONTENT_SECURITY_POLICY, render_exception, render_text
from asyncflask.debug.bounded import Bounded
from asyncflask.debug.style import CSS, STYLE_SOURCE

EVIL = "</pre></title></style>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


class Parsed(HTMLParser):
    """Element names, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.texts: dict[str, str] = defaultdict(str)  # by element name
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        self.texts[self.open[-1] if self.open else ""] += data

    def names(self) -> set[str]:
        return {name for name, _ in self.elements}

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]


def caught(func: Callable[[], object]) -> Exception:
    try:
        func()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def compiled(source: str, file: str, **names: object) -> dict[str, object]:
    """Run source code as if it stood in `file`."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope: dict[str, object] = {"__name__": "compiled", **names}
    exec(compile(source, file, "exec"), scope)
    return scope


def fail_with(value: object) -> None:
    local = value
    raise ValueError(f"bad: {local!r}")


def test_tells_what_happened_and_where() -> None:
    page = Parsed(render_exception(caught(lambda: fail_with(7))))
    assert page.open == []
    assert "ValueError" in page.text
    assert "bad: 7" in page.text
    assert "test_page.py" in page.text
    assert 'raise ValueError(f"bad: {local!r}")' in page.text
    assert "fail_with" in page.text


def test_marks_the_failing_part_of_the_line() -> None:
    def view() -> int:
        numbers = {"é": 0}
        return 1 + (1 // numbers["é"]) + 2

    page = render_exception(caught(view))
    assert "1 + (<mark>1 // numbers[&quot;é&quot;]</mark>) + 2" in page


def test_marks_all_lines_of_a_statement() -> None:
    def view() -> object:
        return sum(
            1 // n  # first
            for n in [0]
        )

    page = render_exception(caught(view))
    assert "<mark>sum(</mark>" in page
    assert "<mark>)</mark>" in page


async def test_coroutines_are_shown_as_functions_are() -> None:
    async def view() -> None:
        colour = "teal"
        await asyncio.sleep(0)
        raise LookupError(colour)

    try:
        await view()
    except LookupError as error:
        page = render_exception(error)
    assert "&#x27;teal&#x27;" in page
    assert '<span class="badge">async</span>' in page
    assert not Parsed(render_exception(caught(lambda: fail_with(1)))).of_class("badge")


def test_own_frames_are_open_and_library_frames_are_not() -> None:
    page = Parsed(render_exception(caught(lambda: asyncio.run(None))))  # type: ignore[arg-type]
    frames = page.of_class("frame")
    assert all(("open" in f) == ("own" in (f["class"] or "")) for f in frames)
    assert page.of_class("own")
    assert page.of_class("library")


def test_without_own_frames_the_innermost_is_open() -> None:
    error = caught(lambda: json.loads("{"))
    trace = error.__traceback__
    while trace is not None and "json" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    frames = Parsed(render_exception(error.with_traceback(trace))).of_class("frame")
    assert frames
    assert ["open" in frame for frame in frames] == [True, *[False] * (len(frames) - 1)]


def test_shows_where_an_exception_came_from() -> None:
    def view() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise TypeError("second") from error
        except TypeError:
            raise OSError("third")  # noqa: B904

    page = Parsed(render_exception(caught(view)))
    assert page.texts["p"] == "thirdThis was raised while handling:secondThis was caused by:'first'"
    assert page.texts["h1"] == "OSError"


def test_shows_no_suppressed_context() -> None:
    def view() -> None:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise TypeError("shown") from None

    assert Parsed(render_exception(caught(view))).texts["p"] == "shown"


def test_a_circle_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert Parsed(render_exception(one)).text.count("This was caused by") == 1


def test_shows_the_members_of_groups() -> None:
    inner = ExceptionGroup("inner", [caught(lambda: fail_with(1)), OSError("two")])
    outer = BaseExceptionGroup("outer", [inner, KeyboardInterrupt("three")])
    text = Parsed(render_exception(outer)).text
    for part in ("outer", "inner", "bad: 1", "two", "three", "fail_with"):
        assert part in text


def test_large_groups_and_long_chains_are_cut() -> None:
    group = ExceptionGroup("many", [ValueError(n) for n in range(100)])
    assert "85 not shown" in Parsed(render_exception(group)).text
    error = first = ValueError(0)
    for n in range(1, 100):
        error.__cause__ = ValueError(n)
        error = error.__cause__
    assert len(Parsed(render_exception(first)).of_class("type")) == 39


def test_deep_recursion_is_cut() -> None:
    def view() -> None:
        view()

    page = Parsed(render_exception(caught(view)))
    assert len(page.of_class("frame")) == 50
    assert "more frames" in page.text


def test_shows_notes() -> None:
    error = ValueError("x")
    error.add_note("remember <this>")
    assert "remember <this>" in Parsed(render_exception(error)).text
    error.__notes__ = 3  # type: ignore[assignment]
    assert render_exception(error)


def test_syntax_errors_show_the_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("fine = 1\nwrong = = 2\n")
    page = render_exception(caught(lambda: compile(file.read_text(), str(file), "exec")))
    assert "wrong = <mark>=</mark> 2" in page
    assert "<b>broken.py</b>:2" in page


def test_code_without_source_is_named_all_the_same() -> None:
    scope: dict[str, object] = {}
    code = compile("def f():\n    raise ValueError('from nowhere')", "<nowhere>", "exec")
    exec(code, scope)
    text = Parsed(render_exception(caught(scope["f"]))).text  # type: ignore[arg-type]
    assert "<nowhere>" in text
    assert "The source code is not available." in text


def test_module_variables_leave_out_code() -> None:
    error = caught(lambda: compiled("import sys\nanswer = 42\ndef f(): ...\n1 / 0\n", "/app/m.py"))
    text = Parsed(render_exception(error)).text
    variables = text[text.index("/app/m.py") : text.index("test_page.py")]
    assert "1 local variable\n" in variables
    assert "answer42" in variables


def test_request_facts_are_shown() -> None:
    facts = {
        "method": "POST",
        "url": "http://localhost/x?page=2",
        "headers": [("Accept", "text/html"), ("X-Two", "b")],
        "form": {"title": "form-value-1"},
        "endpoint": "shop.cart",
        "view_args": {"id": 3},
        "empty": {},
    }
    text = Parsed(render_exception(ValueError("x"), request=facts)).text
    for part in ("POST", "http://localhost/x?page=2", "X-Two", "title", "shop.cart", "id"):
        assert part in text
    assert "form-value-1" not in text
    assert "empty" not in text


def test_facts_of_any_kind_are_shown_somehow() -> None:
    class Broken(dict[str, str]):
        def items(self) -> None:  # type: ignore[override]
            raise RuntimeError

    facts = {"raw": b"\xff\x00", "none": None, "list": ["a"], "broken": Broken(), "url": 3}
    text = Parsed(render_exception(ValueError("x"), request=facts)).text
    assert "\\x00" in text
    assert "<not shown: raised RuntimeError>" in text


def hostile() -> Exception:
    class Evil(Exception):
        def __str__(self) -> str:
            return Markup(EVIL)

        def __html__(self) -> str:
            return EVIL

    class Object:
        def __repr__(self) -> str:
            return Markup(EVIL)

        def __html__(self) -> str:
            return EVIL

    Evil.__qualname__ = Evil.__module__ = EVIL
    source = f"# {EVIL}\ndef f(a, b, c):\n    raise evil # {EVIL}\n"
    scope = compiled(source, f"/app/{EVIL}.py", evil=Evil())
    function = scope["f"]
    assert isinstance(function, types.FunctionType)
    function.__code__ = function.__code__.replace(co_name=EVIL, co_qualname=EVIL)
    error = caught(lambda: function(EVIL, Object(), {EVIL: Markup(EVIL)}))
    error.add_note(EVIL)
    return error


def test_nothing_from_outside_becomes_markup() -> None:
    facts = {
        "method": EVIL,
        "url": EVIL,
        "headers": {EVIL: Markup(EVIL)},
        "form": [EVIL, Markup(EVIL)],
        EVIL: EVIL,
        "more": {EVIL: {EVIL: EVIL}},
    }
    error = hostile()
    group = ExceptionGroup(EVIL, [error])
    group.__cause__ = hostile()
    for exc in (error, group):
        page = Parsed(render_exception(exc, request=facts))
        assert page.names().isdisjoint({"script", "img", "iframe", "object", "link", "a", "form"})
        assert page.open == []
        assert sum(name == "style" for name, _ in page.elements) == 1
        known = {"class", "open", "charset", "name", "content", "http-equiv", "lang"}
        assert {key for _, attributes in page.elements for key in attributes} == known
        assert page.text.count(EVIL) > 10


@settings(max_examples=50)
@given(st.text(), st.dictionaries(st.text(), st.text() | st.binary()), st.text())
def test_no_text_changes_the_page_s_structure(
    message: str, headers: dict[str, str | bytes], secret: str
) -> None:
    facts = {"url": message, "headers": headers}
    page = Parsed(render_exception(ValueError(message), request=facts, secrets=[secret]))
    assert page.open == []
    empty = Parsed(render_exception(ValueError("x"), request={"url": "x", "headers": {"x": "x"}}))
    assert page.names() <= empty.names()


def test_loads_nothing_and_executes_nothing() -> None:
    page = render_exception(caught(lambda: fail_with(1)))
    parsed = Parsed(page)
    assert "script" not in parsed.names()
    assert not {"url(", "@import", "http"} & set(re.findall(r"url\(|@import|http", CSS))
    policies = [a["content"] for _, a in parsed.elements if "http-equiv" in a]
    assert policies == [CONTENT_SECURITY_POLICY.removesuffix("; frame-ancestors 'none'; sandbox")]
    assert STYLE_SOURCE in CONTENT_SECURITY_POLICY


def test_hidden_characters_become_visible() -> None:
    error = ValueError("\x1b[2J\x00\u202egnp.exe\ud800 é 日本 \N{PILE OF POO}")
    for text in (render_exception(error), render_text(error)):
        assert not {"\x1b", "\x00", "\u202e", "\ud800"} & set(text)
        assert "\\x1b[2J\\x00\\u202egnp.exe\\ud800 é 日本 \N{PILE OF POO}" in text
        text.encode()


def test_always_comes() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise SystemExit

    class Unnamed(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            raise RuntimeError

    class Object(metaclass=Unnamed):
        def __repr__(self) -> str:
            raise RecursionError

    def view() -> None:
        value = Object()
        huge = ["x" * 10_000_000] * 100_000
        itself: list[object] = [value, huge]
        itself.append(itself)
        raise Silent

    page = render_exception(caught(view))
    assert "not shown" in page
    assert len(page) < 100_000


def test_keeps_nothing_alive() -> None:
    class Thing:
        pass

    def view(thing: Thing) -> None:
        raise ValueError("x")

    thing = Thing()
    gone = weakref.ref(thing)
    error = caught(partial(view, thing))
    assert render_exception(error)
    del error, thing
    gc.collect()
    assert gone() is None


def test_leaves_no_thread_behind() -> None:
    import threading

    render_exception(caught(lambda: fail_with("x")))
    for thread in threading.enumerate():
        if thread.name == "asyncflask-debug-page":
            thread.join(10)
            assert not thread.is_alive()


class TestText:
    def test_is_what_the_interpreter_prints(self) -> None:
        error = caught(lambda: fail_with(7))
        text = render_text(error)
        assert text.startswith("Traceback (most recent call last):\n")
        assert text.endswith("ValueError: bad: 7\n")
        assert "^^^" not in text.splitlines()[-1]

    def test_code_stays_readable(self) -> None:
        source = "def f(session):\n    raise ValueError(f'session={session}')\nf(session='abc')\n"
        text = render_text(caught(lambda: compiled(source, "/app/t.py")))
        assert "raise ValueError(f'session={session}')" in text
        assert "ValueError: session=●●●●●●\n" in text
        assert "abc" not in text.partition("/app/t.py")[2].replace("'abc')\\n", "")

    def test_is_cut_if_huge(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # It is about the length; a busy machine might need longer than a page waits for a text.
        monkeypatch.setattr(Bounded.__init__, "__defaults__", (20.0, 20.0))
        assert len(render_text(ValueError("x" * 10_000_000))) < 250_000
        group = ExceptionGroup("g", [ValueError("x" * 100_000)] * 10)
        assert render_text(group).endswith("...\n")

    def test_does_not_wait_for_a_slow_exception(self) -> None:
        import threading

        event = threading.Event()

        class Slow(Exception):
            def __str__(self) -> str:
                event.wait(20)
                return ""

        try:
            assert "took longer" in render_text(Slow())
        finally:
            event.set()


@pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX's")
def test_folder_and_file_are_told_apart() -> None:
    error = caught(lambda: compiled("1 / 0", "/app/package/module.py"))
    assert "/app/package/<b>module.py</b>:1" in render_exception(error)
