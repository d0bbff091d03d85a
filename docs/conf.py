"""How Sphinx builds these pages; `nox -s docs` does it, with warnings as errors and without any network."""

from typing import Any

import sipqueue_async

project = "sipqueue_async"
author = "The sipqueue_async maintainers"
copyright = "2026, the sipqueue_async maintainers"
version = release = sipqueue_async.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "sipqueue_async"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
# Backticks in docstrings name things of the code.
default_role = "code"


# Napoleon takes what stands before the first colon of an attribute's docstring for its type. Types are annotated, so
# the colons are put out of its sight and back again.
_COLON = "\ue000"


def _hide_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what in {"attribute", "property"}:
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _show_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def setup(app: Any) -> None:
    """Stand before and behind Napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _hide_colons, priority=400)
    app.connect("autodoc-process-docstring", _show_colons, priority=600)
