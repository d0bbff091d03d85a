"""`Service`: a polled service of the API, with a name and a decoder for its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Generic, Protocol, TypeVar

import attrs

from sipqueue_async.models import AgentState

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Decoder(Protocol[_T_co]):
    """Decodes the answers to one repeated request, and may remember the last one."""

    def decode(
        self, body: bytes, *, observed_at: datetime, steady_at: float | None = None, encoding: str = "utf-8"
    ) -> _T_co:
        """Return the content of a body.

        Args:
            body: The body of an answer.
            observed_at: When it arrived (aware).
            steady_at: The same in seconds of a monotonic clock.
            encoding: Its encoding.

        Raises:
            SipQueueError: The body is refused.
        """
        ...


@attrs.frozen
class Settings:
    """The client's settings that decoders use."""

    zone: tzinfo | None
    """The server's time zone."""
    state_codes: Mapping[int, AgentState]
    """Codes in addition to the built-in table."""


@attrs.frozen
class Service(Generic[_T]):
    """A service that can be polled; its module also has a function for the fields of its request."""

    name: str
    """The value of the request's field `service`."""
    new_decoder: Callable[[Settings], Decoder[_T]]
    """Makes a decoder for one set of fields."""
