"""What a function calls, read from its source.

Names are looked up where the function would find them: in its own imports, its closure, its
module. Nothing is executed, and no attribute of an object is asked for that could run code: what
an attribute of an object is, its class says.
"""

from __future__ import annotations

import ast
import builtins
import dis
import importlib.util
import linecache
import sys
import typing as t
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Known:
    """What is known of the value of an expression.

    :param names: the full names it goes by, such as ``time.sleep``.
    :param value: a module, class or function, if it is one.
    :param kind: else its class.
    """

    names: tuple[str, ...] = ()
    value: t.Any = None
    kind: type | None = None


NOTHING = Known()


@dataclass(frozen=True)
class Call:
    """A call in a function's body that is made when the body runs.

    :param line: where.
    :param text: what is called, as it is written.
    :param callee: what is known of that.
    :param awaited: whether the result is awaited on the spot.
    """

    line: int
    text: str
    callee: Known
    awaited: bool


def calls_of(func: FunctionType) -> list[Call]:
    """Return the calls in a function's body, those of functions defined in it left out."""
    node = _node_of(func.__code__)
    if node is None:
        return [*_calls_by_names(func)]
    reader = _Reader(func)
    reader.read(node)
    return reader.calls


@lru_cache(maxsize=256)
def _functions(filename: str) -> dict[tuple[str, int], FunctionNode]:
    """Return a file's functions by name and first line, where decorators come first."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return {}
    return {
        (node.name, min(part.lineno for part in (node, *node.decorator_list))): node
        for node in ast.walk(tree)
        if isinstance(node, FunctionNode)
    }


def _node_of(code: CodeType) -> FunctionNode | None:
    return _functions(code.co_filename).get((code.co_name, code.co_firstlineno))


def _calls_by_names(func: FunctionType) -> Iterator[Call]:
    """Guess what is called where there is no source: the globals that the code loads."""
    scope, known, line = _scope(func), NOTHING, func.__code__.co_firstlineno
    for instruction in dis.get_instructions(func):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
            known = _known(scope.get(instruction.argval))
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            known = _attribute(known, instruction.argval)
        else:
            known = NOTHING
        position = instruction.positions
        line = (position and position.lineno) or line
        if known.names:
            yield Call(line, known.names[0], known, awaited=False)


def _scope(func: FunctionType) -> dict[str, t.Any]:
    """Return what the names of a function mean that it does not set itself."""
    scope = {**vars(builtins), **func.__globals__}
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
        with suppress(ValueError):  # not assigned yet
            scope[name] = cell.cell_contents
    return scope


def _known(value: t.Any) -> Known:
    """Return what a value in a scope is."""
    kind = type(value)
    if value is None:
        return NOTHING
    if issubclass(kind, ModuleType):
        return Known((value.__name__,), value)
    names = _own_names(value)
    return Known(names, value) if names else Known(kind=kind)


def _own_names(value: t.Any) -> tuple[str, ...]:
    """Return the name that a class or function has of its own."""
    if not isinstance(value, (type, FunctionType)) and type(value) is not type(len):
        return ()
    module, name = getattr(value, "__module__", None), value.__qualname__
    return (f"{module or 'builtins'}.{name}",)


def _attribute(base: Known, name: str) -> Known:
    """Return what is known of an attribute."""
    if isinstance(base.value, ModuleType):
        found = _known(vars(base.value).get(name))
        return Known((f"{base.names[0]}.{name}", *found.names), found.value, found.kind)
    kind = base.value if isinstance(base.value, type) else base.kind
    if kind is None:
        return Known(tuple(f"{known}.{name}" for known in base.names))
    line = kind.__mro__
    names = tuple(f"{cls.__module__}.{cls.__qualname__}.{name}" for cls in line)
    method = next((vars(cls)[name] for cls in line if name in vars(cls)), None)
    if isinstance(method, (staticmethod, classmethod)):
        method = method.__func__
    return Known(names, method if isinstance(method, FunctionType) else None)


def _result(callee: Known) -> Known:
    """Return what is known of what a call returns."""
    if isinstance(callee.value, type):
        return Known(kind=callee.value)
    if any(name in _FUTURES or name.endswith("Executor.submit") for name in callee.names):
        return Known(kind=Future)
    return Known(tuple(f"{name}()" for name in callee.names))


_FUTURES = ("asyncio.run_coroutine_threadsafe", "asyncio.tasks.run_coroutine_threadsafe")


class _Reader(ast.NodeVisitor):
    """Collects the calls of one function."""

    def __init__(self, func: FunctionType) -> None:
        self.calls: list[Call] = []
        self._local: dict[str, Known] = {}
        self._package = func.__globals__.get("__package__") or ""
        self._scope = _scope(func)

    def read(self, node: FunctionNode) -> None:
        given = node.args
        rest = [arg for arg in (given.vararg, given.kwarg) if arg is not None]
        for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs, *rest):
            self._local[arg.arg] = NOTHING
        for statement in node.body:
            self.visit(statement)

    # What is not run with the body

    def _skip(self, node: ast.AST) -> None:
        name = getattr(node, "name", None)
        if name is not None:
            self._local[name] = NOTHING

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _skip

    # Calls

    def visit_Call(self, node: ast.Call) -> None:
        self._call(node, awaited=False)

    def visit_Await(self, node: ast.Await) -> None:
        self._awaited(node.value)

    def _awaited(self, node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            self._call(node, awaited=True)
        else:
            self.visit(node)

    def _call(self, node: ast.Call, awaited: bool) -> None:
        callee = self.value_of(node.func)
        self.calls.append(Call(node.lineno, _written(node.func), callee, awaited))
        self.generic_visit(node)

    # What is awaited without the word

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._awaited(node.iter)
        self._bind(node.target, NOTHING)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self._awaited(node.iter)
        else:
            self.visit(node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        for item in node.items:
            self._awaited(item.context_expr)
            self._bind(item.optional_vars, NOTHING)
        for statement in node.body:
            self.visit(statement)

    # Names

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            self._bind(item.optional_vars, self.value_of(item.context_expr))
        for statement in node.body:
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind(node.target, NOTHING)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, self.value_of(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, self.value_of(node.value))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, self.value_of(node.value))

    def _bind(self, target: ast.AST | None, value: Known) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._bind(part, NOTHING)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            path = alias.name if alias.asname else alias.name.partition(".")[0]
            self._local[alias.asname or path] = _module(path)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        path = "." * node.level + (node.module or "")
        if node.level:
            path = importlib.util.resolve_name(path, self._package) if self._package else ""
        for alias in node.names:
            self._local[alias.asname or alias.name] = _attribute(_module(path), alias.name)

    def value_of(self, node: ast.expr) -> Known:
        """Return what is known of an expression's value."""
        if isinstance(node, ast.Name):
            return self._local.get(node.id) or _known(self._scope.get(node.id))
        if isinstance(node, ast.Attribute):
            return _attribute(self.value_of(node.value), node.attr)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr == "submit":
                return Known(kind=Future)  # of an executor that may be anybody's
            return _result(self.value_of(node.func))
        return NOTHING


def _module(path: str) -> Known:
    """Return what is known of a module that a function imports; it is not imported for that."""
    return Known((path,), sys.modules.get(path))


def _written(node: ast.expr) -> str:
    """Return what is called as it is written, less the arguments in it."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_written(node.value)}.{node.attr}"
    return f"{_written(node.func)}(...)" if isinstance(node, ast.Call) else "..."
