"""Commands to a call centre, and the services that give them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from sipqueue_async.simulator.seats import Centre

QUEUE_LIST: Final = "App.Sip_Queue.GetQueueList"
SIGN_IN: Final = "App.Sip_Queue.SipSignIn"
SIGN_OUT: Final = "App.Sip_Queue.SipSignOut"
SET_STATUS: Final = "App.Sip_Queue.SetSeatsStatus"
HANG_UP: Final = "App.Sip_Call.HangupCall"
REGISTRATIONS: Final = "App.Sip_Status.GetSipRegisterStatus"

FAILED_CHECK: Final = "1002"
OPERATION_FAILED: Final = "1003"
NO_SUCH_EXTENSION: Final = "1012"
NOT_REGISTERED: Final = "1014"
NOT_IN_A_CALL: Final = "1015"
_REGISTERED: Final = 1017
_BUSY, _IDLE = "1", "2"


class CommandError(Exception):
    """A command that the call centre cannot carry out.

    Args:
        code: The platform's code, such as ``"1014"`` for an extension that is not registered.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@runtime_checkable
class CommandedCentre(Protocol):
    """A centre that takes commands. Any other centre answers each with an error."""

    @property
    def queues(self) -> Sequence[str]:
        """All queues' names."""
        ...

    def registered(self) -> Collection[str]:
        """Return the extensions whose telephones are registered."""
        ...

    def sign_in(self, queue: str, extension: str) -> None:
        """Sign an agent in to a queue.

        Raises:
            CommandError: There is no such seat, or its telephone is not registered.
        """
        ...

    def sign_out(self, queue: str, extension: str) -> None:
        """Sign an agent out of a queue.

        Raises:
            CommandError: There is no such seat, or its telephone is not registered.
        """
        ...

    def pause(self, extension: str, queue: str | None = None) -> None:
        """Pause an agent.

        Raises:
            CommandError: There is no such seat, or its telephone is not registered.
        """
        ...

    def resume(self, extension: str, queue: str | None = None) -> None:
        """End an agent's pause.

        Raises:
            CommandError: There is no such seat, or its telephone is not registered.
        """
        ...

    def hang_up(self, extension: str) -> None:
        """End an extension's call.

        Raises:
            CommandError: There is no such extension, or it is not in a call.
        """
        ...


COMMANDS: Final = frozenset({SIGN_IN, SIGN_OUT, SET_STATUS, HANG_UP})
"""The services that act."""


def carry_out(centre: Centre, service: str, fields: Mapping[str, str]) -> None:
    """Give the command of a request to a centre.

    Raises:
        CommandError: A field is missing or wrong, or the centre cannot carry it out.
    """
    if not isinstance(centre, CommandedCentre):
        raise CommandError(OPERATION_FAILED)
    queue, extension = fields.get("queuename", ""), fields.get("extnumber", "")
    settype = fields.get("settype", "")
    if not extension or (service in {SIGN_IN, SIGN_OUT} and not queue):
        raise CommandError(FAILED_CHECK)
    if service == SIGN_IN:
        centre.sign_in(queue, extension)
    elif service == SIGN_OUT:
        centre.sign_out(queue, extension)
    elif service == HANG_UP:
        centre.hang_up(extension)
    elif settype == _BUSY:
        centre.pause(extension, queue or None)
    elif settype == _IDLE:
        centre.resume(extension, queue or None)
    else:
        raise CommandError(FAILED_CHECK)


def queue_records(centre: Centre, queue: str) -> list[dict[str, Any]]:
    """Return the records of all queues, or of one."""
    names = centre.queues if isinstance(centre, CommandedCentre) else sorted({seat.queue for seat in centre.seats()})
    return [
        {
            "queuename": name,
            "remark": "",
            "strategy": 1,
            "announce": "",
            "announcefreq": 0,
            "ringdelay": 0,
            "maxwaittime": 0,
            "withnoagenttime": 0,
            "noagentrejoiningtime": "0",
            "discardtime": 60,
            "autocall": 0,
        }
        for name in names
        if queue in {"", name}
    ]


def registration_records(centre: Centre, extensions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the records of these extensions, in their order."""
    if isinstance(centre, CommandedCentre):
        registered = centre.registered()
    else:
        registered = {seat.extension for seat in centre.seats()}
    return [
        {
            "extnumber": extension,
            "code": _REGISTERED
            if extension in registered
            else int(NOT_REGISTERED if extension in centre.extensions else NO_SUCH_EXTENSION),
            "clientip": "198.51.100.7" if extension in registered else "",
            "serverip": "203.0.113.1" if extension in registered else "",
        }
        for extension in extensions
    ]
