"""Makes text from outside safe to print."""

from sipqueue_async._text import harmless

__all__ = ["harmless"]
