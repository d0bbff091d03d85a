"""The library's own descriptions of errors in other languages.

Errors themselves stay English. A screen that shows one translates it here, from its text: a relay sends text only.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from sipqueue_async._language.catalogues import N_, Words
from sipqueue_async._language.spoken import ENGLISH, language

_WORDS: Final = Words("errors")

_FORMS: Final = (
    # From the exchange of the client.
    N_("no whole answer within {seconds} s: the server is slow, silent or out of reach"),
    N_("cannot connect to {server} ({reason}); check the URL and that the server runs"),
    N_("the name {host} cannot be resolved ({reason}); check the URL"),
    N_("no TLS with {server} ({reason}); check that the URL is right and uses TLS"),
    N_("the server's certificate is not trusted ({reason}); for a private CA, use a session"),
    N_("the answer broke off or cannot be unpacked ({reason})"),
    N_("the answer is not valid HTTP; check the URL"),
    N_("the server closed the connection without a whole answer"),
    N_("HTTP {status}: this URL is not the API; check the URL"),
    N_("HTTP {status}: try again in {seconds} s"),
    N_("HTTP {status}: try again later"),
    N_("HTTP {status}: check the URL, and any proxy in front of the platform"),
    N_("the URL answered with a web page; check the URL"),
    N_("malformed response: {reason}"),
    N_("the program's log says more"),
    # From the platform.
    N_("ret {code}: {reason}"),
    N_("error {code}: {reason}"),
    N_("a code that the reference does not list"),
    N_("the operation failed, without an error code"),
    N_("the platform refuses the login: check the appid and the accesskey"),
    N_("the platform refuses a fresh token; the fault is the platform's, so try again later"),
    N_(
        "the platform does not accept the token, and a ready token cannot be renewed: "
        "get a new one, or use AppCredentials to log in"
    ),
    # From a relay.
    N_("no relay has confirmed yet that the data in Redis is up to date"),
    N_("no relay has published anything yet: is one running, and with this prefix?"),
    N_("Redis has lost data that this reader had read; waiting for a relay to confirm the rest"),
    N_("no relay is there: no sign of one for {number} leases"),
    N_("Redis is away: {reason}"),
    # From the program itself.
    N_("the program no longer asks the platform: {reason}"),
    N_("the program no longer asks the platform"),
    N_("the program no longer reads what a relay publishes: {reason}"),
    N_("the program no longer reads what a relay publishes"),
)
"""The descriptions besides the meanings of codes, with names for what differs."""

_SYSTEMS: Final = (
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Network is unreachable"),
    N_("No route to host"),
    N_("Name or service not known"),
    N_("Temporary failure in name resolution"),
    N_("certificate has expired"),
    N_("self-signed certificate"),
)
"""The most frequent reasons that the operating system and OpenSSL give. Others stay as they are."""

_REASON: Final = "reason"
"""The name of a part that is a description itself."""


def reason_words(reason: str, name: str | None = None) -> str:
    """Return the description of an error in a language, by default the one in force.

    A text that is not the library's own stays as it is.
    """
    spoken = name or language()
    if spoken == ENGLISH or not reason:
        return reason
    for form in _FORMS:
        found = _pattern(form).fullmatch(reason)
        if found is not None:
            parts = found.groupdict()
            if _REASON in parts:
                parts[_REASON] = reason_words(parts[_REASON], spoken)
            return _WORDS.gettext(form, spoken).format(**parts)
    return _WORDS.gettext(reason, spoken)


@cache
def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(form)), re.DOTALL)
