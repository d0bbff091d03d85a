"""`CallCursor`: how far the call records were followed, to save and to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

import attrs

from sipqueue_async._saved_format import SavedFormat

_FORMAT: Final = SavedFormat(kind="cursor of call records", name="sipqueue_async call cursor", version=1)


@attrs.frozen(kw_only=True)
class CallCursor:
    """How far a `CallFeed` has come. It holds no telephone number."""

    since: datetime
    """The earliest time of dialling that was asked for."""
    newest: datetime | None = None
    """The latest time of dialling of all records that were given; None before the first."""
    known: Mapping[str, datetime] = attrs.field(factory=dict[str, datetime], repr=False, hash=False)
    """The ids of the records that were given and may be met again, with their times of dialling."""
    answers: Mapping[str, Mapping[datetime, tuple[str, ...]]] = attrs.field(
        factory=dict[str, Mapping[datetime, tuple[str, ...]]], repr=False, hash=False
    )
    """By extension: when its seats answered calls, and in which queues."""

    def to_json(self) -> bytes:
        """Return the cursor as JSON in UTF-8; `from_json` reads it."""
        return _FORMAT.dump(
            {
                "since": self.since.isoformat(),
                "newest": None if self.newest is None else self.newest.isoformat(),
                "known": {id_: moment.isoformat() for id_, moment in self.known.items()},
                "answers": {
                    extension: {moment.isoformat(): list(queues) for moment, queues in answers.items()}
                    for extension, answers in self.answers.items()
                },
            }
        )

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Return the cursor that `to_json` wrote.

        Raises:
            ValueError: The data is damaged, or is of another kind or version.
        """
        document = _FORMAT.load(data)
        with _FORMAT.decoding():
            newest = document["newest"]
            cursor = cls(
                since=datetime.fromisoformat(document["since"]),
                newest=None if newest is None else datetime.fromisoformat(newest),
                known={id_: datetime.fromisoformat(moment) for id_, moment in document["known"].items()},
                answers={
                    extension: {datetime.fromisoformat(moment): _names(queues) for moment, queues in answers.items()}
                    for extension, answers in document["answers"].items()
                },
            )
            times = [*cursor.known.values(), *([] if cursor.newest is None else [cursor.newest])]
            if any((moment.tzinfo is None) != (cursor.since.tzinfo is None) for moment in times):
                raise ValueError("some times have a time zone, and others do not")
            return cursor


def _names(queues: Any) -> tuple[str, ...]:
    if not isinstance(queues, list) or not all(isinstance(queue, str) for queue in queues):
        raise TypeError
    return tuple(queues)
