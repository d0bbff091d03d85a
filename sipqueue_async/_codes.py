"""The platform's tables of codes: agent states, and labels for the codes of a record."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class AgentState(StrEnum):
    """What an agent is doing in a queue, in the terms of mod_callcenter."""

    IDLE = "idle"
    """Signed in, but not being given calls (after a call, for instance)."""
    WAITING = "waiting"
    """Ready for a call."""
    RECEIVING = "receiving"
    """Being offered a call: the phone rings."""
    TALKING = "talking"
    """In a call of the queue."""
    PAUSED = "paused"
    """On a break."""
    OFFLINE = "offline"
    """Not signed in."""
    UNKNOWN = "unknown"
    """An unlisted code; `AgentStatus.state_code` has its number."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"there is no state {value!r}: use one of {', '.join(cls)}")


STATE_CODES: Final[Mapping[int, AgentState]] = MappingProxyType(
    {
        1: AgentState.IDLE,
        2: AgentState.WAITING,
        3: AgentState.RECEIVING,
        4: AgentState.TALKING,
        1200: AgentState.OFFLINE,
        1201: AgentState.IDLE,
        1202: AgentState.RECEIVING,
        1204: AgentState.TALKING,
        1213: AgentState.WAITING,
        1214: AgentState.RECEIVING,
        1215: AgentState.TALKING,
        1217: AgentState.PAUSED,
    }
)
"""Maps the record's `state` code to the agent's state; unlisted codes mean `AgentState.UNKNOWN`."""

CODE_LABELS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "idle",
        2: "waiting",
        3: "receiving",
        4: "talking",
        1012: "does not exist",
        1013: "disabled",
        1014: "not registered",
        1015: "not in a call",
        1016: "enabled",
        1017: "registered",
        1018: "number enabled",
        1019: "number disabled",
        1020: "no such number",
        1021: "number not owned",
        1024: "no such task",
        1025: "task not begun",
        1026: "task under way",
        1027: "task paused",
        1028: "task ended",
        1029: "no such file",
        1031: "strategy wrong",
        1032: "against the strategy",
        1033: "no resource",
        1200: "offline",
        1201: "idle",
        1202: "ringing",
        1203: "off-hook",
        1204: "in a call",
        1208: "other",
        1209: "rating needs a call",
        1210: "queue fault",
        1211: "no such queue",
        1212: "not answered",
        1213: "waiting",
        1214: "receiving",
        1215: "answered",
        1216: "rejected",
        1217: "paused",
    }
)
"""The platform's labels for the codes of `state` and `status`."""


def code_label(code: int) -> str:
    """Return the platform's label for a code, or ``code 1299`` for an unlisted one."""
    return CODE_LABELS.get(code, f"code {code}")
