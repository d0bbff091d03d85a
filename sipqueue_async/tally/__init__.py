"""The day so far, folded from a watcher's updates: how long each seat was in which state, and what calls it had.

`Tally` does no input or output and looks at no clock: it is told of updates, and its time is theirs.
"""

from sipqueue_async.tally.figures import GroupTally, QueueTally, SeatTally
from sipqueue_async.tally.fold import Tally

__all__ = ["GroupTally", "QueueTally", "SeatTally", "Tally"]
