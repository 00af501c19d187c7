"""URL rules as a tree of path segments, compiled from werkzeug's own.

It has the same order. A rule whose match is more than a rule and arguments (a redirect, a
converter with code of its own) stands in it like any other; where it is what a search finds,
werkzeug is asked.
"""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from itertools import takewhile
from operator import not_
from uuid import UUID

from werkzeug.routing import (
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    UUIDConverter,
)
from werkzeug.routing import Rule as RuleBase
from werkzeug.routing.converters import NumberConverter
from werkzeug.routing.matcher import State
from werkzeug.routing.rules import RulePart

from .routing import Map, Rule

#: Makes the arguments of the texts that a path has for a rule's variables.
Arguments = t.Callable[[t.Sequence[str]], dict[str, t.Any]]

#: A variable's name, and what makes its value of its text.
Variable = tuple[str, t.Callable[[str], t.Any]]

#: What a path that ends somewhere means: a rule, its arguments, and the variable that is all there
#: is to them, if one is. No rule: ask werkzeug.
End = tuple[RuleBase | None, Arguments, Variable | None]

#: Whether a text fits a pattern, as a value that is true or false; perhaps a match.
Test = t.Callable[[str], t.Any]


def nothing(texts: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the arguments of a rule that has none."""
    return {}


ASK: End = (None, nothing, None)

#: Patterns of werkzeug's converters that need no regular expression.
#: PERF: 0.1 us each instead of 0.25. They take the same: ``\d`` is a decimal digit of Unicode.
_TESTS: dict[str, Test] = {
    IntegerConverter.regex: str.isdecimal,
    BaseConverter.regex: len,
    "[^/]{1,}": len,  # what `UnicodeConverter` writes
}

#: Others of werkzeug's that have no groups.
_GROUPLESS = re.compile(
    "|".join(
        re.escape(sign + number)
        for number in (IntegerConverter.regex, FloatConverter.regex)
        for sign in ("", "-?")
    )
    + "|"
    + re.escape(UUIDConverter.regex)
    + r"|\[\^/\]\{\d+(,\d*)?\}"
)

#: A part of a rule that is one variable, with its converter's pattern.
_VARIABLE = re.compile(r"\(\?P<__werkzeug_0>(.*)\)\\Z", re.DOTALL)

#: The start of a pattern, up to its first variable.
_LITERAL_START = re.compile(r"(.*?)\(\?P<__werkzeug_0>", re.DOTALL)

#: A choice of texts as `AnyConverter` writes it; whether they are literal is looked at again.
_CHOICE = re.compile(r"\(\?:((?:[^\\()]|\\.)*)\)\)", re.DOTALL)

#: A pattern that takes one segment, from its last variable on: what follows is literal text.
_LITERAL_END = re.compile(r"(?:[^\\]|\\.)*\)((?:[^\\()]|\\.)*)\\Z", re.DOTALL)

#: From how many ways on it pays to ask first which of them a segment may take.
_MANY = 8


class Way:
    """What a pattern opens: where it leads, and what it takes from the path.

    :param test: says whether a text fits: with a match, if there are `groups`.
    :param groups: the variables' names in the pattern; None: the whole text is the variable.
    :param final: whether it takes all that is left of the path.
    :param suffixed: whether it leaves a slash at the end to what comes next.
    """

    __slots__ = ("final", "groups", "node", "suffixed", "test")

    def __init__(
        self,
        test: Test,
        groups: tuple[str, ...] | None,
        final: bool = False,
        suffixed: bool = False,
    ) -> None:
        self.test, self.groups, self.final, self.suffixed = test, groups, final, suffixed
        self.node = Node()

    @classmethod
    def for_part(cls, part: RulePart) -> t.Self:
        """Return the way that a part of a rule opens.

        :raises re.error: if a converter's pattern is no regular expression.
        """
        variable = _VARIABLE.fullmatch(part.content)
        if variable is not None and not part.final:
            regex = variable[1]
            if regex in _TESTS:
                return cls(_TESTS[regex], None)
            if _GROUPLESS.fullmatch(regex):
                return cls(re.compile(part.content).match, None)
        pattern = re.compile(part.content)
        names = [name for name in pattern.groupindex if name.startswith("__werkzeug_")]
        names.sort(key=lambda name: int(name.removeprefix("__werkzeug_")))
        return cls(pattern.match, (*names,), part.final, part.suffixed)

    def take(self, segments: list[str], at: int) -> tuple[int, t.Iterable[str]] | None:
        """Return where the path goes on behind what this takes, and the variables' texts."""
        text = "/".join(segments[at:]) if self.final else segments[at]
        found = self.test(text)
        if not found:
            return None
        texts = (text,) if self.groups is None else tuple(found[name] for name in self.groups)
        if not self.final:
            return at + 1, texts
        leaves_slash = self.suffixed and found.groups()[-1] == "/"
        return len(segments) - leaves_slash, texts


#: A way, and pairs of texts, with one of which whatever it takes begins and ends.
_Framed = tuple[Way, t.Collection[tuple[str, str]]]


class Node:
    """A place in the tree: what may follow, and what a path that ends here means."""

    __slots__ = ("ends", "index", "literal", "otherwise", "plain", "ways")

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.ways: tuple[Way, ...] = ()
        self.plain: tuple[tuple[Test, Node], ...] = ()  # the first ways, if they take a segment
        self.index: Index | None = None  # where there are many ways
        self.ends: dict[str, End] = {}  # by method
        self.otherwise: End | None = None  # for all other methods

    def set_ends(self, ends: t.Iterable[tuple[RuleBase, End]]) -> None:
        """Set what a path that ends here means: for each method, what comes first."""
        for rule, end in ends:
            if rule.methods is None:
                self.otherwise = end
                break
            for method in rule.methods:
                self.ends.setdefault(method, end)

    def set_ways(self, ways: list[_Framed]) -> None:
        """Set what patterns open, in the order in which they are tried."""
        self.ways = tuple(way for way, _ in ways)
        if len(ways) >= _MANY:
            self.index = Index(ways)
            return
        plain = takewhile(lambda way: way.groups is None and not way.final, self.ways)
        self.plain = tuple((way.test, way.node) for way in plain)

    def ways_for(self, segment: str) -> tuple[Way, ...]:
        """Return the ways that a segment may take."""
        return self.ways if self.index is None else self.index.pick(segment)

    def end_for(self, method: str) -> End | None:
        """Return what a path that ends here means for a method."""
        end = self.ends.get(method)
        if end is None and self.otherwise is not None:
            # Methods count in capitals, and in capitals this one may have a rule of its own.
            return self.otherwise if method == method.upper() else ASK
        return end


class Index:
    """Which of many ways a segment may take, told by the letters that it begins and ends with.

    PERF: a segment meets the ways that begin and end as it does, and not 10,000 others.
    """

    def __init__(self, ways: list[_Framed]) -> None:
        self._by_frame: dict[tuple[str, str], list[tuple[int, Way]]] = {}
        for place, (way, frames) in enumerate(ways):
            for frame in frames:
                self._by_frame.setdefault(frame, []).append((place, way))
        self._lengths = sorted({(len(start), len(end)) for start, end in self._by_frame})

    def pick(self, segment: str) -> tuple[Way, ...]:
        """Return the ways that a segment may take, in their order."""
        found: dict[int, Way] = {}
        for start, end in self._lengths:
            before = len(segment) - end
            if start <= before:
                frame = segment[:start], segment[before:]
                found.update(self._by_frame.get(frame, ()))
        return tuple(found[place] for place in sorted(found))


def compile_tree(url_map: Map, websocket: bool) -> Node:
    """Return the tree of the rules that are for the usual host, from the first slash on.

    :raises re.error: if a converter's pattern is no regular expression.
    """
    root, redirected = Node(), _redirected(url_map)
    domain = url_map._matcher._root.static.get(url_map.default_subdomain or "", State())

    def ends(rules: list[RuleBase]) -> list[tuple[RuleBase, End]]:
        mine = [rule for rule in rules if rule.websocket == websocket]
        return [(rule, ASK if id(rule) in redirected else _end(rule)) for rule in mine]

    todo = [(domain.static.get("", State()), root)]
    while todo:
        state, node = todo.pop()
        here = ends(state.rules)
        behind = ends(state.static[""].rules) if "" in state.static else ()
        missing = ((rule, ASK if rule.strict_slashes else end) for rule, end in behind)
        node.set_ends([*here, *missing])
        for segment, after in state.static.items():
            node.literal[segment] = child = Node()
            todo.append((after, child))
        ways: list[_Framed] = []
        for part, after in state.dynamic:
            way = Way.for_part(part)
            ways.append((way, _frames(part.content, part.final)))
            todo.append((after, way.node))
        loose = [(rule, end) for rule, end in here if not rule.strict_slashes]
        if loose:
            way = Way(not_, ())
            way.node.set_ends(loose)
            ways.append((way, (("", ""),)))
        if ways:
            node.set_ways(ways)
    return root


def _redirected(url_map: Map) -> set[int]:
    """Return the ids of the rules that may be a redirect to one that has an argument as default."""
    found: set[int] = set()
    for rules in url_map._rules_by_endpoint.values() if url_map.redirect_defaults else ():
        offered: set[frozenset[str]] = set()
        for rule in rules:  # the ones before it go before it
            arguments = frozenset(rule.arguments)
            if arguments in offered:
                found.add(id(rule))
            if rule.defaults and not rule.build_only:
                offered.add(arguments)
    return found


def _end(rule: RuleBase) -> End:
    """Return what a path means that ends where a rule does; not if code but werkzeug's is run."""
    if not isinstance(rule, Rule) or rule.alias or rule.redirect_to is not None:
        return ASK  # of another class, it may do anything
    defaults = rule.defaults or {}
    variables = [(name, _convert(converter)) for name, converter in rule._converters.items()]
    if any(convert is None for _, convert in variables):
        return ASK
    pairs = t.cast("list[Variable]", variables)
    if not pairs and not defaults:
        return rule, nothing, None
    if len(pairs) == 1 and not defaults:
        [(only, make)] = pairs
        return rule, lambda texts: {only: make(texts[0])}, pairs[0]  # PERF: 0.15 us for the loop

    def arguments(texts: t.Sequence[str]) -> dict[str, t.Any]:
        made = {name: convert(text) for (name, convert), text in zip(pairs, texts, strict=False)}
        return {**made, **defaults}

    return rule, arguments, None


def _convert(converter: BaseConverter) -> t.Callable[[str], t.Any] | None:
    """Return what makes a variable's value of its text; None if that may be anybody's code."""
    # NOTE: not by a look into its `__dict__`, which would be made for it: 10,000 of them are slow.
    own = getattr(converter.to_python, "__func__", None)
    if own is BaseConverter.to_python:
        return str
    if own is UUIDConverter.to_python:
        return UUID
    if not isinstance(converter, NumberConverter) or own is not NumberConverter.to_python:
        return None
    number = converter.num_convert
    if number not in (int, float):
        return None
    bounded = converter.fixed_digits or converter.min is not None or converter.max is not None
    return converter.to_python if bounded else number


@lru_cache(maxsize=256)  # as for `_starts`
def _frames(pattern: str, final: bool) -> t.Collection[tuple[str, str]]:
    """Return pairs of texts, with one of which a segment that a pattern takes begins and ends.

    :param final: whether the pattern takes more than one segment, whose end is not looked at.
    """
    tail = None if final else _LITERAL_END.fullmatch(pattern)
    end = "" if tail is None else _unescaped(tail[1])
    return {(start, end) for start in _starts(pattern)}


@lru_cache(maxsize=256)  # most rules of an app have one of a few; bounded by habit
def _starts(pattern: str) -> t.Collection[str]:
    """Return texts with one of which all that a pattern takes begins: perhaps the empty one."""
    escaped = t.cast("re.Match[str]", _LITERAL_START.match(pattern))
    start = _unescaped(escaped[1])
    choice = _CHOICE.match(pattern, escaped.end())
    if choice is not None:
        texts = re.split(r"(?<!\\)\|", choice[1])
        literal = [_unescaped(text) for text in texts]
        if [re.escape(text) for text in literal] == texts:
            return {start + text for text in literal}
    return (start,)


def _unescaped(pattern: str) -> str:
    """Return the text that `re.escape` has made a pattern of."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL)
