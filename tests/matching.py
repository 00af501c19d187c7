"""The compiled matcher beside its oracle, werkzeug's own: rules, paths and how they compare.

A case is a rule set, a path, a method and whether it is for a websocket. An example of Hypothesis
is a rule set and a seed; many cases are made of one, since making the map is what takes the time:
paths that the rules were made for, the same with something changed, and any others.
"""

from __future__ import annotations

import random
import re
import sys
import typing as t
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from hypothesis import strategies as st
from werkzeug.routing import BaseConverter, UnicodeConverter
from werkzeug.routing import Rule as RuleBase

from asyncflask.matcher import Matcher
from asyncflask.routing import Map, Rule


class Hex(BaseConverter):
    """A pattern of its own, and no code."""

    regex = "[0-9a-f]+"
    weight = 40


class Upper(BaseConverter):
    """Code of its own, which the compiled matcher must not run."""

    def to_python(self, value: str) -> str:
        assert not Upper.watched, "the compiled matcher ran code of the app's"
        return value.upper()

    watched = False


class Crossing(BaseConverter):
    """A pattern with a slash in it, and so one that is not for one segment."""

    regex = "[a-z5]+/[a-z5]+"


class Remainder(UnicodeConverter):
    """Takes all that is left of the path, though its pattern has no slash."""

    part_isolating = False


class Grouped(BaseConverter):
    """A pattern with groups of its own, of which one may take no part."""

    regex = "(a)|(b|5)"


class Perhaps(BaseConverter):
    """A pattern that fits nothing at all, too."""

    regex = "[a-z]*"


CONVERTERS = {
    "hex": Hex,
    "upper": Upper,
    "crossing": Crossing,
    "remainder": Remainder,
    "grouped": Grouped,
    "perhaps": Perhaps,
}

WORDS = ["a", "b", "user", "5", "1.5", "-3", "x.y", "ü", "a b", "%41"]
VARIABLES = [
    "<v{n}>",
    "<string:v{n}>",
    "<string(length=2):v{n}>",
    "<string(minlength=2, maxlength=3):v{n}>",
    "<int:v{n}>",
    "<int(min=2, max=7):v{n}>",
    "<int(fixed_digits=2):v{n}>",
    "<int(signed=True):v{n}>",
    "<float:v{n}>",
    "<float(min=1.0, signed=True):v{n}>",
    "<uuid:v{n}>",
    "<path:v{n}>",
    "<any(a, b):v{n}>",
    '<any("x.y", user, "a|b", "-3"):v{n}>',
    "<hex:v{n}>",
    "<upper:v{n}>",
    "<crossing:v{n}>",
    "<remainder:v{n}>",
    "<grouped:v{n}>",
    "<perhaps:v{n}>",
    "pre-<v{n}>",
    "<v{n}>.y",
    "<int:v{n}>.<w{n}>",
    "pre-<path:v{n}>",
    "<path:v{n}>.y",
    "pre-<any(a, user):v{n}>",
]
UUID = "11111111-2222-aaaa-BBBB-555555555555"

#: What a path has for a variable: things that fit, nearly fit, or fit by another alphabet's digits.
TEXTS = [
    *WORDS,
    *("7", "07", "1", "-0", "007", "2.5", "-2.5", ".5", "٣", "²", "5\n", "\n", "a\n", "9" * 5000),
    *(
        UUID,
        UUID[:-1],
        "pre-a",
        "pre-",
        "pre-5",
        "7.a",
        "5.y",
        "ab",
        "abc",
        "A",
        "a|b",
        "a/5",
        "a/b/c",
    ),
    *("", "<v0>", "\ud800", "🎈", "ff", "x.y/", "//", "pre-user"),
]

SEGMENTS = st.one_of(st.sampled_from(WORDS[:4]), st.sampled_from(VARIABLES))
RARELY = [False] * 7 + [True]
METHODS = [None, None, ["GET"], ["POST"], ["GET", "POST"], ["DELETE"], []]


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Draw a rule's text, whose variables are called v0, w0, v1, ..."""
    parts: list[str] = draw(st.lists(SEGMENTS, min_size=0, max_size=4))
    text = "/" + "/".join(part.format(n=place) for place, part in enumerate(parts))
    slash: bool = draw(st.booleans())
    if parts and slash:
        text += "/"
    doubled: bool = draw(st.sampled_from([False] * 15 + [True]))
    return text.replace("/", "//", 1) if doubled else text


@st.composite
def rules(draw: st.DrawFn, sockets: bool = True) -> Rule:
    """Draw a rule; a few share an endpoint, as rules with defaults do."""
    websocket: bool = sockets and draw(st.sampled_from(RARELY))
    special = draw(st.sampled_from([""] * 12 + ["redirect_to", "alias", "build_only", "default"]))
    kinds: dict[str, dict[str, t.Any]] = {
        "redirect_to": {"redirect_to": "/a"},
        "alias": {"alias": True},
        "build_only": {"build_only": True},
        "default": {"defaults": draw(st.sampled_from([{"v0": 5}, {"v1": "a"}, {"more": 1}]))},
        "": {},
    }
    return Rule(
        draw(strings()),
        endpoint=f"e{draw(st.integers(0, 4))}",
        methods=draw(st.sampled_from([None, ["GET"]] if websocket else METHODS)),
        strict_slashes=draw(st.sampled_from([None, None, False, True])),
        merge_slashes=draw(st.sampled_from([None, None, False])),
        subdomain=draw(st.sampled_from([None] * 14 + ["www", "<sub>"])),
        websocket=websocket,
        **kinds[special],
    )


