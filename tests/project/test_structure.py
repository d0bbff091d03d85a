"""The source tree: its drawing, and its string statements."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "sipqueue_async").rglob("*.py"))


def test_the_drawing_shows_the_import_rules_and_the_page_describes_each_module() -> None:
    spec = importlib.util.spec_from_file_location("structure", ROOT / "docs" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    structure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(structure)
    rules = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    drawn = structure.PICTURE.read_text(encoding="utf-8")
    assert drawn == structure.drawing(rules), "run `python docs/structure.py`"
    layers, _ = structure.rows(rules)
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [name for layer in layers for name in layer if f"| `{name}` |" not in page] == []


def undocumenting_strings(node: ast.AST) -> list[int]:
    """Return the lines of string statements that are neither a docstring nor follow an assignment."""
    found = []
    for name in ("body", "orelse", "finalbody", "handlers"):
        found_there = getattr(node, name, None)
        statements = found_there if isinstance(found_there, list) else []
        for number, statement in enumerate(statements):
            match statement:
                case ast.Expr(value=ast.Constant(value=str())):
                    has_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                    is_docstring = number == 0 and has_docstring
                    if not is_docstring and not isinstance(statements[number - 1], ast.Assign | ast.AnnAssign):
                        found.append(statement.lineno)
                case _:
                    found += undocumenting_strings(statement)
    return found


def test_every_string_statement_documents_something() -> None:
    found = {path: undocumenting_strings(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert [f"{path}:{line}" for path, lines in found.items() for line in lines] == []


def test_string_statements_that_document_nothing_are_found() -> None:
    code = 'def f():\n    """Good."""\n    x = 1\n    """Good."""\n    if x:\n        """Bad."""\n    """Bad."""\n'
    assert undocumenting_strings(ast.parse(code)) == [6, 7]
