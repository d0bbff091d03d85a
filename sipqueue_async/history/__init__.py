"""Figures of any span of time."""

from sipqueue_async.history.figures import Figures

__all__ = ["Figures"]
