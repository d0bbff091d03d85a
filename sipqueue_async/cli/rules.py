"""The rules file of commands that show or deliver alerts."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import attrs
import click

from sipqueue_async import SeatFilter
from sipqueue_async._language import language
from sipqueue_async.alerts import RulesFile, SignedOut, read_rules
from sipqueue_async.cli.destinations import warn_if_readable
from sipqueue_async.cli.exits import Failure, complain

option: Final = click.option(
    "--rules",
    "rules_path",
    type=click.Path(path_type=Path),
    help="A file with rules, as for sipqueue alert: shows the alerts that they raise.",
)
"""The option of commands that show alerts."""


def rules_of(path: Path) -> RulesFile:
    """Return the content of a rules file; warn if other users can read its URLs.

    Raises:
        Failure: The file cannot be read, or it is invalid.
    """
    try:
        rules = read_rules(path)
    except ValueError as error:
        raise Failure(str(error)) from None
    if any(it.url is not None for it in rules.destinations):
        warn_if_readable(path, "the URLs of the destinations")
    return rules


def demo_rules() -> RulesFile:
    """Return the built-in rules of a demonstration, with texts in the language in force, and say where they are."""
    with as_file(files("sipqueue_async.cli").joinpath("demo-rules.toml")) as path:
        complain(f"no --rules given, so these are the built-in ones of {path}")
        return attrs.evolve(read_rules(path), language=language())


def shown_rules(path: Path | None, seats: SeatFilter) -> RulesFile | None:
    """Return the rules whose alerts a command shows beside the status of some seats; None without a file.

    Raises:
        Failure: As for `rules_of` and `check_seats`.
    """
    if path is None:
        return None
    rules = rules_of(path)
    check_seats(rules, seats)
    return rules


def check_seats(rules: RulesFile, seats: SeatFilter) -> None:
    """Check that every rule is about seats that are watched.

    Raises:
        Failure: A rule names a queue or an extension that the options leave out.
    """
    for rule in rules.rules:
        extensions = rule.extensions if isinstance(rule, SignedOut) else rule.seats.extensions
        for noun, named, watched in (
            ("queue", rule.seats.queues, seats.queues),
            ("extension", extensions, seats.extensions),
        ):
            option = noun
            if watched is not None and (outside := sorted({*(named or ())} - watched)):
                raise Failure(f"the rule {rule.name!r} is about {noun} {outside[0]!r}, which --{option} leaves out")


def named_seats(rules: RulesFile | None, seats: SeatFilter) -> SeatFilter:
    """Return the queues and extensions that the options or a rule name."""
    every = () if rules is None else rules.rules
    queues = frozenset(seats.queues or ()).union(*(rule.seats.queues or () for rule in every))
    extensions = frozenset(seats.extensions or ()).union(*(rule.seats.extensions or () for rule in every))
    return SeatFilter(queues or None, extensions or None)
