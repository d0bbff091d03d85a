"""The public interface as text: every public module, name, signature and member, equal on every version of Python."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, ForwardRef, Protocol, TypeVar, get_args, get_origin, get_overloads, is_typeddict

import attrs

import sipqueue_async

FILE = Path(__file__).with_name("public_api.txt")
COMMAND = "python tests/api/write_api.py"
PROTOCOLS = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__call__", "__contains__", "__enter__", "__eq__"),
    *("__exit__", "__getitem__", "__hash__", "__iter__", "__len__"),
}
"""Special methods that are public; the others are implementation."""
FOUND = {"Subscription", "Updates", "GroupTally", "QueueTally", "SeatTally"}
"""Classes that only the library creates; their constructors are not public."""


class Text(str):
    """A string whose repr is itself, for annotations."""

    __slots__ = ()
    __repr__ = str.__str__


def public_modules() -> list[str]:
    """Return the public modules: the package, and its direct submodules that have an `__all__`."""
    parts = [f"sipqueue_async.{part.name}" for part in pkgutil.iter_modules(sipqueue_async.__path__)]
    return [
        name
        for name in ["sipqueue_async", *sorted(parts)]
        if "._" not in name and hasattr(importlib.import_module(name), "__all__")
    ]


def surface() -> str:
    """Return the current public interface."""
    return "\n".join(line for module in public_modules() for line in _module(module))


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    exported = {it: getattr(module, it) for it in sorted(module.__all__)}
    lines = [line for it, value in exported.items() for line in _exported(it, value)]
    homes = {
        base.__module__ for value in exported.values() for base in getattr(value, "__mro__", [value]) if _is_ours(base)
    }
    lines += _meant(lines, [sys.modules[home] for home in sorted(homes)])
    yield name
    yield from (f"    {line}" for line in lines)
    yield ""


def _exported(name: str, value: object) -> Iterable[str]:
    if isinstance(value, type):
        return _class(name, value)
    return _function(name, value) if inspect.isfunction(value) else [f"{name} = {_shown(value)}"]


def _shown(value: object) -> str:
    # Since Python 3.14 it is the same as `typing.Union`.
    return repr(value).replace("<class 'typing.Union'>", "types.UnionType")


def _meant(lines: list[str], homes: list[Any]) -> list[str]:
    """Return the unions, type variables and protocols that signatures refer to but that are not exported."""
    public = {name for module in public_modules() for name in importlib.import_module(module).__all__}
    found: dict[str, list[str]] = {}
    seen, new = public, lines
    while new:
        words = {word for line in new for word in re.findall(r"\w+", line)} - seen
        named = {word: vars(home)[word] for word in sorted(words) for home in homes if word in vars(home)}
        meant = {word: list(_meaning(word, value)) for word, value in named.items()}
        seen, new = seen | words, [line for of_one in meant.values() for line in of_one]
        found |= meant
    return [f"where {line}" if line == of_one[0] else line for _, of_one in sorted(found.items()) for line in of_one]


def _meaning(name: str, value: object) -> Iterable[str]:
    if isinstance(value, TypeVar):
        bounds = {None: "object", sipqueue_async.Event: "Event"}
        return [f"{name}: {bounds.get(value.__bound__, value.__bound__)}"]
    if isinstance(value, type):
        return _class(name, value) if _is_ours(value) and _is_protocol(value) else []
    return [f"{name} = {_shown(value)}"] if get_args(value) else []


def _class(name: str, kind: type) -> Iterator[str]:
    bases = [shown for base in _bases(kind) if not (shown := _base(base)).startswith("_")]
    if is_typeddict(kind):
        bases.append(f"total={vars(kind)['__total__']}")
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if attrs.has(kind):
        yield f"    {', '.join(_traits(kind))}"
    made_here = next((base for base in kind.__mro__ if "__init__" in vars(base)), object)
    is_named_tuple = hasattr(kind, "_fields")
    if (_is_ours(made_here) or is_named_tuple) and not _is_protocol(kind) and name not in FOUND:
        yield f"    made by {_signature(kind)}"
    lines: dict[str, list[str]] = {}
    for base in reversed(kind.__mro__):
        if _is_ours(base):
            lines |= {member: list(_member(member, value)) for member, value in _members(base)}
    for member in sorted(lines):
        yield from (f"    {line}" for line in lines[member])


def _bases(kind: type) -> tuple[Any, ...]:
    """Return a class's bases as written in the source, where every version of Python keeps them."""
    plain = kind.__bases__ if kind.__bases__ != (object,) else ()
    return plain if is_typeddict(kind) or hasattr(kind, "_fields") else vars(kind).get("__orig_bases__", plain)


