"""The public interface as text: every public module, name, signature and member, the same on every Python."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, ForwardRef, Protocol, get_overloads, is_typeddict

import attrs

import sipqueue_async

FILE = Path(__file__).with_name("public_api.txt")
COMMAND = "python tests/api/write_api.py"
PROTOCOLS = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__call__", "__contains__", "__enter__", "__eq__"),
    *("__exit__", "__getitem__", "__hash__", "__iter__", "__len__"),
}
"""The special methods that are a promise; the others are how it is kept."""
FOUND = {"Subscription", "Updates", "GroupTally", "QueueTally", "SeatTally"}
"""The classes whose objects are given, and not made by who uses them."""


class Text(str):
    """Shows itself as it is, as annotations are to be shown."""

    __slots__ = ()
    __repr__ = str.__str__


def public_modules() -> list[str]:
    """Return the modules whose names are public: the package, and what is right in it and says what it exports."""
    parts = [f"sipqueue_async.{part.name}" for part in pkgutil.iter_modules(sipqueue_async.__path__)]
    return [
        name
        for name in ["sipqueue_async", *sorted(parts)]
        if "._" not in name and hasattr(importlib.import_module(name), "__all__")
    ]


def surface() -> str:
    """Return the public interface as it is now."""
    return "\n".join(line for module in public_modules() for line in _module(module))


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield f"{name}"
    for exported in sorted(module.__all__):
        value = getattr(module, exported)
        if isinstance(value, type):
            yield from (f"    {line}" for line in _class(exported, value))
        elif inspect.isfunction(value):
            yield from (f"    {line}" for line in _function(exported, value))
        else:
            yield f"    {exported} = {value!r}"
    yield ""


def _class(name: str, kind: type) -> Iterator[str]:
    bases = [base.__name__ for base in kind.__bases__ if base is not object and not base.__name__.startswith("_")]
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    made_here = next((base for base in kind.__mro__ if "__init__" in vars(base)), object)
    if _is_ours(made_here) and not _is_protocol(kind) and name not in FOUND:
        yield f"    made by {_signature(kind)}"
    lines: dict[str, list[str]] = {}
    for base in reversed(kind.__mro__):
        if _is_ours(base):
            lines |= {member: list(_member(member, value)) for member, value in _members(base)}
    for member in sorted(lines):
        yield from (f"    {line}" for line in lines[member])


def _members(kind: type) -> Iterator[tuple[str, object]]:
    """Return what a class has of its own: what is annotated, set when it is made, or defined."""
    found: dict[str, object] = {name: Text(_plain(it)) for name, it in vars(kind).get("__annotations__", {}).items()}
    found |= dict.fromkeys(_set_when_made(kind), Text("set when made"))
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set(getattr(kind, "_fields", ()))
    for name, value in vars(kind).items():
        if name not in fields and not _is_generated(value):
            found[name] = value
    for name, value in found.items():
        if name in PROTOCOLS or not name.startswith("_"):
            yield name, value


def _set_when_made(kind: type) -> set[str]:
    """Return the attributes that a class's own `__init__` sets."""
    init = vars(kind).get("__init__")
    if init is None or _is_generated(init) or _is_protocol(kind):
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }


def _member(name: str, value: Any) -> Iterator[str]:
    match value:
        case Text():
            yield f"{name}: {value}"
        case property():
            yield f"property {name} -> {_plain(inspect.signature(_getter(value)).return_annotation)}"
        case classmethod() | staticmethod():
            yield from (f"{type(value).__name__} {line}" for line in _function(name, value.__func__))
        case Enum():
            yield f"member {name} = {value.value!r}"
        case _ if inspect.isfunction(value):
            yield from _function(name, value)
        case _:
            yield f"{name} = {value!r}"


def _getter(value: property) -> Callable[..., Any]:
    assert value.fget is not None
    return value.fget


def _function(name: str, function: Callable[..., Any]) -> Iterator[str]:
    word = "async def" if inspect.iscoroutinefunction(function) else "def"
    for signature in get_overloads(function) or [function]:
        yield f"{word} {name}{_signature(signature)}"


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = [
        it.replace(annotation=_annotation(it.annotation), default=_default(it.default))
        for it in signature.parameters.values()
    ]
    result = inspect.Signature.empty if isinstance(function, type) else _annotation(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=result))


def _annotation(annotation: Any) -> Any:
    return annotation if annotation is inspect.Signature.empty else Text(_plain(annotation))


def _default(default: Any) -> Any:
    """Return a default without an address, which a function would show."""
    return Text(f"<{default.__name__}>") if callable(default) and not isinstance(default, type) else default


def _plain(annotation: Any) -> str:
    """Return an annotation as it was written."""
    return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else str(annotation)


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "sipqueue_async"


def _is_protocol(kind: type) -> bool:
    return Protocol in kind.__bases__ or is_typeddict(kind)


def _is_generated(value: object) -> bool:
    """Tell whether the standard library or attrs wrote a function, which some versions do and others do not."""
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    return inspect.isfunction(function) and not function.__code__.co_filename.endswith(".py")
