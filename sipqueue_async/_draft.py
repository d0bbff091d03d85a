"""Making many objects of frozen classes fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

blank: Final[Callable[[Any], Any]] = object.__new__
"""Makes a draft: what the class itself would do too, but for looking for an ``__init__`` to call."""


def draft(frozen: type) -> Any:
    """Return a class whose objects become those of a frozen one, by ``it.__class__ = Frozen``, once they are written.

    The generated ``__init__`` of a frozen class has to go around its own guard, field by field; writing a draft takes a
    quarter of that, and there is an object for each change. Python allows the step because both classes have the same
    bases and the same slots, unless there is one for weak references among them.
    """
    # Setting and deleting share a slot of the type, so with one of them alone each assignment would go through Python.
    unguarded = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    made = type(f"{frozen.__name__}Draft", frozen.__bases__, {"__slots__": vars(frozen)["__slots__"], **unguarded})
    # Better here and now than with the first change.
    blank(made).__class__ = frozen
    return made
