"""URL rules, and a matcher compiled from them that answers the common case.

The app's `url_map`, a `werkzeug.routing.Map`, stays the source of truth. The `Matcher` only ever
says "this rule, these arguments" where it is sure that werkzeug would say the same, and None in
every other case: redirects, 404, 405, and paths that meet a rule which it does not understand.

It is a tree of path segments, searched as werkzeug searches its own: at each segment a literal
child first, then converters by weight. A rule of another kind (part of a segment is variable, a
converter that crosses slashes or has arguments, defaults, a redirect) makes the node where it
begins *opaque*: whatever the literal children do not answer there is left to werkzeug.
"""

from __future__ import annotations

import math
import re
import typing as t

from werkzeug.routing import BaseConverter, RuleFactory, ValidationError
from werkzeug.routing import Map as MapBase
from werkzeug.routing import Rule as RuleBase
from werkzeug.routing.converters import DEFAULT_CONVERTERS

#: A segment that is one variable, with a converter's name or without, and no arguments.
_VARIABLE = re.compile(r"<(?:(?P<converter>[a-zA-Z_]\w*):)?(?P<name>[a-zA-Z_]\w*)>", re.ASCII)

#: Converters that match within one segment, whatever it is.
_SIMPLE = ("default", "string", "int", "float", "uuid")

#: Their implementations, werkzeug's own: others may be registered under these names.
_STOCK = frozenset(DEFAULT_CONVERTERS[name] for name in _SIMPLE)


class Rule(RuleBase):
    """One URL rule: werkzeug's, with more options.

    :param string: the rule, such as ``/user/<int:id>``.
    :param stream_body: hand the request's body to the view as it arrives, not read ahead.
    :param cancel_on_disconnect: end the view's work when its client leaves.
    :param timeout: seconds that the view may take until its response begins; then its work is ended
        and the answer is 503.
    :raises ValueError: if `timeout` is not positive.
    """

    def __init__(
        self,
        string: str,
        *args: t.Any,
        stream_body: bool = False,
        cancel_on_disconnect: bool = False,
        timeout: float | None = None,
        **options: t.Any,
    ) -> None:
        super().__init__(string, *args, **options)
        if timeout is not None and not 0 < timeout < math.inf:
            raise ValueError(
                f"The timeout of a route is seconds, or None for no limit, not {timeout!r}."
            )
        self.stream_body = stream_body
        self.cancel_on_disconnect, self.timeout = cancel_on_disconnect, timeout
        #: Whether something may end the view's work before its time.
        self.is_guarded = cancel_on_disconnect or timeout is not None

    def get_empty_kwargs(self) -> t.Mapping[str, t.Any]:
        """Return the options that a copy of this rule is made with."""
        return {
            **super().get_empty_kwargs(),
            "stream_body": self.stream_body,
            "cancel_on_disconnect": self.cancel_on_disconnect,
            "timeout": self.timeout,
        }


class Map(MapBase):
    """A URL map: werkzeug's, which also counts its changes.

    PERF: the matcher knows whether it is still right without a walk over all rules.
    """

    changes = 0

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or the rules of a factory."""
        super().add(rulefactory)
        self.changes += 1


def has_custom_converters(url_map: MapBase) -> bool:
    """Whether matching may call code that is not werkzeug's."""
    known = DEFAULT_CONVERTERS
    return any(known.get(name) is not kind for name, kind in url_map.converters.items())


class _Node:
    """A place in the tree: what may follow, and the rules that end here."""

    __slots__ = ("ends_opaquely", "literal", "opaque", "rules", "variable")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.variable: list[tuple[int, str, re.Pattern[str], _Node]] = []
        self.rules: list[RuleBase] = []
        self.opaque = False  # what goes on from here
        self.ends_opaquely = False  # what ends here

    def child(self, segment: str, converters: t.Mapping[str, BaseConverter]) -> _Node | None:
        """Return the node behind a rule's segment, made if need be; None if it is not simple."""
        if "<" not in segment:
            return self.literal.setdefault(segment, _Node())
        found = _VARIABLE.fullmatch(segment)
        if found is None or (found["converter"] or "default") not in _SIMPLE:
            return None
        converter = converters[found["name"]]
        if type(converter) not in _STOCK:
            return None
        for weight, regex, _, node in self.variable:
            if (weight, regex) == (converter.weight, converter.regex):
                return node
        node = _Node()
        self.variable.append((converter.weight, converter.regex, re.compile(converter.regex), node))
        self.variable.sort(key=lambda child: child[0])
        return node

    def rule_for(self, method: str) -> RuleBase | None:
        """Return the first rule that ends here and allows the method."""
        for rule in self.rules:
            if rule.methods is None or method in rule.methods:
                return rule
        return None