def map_of(made: list[Rule], options: dict[str, t.Any]) -> Map:
    """Return a map of those rules that werkzeug takes: some defaults are not what they are for."""
    url_map = Map(converters=CONVERTERS, **options)
    for rule in made:
        with suppress(ValueError):
            url_map.add(rule)
    return url_map


MAPS = st.builds(
    map_of,
    st.lists(rules(), min_size=1, max_size=9),
    st.fixed_dictionaries(
        {},
        optional={
            "strict_slashes": st.just(False),
            "merge_slashes": st.just(False),
            "redirect_defaults": st.just(False),
            "default_subdomain": st.just("www"),
        },
    ),
)

#: What fits a converter's pattern, so that more than a few paths match.
FITTING = {
    "int": ["5", "7", "07", "٣", "9" * 5000],
    "float": ["1.5", "0.5", "٣.٣"],
    "uuid": [UUID],
    "path": ["a", "a/b", "a/5/x.y", "x.y/"],
    "any": ["a", "b", "x.y", "user", "a|b", "-3"],
    "string": ["ab", "abc", "5"],
    "hex": ["ff", "5"],
    "crossing": ["a/5", "a/b"],
    "remainder": ["a", "ab", "a/b"],
    "grouped": ["a", "b", "5"],
    "perhaps": ["", "a", "user"],
}

_VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>")


def paths(url_map: Map, chance: random.Random, each: int) -> t.Iterator[str]:
    """Yield paths that a map may have something for, `each` for a rule, and some others."""

    def text(variable: re.Match[str]) -> str:
        fitting = FITTING.get(variable[1], TEXTS)
        return chance.choice(fitting if chance.random() < 0.8 else TEXTS)

    for rule in url_map.iter_rules():
        for _ in range(each):
            path = _VARIABLE.sub(text, rule.rule)
            yield _changed(path, chance) if chance.random() < 0.3 else path
    for _ in range(each):
        yield "/" + "/".join(chance.choices(TEXTS, k=chance.randint(0, 4)))


def _changed(path: str, chance: random.Random) -> str:
    """Return the path with more, less, or another slash."""
    return chance.choice(
        [
            path + "/",
            path.removesuffix("/"),
            path.replace("/", "//", 1),
            path[::-1].replace("/", "//", 1)[::-1],
            path[1:],
            path + "/" + chance.choice(TEXTS),
            path.rpartition("/")[0],
        ]
    )


@dataclass
class Tally:
    """How many cases were compared, and what became of them."""

    cases: int = 0
    matched: int = 0  # those for which werkzeug has a rule
    answered: int = 0  # ... and the compiled matcher, too

    def compare(self, url_map: Map, seed: int, each: int) -> None:
        """Compare the answers for one rule set, and fail where they are not the same."""
        chance = random.Random(seed)
        matchers = {websocket: Matcher(url_map, websocket) for websocket in (False, True)}
        adapter = url_map.bind("a.example")
        asked = set()
        for path in paths(url_map, chance, each):
            for method in chance.sample(["GET", "GET", "HEAD", "POST", "PUT", "get"], 2):
                asked.add((path, method, chance.random() < 0.15))
        for path, method, websocket in sorted(asked):
            Upper.watched = True
            found = matchers[websocket].find(path, method)
            Upper.watched = False
            answer = _by_werkzeug(adapter, path, method, websocket)
            self.cases += 1
            self.matched += not isinstance(answer, str)
            if found is None:
                continue
            self.answered += 1
            case = url_map, path, method, websocket, found, answer
            assert not isinstance(answer, str), case
            assert found[0] is answer[0], case
            # Types and order, too: 1 is equal to True, and a view may take **kwargs.
            assert repr(found[1]) == repr(answer[1]), case

    def __str__(self) -> str:
        share = self.answered / max(self.matched, 1)
        return (
            f"{self.cases:,} cases, 0 differences: werkzeug has a rule for {self.matched:,}, of"
            f" which the compiled matcher answers {self.answered:,} ({share:.0%})"
        )


def _by_werkzeug(
    adapter: t.Any, path: str, method: str, websocket: bool
) -> str | tuple[RuleBase, dict[str, t.Any]]:
    try:
        rule, args = adapter.match(path, method, return_rule=True, websocket=websocket)
    except Exception as error:  # a redirect, 404, 405, or a rule that makes no sense
        return type(error).__name__
    return rule, dict(args)


#: Rules of which there may be many, and a path for the eighth.
GROWING = [
    ("/r{n}", "/r7"),
    ("/r{n}/<int:x>/y", "/r7/42/y"),
    ("/in/<int:x>/r{n}", "/in/42/r7"),
    ("/<x>/r{n}", "/text/r7"),
    ("/files/r{n}/<path:x>", "/files/r7/a/b"),
    ("/in/pre{n}-<x>", "/in/pre7-y"),
    ("/in/<x>.end{n}", "/in/y.end7"),
    ("/in/<any(a{n}, b{n}):x>/y", "/in/b7/y"),
    ("/in/<{kind}:x>/r{n}", "/in/7/r7"),
]
_KINDS = ("int", "float", "string", "uuid", "hex", "grouped", "any(a, b)", "int")


def many_rules(rule: str, count: int) -> Map:
    """Return a map of `count` rules."""
    made = (rule.format(n=n, kind=_KINDS[n % len(_KINDS)]) for n in range(count))
    rules = [Rule(each, endpoint="e", methods=["GET"]) for each in made]
    return Map(rules, converters=CONVERTERS)


def bytecodes(matcher: Matcher, path: str) -> int:
    """Return how many bytecodes are run to find a path's rule."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> t.Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    for _ in range(2):  # NOTE: the first time, Python 3.12 tells of none
        count = 0
        sys.settrace(trace)
        try:
            found = matcher.find(path, "GET")
        finally:
            sys.settrace(before)
    assert found is not None
    return count
