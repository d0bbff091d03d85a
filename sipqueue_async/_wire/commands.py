"""Commands: the fields of requests that change what an agent or a call does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SIGN_IN: Final = "App.Sip_Queue.SipSignIn"
SIGN_OUT: Final = "App.Sip_Queue.SipSignOut"
SET_STATUS: Final = "App.Sip_Queue.SetSeatsStatus"
HANG_UP: Final = "App.Sip_Call.HangupCall"

BUSY: Final = "1"
IDLE: Final = "2"


def seat_fields(
    queue: str | None, extension: str, *, crmid: str | None = None, settype: str | None = None
) -> dict[str, str]:
    """Return the fields of a command for an extension, in a queue or wherever the platform chooses.

    Raises:
        TypeError: A name is not a string.
        ValueError: A name is empty, or names several extensions.
    """
    named = {"queue": ("queuename", queue), "extension": ("extnumber", extension), "crmid": ("crmid", crmid)}
    fields: dict[str, str] = {}
    for argument, (name, value) in named.items():
        if value is None and argument != "extension":
            continue
        fields[name] = checked_name(argument, value)
    if settype is not None:
        fields["settype"] = settype
    return fields


def checked_name(argument: str, value: object) -> str:
    """Check a name and return it.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty, or an extension with a comma, which would name several.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a string, not {value!r}")
    if not value:
        raise ValueError(f"{argument} is empty")
    if argument == "extension" and "," in value:
        raise ValueError(f"extension is {value!r}; it must name one extension")
    return value


def extension_list(extensions: Iterable[str]) -> list[str]:
    """Return the extensions to ask for, each once.

    Raises:
        TypeError: One is not a string, or a single string was given.
        ValueError: One is empty or has a comma, or there is none.
    """
    if isinstance(extensions, str):
        raise TypeError(f"extensions must be several strings, such as [{extensions!r}], not one")
    found = list(dict.fromkeys(checked_name("extension", each) for each in extensions))
    if not found:
        raise ValueError("extensions names none; name at least one")
    return found
