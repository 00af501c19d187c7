"""Configuration: every way to fill it, the same as in Flask."""

from __future__ import annotations

import errno
import json
import os
import tomllib
import typing as t
from pathlib import Path

import flask
import pytest

from asyncflask.config import Config, ConfigAttribute, get_debug_flag, get_load_dotenv


class Settings:
    """Two settings, and what is none."""

    SECRET_KEY = "config"
    TEST_KEY = "foo"
    lower = "skipped"
    Mixed = "skipped"


SETTINGS = {"SECRET_KEY": "config", "TEST_KEY": "foo"}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {}
    monkeypatch.setattr("os.environ", found)
    return found


def write(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text, "utf-8")
    return name


def test_is_a_dict(tmp_path: Path) -> None:
    defaults = {"A": 1}
    config = Config(tmp_path, defaults)
    config["B"] = 2
    config.setdefault("c", 3)
    assert config == {"A": 1, "B": 2, "c": 3}
    assert defaults == {"A": 1}
    assert config.root_path == tmp_path
    assert isinstance(config, dict)
    assert Config("/") == {}


def test_repr() -> None:
    assert repr(Config("/", {"A": 1})) == "<Config {'A': 1}>"


# from_object


def test_from_object(config: Config) -> None:
    config.from_object(Settings)
    assert config == SETTINGS


def test_from_subclass_and_instance(config: Config) -> None:
    class More(Settings):
        @property
        def DATABASE(self) -> str:
            return f"db-{self.TEST_KEY}"

    config.from_object(More())
    assert config == SETTINGS | {"DATABASE": "db-foo"}


def test_from_import_name(config: Config) -> None:
    config.from_object("errno")
    assert config["ENOENT"] == errno.ENOENT
    assert "errorcode" not in config
    config.from_object("http.client:HTTPConnection")


def test_from_missing_module(config: Config) -> None:
    with pytest.raises(ImportError):
        config.from_object("no_such_module")


def test_dict_has_no_settings(config: Config) -> None:
    config.from_object({"A": 1})
    assert config == {}


# from_mapping


@pytest.mark.parametrize(
    "mapping",
    [SETTINGS, [*SETTINGS.items()], flask.Config("/", SETTINGS), iter(SETTINGS.items())],
)
def test_from_mapping(config: Config, mapping: t.Any) -> None:
    assert config.from_mapping(mapping) is True
    assert config == SETTINGS


def test_from_keywords(config: Config) -> None:
    assert config.from_mapping({"A": 1, "B": 1, "skipped": 1}, B=2, also_skipped=2) is True
    assert config == {"A": 1, "B": 2}
    assert config.from_mapping() is True
    with pytest.raises(TypeError):
        config.from_mapping({}, {})  # type: ignore[call-arg]


def test_every_way_goes_through_setitem(tmp_path: Path, environ: dict[str, str]) -> None:
    seen: list[str] = []

    class Watching(Config):
        def __setitem__(self, key: str, value: t.Any) -> None:
            seen.append(key)
            super().__setitem__(key, value)

    config = Watching(tmp_path)
    config.from_mapping(A=1)
    config.from_object(Settings)
    environ["FLASK_B"] = "1"
    config.from_prefixed_env()
    assert seen == ["A", "SECRET_KEY", "TEST_KEY", "B"]


# from_pyfile and from_envvar

SOURCE = "lower = 'config'\nSECRET_KEY = lower\nTEST_KEY = 'foo'\n"


def test_from_pyfile(config: Config, tmp_path: Path) -> None:
    assert config.from_pyfile(write(tmp_path, "settings.cfg", SOURCE)) is True
    assert config == SETTINGS


def test_from_absolute_pyfile(tmp_path: Path) -> None:
    write(tmp_path, "settings.py", SOURCE)
    config = Config("/nowhere")
    assert config.from_pyfile(tmp_path / "settings.py") is True
    assert config == SETTINGS