class _Unsure(Exception):
    """Raised when the search meets something that only werkzeug can decide."""


class Matcher:
    """Matches paths against the rules that a map held when this was made.

    :param url_map: the map. One that matches hosts is never answered for.
    :param websocket: whether for websockets, whose rules are others than those of requests.
    """

    def __init__(self, url_map: Map, websocket: bool = False) -> None:
        self.changes, self.websocket = url_map.changes, websocket
        self._root = _Node()
        self._static: dict[tuple[str, str], RuleBase] = {}
        if url_map.host_matching:
            self._root.opaque = True
            return
        subdomain = url_map.default_subdomain or ""
        with_defaults = {rule.endpoint for rule in url_map._rules if rule.defaults}
        for rule in url_map._rules:
            if rule.build_only or rule.websocket != websocket:
                continue
            if rule.subdomain == subdomain:
                self._add(rule, simple=rule.endpoint not in with_defaults)
        self._collect_static(self._root, "")

    def _add(self, rule: RuleBase, simple: bool) -> None:
        simple = simple and not (rule.redirect_to or rule.alias)
        node = self._root
        for segment in rule.rule.split("/")[1:]:
            child = node.child(segment, rule._converters)
            if child is None:
                node.opaque = True
                return
            node = child
        if not simple:
            # Wherever it stands in the order, a path that ends here is werkzeug's to answer.
            node.ends_opaquely = True
        node.rules.append(rule)

    def _collect_static(self, node: _Node, path: str) -> None:
        """Note what the search finds first for each path without variables.

        PERF: 0.2 us for a path, whatever its length, where the search takes 1 us.
        """
        if not node.ends_opaquely and "//" not in path and all(rule.methods for rule in node.rules):
            for rule in reversed(node.rules):
                self._static.update(((path, method), rule) for method in rule.methods or ())
        for segment, child in node.literal.items():
            self._collect_static(child, f"{path}/{segment}")

    def match(self, path: str, method: str) -> tuple[RuleBase, dict[str, t.Any]] | None:
        """Return the rule for a path and its arguments, or None where werkzeug must be asked.

        :param path: the decoded path, with its leading slash.
        :param method: the HTTP method, in capitals.
        """
        found = self._static.get((path, method))
        if found is not None:
            return found, {}
        if "//" in path or path[:1] != "/":
            return None
        values: list[str] = []
        try:
            rule = self._search(self._root, path.split("/"), 1, method, values)
        except _Unsure:
            return None
        if rule is None:
            return None
        if not values:
            return rule, {}
        try:
            return rule, {
                name: converter.to_python(value)
                for (name, converter), value in zip(rule._converters.items(), values, strict=True)
            }
        except ValidationError:
            return None

    def _search(
        self, node: _Node, segments: list[str], at: int, method: str, values: list[str]
    ) -> RuleBase | None:
        """Search the tree depth first; `values` collects the variables of the way taken."""
        if at == len(segments):
            return self._at_end(node, method)
        segment = segments[at]
        child = node.literal.get(segment)
        if child is not None:
            rule = self._search(child, segments, at + 1, method, values)
            if rule is not None:
                return rule
        if node.opaque or not segment:
            raise _Unsure
        for _, _, regex, child in node.variable:
            if regex.fullmatch(segment):
                values.append(segment)
                rule = self._search(child, segments, at + 1, method, values)
                if rule is not None:
                    return rule
                values.pop()
        return None

    def _at_end(self, node: _Node, method: str) -> RuleBase | None:
        if node.ends_opaquely:
            raise _Unsure
        rule = node.rule_for(method)
        if rule is None and "" in node.literal:
            raise _Unsure  # a slash is missing: perhaps a redirect
        return rule
