"""The settings of queues and the registrations of extensions: the decoding of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sipqueue_async._wire.encoding import as_utf8, excerpt, trouble
from sipqueue_async._wire.envelope import open_envelope
from sipqueue_async._wire.fields import Fields, elements
from sipqueue_async._wire.records import UNREADABLE, decode_record
from sipqueue_async._wire.values import Nonsense, identity, integer, quoted
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.queues import STRATEGY_CODES, QueueInfo, QueueStrategy, Registration

QUEUE_LIST: Final = "App.Sip_Queue.GetQueueList"
REGISTRATIONS: Final = "App.Sip_Status.GetSipRegisterStatus"


def decode_queues(body: bytes, encoding: str = "utf-8") -> tuple[QueueInfo, ...]:
    """Return the queues of an answer's body, in the server's order.

    Raises:
        MalformedResponse: The body violates the protocol; the reason names a queue and a field.
        ApiError: `ret` is not 200.
        OperationFailed: `data.status` is not 0.
    """
    return tuple(_queue(fields, place) for place, fields in enumerate(_records(body, encoding, "queuename"), 1))


def decode_registrations(body: bytes, asked: Sequence[str], encoding: str = "utf-8") -> dict[str, Registration]:
    """Return the registrations of an answer's body, by extension.

    Args:
        body: The body.
        asked: The extensions of the request: a record without `extnumber` is that of the extension at its place.
        encoding: The body's encoding.

    Raises:
        MalformedResponse: The body violates the protocol; the reason names an extension and a field.
        ApiError: `ret` is not 200.
        OperationFailed: `data.status` is not 0.
    """
    records = list(_records(body, encoding, "code"))
    found: dict[str, Registration] = {}
    for place, fields in enumerate(records):
        if fields.get("extnumber") in {None, ""} and len(records) == len(asked):
            fields["extnumber"] = asked[place]
        name = f"registration {place + 1}"
        extension = _must(fields, "extnumber", identity, name)
        code = _must(fields, "code", integer, f"registration of extension {quoted(extension)}")
        read = Fields(fields)
        found[extension] = Registration(
            extension=extension,
            code=code,
            client_address=read.text("clientip"),
            server_address=read.text("serverip"),
        )
    return found


def _records(body: bytes, encoding: str, mark: str) -> Iterable[dict[str, Any]]:
    body, _, data = open_envelope(as_utf8(body, encoding))
    for raw in elements(data, mark):
        try:
            fields = decode_record(bytes(raw))
        except UNREADABLE as error:
            raise MalformedResponse(f"a record cannot be read: {trouble(error)}", excerpt(bytes(raw))) from error
        if not isinstance(fields, dict):
            raise MalformedResponse("a record is not an object", excerpt(bytes(raw)))
        yield fields


def _must(fields: dict[str, Any], name: str, read: Any, whose: str) -> Any:
    try:
        return read(fields.get(name))
    except Nonsense as nonsense:
        raise MalformedResponse(f"{whose}: {name} {nonsense}") from None


def _queue(fields: dict[str, Any], place: int) -> QueueInfo:
    name = _must(fields, "queuename", identity, f"queue {place} of the list")
    read = Fields(fields)
    code = read.integer("strategy")
    return QueueInfo(
        name=name,
        remark=read.text("remark"),
        strategy=STRATEGY_CODES.get(code or 0, QueueStrategy.UNKNOWN),
        strategy_code=code,
        announcement=read.text("announce"),
        announcement_interval=read.seconds("announcefreq"),
        ring_delay=read.seconds("ringdelay"),
        max_wait=read.seconds("maxwaittime"),
        max_wait_without_agent=read.seconds("withnoagenttime"),
        rejoin_delay_without_agent=read.seconds("noagentrejoiningtime"),
        discard_after=read.seconds("discardtime"),
        auto_call=read.text("autocall"),
        problems=tuple(read.problems),
    )