def test_pyfile_knows_its_place(config: Config, tmp_path: Path) -> None:
    config.from_pyfile(write(tmp_path, "settings.py", "PLACE = __file__\nNAME = __name__"))
    assert config == {"PLACE": os.fspath(tmp_path / "settings.py"), "NAME": "config"}


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-15", "latin-1"])
def test_pyfile_encoding(config: Config, tmp_path: Path, encoding: str) -> None:
    text = f'# -*- coding: {encoding} -*-\nVALUE = "föö"\n'
    (tmp_path / "settings.py").write_text(text, encoding)
    config.from_pyfile("settings.py")
    assert config["VALUE"] == "föö"


def test_pyfile_errors_are_not_silenced(config: Config, tmp_path: Path) -> None:
    write(tmp_path, "settings.py", "open('/no/such/file')")
    with pytest.raises(FileNotFoundError) as caught:
        config.from_pyfile("settings.py", silent=True)
    assert caught.value.filename == "/no/such/file"
    write(tmp_path, "broken.py", "A =")
    with pytest.raises(SyntaxError) as broken:
        config.from_pyfile("broken.py", silent=True)
    assert broken.value.filename == os.fspath(tmp_path / "broken.py")


READERS: list[t.Any] = [
    pytest.param(lambda config, name, **options: config.from_pyfile(name, **options), id="pyfile"),
    pytest.param(
        lambda config, name, **options: config.from_file(name, json.load, **options), id="file"
    ),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["missing", ".", "file/inside"])
def test_no_such_file(config: Config, tmp_path: Path, read: t.Any, name: str) -> None:
    write(tmp_path, "file", "")
    assert read(config, name, silent=True) is False
    with pytest.raises(OSError, match="Unable to load configuration file") as caught:
        read(config, name)
    message = f"Unable to load configuration file ({os.strerror(caught.value.errno or 0)})"
    assert caught.value.strerror == message
    assert caught.value.filename == os.path.join(tmp_path, name)
    assert config == {}


@pytest.mark.parametrize("read", READERS)
def test_unreadable_file(config: Config, tmp_path: Path, read: t.Any) -> None:
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(OSError, match="Unable to load configuration file") as caught:
        read(config, "loop", silent=True)
    assert caught.value.errno == errno.ELOOP


def test_from_envvar(config: Config, tmp_path: Path, environ: dict[str, str]) -> None:
    environ["APP_SETTINGS"] = write(tmp_path, "settings.cfg", SOURCE)
    assert config.from_envvar("APP_SETTINGS") is True
    assert config == SETTINGS


@pytest.mark.parametrize("value", [None, ""])
def test_from_unset_envvar(config: Config, environ: dict[str, str], value: str | None) -> None:
    if value is not None:
        environ["APP_SETTINGS"] = value
    with pytest.raises(RuntimeError, match="'APP_SETTINGS' is not set"):
        config.from_envvar("APP_SETTINGS")
    assert config.from_envvar("APP_SETTINGS", silent=True) is False


def test_from_envvar_without_file(config: Config, environ: dict[str, str]) -> None:
    environ["APP_SETTINGS"] = "missing.cfg"
    with pytest.raises(FileNotFoundError, match=r"missing\.cfg"):
        config.from_envvar("APP_SETTINGS")
    assert config.from_envvar("APP_SETTINGS", silent=True) is False


# from_file


def test_from_file(config: Config, tmp_path: Path) -> None:
    text = json.dumps(SETTINGS | {"lower": 1, "SIGN": "§"}, ensure_ascii=False)
    assert config.from_file(write(tmp_path, "settings.json", text), load=json.load) is True
    assert config == SETTINGS | {"SIGN": "§"}


def test_from_binary_file(config: Config, tmp_path: Path) -> None:
    name = write(tmp_path, "settings.toml", 'lower = 1\nSECRET_KEY = "config"\nTEST_KEY = "foo"')
    assert config.from_file(name, load=tomllib.load, text=False) is True
    assert config == SETTINGS


def test_parser_errors_are_not_silenced(config: Config, tmp_path: Path) -> None:
    with pytest.raises(json.JSONDecodeError):
        config.from_file(write(tmp_path, "broken.json", "{"), load=json.load, silent=True)


# from_prefixed_env

