"""Relative URLs that were built before, so that a page full of links need not build them again."""

from __future__ import annotations

import typing as t

from werkzeug.routing import MapAdapter
from werkzeug.routing import Rule as RuleBase
from werkzeug.routing.converters import DEFAULT_CONVERTERS, BaseConverter

from . import _current
from .routing import Map, Rule

#: How many URLs are kept. Visitors choose values, so there is no end to the URLs of an app; 1,024
#: are the links of some fifty pages.
MOST = 1024

#: For how many prefixes, methods and blueprints, side by side: a method may be any word.
KINDS = 64

#: How long a URL that is kept may be, and what it was built from, in characters. All of them
#: together take about a megabyte at most.
LONGEST = 256

#: Values of other types may be equal and yet written in different ways, such as 1 and True, or
#: be written in another way the next time.
_PLAIN = frozenset({str, int, type(None)})

#: Stands for the changes of a map that was not asked for them.
_UNKNOWN = -1

#: What turns values into text in werkzeug's converters.
_WRITERS = frozenset(
    (kind.to_url, getattr(kind, "num_convert", None)) for kind in DEFAULT_CONVERTERS.values()
)


#: A map, how often it had changed, and the URLs that were built from it then, by what else they
#: depend on.
_Known = tuple[t.Any, int, dict[t.Any, dict[t.Any, str]]]


class Linking:
    """What URLs depend on while one request is handled, and those that are known.

    :param adapter: the adapter of the request, or of the app.
    :param request: the request, if there is one.
    """

    __slots__ = ("_blueprint", "_is_relative", "adapter", "changes", "kind", "rule", "urls")

    def __init__(self, adapter: MapAdapter, request: t.Any = None) -> None:
        self.adapter, self._is_relative = adapter, request is not None
        self.rule = None if request is None else request.url_rule
        self._blueprint: str | None = None if request is None else request.blueprint
        of_adapter = adapter.script_name, adapter.default_method, adapter.subdomain
        self.kind = (*of_adapter, self._blueprint, self._is_relative)
        self.urls: dict[t.Any, str] = {}
        self.changes = _UNKNOWN

    def full(self, endpoint: str) -> str:
        """Return an endpoint's full name: with a leading dot, it is the request's blueprint's."""
        if endpoint[:1] != "." or not self._is_relative:
            return endpoint
        return endpoint[1:] if self._blueprint is None else self._blueprint + endpoint

    def is_for(self, ctx: t.Any) -> bool:
        """Whether this holds for a request's context as it is now."""
        return self.adapter is ctx.url_adapter and self.rule is ctx._request.url_rule

    def find(self, endpoint: str, values: dict[str, t.Any]) -> str | None:
        """Return the URL of an endpoint if it is known.

        :param endpoint: the endpoint as it was asked for.
        :param values: the rule's variables; the others become the query.
        """
        for value in values.values():
            if type(value) not in _PLAIN:
                return None
        return self.urls.get(_key(endpoint, values))


def find_here(endpoint: str, values: dict[str, t.Any]) -> str | None:
    """Return the URL of an endpoint if it is known for the request that is handled here.

    PERF: 0.4 us, where werkzeug takes 2.4 us; 30 us for a page with 16.

    :param endpoint: the endpoint as it was asked for.
    :param values: the rule's variables; the others become the query.
    """
    ctx = _current.context.get(None)
    linking: t.Any = None if ctx is None else ctx.linking
    if (
        linking is None
        or not linking.is_for(ctx)
        or linking.changes == _UNKNOWN
        or linking.changes != linking.adapter.map.changes
    ):
        return None
    known: str | None = linking.find(endpoint, values)
    return known


class BuiltUrls:
    """Builds relative URLs like `MapAdapter.build`, and remembers them where that is safe.

    It is where the URL is made from the map, the endpoint, the method, plain values and werkzeug's
    own code, and stays on this host. What was remembered is dropped when the map has changed, or
    when there is too much of it.
    """

    def __init__(self) -> None:
        # One attribute, so that a thread never notes what it built from an older map.
        self._known: _Known = None, 0, {}
        self._count = 0

    def build(self, linking: Linking, endpoint: str, values: dict[str, t.Any]) -> str:
        """Return the URL of an endpoint.

        :param linking: what it depends on.
        :param endpoint: the endpoint as it was asked for.
        :param values: the rule's variables; the others become the query.
        :raises werkzeug.routing.BuildError: if no rule fits.
        """
        full, adapter = linking.full(endpoint), linking.adapter
        if not isinstance(adapter.map, Map) or not _PLAIN.issuperset(map(type, values.values())):
            return adapter.build(full, values)
        if linking.changes != adapter.map.changes:
            self._attach(linking, adapter.map)
        known = linking.find(endpoint, values)
        if known is not None:
            return known
        urls = linking.urls
        url = adapter.build(full, values)
        # A long value may give a short URL: `int` does not mind spaces and zeros.
        size = _size((*linking.kind, endpoint, *values, *values.values()))
        if max(size, len(url)) <= LONGEST and _is_safe(adapter, full, url):
            if self._count >= MOST:
                urls.clear()  # which may be known to nobody else any more
                self._forget()
            self._count += 1
            urls[_key(endpoint, values)] = url
        return url

    def _attach(self, linking: Linking, url_map: Map) -> None:
        """Give a request the URLs that are known for others of its kind."""
        known_map, changes, kinds = self._known
        if url_map is not known_map or changes != url_map.changes:
            kinds = {}
            changes = url_map.changes
            self._known, self._count = (url_map, changes, kinds), 0
        if len(kinds) >= KINDS:
            self._forget()
        is_short = _size(linking.kind) <= LONGEST  # or nothing that is built for it is kept
        linking.urls = kinds.setdefault(linking.kind, {}) if is_short else {}
        linking.changes = changes

    def _forget(self) -> None:
        """Drop all URLs."""
        self._count, kinds = 0, self._known[2]
        for urls in [*kinds.values()]:
            urls.clear()
        kinds.clear()


def _key(endpoint: str, values: dict[str, t.Any]) -> tuple[t.Any, ...]:
    """Return under what a URL is kept.

    PERF: a tuple of any length is made by way of a list: 600 instructions; most have no more.
    """
    if len(values) > 1:
        return endpoint, *values.items()
    for item in values.items():
        return endpoint, item
    return (endpoint,)


def _size(parts: t.Iterable[t.Any]) -> int:
    """Return how many characters the texts among parts have."""
    return sum(len(part) for part in parts if type(part) is str)


def _is_safe(adapter: MapAdapter, endpoint: str, url: str) -> bool:
    """Whether the same key will give this URL again."""
    url_map = adapter.map
    return (
        url.startswith("/")
        and not url.startswith("//")
        and type(adapter) is MapAdapter
        and not (url_map.host_matching or url_map.sort_parameters)
        and adapter.subdomain == url_map.default_subdomain
        and all(map(_is_stock, url_map.iter_rules(endpoint)))
    )


def _is_stock(rule: RuleBase) -> bool:
    """Whether only werkzeug's code takes part when this rule's URLs are built."""
    return type(rule) in (Rule, RuleBase) and all(map(_writes_plainly, rule._converters.values()))


def _writes_plainly(converter: BaseConverter) -> bool:
    kind = type(converter)
    own = "to_url" in vars(converter) or "num_convert" in vars(converter)
    return not own and (kind.to_url, getattr(kind, "num_convert", None)) in _WRITERS