def _base(base: Any) -> str:
    arguments = ", ".join(_base(it) for it in get_args(base))
    name: str = (get_origin(base) or base).__name__
    return f"{name}[{arguments}]" if arguments else name


def _traits(kind: Any) -> Iterator[str]:
    """Return the attrs settings of a class that affect other programs."""
    yield "frozen" if "frozen" in kind.__setattr__.__name__ else "mutable"
    yield "compared by identity" if kind.__eq__ is object.__eq__ else "compared by value"
    yield "hashable" if kind.__hash__ is not None else "not hashable"


def _members(kind: type) -> Iterator[tuple[str, object]]:
    """Return a class's own members: annotated, set in `__init__`, or defined."""
    found: dict[str, object] = {name: Text(_plain(it)) for name, it in inspect.get_annotations(kind).items()}
    found |= {name: Text(type_) for name, type_ in _set_when_made(kind).items()}
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set(getattr(kind, "_fields", ()))
    for name, value in vars(kind).items():
        if name not in fields and not _is_generated(value):
            annotation = _annotated(kind, name)
            found[name] = value if annotation is None else Text(f"{annotation} = {value!r}")
    for name, value in found.items():
        if name in PROTOCOLS or not name.startswith("_"):
            yield name, value


def _annotated(kind: type, name: str) -> str | None:
    """Return the annotation of an attribute, of the class or of a base."""
    known = (inspect.get_annotations(base) for base in kind.__mro__ if _is_ours(base))
    return next((_plain(annotations[name]) for annotations in known if name in annotations), None)


def _set_when_made(kind: type) -> dict[str, str]:
    """Return the attributes that a class's own `__init__` sets, with their types if the source shows them."""
    init = vars(kind).get("__init__")
    if init is None or _is_generated(init) or _is_protocol(kind):
        return {}
    parameters = inspect.signature(init).parameters
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(init)))):
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                found[target.attr] = _annotated(kind, target.attr) or _type_given(node, parameters)
    return found


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return [it for target in node.targets for it in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _type_given(node: ast.AST, parameters: Mapping[str, inspect.Parameter]) -> str:
    match node:
        case ast.AnnAssign():
            return ast.unparse(node.annotation)
        case ast.Assign(value=ast.Name(id=name)) if name in parameters:
            return _plain(parameters[name].annotation)
        case ast.Assign(value=ast.Constant(value=value)):
            return type(value).__name__
        case _:
            return "set when made"


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
        case _:
            yield from _function(name, value) if inspect.isfunction(value) else [f"{name} = {value!r}"]


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
    """Return a default value; for a function its name, because its repr contains an address."""
    return Text(f"<{default.__name__}>") if callable(default) and not isinstance(default, type) else default


def _plain(annotation: Any) -> str:
    """Return an annotation as written in the source."""
    return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else str(annotation)


def _is_ours(kind: Any) -> bool:
    return getattr(kind, "__module__", "").split(".")[0] == "sipqueue_async"


def _is_protocol(kind: type) -> bool:
    return Protocol in kind.__bases__ or is_typeddict(kind)


def _is_generated(value: object) -> bool:
    """Return whether the standard library or attrs generated a function; that depends on their versions."""
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    return inspect.isfunction(function) and not function.__code__.co_filename.endswith(".py")