VARIABLES = {
    "FLASK_STRING": "value",
    "FLASK_BOOL": "true",
    "FLASK_INT": "1",
    "FLASK_FLOAT": "1.2",
    "FLASK_LIST": "[1, 2]",
    "FLASK_DICT": '{"k": "v"}',
    "FLASK_lower": "1",
    "FLASK_": "1",
    "FLASK_EMPTY": "",
    "FLASKY": "1",
    "NOT_FLASK_OTHER": "1",
    "FLASK_DICT__k": "w",
    "FLASK_DICT__more__k": "1",
    "FLASK_NEW__a__b": "{}",
    "FLASK_END__": "1",
}


@pytest.mark.parametrize("prefix", ["FLASK", "NOT_FLASK", ""])
def test_same_variables_as_flask(environ: dict[str, str], prefix: str) -> None:
    environ.update(VARIABLES | {"__START": "1"})
    ours, theirs = Config("/"), flask.Config("/")
    assert ours.from_prefixed_env(prefix) is theirs.from_prefixed_env(prefix) is True
    assert [*ours.items()] == [*theirs.items()]
    assert ours


def test_nested_variables_keep_what_is_there(config: Config, environ: dict[str, str]) -> None:
    environ.update(FLASK_HAS__ok="other", FLASK_HAS__inner__ik="2", FLASK_HAS__new__more="{}")
    inner = {"ik": 1}
    config["HAS"] = {"ok": "value", "flag": True, "inner": inner}
    config.from_prefixed_env()
    assert config["HAS"] == {"ok": "other", "flag": True, "inner": {"ik": 2}, "new": {"more": {}}}
    assert config["HAS"]["inner"] is inner


def test_nested_variable_in_a_plain_value(config: Config, environ: dict[str, str]) -> None:
    environ.update(FLASK_MAIL="smtp", FLASK_MAIL__PORT="25")
    with pytest.raises(TypeError, match=r"'MAIL__PORT', but 'MAIL' holds a str and not a dict"):
        config.from_prefixed_env()


def test_own_loads(config: Config, environ: dict[str, str]) -> None:
    environ.update(APP_A="1", APP_B="x")
    config.from_prefixed_env("APP", loads=int)
    assert config == {"A": 1, "B": "x"}


# get_namespace


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("trim_namespace", [True, False])
@pytest.mark.parametrize("namespace", ["FOO_", "BAR_", "", "NONE_"])
def test_same_namespace_as_flask(lowercase: bool, trim_namespace: bool, namespace: str) -> None:
    values = {"FOO_A": 1, "FOO_B": 2, "BAR_A": 3, "bar_A": 4}
    ours = Config("/", values).get_namespace(namespace, lowercase, trim_namespace)
    theirs = flask.Config("/", values).get_namespace(namespace, lowercase, trim_namespace)
    assert ours == theirs
    assert type(ours) is dict


# ConfigAttribute


class Owner:
    plain = ConfigAttribute[str]("PLAIN")
    length = ConfigAttribute("PLAIN", get_converter=len)

    def __init__(self) -> None:
        self.config = Config("/", {"PLAIN": "abc"})


def test_attribute() -> None:
    owner = Owner()
    assert owner.plain == "abc"
    assert owner.length == 3
    owner.plain = "abcd"
    assert owner.config == {"PLAIN": "abcd"}
    assert owner.length == 4


def test_attribute_of_the_class() -> None:
    assert isinstance(Owner.plain, ConfigAttribute)
    assert Owner.plain.__name__ == "PLAIN"


def test_attribute_without_a_value() -> None:
    owner = Owner()
    owner.config.clear()
    with pytest.raises(KeyError):
        _ = owner.plain


# The environment's flags


@pytest.mark.parametrize("value", [None, "", "0", "false", "No", "1", "true", "yes", "x"])
def test_same_flags_as_flask(environ: dict[str, str], value: str | None) -> None:
    if value is not None:
        environ.update(FLASK_DEBUG=value, FLASK_SKIP_DOTENV=value)
    assert get_debug_flag() is flask.helpers.get_debug_flag()
    for default in (True, False):
        assert get_load_dotenv(default) is flask.helpers.get_load_dotenv(default)
    assert get_load_dotenv() is flask.helpers.get_load_dotenv()
