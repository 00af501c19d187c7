"""What a blueprint is before it meets an app: a name, a place, and a list of what to do then."""

from __future__ import annotations

import os
import typing as t

from .scaffold import Scaffold, _sentinel


class Registrable(Scaffold):
    """The part of a blueprint that an app knows: its identity and how to `register` it.

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
    """

    _got_registered_once = False

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
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if not name:
            raise ValueError("A blueprint needs a name: its endpoints are found by it.")
        if "." in name:
            raise ValueError(
                f"A blueprint's name cannot have a dot in it, as {name!r} has: dots separate the"
                " names of nested blueprints."
            )
        #: The name, which endpoints are prefixed with.
        self.name = name
        #: Put before every rule.
        self.url_prefix = url_prefix
        #: The subdomain of rules that name none.
        self.subdomain = subdomain
        #: Values for every rule.
        self.url_values_defaults: dict[str, t.Any] = {} if url_defaults is None else url_defaults
        #: The name of the group of the blueprint's commands.
        self.cli_group = cli_group

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise AssertionError(
                f"The setup method '{f_name}' was called on the blueprint '{self.name}' after it"
                " was registered, so the app would not see all of its effect. Set the blueprint"
                " up completely, imports of its view modules included, and register it then."
            )

    def register(self, app: t.Any, options: dict[str, t.Any]) -> None:
        """Do to an app all that was asked of this blueprint.

        :param app: the app.
        :param options: what ``register_blueprint`` was given.
        """
        raise NotImplementedError
