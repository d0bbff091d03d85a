"""What a poll returns: agent states, the platform's code tables, one agent's record, and a snapshot of them all."""

# `typing.get_type_hints` looks here for the names in the annotations of these classes.
from datetime import datetime as datetime

from sipqueue_async._codes import CODE_LABELS as CODE_LABELS
from sipqueue_async._codes import STATE_CODES as STATE_CODES
from sipqueue_async._codes import AgentState as AgentState
from sipqueue_async._codes import code_label as code_label
from sipqueue_async._record import COUNTER_FIELDS as COUNTER_FIELDS
from sipqueue_async._record import AgentStatus as AgentStatus
from sipqueue_async._record import FieldProblem as FieldProblem
from sipqueue_async._record import SeatKey as SeatKey
from sipqueue_async._snapshot import Snapshot as Snapshot

# Reprs and pickles name this module, so the classes may move between the private modules.
for _public in (AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot, code_label):
    _public.__module__ = __name__
del _public
