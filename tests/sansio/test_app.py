"""The app without I/O: its settings, its name, its places."""

from __future__ import annotations

import logging
import os
import sys
import typing as t
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.exceptions import Aborter, NotFound

from asyncflask.config import Config
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.sansio.app import App, _make_timedelta

from .conftest import PlainApp, PlainBlueprint


def test_defaults(app: App) -> None:
    assert app.import_name == app.name == "plain"
    assert app.root_path == os.getcwd()
    assert app.instance_path == os.path.join(os.getcwd(), "instance")
    assert app.static_folder == os.path.join(os.getcwd(), "static")
    assert app.template_folder == "templates"
    assert app.subdomain_matching is False
    assert app.url_map.host_matching is False
    assert type(app.config) is Config
    assert type(app.json) is DefaultJSONProvider
    assert type(app.aborter) is Aborter
    for name in ("extensions", "blueprints", "view_functions"):
        assert getattr(app, name) == {}
    for name in ("teardown_appcontext_funcs", "shell_context_processors"):
        assert getattr(app, name) == []
    assert app.url_build_error_handlers == []
    assert app.test_client_class is None
    assert app.test_cli_runner_class is None
    with pytest.raises(NotFound):
        app.aborter(404)


def test_registries_are_not_shared(make_app: t.Any) -> None:
    one, two = make_app(), make_app()
    one.before_request(lambda: None)
    one.extensions["x"] = one.config["X"] = 1
    assert not two.before_request_funcs
    assert not two.extensions
    assert "X" not in two.config
    assert "X" not in one.default_config


def test_instance_path(make_app: t.Any, tmp_path: Path) -> None:
    app = make_app(instance_path=os.fspath(tmp_path), instance_relative_config=True)
    assert app.instance_path == app.config.root_path == os.fspath(tmp_path)
    with pytest.raises(ValueError, match=r"must be absolute, and 'instance' is relative"):
        make_app(instance_path="instance")


def test_instance_path_of_an_installed_package(
    make_app: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", os.fspath(Path(pytest.__file__).parents[1]))
    app = make_app("pytest")
    assert app.instance_path == os.path.join(sys.prefix, "var", "pytest-instance")


def test_config_is_relative_to_the_root(make_app: t.Any, tmp_path: Path) -> None:
    app = make_app(root_path=os.fspath(tmp_path))
    assert app.config.root_path == os.fspath(tmp_path)


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("no", False), (None, False)])
def test_debug_comes_from_the_environment(
    make_app: t.Any, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool
) -> None:
    if value is None:
        monkeypatch.delenv("FLASK_DEBUG", raising=False)
    else:
        monkeypatch.setenv("FLASK_DEBUG", value)
    assert make_app().debug is expected


def test_debug_sets_template_reloading(app: App) -> None:
    app.debug = True
    assert app.config["DEBUG"] is True
    assert app.jinja_env.auto_reload is True
    app.debug = False
    assert app.jinja_env.auto_reload is False


def test_debug_respects_the_reload_setting(app: App) -> None:
    app.config["TEMPLATES_AUTO_RELOAD"] = False
    app.jinja_env.auto_reload = False
    app.debug = True
    assert app.jinja_env.auto_reload is False


def test_replaceable_classes(make_app: t.Any) -> None:
    class OwnConfig(Config):
        pass

    class OwnAborter(Aborter):
        pass

    class OwnProvider(DefaultJSONProvider):
        pass

    class OwnApp(make_app):  # type: ignore[misc]
        config_class = OwnConfig
        aborter_class = OwnAborter
        json_provider_class = OwnProvider

    app = OwnApp()
    assert type(app.config) is OwnConfig
    assert type(app.aborter) is OwnAborter
    assert type(app.json) is OwnProvider


def test_settings_as_attributes(app: App) -> None:
    app.testing = True
    app.secret_key = b"k"
    assert app.config["TESTING"] is True
    assert app.config["SECRET_KEY"] == b"k"
    app.config["PERMANENT_SESSION_LIFETIME"] = 42
    assert app.permanent_session_lifetime == timedelta(seconds=42)
    app.permanent_session_lifetime = timedelta(days=1)
    assert app.config["PERMANENT_SESSION_LIFETIME"] == timedelta(days=1)


def test_make_timedelta() -> None:
    assert _make_timedelta(None) is None
    assert _make_timedelta(90) == timedelta(seconds=90)
    assert _make_timedelta(timedelta(1)) == timedelta(1)


def test_name_of_a_script(make_app: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    app = make_app("__main__", root_path="/srv", instance_path="/srv")
    monkeypatch.setattr(main, "__file__", "/srv/shop.v2.py", raising=False)
    assert app.name == "shop.v2"
    monkeypatch.delattr(main, "__file__")
    assert app.name == "__main__"


def test_name_is_settable(app: App) -> None:
    app.name = "other"
    assert app.name == "other"
    assert app.import_name == "plain"
    assert app.logger.name == "other"


def test_logger(app: App) -> None:
    assert app.logger is app.logger
    assert app.logger is logging.getLogger("plain")


def test_setup_after_the_first_request(app: App, bp: PlainBlueprint) -> None:
    app._got_first_request = True
    with pytest.raises(AssertionError, match=r"setup method 'add_url_rule'.*app 'plain'"):
        app.add_url_rule("/", view_func=lambda: "")
    with pytest.raises(AssertionError, match="'register_blueprint'"):
        app.register_blueprint(bp)
    for name in ("get", "before_request", "errorhandler", "template_filter", "endpoint"):
        with pytest.raises(AssertionError, match=f"'{name}'"):
            getattr(app, name)("/")


def test_teardown_and_shell(app: App) -> None:
    async def teardown(error: BaseException | None) -> None:
        pass

    def shell() -> dict[str, t.Any]:
        return {}

    assert app.teardown_appcontext(teardown) is teardown
    assert app.shell_context_processor(shell) is shell
    assert app.teardown_appcontext_funcs == [teardown]
    assert app.shell_context_processors == [shell]


def test_iter_blueprints(app: App) -> None:
    one, two = PlainBlueprint("one"), PlainBlueprint("two")
    app.register_blueprint(two)
    app.register_blueprint(one)
    assert list(app.iter_blueprints()) == [two, one]
    assert list(app.blueprints) == ["two", "one"]


def test_an_unused_app_is_freed_at_once() -> None:
    import gc
    import weakref

    gc.disable()
    try:
        gone = weakref.ref(PlainApp())
        assert gone() is None
    finally:
        gc.enable()
