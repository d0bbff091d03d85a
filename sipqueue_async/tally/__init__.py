"""The day's figures: time in each state, and calls answered and missed, for each seat and queue.

`Tally` does no I/O and reads no clock. It counts updates, and takes the time from them.
"""

from sipqueue_async.tally.figures import GroupTally, QueueTally, SeatTally
from sipqueue_async.tally.fold import Tally

__all__ = ["GroupTally", "QueueTally", "SeatTally", "Tally"]
