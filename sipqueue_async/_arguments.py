"""Checks of numbers that callers give, with errors that name the argument."""

from __future__ import annotations

import math


def check_above_zero(name: str, value: object, unit: str = "seconds") -> None:
    """Check that an argument is a finite number above 0.

    Raises:
        TypeError: It is not a number.
        ValueError: It is out of range.
    """
    number = _number(name, value, unit)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be above 0 {unit}, not {value!r}")


def check_at_least(name: str, value: object, least: float, unit: str) -> None:
    """Check that an argument is a finite number, `least` or more.

    Raises:
        TypeError: It is not a number.
        ValueError: It is out of range.
    """
    number = _number(name, value, f"{unit}s")
    if not least <= number < math.inf:
        raise ValueError(f"{name} must be at least {least:g} {unit}{'' if least == 1 else 's'}, not {value!r}")


def _number(name: str, value: object, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of {unit}, not {value!r}")
    return value
