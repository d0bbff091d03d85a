"""Call records: what the platform keeps of each finished call, and the tables of codes in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import attrs

from sipqueue_async._text import harmless
from sipqueue_async.models import FieldProblem


class CallDirection(StrEnum):
    """Whether a call came in or went out."""

    IN = "in"
    """A caller from outside called the company."""
    OUT = "out"
    """The company called a number."""
    UNKNOWN = "unknown"
    """An unlisted word; `CallRecord.direction_code` has it."""


class CallMethod(StrEnum):
    """How a call was made."""

    INTERNAL = "internal"
    """From extension to extension."""
    DIALLED = "dialled"
    """Dialled by hand."""
    API = "api"
    """Made by a program."""
    API_DOUBLE = "api double"
    """Made by a program that called both parties."""
    PREDICTIVE = "predictive"
    """Made by a campaign's predictive dialler."""
    GROUP = "ivr or group"
    """Through the voice menu or a task group, which is how a queue's calls arrive."""
    UNKNOWN = "unknown"
    """An unlisted code; `CallRecord.method_code` has its number."""


class HangUpSide(StrEnum):
    """Which side ended a call."""

    CALLER = "caller"
    """The calling side."""
    CALLEE = "callee"
    """The called side."""
    SERVER = "server"
    """The platform."""
    UNKNOWN = "unknown"
    """An unlisted code; `CallRecord.hang_up_side_code` has its number."""


DIRECTION_CODES: Final[Mapping[str, CallDirection]] = MappingProxyType(
    {"callin": CallDirection.IN, "callout": CallDirection.OUT}
)
"""Maps a record's word for the direction to its meaning; unlisted words mean `CallDirection.UNKNOWN`."""

METHOD_CODES: Final[Mapping[int, CallMethod]] = MappingProxyType(
    {
        1: CallMethod.INTERNAL,
        2: CallMethod.DIALLED,
        3: CallMethod.API,
        4: CallMethod.API_DOUBLE,
        5: CallMethod.PREDICTIVE,
        6: CallMethod.GROUP,
    }
)
"""Maps a record's `callmethod` to its meaning; unlisted codes mean `CallMethod.UNKNOWN`."""

SIDE_CODES: Final[Mapping[int, HangUpSide]] = MappingProxyType(
    {10007: HangUpSide.SERVER, 10040: HangUpSide.CALLER, 10041: HangUpSide.CALLEE}
)
"""Maps a record's `hangupdirection` to its meaning; unlisted codes mean `HangUpSide.UNKNOWN`."""

HANG_UP_LABELS: Final[Mapping[int, str]] = MappingProxyType(
    {
        10001: "normal",
        10002: "cancelled",
        10003: "rejected",
        10004: "line failed",
        10005: "not answered by the user",
        10006: "busy",
        10007: "by the server",
        10008: "extension not registered",
        10009: "unreachable",
        10011: "timer",
        10012: "inbound callback error",
        10013: "no such extension",
        10014: "not found",
        10015: "request timed out",
        10016: "no answer",
        10017: "call invalid",
        10019: "unknown region",
        10020: "other",
        10024: "bad request",
        10025: "forbidden",
        10027: "number changed",
        10028: "intercepted",
        10031: "unknown",
        10040: "by the caller",
        10041: "by the callee",
    }
)
"""The platform's labels for the codes of `hangupdirection` and `hangupcause`."""


def hang_up_label(code: int) -> str:
    """Return the platform's label for a hang-up code, or ``code 10099`` for an unlisted one."""
    return HANG_UP_LABELS.get(code, f"code {code}")


_PERSONAL: Final = frozenset(
    {"caller", "callee", "key_press", "recording_url", "recording_file", "recording_host", "own_values"}
)
"""The attributes that hold, or may hold, a person's telephone number or another personal datum."""


