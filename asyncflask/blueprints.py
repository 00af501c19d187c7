"""Blueprints with commands, static files and resources of their own."""

from __future__ import annotations

import os
import typing as t
from datetime import timedelta
from functools import cached_property

from . import _current
from . import cli as _cli
from .helpers import send_from_directory
from .sansio.blueprints import Blueprint as SansioBlueprint
from .sansio.blueprints import BlueprintSetupState as BlueprintSetupState
from .sansio.scaffold import _sentinel
from .wrappers import Response

if t.TYPE_CHECKING:
    from click import Group  # made where there are commands: see `Scaffold.cli`


class Blueprint(SansioBlueprint):
    """A part of an app, set up like an app and registered on one (or several) later.

    ::

        users = Blueprint("users", __name__, url_prefix="/users")

        @users.get("/<int:id>")
        async def show(id): ...

        app.register_blueprint(users)

    :param name: the name, which endpoints are prefixed with. It has no dots.
    :param import_name: the name of the defining module, usually ``__name__``.
    :param static_folder: the directory of static files, absolute or relative to `root_path`.
        Without `url_prefix`, the app's static files hide those of the blueprint.
    :param static_url_path: the URL prefix of static files; by default the folder's name.
    :param template_folder: the directory of templates; the app's own come first.
    :param url_prefix: put before every rule.
    :param subdomain: the subdomain of rules that name none.
    :param url_defaults: values for every rule.
    :param root_path: the directory that resources are relative to; found from `import_name`.
    :param cli_group: the name of the group of the blueprint's commands; by default its own name,
        with None the commands join those of the app.
    :raises ValueError: if the name is empty or has a dot in it.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        places = (static_folder, static_url_path, template_folder, url_prefix, subdomain)
        super().__init__(name, import_name, *places, url_defaults, root_path, cli_group)

    @cached_property
    def cli(self) -> Group:
        """The click group for the blueprint's commands; they join the app's on registration."""
        return _cli.AppGroup(self.name)

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return for how many seconds clients may keep a file without asking again.

        Override it to decide by file. None, the default of ``SEND_FILE_MAX_AGE_DEFAULT``, has
        them ask each time, and get the file only if it has changed.

        :param filename: the file's name.
        """
        age: timedelta | int | None = _current.current_app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        return int(age.total_seconds()) if isinstance(age, timedelta) else age

    def send_static_file(self, filename: str) -> Response:
        """Answer with a file of `static_folder`: the view of the static route.

        :param filename: the file's path in `static_folder`.
        :raises NotFound: if there is no such file there.
        :raises RuntimeError: if there is no `static_folder`.
        """
        folder = self.static_folder
        if folder is None:
            raise RuntimeError(
                f"The blueprint '{self.name}' has no static files to send. Pass `static_folder=`"
                " when you make it."
            )
        return send_from_directory(folder, filename, max_age=self.get_send_file_max_age(filename))

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.Any]:
        """Open a file of the blueprint's package for reading.

        :param resource: the path, relative to `root_path`.
        :param mode: ``"rb"`` for bytes, ``"r"`` or ``"rt"`` for text.
        :param encoding: the encoding of text.
        :raises ValueError: if the mode is another one.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError(
                f"Resources can only be opened for reading ('rb', 'r' or 'rt'), not as {mode!r}."
                " Files to write belong into the app's `instance_path`."
            )
        path = os.path.join(self.root_path, resource)
        return open(path, mode, encoding=None if "b" in mode else encoding)
