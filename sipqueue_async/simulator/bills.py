"""``App.Sip_Cdr.GetBill``: the records of finished calls, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sipqueue_async.simulator.past_calls import PastCall

_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_LARGEST_PAGE: Final = 1000
_DIALLED_BY_HAND: Final = 2
_GROUP: Final = 6
_NORMAL, _CANCELLED, _BY_SERVER, _BY_CALLER, _BY_CALLEE = 10001, 10002, 10007, 10040, 10041
_NOT_ASKED, _ASKED, _ALL = "1", "2", "3"


class BadFieldError(ValueError):
    """A field of the request is invalid; the text says which one."""


class Bills:
    """The records of one platform's calls, and the server's own mark of which ones were asked for.

    Args:
        masked: Whether to mask the other party's number, such as ``020****0123``.
        loose_types: Whether to send some integers as strings and some strings as integers, and to leave out some
            fields, as PHP back ends do.
    """

    def __init__(self, *, masked: bool, loose_types: bool) -> None:
        self._masked = masked
        self._loose_types = loose_types
        self._asked: set[int] = set()

    def result(self, calls: Sequence[PastCall], fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the result for a request's fields: the newest records first.

        With a `syncflag` of 1, the default, the records of the page count as asked for from now on.

        Raises:
            BadFieldError: A field is missing or invalid.
        """
        since, until = _time(fields, "starttime"), _time(fields, "endtime")
        sync = _choice(fields, "syncflag", _NOT_ASKED, (_NOT_ASKED, _ASKED, _ALL))
        direction = _choice(fields, "direction", "3", ("1", "2", "3"))
        method = int(_choice(fields, "callmethod", "0", tuple("0123456")))
        size = _whole(fields, "itemsperpage", 10, _LARGEST_PAGE)
        page = _whole(fields, "currentpage", 1, None)
        extensions = {extension for extension in fields.get("extnumber", "").split(",") if extension}
        number = fields.get("destnumber", "")
        found = [
            call
            for call in reversed(calls)
            if since <= call.started_at <= until
            and (sync == _ALL or (call.id in self._asked) == (sync == _ASKED))
            and direction in {"3", "2" if call.outgoing else "1"}
            and method in {0, _method(call)}
            and (not extensions or call.extension in extensions)
            and number in {"", _callee(call)}
        ]
        shown = found[(page - 1) * size : page * size]
        if sync == _NOT_ASKED:
            self._asked.update(call.id for call in shown)
        return {"totalitems": len(found), "list": [self.record(call) for call in shown]}

    def record(self, call: PastCall) -> dict[str, Any]:
        """Return a call's record as it is sent."""
        number = _mask(call.number) if self._masked else call.number
        extension = call.extension or ""
        record = {
            "id": call.id,
            "uuid": f"00000000-0000-4000-8000-{call.id:012}",
            "type": "callout" if call.outgoing else "callin",
            "callmethod": _method(call),
            "starttime": _local(call.started_at),
            "answertime": _local(call.answered_at),
            "endtime": _local(call.ended_at),
            "duration": call.waiting_seconds,
            "billsec": call.talk_seconds,
            "disnumber": extension if call.outgoing else number,
            "destnumber": number if call.outgoing else _callee(call),
            "extnumber": extension,
            "hangupdirection": _side(call),
            "hangupcause": _cause(call),
            "userid": "",
            "memberid": "",
            "customuuid": "",
            "recordurl": "",
            "recordfilename": "",
            "companycode": "simulated",
        }
        return _loosened(record) if self._loose_types else record


def _loosened(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with other types, which depend on its number."""
    number: int = record["id"]
    integers = {name for name, value in record.items() if type(value) is int}
    if number % 2:
        record |= {name: str(record[name]) for name in integers}
    elif record["extnumber"].isdecimal() and not record["extnumber"].startswith("0"):
        record["extnumber"] = int(record["extnumber"])
    if not record["answertime"]:
        record["answertime"] = (None, "0000-00-00 00:00:00", "")[number % 3]
    for name in ("userid", "memberid", "customuuid")[: number % 4]:
        del record[name]
    if number % 5 == 0:
        record["direction"] = record.pop("type")
    return record


def _method(call: PastCall) -> int:
    return _DIALLED_BY_HAND if call.queue is None else _GROUP


def _callee(call: PastCall) -> str:
    return call.number if call.outgoing else "4000000000"


def _side(call: PastCall) -> int:
    if call.hung_up_by_server:
        return _BY_SERVER
    return _BY_CALLER if call.answered_at is None or call.id % 2 else _BY_CALLEE


def _cause(call: PastCall) -> int:
    return _CANCELLED if call.answered_at is None else _NORMAL


def _mask(number: str) -> str:
    return f"{number[:3]}****{number[-4:]}"


def _local(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime(_FORMAT)


def _time(fields: Mapping[str, str], name: str) -> datetime:
    try:
        return datetime.strptime(fields.get(name, ""), _FORMAT)  # noqa: DTZ007  # the server's local time has no zone
    except ValueError:
        raise BadFieldError(f"{name} must be a time like 2020-02-05 21:03:36") from None


def _choice(fields: Mapping[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    value = fields.get(name) or default
    if value not in choices:
        raise BadFieldError(f"{name} must be one of {', '.join(choices)}")
    return value


def _whole(fields: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    value = fields.get(name) or str(default)
    if not (value.isascii() and value.isdecimal()) or int(value) < 1 or (most is not None and int(value) > most):
        raise BadFieldError(f"{name} must be a whole number from 1{'' if most is None else f' to {most}'}")
    return int(value)
