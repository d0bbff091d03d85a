"""The text of the last answer, and the differences of a new body from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sipqueue_async._wire.encoding import is_utf8
from sipqueue_async._wire.envelope import Data, open_around
from sipqueue_async._wire.incremental.layout import Frame, Layout
from sipqueue_async._wire.incremental.patch import RecordPatch
from sipqueue_async._wire.records import RecordReader
from sipqueue_async.models import AgentStatus


class Patch(NamedTuple):
    """The differences of a new body from the last one."""

    answer: LastAnswer
    """The text of the new body."""
    data: Data
    """The `data` of the new body, without the records."""
    records: RecordPatch
    """The changed records."""


class LastAnswer:
    """The records of the last body as text, each with the place of its agent in the snapshot.

    The texts are laid out in pages once a second answer has the same seats in the same order. For a platform that
    shuffles its records, laying out every answer would be wasted work.
    """

    def __init__(
        self, frame: Frame, texts: Mapping[bytes, int], layout: Layout | None = None, order: Sequence[int] | None = None
    ) -> None:
        self._frame = frame
        self._texts = texts
        self._layout = layout
        self.order = list(texts.values()) if order is None else order
        """The places of the agents, in the order of their records."""

    @classmethod
    def of(cls, body: bytes, texts: Mapping[bytes, int]) -> LastAnswer:
        """Return a body that was decoded in full.

        Args:
            body: The body.
            texts: The text of each record, with the place of its agent.
        """
        return cls(Frame.of(body, texts), texts)

    @property
    def is_laid_out(self) -> bool:
        """Whether the texts are laid out in pages."""
        return self._layout is not None

    def texts(self) -> Mapping[bytes, int]:
        """Return the text of each record with the place of its agent."""
        if self._layout is None:
            return self._texts
        return dict(zip(self._layout.records(), self.order, strict=False))

    def patch(self, body: bytes, reader: RecordReader, known: Sequence[AgentStatus]) -> Patch | None:
        """Return the differences of a body with the same seats in the same order; None for any other body."""
        layout = self._layout
        if layout is None:
            if not self.order or not self._frame.is_list or len(self.order) != len(known):
                return None
            first = {0: self._frame.first_object(body)}
            if not RecordPatch(reader, self.order, known).read_some(first):
                return None
            layout = Layout.of(self._frame, list(self._texts))
        records = RecordPatch(reader, self.order, known)
        found = layout.follow(body, records)
        if found is None or not is_utf8(found.tail):
            return None
        data = open_around(found.head, found.tail)
        if data is None:
            return None
        is_same = found.layout is self._layout
        answer = self if is_same else LastAnswer(self._frame, {}, found.layout, self.order)
        return Patch(answer, data, records)