def _personal() -> Any:
    return attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class CallRecord:
    """One finished call, as the platform recorded it.

    Times are the server's local time, to the second: aware if the client knows the server's `timezone`, naive
    otherwise, and None for "never" or "not sent". Brackets hold a field's name on the wire.

    Telephone numbers are personal data: `repr` and `str` leave out the numbers, the recording and the operator's own
    values, and so do the library's logs and errors. Read them from the attributes.
    """

    id: str
    """The record's number [id]; no two records share it."""
    uuid: str | None = None
    """The call's identifier [uuid]; a call may have several records."""
    direction: CallDirection
    """Whether the call came in or went out: `direction_code` looked up in the table."""
    direction_code: str | None = None
    """The direction's word, as sent [direction or type]."""
    method: CallMethod
    """How the call was made: `method_code` looked up in the table."""
    method_code: int | None = None
    """The method's code, as sent [callmethod]."""
    caller: str | None = _personal()
    """The calling number [disnumber]; the platform may mask it, such as ``138****1234``."""
    callee: str | None = _personal()
    """The called number [destnumber]; the platform may mask it."""
    extension: str | None = None
    """The extension that took or made the call, or None if there was none [extnumber]."""
    started_at: datetime
    """When the number was dialled [starttime]."""
    answered_at: datetime | None = None
    """When the call was answered; None if it was not [answertime]."""
    ended_at: datetime | None = None
    """When the call ended [endtime]."""
    waiting_seconds: int | None = None
    """Seconds before the answer, or until the end if there was no answer [duration]."""
    talk_seconds: int | None = None
    """Seconds of talking [billsec]."""
    hang_up_side_code: int | None = None
    """The code of the side that ended the call, as sent [hangupdirection]."""
    hang_up_cause_code: int | None = None
    """The code of the reason why the call ended, as sent [hangupcause]."""
    recording_url: str | None = _personal()
    """The address of the recording [recordurl]."""
    recording_file: str | None = _personal()
    """The file name of the recording [recordfilename]."""
    recording_host: str | None = _personal()
    """The address of the server that has the recording [downloadip]."""
    key_press: str | None = _personal()
    """The keys that the other party pressed [userkey]."""
    task_id: str | None = None
    """The campaign that made the call [taskid]."""
    task_round: int | None = None
    """The round of the campaign [round]."""
    company_code: str | None = None
    """The company [companycode]."""
    own_values: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False, hash=False)
    """The operator's own values by their names on the wire: userid or crmid, memberid, chengshudu, ext, customuuid."""
    problems: tuple[FieldProblem, ...] = attrs.field(default=(), eq=False, repr=False)
    """Fields with an invalid value, whose attribute is None; their reasons never quote the value."""

    @property
    def is_answered(self) -> bool:
        """Whether the call was answered."""
        return self.answered_at is not None

    @property
    def hang_up_side(self) -> HangUpSide | None:
        """Which side ended the call, or None if the record does not say."""
        code = self.hang_up_side_code
        return None if code is None else SIDE_CODES.get(code, HangUpSide.UNKNOWN)

    @property
    def hang_up_cause(self) -> str | None:
        """The platform's label for `hang_up_cause_code`, or None without one."""
        code = self.hang_up_cause_code
        return None if code is None else hang_up_label(code)

    def __str__(self) -> str:
        way = "" if self.direction is CallDirection.UNKNOWN else f" {self.direction}"
        place = f" at {harmless(self.extension)}" if self.extension else ""
        waited = "" if self.waiting_seconds is None else f" after {self.waiting_seconds} s"
        talked = "" if self.talk_seconds is None else f", talked {self.talk_seconds} s"
        outcome = f"answered{waited}{talked}" if self.is_answered else f"not answered{waited}"
        return f"call{way}{place}, {self.started_at}, {outcome}"

    def to_dict(self, *, numbers: bool = False) -> dict[str, Any]:
        """Return the attributes as values for JSON, times in ISO 8601.

        Args:
            numbers: Whether to include what is personal: the numbers, the recording, the keys pressed, and the
                operator's own values.
        """
        fields: dict[str, Any] = {}
        for attribute in attrs.fields(type(self)):
            value = getattr(self, attribute.name)
            if attribute.name in _PERSONAL and not numbers:
                continue
            if isinstance(value, datetime):
                value = value.isoformat()
            fields[attribute.name] = value
        fields["problems"] = [problem.to_dict() for problem in self.problems]
        if numbers:
            fields["own_values"] = dict(self.own_values)
        return fields
