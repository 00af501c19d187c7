"""A matcher compiled from a URL map, which answers the common case.

The app's `url_map`, a `werkzeug.routing.Map`, stays the source of truth. The `Matcher` only ever
says "this rule, these arguments" where werkzeug would say the same, and None in every other case:
redirects, 404, 405, and rules whose arguments are made by code of the app's.

It searches a tree made of werkzeug's own (`rule_tree`) in the same order, depth first:

1. Where the path ends: the rules that end here, in the order in which they were added; then those
   that end one slash further on, which are a redirect if they are strict about it.
2. Else the child that is the next segment, letter for letter.
3. Then the ways that patterns open, by weight. A pattern that crosses slashes takes all that is
   left.
4. Last, if only a slash is left: the rules that end before it and are not strict about it.
"""

from __future__ import annotations

import re
import typing as t

from werkzeug.routing import Rule as RuleBase

from .routing import Map
from .rule_tree import ASK, End, Node, Test, compile_tree, nothing

#: What a path matches that is not among the static ones.
_NOWHERE: dict[str, tuple[RuleBase, None]] = {}

#: The segments that are not looked at as a variable, what says whether one is, and by method: the
#: rule, the variable's name, and what makes its value.
Leaf = tuple[t.Container[str], Test, dict[str, tuple[RuleBase, str, t.Callable[[str], t.Any]]]]


class Matcher:
    """Matches paths against the rules that a map held when this was made.

    :param url_map: the map. One that matches hosts is never answered for.
    :param websocket: whether for websockets, whose rules are others than those of requests.
    """

    def __init__(self, url_map: Map, websocket: bool = False) -> None:
        self.websocket = websocket
        self._root = Node()
        with url_map.changing:  # nobody adds a rule meanwhile
            url_map.update()
            self.changes = url_map.changes
            if not url_map.host_matching:
                try:
                    self._root = compile_tree(url_map, websocket)
                except re.error:  # werkzeug raises it for the requests that meet it
                    self._root = Node()
        literal = dict(_literal_paths(self._root))
        #: What paths without variables match, by path, then by method.
        self.static: dict[str, dict[str, tuple[RuleBase, None]]] = {}
        for path, node in literal.items():
            if found := {method: (rule, None) for method, rule in _rules(node)}:
                self.static[path] = found
        #: The first variable that may be the last segment, by the path before it.
        self._leaves: dict[str, Leaf] = {}
        #: The one that may be the last but one: by the path before it, and by the last segment.
        self._inner: dict[str, dict[str, Leaf]] = {}
        for path, node in literal.items():
            if path[-1:] != "/" and node.plain:
                leaves = dict(_leaves(node))
                self._inner[path] = {
                    name: leaf for name, leaf in leaves.items() if name is not None
                }
                if None in leaves:
                    self._leaves[path] = leaves[None]

    def find(self, path: str, method: str) -> tuple[RuleBase, dict[str, t.Any]] | None:
        """Return the rule for a path and its arguments, or None where werkzeug must be asked.

        :param path: the decoded path, with its leading slash.
        :param method: the HTTP method as it was sent.
        """
        static = self.static.get(path, _NOWHERE).get(method)
        return self.search(path, method) if static is None else (static[0], {})

    def search(self, path: str, method: str) -> tuple[RuleBase, dict[str, t.Any]] | None:
        """Do what `find` does for a path that is not among the static ones.

        However many rules there are, it takes as long as the path has segments.
        PERF: a variable that is the last segment behind others that are none takes a third of what
        the walk would; one that is the last but one takes half.
        """
        folder, slash, text = path.rpartition("/")
        leaf = self._leaves.get(folder)
        if leaf is None and folder:
            last = text
            folder, slash, text = folder.rpartition("/")
            if text and folder in self._inner:
                leaf = self._inner[folder].get(last)
        if leaf is not None and slash:
            others, fits, ends = leaf
            if not (others and text in others) and fits(text) and method in ends:
                rule, variable, convert = ends[method]
                try:
                    return rule, {variable: convert(text)}
                except ValueError:  # nothing matches
                    return None
        if "//" in path or path[:1] != "/":
            return None
        # The first thing that the search would try is right for nearly every path.
        end, node = None, self._root
        values: list[str] = []
        segments = path[1:].split("/")
        for segment in segments:
            child = node.literal.get(segment)
            if child is None:
                for fits, after in node.plain:
                    if fits(segment):
                        values.append(segment)
                        child = after
                        break
                else:
                    break
            node = child
        else:
            end = node.ends.get(method)
        if end is None:
            values = []
            end = _search(self._root, segments, 0, method, values) or ASK
        return _matched(end, values)


def _matched(end: End, texts: t.Sequence[str]) -> tuple[RuleBase, dict[str, t.Any]] | None:
    """Return the rule and its arguments, if they can be made of these texts."""
    rule, arguments, _ = end
    try:
        return None if rule is None else (rule, arguments(texts))
    except ValueError:  # the converter refuses the text, and nothing matches
        return None


def _search(node: Node, segments: list[str], at: int, method: str, values: list[str]) -> End | None:
    """Search the tree depth first; `values` collects the variables of the way taken."""
    if at == len(segments):
        return node.end_for(method)
    child = node.literal.get(segments[at])
    if child is not None:
        end = _search(child, segments, at + 1, method, values)
        if end is not None:
            return end
    for way in node.ways_for(segments[at]):
        taken = way.take(segments, at)
        if taken is None:
            continue
        before = len(values)
        values += taken[1]
        end = _search(way.node, segments, taken[0], method, values)
        if end is not None:
            return end
        del values[before:]
    return None


def _literal_paths(root: Node) -> t.Iterator[tuple[str, Node]]:
    """Yield the paths that no variable is part of, and where they lead."""
    todo = [("", root)]
    while todo:
        path, node = todo.pop()
        if "//" not in path:
            yield path, node
        todo += [(f"{path}/{segment}", child) for segment, child in node.literal.items()]


def _leaves(node: Node) -> t.Iterator[tuple[str | None, Leaf]]:
    """Yield what a segment means if it is the first variable that may be there.

    Before that, what comes behind it up to the path's end: one more segment, or None for nothing.
    """
    fits, after = node.plain[0]
    for name, end in ((None, after), *after.literal.items()):
        ends = {
            method: (rule, *alone)
            for method, (rule, _, alone) in end.ends.items()
            if rule is not None and alone is not None
        }
        if ends:
            yield name, (node.literal, fits, ends)


def _rules(node: Node) -> t.Iterator[tuple[str, RuleBase]]:
    """Yield the rules without arguments that the search would find here first, with the method."""
    for method, (rule, arguments, _) in node.ends.items():
        if rule is not None and arguments is nothing:
            yield method, rule
