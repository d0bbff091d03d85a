"""The messages of click that the command shows: click looks them up in the catalogue ``click``."""

from __future__ import annotations

from typing import Final

MESSAGES: Final = (
    *("Usage:", "Options", "Commands", "Positional arguments", "Missing command.", "Aborted!", "Error: {message}"),
    *("Error: invalid input", "Show this message and exit.", "Show the version and exit.", "required", "(dynamic)"),
    *("default: {default}", "env var: {var}", "Try '{command} {option}' for help.", "Choose from:\n\t{choices}"),
    *("Missing argument", "Missing option", "Missing parameter", "Missing {param_type}"),
    *("Missing parameter: {param_name}", "Invalid value: {message}", "Invalid value for {param_hint}: {message}"),
    # The first one is that of click before 8.4.
    *("No such option: {name}", "No such option {name!r}.", "No such command {name!r}."),
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Option {name!r} does not take a value.",
    ("Takes {nargs} values but 1 was given.", "Takes {nargs} values but {len} were given."),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    *("{value!r} is not a valid {number_type}.", "{value} is not in the range {range}."),
    "{value!r} is not a valid boolean. Recognized values: {states}",
    *("file", "directory", "path", "{name} {filename!r} does not exist.", "{name} {filename!r} is a file."),
    *("{name} {filename!r} is a directory.", "{name} {filename!r} is not readable."),
    *("{name} {filename!r} is not writable.", "Could not open file {filename!r}: {message}", "unknown error"),
)
"""A message, or its forms for one and for many."""
