"""Sphinx configuration; `nox -s docs` checks the pages, with warnings as errors and without network access."""

import sys
from pathlib import Path
from typing import Any

import sipqueue_async
from sipqueue_async import _codes, _record, _snapshot, models

sys.path.insert(0, str(Path(__file__).parent))

import structure

project = "sipqueue_async"
author = "The sipqueue_async maintainers"
copyright = "2026, the sipqueue_async maintainers"
version = release = sipqueue_async.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "sipqueue_async"
html_static_path = ["_static"]
html_css_files = ["page.css"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
# Backticks in docstrings name things of the code.
default_role = "code"


# The classes name `models` as their module. Sphinx reads the docstrings of attributes in the source of that module, so
# name the real one here.
models.AgentState.__module__ = _codes.__name__
models.Snapshot.__module__ = _snapshot.__name__
for _class in (models.AgentStatus, models.FieldProblem, models.SeatKey):
    _class.__module__ = _record.__name__


# Napoleon reads the text before the first colon of an attribute's docstring as its type. The attributes have
# annotations, so hide the colons from Napoleon and restore them afterwards.
_COLON = "\ue000"


def _hide_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what in {"attribute", "property"}:
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _show_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def setup(app: Any) -> None:
    """Draw the structure; run before and after Napoleon, whose priority is 500."""
    structure.write()
    app.connect("autodoc-process-docstring", _hide_colons, priority=400)
    app.connect("autodoc-process-docstring", _show_colons, priority=600)
