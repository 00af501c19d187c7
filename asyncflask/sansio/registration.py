"""One registration of a blueprint on an app: where its rules end up, and under which names."""

from __future__ import annotations

import typing as t

from .. import typing as ft
from .app import App
from .registrable import Registrable
from .scaffold import _endpoint_from_view_func


class BlueprintSetupState:
    """One registration of a blueprint on an app: what recorded functions are given.

    :param blueprint: the blueprint.
    :param app: the app that it is being registered on.
    :param options: what ``register_blueprint`` was given.
    :param first_registration: whether the app meets this blueprint for the first time.
    """

    def __init__(
        self, blueprint: Registrable, app: App, options: t.Any, first_registration: bool
    ) -> None:
        #: The app.
        self.app = app
        #: The blueprint.
        self.blueprint = blueprint
        #: What ``register_blueprint`` was given.
        self.options = options
        #: Whether the app meets this blueprint for the first time.
        self.first_registration = first_registration
        #: The subdomain of rules that name none.
        self.subdomain: str | None = _either(options.get("subdomain"), blueprint.subdomain)
        #: Put before every rule.
        self.url_prefix: str | None = _either(options.get("url_prefix"), blueprint.url_prefix)
        #: The name of this registration, without those of the blueprints around it.
        self.name: str = options.get("name", blueprint.name)
        #: The dotted name of the blueprints around it.
        self.name_prefix: str = options.get("name_prefix", "")
        #: Values for every rule.
        self.url_defaults: dict[str, t.Any] = {
            **blueprint.url_values_defaults,
            **dict(options.get("url_defaults", ())),
        }

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Add a URL rule of the blueprint to the app.

        :param rule: the rule, without the blueprint's prefix.
        :param endpoint: the endpoint, without the blueprint's name.
        :param view_func: the view.
        :param options: as for `Scaffold.add_url_rule`.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        options.setdefault("subdomain", self.subdomain)
        defaults = {**self.url_defaults, **(options.pop("defaults", None) or {})}
        full_endpoint = f"{self.name_prefix}.{self.name}.{endpoint}".lstrip(".")
        self.app.add_url_rule(
            self._prefixed(rule), full_endpoint, view_func, defaults=defaults, **options
        )

    def _prefixed(self, rule: str) -> str:
        if self.url_prefix is None:
            return rule
        return _join_paths(self.url_prefix, rule) if rule else self.url_prefix


def _either(chosen: str | None, default: str | None) -> str | None:
    return default if chosen is None else chosen


def _join_paths(start: str, end: str) -> str:
    return f"{start.rstrip('/')}/{end.lstrip('/')}"


def nested_options(
    state: BlueprintSetupState, name: str, nested: Registrable, options: dict[str, t.Any]
) -> dict[str, t.Any]:
    """Return the options to register a nested blueprint with, given its parent's state."""
    combined = {**options, "name_prefix": name}
    prefix = _either(options.get("url_prefix"), nested.url_prefix)
    if state.url_prefix is not None:
        prefix = state.url_prefix if prefix is None else _join_paths(state.url_prefix, prefix)
    subdomain = _either(options.get("subdomain"), nested.subdomain)
    if state.subdomain is not None:
        subdomain = state.subdomain if subdomain is None else f"{subdomain}.{state.subdomain}"
    return combined | {"url_prefix": prefix, "subdomain": subdomain}
