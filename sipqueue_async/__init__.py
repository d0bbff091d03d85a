"""Turns a call centre platform's polled status API into a typed asyncio event stream."""

from sipqueue_async.models import AgentState, AgentStatus, SeatKey, Snapshot

__version__ = "0.1.0"
__all__ = ["AgentState", "AgentStatus", "SeatKey", "Snapshot"]
