"""`SipQueueClient`: requests to the platform and their answers."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp

from sipqueue_async._exchange import Answer
from sipqueue_async._requests import Requests
from sipqueue_async._secrets import Secret
from sipqueue_async._time_zones import time_zone
from sipqueue_async._wire import (
    BUSY,
    CALL_RECORDS,
    HANG_UP,
    IDLE,
    QUEUE_LIST,
    QUEUE_STATUS,
    REGISTRATIONS,
    SET_STATUS,
    SIGN_IN,
    SIGN_OUT,
    CallPage,
    CallPaging,
    Decoder,
    Service,
    call_fields,
    decode_calls,
    decode_data,
    decode_queues,
    decode_registrations,
    extension_list,
    seat_fields,
    status_fields,
)
from sipqueue_async._wire import Settings as WireSettings
from sipqueue_async.auth import Auth
from sipqueue_async.calls import CallDirection, CallMethod, CallRecord
from sipqueue_async.errors import SipQueueError
from sipqueue_async.models import AgentState, Snapshot
from sipqueue_async.queues import QueueInfo, Registration
from sipqueue_async.settings import Settings

_log: Final = logging.getLogger("sipqueue_async")

_T = TypeVar("_T")

_DECODERS_KEPT: Final = 64


class SipQueueClient:
    """A client of one platform's HTTP API.

    Use it as ``async with SipQueueClient(...) as client`` or call `aclose` when done. One client serves any number of
    concurrent calls and watchers.

    Args:
        base_url: The API's one URL, ``http://`` or ``https://``.
        auth: A fixed token; or `AppCredentials`, to log in with when needed; or an async function that returns a token.
            If the platform refuses the token (ret 600), it is renewed once and the call repeated once; a fixed token
            cannot be renewed.
        session: An aiohttp session to use, for a proxy, a private CA or shared connections. The client never closes
            it. Without one the client makes its own, which keeps the cookies of the API's host in memory: load
            balancers use them to answer a client from the same server each time.
        timeout: Seconds for one whole exchange, reading the body included.
        timezone: The server's time zone, as a tzinfo or an IANA name. With it the records' times are aware, each with
            the zone's offset at that time; without it they stay naive, as sent.
        state_codes: Additional codes of the record's `state`, or other meanings of known ones: {code: AgentState}.
        max_body: The longest accepted body in bytes, after decompression.
        encoding: The body's encoding, for a platform that sends GBK and does not say so in its Content-Type.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is invalid.
    """

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        *,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 10.0,
        timezone: tzinfo | str | None = None,
        state_codes: Mapping[int, AgentState] | None = None,
        max_body: int = 32 * 2**20,
        encoding: str | None = None,
    ) -> None:
        # First, so that no traceback with local variables shows the token.
        wrapped = Secret(auth) if isinstance(auth, str | bytes) else auth
        del auth
        self._requests = Requests(
            base_url, wrapped, session=session, timeout=timeout, max_body=max_body, encoding=encoding
        )
        zone = None if timezone is None else time_zone("timezone", timezone)
        self._settings = WireSettings(zone, _checked_codes(state_codes or {}))
        self._decoders: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Decoder[Any]] = OrderedDict()

    @classmethod
    def from_env(
        cls,
        settings: Settings | None = None,
        *,
        session: aiohttp.ClientSession | None = None,
        state_codes: Mapping[int, AgentState] | None = None,
        max_body: int = 32 * 2**20,
    ) -> Self:
        """Return a client for the platform that the environment, or the settings file, names.

        Args:
            settings: Other settings than those of ``Settings.load()``, which describes the variables and the file.
            session: As for the class.
            state_codes: As for the class.
            max_body: As for the class.

        Raises:
            SettingsError: A setting is missing or invalid; the text says which one, and where it comes from.
        """
        known = Settings.load() if settings is None else settings
        if not isinstance(known, Settings):
            raise TypeError(f"settings must be Settings, such as Settings.load(path), not {type(known).__name__}")
        if known.file_warning:
            _log.warning("%s", known.file_warning)
        url, auth = known.required_url(), known.auth()
        given: dict[str, Any] = {"timeout": known.timeout, "timezone": known.timezone, "encoding": known.encoding}
        options = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(url, auth, session=session, state_codes=state_codes, max_body=max_body, **options)
        except ValueError as error:
            raise known.blame(error) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, and the session if it is the client's own. Later calls raise RuntimeError."""
        await self._requests.aclose()

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
    ) -> Snapshot:
        """Return the status of every agent in every queue, or of those that match the filters.

        Unchanged records are shared with the last snapshot of the same filters.

        Args:
            queue: Only this queue.
            extension: Only this extension.
            state: Only agents who are idle, waiting, receiving or talking; the platform cannot filter by other states.

        Raises:
            ValueError: A filter is empty, or the platform cannot filter by the state.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        return await self._fetch(QUEUE_STATUS, status_fields(queue, extension, state))

    def fetch_calls(
        self,
        since: datetime,
        until: datetime,
        *,
        direction: CallDirection | str | None = None,
        method: CallMethod | str | None = None,
        extension: str | Iterable[str] | None = None,
        page_size: int = 500,
    ) -> AsyncIterator[CallRecord]:
        """Return an iterator of the records of finished calls that were dialled in a range of time.

        It asks for one page at a time, and gives every record once, in the server's order, which is that of the
        platform's pages. If calls end meanwhile, it reads the pages again to find them too. The platform's own
        cursor is neither used nor changed.

        Args:
            since: The earliest time of dialling: aware if the client knows the server's `timezone`, otherwise naive
                and in the server's local time.
            until: The latest time of dialling.
            direction: Only incoming or only outgoing calls.
            method: Only calls made in this way.
            extension: Only calls of this extension, or of these.
            page_size: Records in one answer, 1 to 1000.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is invalid.
            AuthError: While iterating: the credentials were refused.
            SipQueueError: While iterating: no good answer. Begin again; the records so far are good. Its text quotes
                nothing of the records, since they contain telephone numbers.
        """
        fields = call_fields(
            since,
            until,
            self._settings.zone,
            direction=direction,
            method=method,
            extension=extension,
            page_size=page_size,
        )
        return self._call_pages(fields, page_size)

    async def queues(self, queue: str | None = None) -> tuple[QueueInfo, ...]:
        """Return the settings of every queue, or of one.

        Args:
            queue: Only this queue.

        Raises:
            ValueError: `queue` is empty.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        if queue == "":
            raise ValueError("queue is empty; leave it out to ask for all")
        fields = {} if queue is None else {"queuename": queue}
        return await self._read(QUEUE_LIST, fields, decode_queues)

    async def registrations(self, extensions: Iterable[str]) -> dict[str, Registration]:
        """Return which of these extensions' telephones are registered.

        Args:
            extensions: The extensions.

        Raises:
            TypeError: They are not several strings.
            ValueError: There is none, or one is empty.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        asked = extension_list(extensions)

        def decode(body: bytes, encoding: str) -> dict[str, Registration]:
            return decode_registrations(body, asked, encoding)

        return await self._read(REGISTRATIONS, {"extnumber": ",".join(asked)}, decode)

    async def sign_in(self, queue: str, extension: str, *, crmid: str | None = None) -> None:
        """Sign an extension in to a queue, so that it is given calls.

        Like all commands it is sent once: it is repeated only if the platform refused the token (ret 600) and so did
        not act. An error with `in_doubt` means that it may have been executed.

        Args:
            queue: The queue.
            extension: The extension.
            crmid: The operator's own name for the agent, which the platform stores.

        Raises:
            TypeError: An argument is not a string.
            ValueError: An argument is empty.
            AuthError: The credentials were refused.
            OperationFailed: The platform did not do it; its `code` tells why.
            SipQueueError: No good answer.
        """
        await self._command(SIGN_IN, seat_fields(queue, extension, crmid=crmid))

    async def sign_out(self, queue: str, extension: str, *, crmid: str | None = None) -> None:
        """Sign an extension out of a queue. Arguments and errors are those of `sign_in`."""
        await self._command(SIGN_OUT, seat_fields(queue, extension, crmid=crmid))

    async def pause(self, extension: str, *, queue: str | None = None, crmid: str | None = None) -> None:
        """Set an extension busy: it is given no more calls; one under way goes on.

        Args:
            extension: The extension.
            queue: Name a queue if the platform asks for one.
            crmid: The operator's own name for the agent.

        Raises:
            SipQueueError: As for `sign_in`.
        """
        await self._command(SET_STATUS, seat_fields(queue, extension, crmid=crmid, settype=BUSY))

    async def resume(self, extension: str, *, queue: str | None = None, crmid: str | None = None) -> None:
        """Set an extension idle again after `pause`, whose arguments and errors it has."""
        await self._command(SET_STATUS, seat_fields(queue, extension, crmid=crmid, settype=IDLE))

    async def hang_up(self, extension: str) -> None:
        """End the call of an extension.

        Raises:
            SipQueueError: As for `sign_in`. Without a call it is an `OperationFailed`.
        """
        await self._command(HANG_UP, seat_fields(None, extension))

    async def call(self, service: str, **fields: str | int | None) -> Any:
        """Call any service of the API, check the envelope of its answer, and return its `data`.

        Args:
            service: The service's name, such as ``App.Sip_Queue.GetQueueSipStatus``.
            fields: The request's other fields, without the token; None leaves a field out.

        Raises:
            ValueError: `service` is empty, or a field is one that the client sets.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        if not service:
            raise ValueError("service is empty; it is a name like App.Sip_Queue.GetQueueSipStatus")
        if "token" in fields:
            raise ValueError("the client adds the token by itself")
        given = {name: str(value) for name, value in fields.items() if value is not None}

        def decode(answer: Answer) -> Any:
            return decode_data(answer.body(), answer.encoding)

        return await self._requests.authorized(service, given, decode, repeatable=False)

    def __repr__(self) -> str:
        # A traceback with local variables may show an unfinished client.
        if "_requests" not in vars(self):
            return "<SipQueueClient, not initialized>"
        return f"<SipQueueClient of {self._requests.address}{', closed' if self._requests.closed else ''}>"

    # ---- polled services ---------------------------------------------------------------------------------------------

    async def _fetch(self, service: Service[_T], fields: Mapping[str, str]) -> _T:
        """Poll a service. Each service and set of fields has a decoder of its own; the last used ones are kept."""
        question = (service.name, tuple(fields.items()))
        if question not in self._decoders:
            self._decoders[question] = service.new_decoder(self._settings)
        self._decoders.move_to_end(question)
        decoder: Decoder[_T] = self._decoders[question]
        if len(self._decoders) > _DECODERS_KEPT:
            # Polls of many single extensions must not push out the decoder of the whole.
            parts = (asked for asked in self._decoders if any(field == "extnumber" for field, _ in asked[1]))
            del self._decoders[next(parts, next(iter(self._decoders)))]

        def decode(answer: Answer) -> _T:
            now, steady_now = datetime.now(UTC), asyncio.get_running_loop().time()
            return decoder.decode(answer.body(), observed_at=now, steady_at=steady_now, encoding=answer.encoding)

        return await self._requests.authorized(service.name, fields, decode, repeatable=True)

    # ---- other services ----------------------------------------------------------------------------------------------

    async def _read(self, service: str, fields: Mapping[str, str], decode: Callable[[bytes, str], _T]) -> _T:
        def decoded(answer: Answer) -> _T:
            return decode(answer.body(), answer.encoding)

        return await self._requests.authorized(service, fields, decoded, repeatable=True)

    async def _command(self, service: str, fields: Mapping[str, str]) -> None:
        def decode(answer: Answer) -> None:
            decode_data(answer.body(), answer.encoding)

        await self._requests.authorized(service, fields, decode, repeatable=False, acts=True)

    # ---- pages ------------------------------------------------------------------------------------------------------

    async def _call_pages(self, fields: Mapping[str, str], page_size: int) -> AsyncIterator[CallRecord]:
        def decode(answer: Answer) -> CallPage:
            return decode_calls(answer.body(), self._settings.zone, answer.encoding)

        paging = CallPaging(page_size)
        while paging.page is not None:
            asked = {**fields, "currentpage": str(paging.page)}
            page = await self._requests.authorized(CALL_RECORDS, asked, decode, repeatable=True)
            try:
                news = paging.take(page)
            except SipQueueError as error:
                error.where = self._requests.where(CALL_RECORDS)
                raise
            for record in news:
                yield record


def _checked_codes(codes: Mapping[int, AgentState]) -> dict[int, AgentState]:
    for code in codes:
        if not isinstance(code, int):
            raise TypeError(f"state_codes has {code!r} for a code, which must be an integer")
    return {code: AgentState(state) for code, state in codes.items()}
