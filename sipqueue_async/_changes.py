"""`Changes`: which records of a snapshot differ from those of the one decoded before it.

A decoder knows this when it has decoded, so `diff` of two consecutive snapshots need not compare all records again. The
snapshots recognise each other by tokens: objects without content, each made for one state of the decoder's records. A
reference to the snapshot before would do the same, but each snapshot would then keep all earlier ones alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Changes(NamedTuple):
    """The step from one set of records to the next."""

    before: object
    """The token of the records before; None if they do not have the same seats, or if there were none."""
    after: object
    """The token of the records now."""
    places: Sequence[int]
    """The places of the records that may differ, ascending. All others are the same objects before and after."""

    @classmethod
    def unknown(cls) -> Changes:
        """Return the step to records that are not known to follow any others."""
        return cls(None, object(), ())

    def then(self, places: Sequence[int]) -> Changes:
        """Return the step from the records now to the next ones, which may differ at these places."""
        return Changes(self.after, object(), places)

    def follow(self, earlier: Changes) -> bool:
        """Return whether this is the step after `earlier`."""
        return self.before is earlier.after
