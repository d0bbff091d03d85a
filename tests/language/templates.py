"""Finds the sentences of errors and warnings in the sources: strings and f-strings, as templates with named values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SAYING: Final = frozenset({"help", "placeholder", "name", "description", "epilog", "flags"})
"""Keywords whose strings are not sentences of errors, or are found elsewhere."""


def templates(path: Path) -> Iterator[str]:
    """Yield the sentences in a file, with values in braces."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _in(tree)


def _in(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return
        case ast.Call(func=ast.Name(id="_" | "N_" | "ngettext" | "pgettext")):
            return
        case ast.keyword(arg=str(name)) if name in _SAYING:
            return
        case ast.JoinedStr():
            if _is_sentence(text := _template(node)):
                yield text
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    yield from _in(value.value)
            return
        case ast.Constant(value=str(text)) if _is_sentence(text):
            yield text
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _in(child)


def _is_sentence(text: str) -> bool:
    words = re.sub(r"\{\w*\}", "", text)
    return " " in text.strip() and re.search(r"[a-z]{2}|^\W*\(", words) is not None


def _template(node: ast.JoinedStr) -> str:
    parts: list[str] = []
    names: dict[str, str] = {}
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            source = ast.unparse(value.value)
            name = _name(value.value)
            while names.setdefault(name, source) != source:
                name += "_"
            parts.append(f"{{{name}}}")
        else:
            assert isinstance(value, ast.Constant)
            parts.append(str(value.value).replace("{", "{{").replace("}", "}}"))
    return "".join(parts)


def _name(node: ast.expr) -> str:
    """Return a name for a value: the last name in its expression's main part."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().strip("_")
        case ast.Call(args=[inner, *_]) | ast.Call(func=inner) | ast.Subscript(value=inner) | ast.IfExp(body=inner):
            return _name(inner)
        case _:
            return "value"
