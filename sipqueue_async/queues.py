"""What the platform tells about queues and extensions themselves: `QueueInfo` and `Registration`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import attrs

from sipqueue_async._text import harmless
from sipqueue_async.models import FieldProblem, code_label

_REGISTERED: Final = 1017


class QueueStrategy(StrEnum):
    """Which agent of a queue gets the next call."""

    LONGEST_IDLE = "longest idle"
    """The one who has waited longest."""
    LEAST_TALK_TIME = "least talk time"
    """The one with the least time in calls."""
    ALL_AT_ONCE = "all at once"
    """Every phone rings."""
    ROUND_ROBIN = "round robin"
    """One after the other, going on where the last call left off."""
    IN_ORDER = "in order"
    """One after the other, always from the first."""
    RANDOM = "random"
    """Any one."""
    FEWEST_ANSWERED = "fewest answered"
    """The one with the fewest answered calls."""
    BY_PRIORITY = "by priority"
    """By the priorities that the operator gave."""
    UNKNOWN = "unknown"
    """An unlisted code; `QueueInfo.strategy_code` has its number."""


STRATEGY_CODES: Final[Mapping[int, QueueStrategy]] = MappingProxyType(
    {
        1: QueueStrategy.LONGEST_IDLE,
        2: QueueStrategy.LEAST_TALK_TIME,
        3: QueueStrategy.ALL_AT_ONCE,
        4: QueueStrategy.ROUND_ROBIN,
        5: QueueStrategy.IN_ORDER,
        6: QueueStrategy.RANDOM,
        7: QueueStrategy.FEWEST_ANSWERED,
        8: QueueStrategy.BY_PRIORITY,
    }
)
"""Maps a queue's `strategy` to its meaning; unlisted codes mean `QueueStrategy.UNKNOWN`."""


@attrs.frozen(kw_only=True)
class QueueInfo:
    """One queue's settings. Times are seconds, and None if they are not sent. Brackets hold a field's name on the wire.

    The vendor's pages name the fields of times and say little of them; their meaning here is that of mod_callcenter.
    """

    name: str
    """The queue's name [queuename]."""
    remark: str | None = None
    """The operator's remark [remark]."""
    strategy: QueueStrategy = QueueStrategy.UNKNOWN
    """Which agent gets the next call: `strategy_code` looked up in the table."""
    strategy_code: int | None = None
    """The strategy's code, as sent [strategy]."""
    announcement: str | None = None
    """What is played to waiting callers [announce]."""
    announcement_interval: int | None = None
    """Seconds between two announcements [announcefreq]."""
    ring_delay: int | None = None
    """Seconds that a phone rings, or waits before it rings [ringdelay]."""
    max_wait: int | None = None
    """The longest time that a caller waits [maxwaittime]."""
    max_wait_without_agent: int | None = None
    """The longest time that a caller waits if no agent is signed in [withnoagenttime]."""
    rejoin_delay_without_agent: int | None = None
    """Seconds until a caller may join again after that [noagentrejoiningtime]."""
    discard_after: int | None = None
    """Seconds after which an abandoned place in the queue is given up [discardtime]."""
    auto_call: str | None = None
    """The setting of automatic calls, as sent [autocall]."""
    problems: tuple[FieldProblem, ...] = attrs.field(default=(), eq=False, repr=False)
    """Fields with an invalid value, whose attribute is None."""

    def __str__(self) -> str:
        strategy = f"code {self.strategy_code}" if self.strategy is QueueStrategy.UNKNOWN else self.strategy
        return f"{harmless(self.name)}, {strategy}"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as values for JSON."""
        fields = {attribute.name: getattr(self, attribute.name) for attribute in attrs.fields(type(self))}
        return fields | {"problems": [problem.to_dict() for problem in self.problems]}


@attrs.frozen(kw_only=True)
class Registration:
    """Whether an extension's telephone is registered, which it must be to ring."""

    extension: str
    """The extension number [extnumber]."""
    code: int
    """The status's code, as sent [code]."""
    client_address: str | None = attrs.field(default=None, repr=False)
    """The IP address of the telephone [clientip], which may be that of a person's home."""
    server_address: str | None = None
    """The IP address of the server that it is registered at [serverip]."""

    @property
    def is_registered(self) -> bool:
        """Whether the telephone is registered (1017)."""
        return self.code == _REGISTERED

    @property
    def label(self) -> str:
        """The platform's label for `code`."""
        return code_label(self.code)

    def __str__(self) -> str:
        return f"{harmless(self.extension)}, {self.label}"
