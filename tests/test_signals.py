"""The signals, and when an app sends them."""

from __future__ import annotations

import typing as t

import flask.signals
import pytest

from asyncflask import Flask, flash, g, render_template_string, signals
from asyncflask.signals import Namespace, Signal

#: Those that Flask has no use for.
OWN = {
    "got_background_exception",
    "got_websocket_exception",
    "websocket_finished",
    "websocket_started",
    "websocket_tearing_down",
}
NAMES = [name for name in signals.__all__ if name not in {"Namespace", "Signal", *OWN}]


def test_all() -> None:
    assert {name for name in signals.__all__ if name in OWN} == OWN
    assert signals.__all__ == sorted(signals.__all__)
    assert [name for name in signals.__all__ if name not in OWN] == [
        "Namespace",
        "Signal",
        "appcontext_popped",
        "appcontext_pushed",
        "appcontext_tearing_down",
        "before_render_template",
        "got_request_exception",
        "message_flashed",
        "request_finished",
        "request_started",
        "request_tearing_down",
        "template_rendered",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_signal_has_flask_s_name(name: str) -> None:
    assert getattr(signals, name).name == getattr(flask.signals, name).name
    assert getattr(signals, name) is not getattr(flask.signals, name)
    assert signals._signals.signal(getattr(signals, name).name) is getattr(signals, name)


def test_namespaces_are_separate() -> None:
    own = Namespace()
    assert own.signal("request-started") is not signals.request_started


@pytest.fixture
def app() -> Flask:
    app = Flask("signals", root_path="/")
    app.secret_key = "key"
    app.before_request(lambda: note("hook"))

    @app.route("/sync")
    def sync() -> str:
        note("view")
        return "ok"

    @app.route("/async")
    async def on_loop() -> str:
        note("view")
        return "ok"

    @app.route("/flash")
    def flashing() -> str:
        flash("hello", "greeting")
        return "ok"

    @app.route("/template")
    def template() -> str:
        return render_template_string("{{ x }}", x=1)

    @app.route("/fail")
    def fail() -> str:
        raise ZeroDivisionError

    return app


seen: list[str] = []


def note(what: str) -> None:
    seen.append(what)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


ORDER = [
    "appcontext-pushed",
    "request-started",
    "hook",
    "view",
    "request-finished",
    "request-tearing-down",
    "appcontext-tearing-down",
    "appcontext-popped",
]


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_order(app: Flask, path: str, kind: str) -> None:
    receivers = []
    for name in NAMES:
        signal = getattr(signals, name)

        def plain(sender: Flask, _name: str = signal.name, **extra: t.Any) -> None:
            assert sender is app
            note(_name)

        async def on_loop(sender: Flask, _name: str = signal.name, **extra: t.Any) -> None:
            assert sender is app
            note(_name)

        receivers.append(plain if kind == "plain" else on_loop)
        signal.connect(receivers[-1], app)
    assert app.test_client().get(path).text == "ok"
    assert seen == ORDER


def test_arguments(app: Flask) -> None:
    kept: dict[str, dict[str, t.Any]] = {}

    def keep(name: str) -> t.Any:
        def receiver(sender: Flask, **extra: t.Any) -> None:
            kept[name] = extra

        getattr(signals, name).connect(receiver, app)
        return receiver

    receivers = [keep(name) for name in NAMES]
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    assert client.get("/fail").status_code == 500
    assert isinstance(kept["got_request_exception"]["exception"], ZeroDivisionError)
    assert kept["request_finished"]["response"].status_code == 500
    client.get("/flash")
    assert kept["message_flashed"] == {"message": "hello", "category": "greeting"}
    assert kept["request_tearing_down"] == kept["appcontext_tearing_down"] == {"exc": None}
    client.get("/template")
    assert kept["template_rendered"]["context"]["x"] == 1
    assert kept["template_rendered"]["template"] is kept["before_render_template"]["template"]
    assert len(receivers) == len(kept)


def test_context_may_be_changed_before_rendering(app: Flask) -> None:
    def change(sender: Flask, context: dict[str, t.Any], **extra: t.Any) -> None:
        context["x"] = 42

    with signals.before_render_template.connected_to(change, app):
        assert app.test_client().get("/template").text == "42"


def test_context_signals_of_a_block(app: Flask) -> None:
    def store(sender: Flask, **extra: t.Any) -> None:
        g.user = "x"

    with signals.appcontext_pushed.connected_to(store, app), app.app_context():
        assert g.user == "x"


def test_other_apps_are_not_heard(app: Flask) -> None:
    def receiver(sender: Flask, **extra: t.Any) -> None:
        note("heard")

    with signals.request_started.connected_to(receiver, Flask("other", root_path="/")):
        app.test_client().get("/sync")
    assert "heard" not in seen


def test_a_receiver_that_connects_while_others_are_forgotten_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By another thread: it has the signal in the set before that is dropped from it."""

    class Racing(set[Signal]):
        def discard(self, signal: object) -> None:
            signals.request_started.connect(receiver)
            super().discard(signal)

    def receiver(sender: t.Any, **more: t.Any) -> None: ...

    signal = signals.request_started
    monkeypatch.setattr(signals, "heard", Racing([signal]))
    try:
        signals.forget_unheard()
        assert signal in signals.heard
    finally:
        signal.disconnect(receiver)
    monkeypatch.undo()
    signals.forget_unheard()
    assert (signal in signals.heard) is bool(signal.receivers)  # another test's may still live
