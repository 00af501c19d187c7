"""The app's configuration: a dict that can be filled from files, objects and the environment.

Only keys in upper case are configuration; whatever else a file or an object holds is skipped.
"""

from __future__ import annotations

import errno
import json
import os
import types
import typing as t
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from werkzeug.utils import import_string

from .watched import WatchedDict

T = t.TypeVar("T")

# What `silent=True` forgives: there is no such file, or the path names no file at all.
_MISSING = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR)
_FALSE = ("0", "false", "no")


def get_debug_flag() -> bool:
    """Whether the environment variable ``FLASK_DEBUG`` asks for debug mode."""
    value = os.environ.get("FLASK_DEBUG", "")
    return value != "" and value.lower() not in _FALSE


def get_load_dotenv(default: bool = True) -> bool:
    """Whether ``.env`` and ``.flaskenv`` files are to be read.

    :param default: the answer if the environment variable ``FLASK_SKIP_DOTENV`` is not set.
    """
    value = os.environ.get("FLASK_SKIP_DOTENV", "")
    return value.lower() in _FALSE if value else default


class Configured(t.Protocol):
    """What a `ConfigAttribute` needs of the class that it is part of."""

    config: Config


class ConfigAttribute(t.Generic[T]):
    """An attribute of an app that reads and writes one key of its ``config``.

    :param name: the key.
    :param get_converter: called with the stored value on every read; its result is the value.
    """

    def __init__(self, name: str, get_converter: Callable[[t.Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @t.overload
    def __get__(self, obj: None, owner: type[t.Any] | None = None) -> t.Self: ...

    @t.overload
    def __get__(self, obj: Configured, owner: type[t.Any] | None = None) -> T: ...

    def __get__(self, obj: Configured | None, owner: type[t.Any] | None = None) -> T | t.Self:
        if obj is None:
            return self
        value: T = obj.config[self.__name__]
        return value if self.get_converter is None else self.get_converter(value)

    def __set__(self, obj: Configured, value: t.Any) -> None:
        obj.config[self.__name__] = value


class Config(WatchedDict[str, t.Any]):
    """A dict of configuration values, with ways to fill it.

    Later calls override earlier ones, so load defaults first::

        app.config.from_object("yourapp.defaults")
        app.config.from_envvar("YOURAPP_SETTINGS", silent=True)
        app.config.from_prefixed_env()

    :param root_path: the directory that relative file names start from; for ``app.config`` the
        app's root path, or its instance path.
    :param defaults: the first values.
    """

    def __init__(
        self,
        root_path: str | os.PathLike[str],
        defaults: dict[str, t.Any] | None = None,
    ) -> None:
        super().__init__({} if defaults is None else defaults)
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Load the Python file whose path an environment variable holds; see `from_pyfile`.

        :param variable_name: the variable.
        :param silent: accept a variable that is not set and a file that is not there.
        :returns: whether a file was loaded.
        :raises RuntimeError: if the variable is not set or empty, and `silent` is false.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set, so there is no configuration"
            " to load. Set it to the path of a Python file with the settings, or pass"
            " `silent=True` if the file is optional."
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: Callable[[str], t.Any] = json.loads
    ) -> bool:
        """Load every environment variable that starts with a prefix, in sorted order.

        ``FLASK_MAIL_PORT=25`` sets ``MAIL_PORT`` to 25. A double underscore leads into a dict,
        which is made where there is none: ``FLASK_MAIL__PORT=25`` sets ``["MAIL"]["PORT"]``.

        :param prefix: the prefix, without the underscore that ends it.
        :param loads: turns the text into a value; a text that it raises for is kept as it is.
        :returns: True.
        :raises TypeError: if a double underscore leads into a value that is not a dict.
        """
        start = f"{prefix}_"
        for variable in sorted(os.environ):
            if variable.startswith(start):
                value = _loaded(os.environ[variable], loads)
                self._set_nested(variable.removeprefix(start), value)
        return True

    def _set_nested(self, path: str, value: t.Any) -> None:
        *outer, last = path.split("__")
        target: dict[str, t.Any] = self
        for key in outer:
            if key not in target:
                target[key] = {}
            target = target[key]
            if not isinstance(target, Mapping):
                raise TypeError(
                    f"An environment variable sets {path!r}, but {key!r} holds a"
                    f" {type(target).__name__} and not a dict, so nothing can be set inside it."
                    " Unset one of the two."
                )
        target[last] = value

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and load its names, as `from_object` does for a module.

        :param filename: the file, absolute or relative to `root_path`. Its ending is free.
        :param silent: accept that there is no such file.
        :returns: whether the file was loaded.
        :raises OSError: if it cannot be read.
        """
        path = os.path.join(self.root_path, filename)
        try:
            with _explained(), open(path, "rb") as file:
                source = file.read()
        except OSError as error:
            if silent and error.errno in _MISSING:
                return False
            raise
        module = types.ModuleType("config")
        module.__file__ = path
        exec(compile(source, path, "exec"), module.__dict__)
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Load the attributes of a module, a class or any other object.

        Properties are read from instances only, so instantiate a class that has some. The keys
        of a dict are no attributes: use `from_mapping` for one.

        :param obj: the object, or the name to import it by, such as ``"yourapp.defaults"``.
        :raises ImportError: if there is nothing of that name.
        """
        source = import_string(obj) if isinstance(obj, str) else obj
        for key in filter(str.isupper, dir(source)):
            self[key] = getattr(source, key)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: Callable[[t.IO[t.Any]], Mapping[str, t.Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Load a data file with a parser of your choice.

        ::

            app.config.from_file("config.json", load=json.load)
            app.config.from_file("config.toml", load=tomllib.load, text=False)

        :param filename: the file, absolute or relative to `root_path`.
        :param load: takes the open file and returns a mapping.
        :param silent: accept that there is no such file.
        :param text: open the file as text (UTF-8) rather than as bytes.
        :returns: whether the file was loaded.
        :raises OSError: if it cannot be read.
        """
        path = os.path.join(self.root_path, filename)
        mode, encoding = ("r", "utf-8") if text else ("rb", None)
        try:
            with _explained(), open(path, mode, encoding=encoding) as file:
                values = load(file)
        except OSError as error:
            if silent and error.errno in _MISSING:
                return False
            raise
        return self.from_mapping(values)

    def from_mapping(self, mapping: Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> bool:
        """Load the upper-case keys of a mapping, or of pairs, and of keyword arguments.

        :param mapping: the mapping, or an iterable of ``(key, value)`` pairs.
        :param kwargs: more values; they win over those of the mapping.
        :returns: True.
        """
        values = dict(mapping or (), **kwargs)
        for key in filter(str.isupper, values):
            self[key] = values[key]
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, t.Any]:
        """Return the values whose keys start with a prefix, as a new dict.

        With ``STORE_KIND`` and ``STORE_PATH`` set, ``get_namespace("STORE_")`` has the keys
        ``kind`` and ``path``, ready to be passed on as keyword arguments.

        :param namespace: the prefix.
        :param lowercase: turn the keys into lower case.
        :param trim_namespace: leave the prefix out of the keys.
        """
        cut = len(namespace) if trim_namespace else 0
        found = {key[cut:]: value for key, value in self.items() if key.startswith(namespace)}
        return {key.lower(): value for key, value in found.items()} if lowercase else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"


@contextmanager
def _explained() -> Iterator[None]:
    """Say in an `OSError` what the file was wanted for."""
    try:
        yield
    except OSError as error:
        error.strerror = f"Unable to load configuration file ({error.strerror})"
        raise


def _loaded(text: str, loads: Callable[[str], t.Any]) -> t.Any:
    try:
        return loads(text)
    except Exception:
        return text  # not a literal of the format: plain text is a value too
