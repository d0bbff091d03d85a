"""`Thresholds`: when agents and queues stand out on the page."""

from __future__ import annotations

from urllib.parse import urlencode

import attrs

from sipqueue_async._arguments import check_at_least


@attrs.frozen(kw_only=True)
class Thresholds:
    """When agents and queues stand out, on pages whose address says nothing else.

    A time is in seconds: an agent who is in the state for longer stands out. None and 0 mean never.

    Raises:
        TypeError: A threshold is not a number.
        ValueError: A threshold is below 0.
    """

    talk: float | None = 600
    """For talking."""
    ring: float | None = 20
    """For receiving."""
    wait: float | None = None
    """For waiting."""
    idle: float | None = None
    """For idle."""
    pause: float | None = None
    """For paused."""
    least: float | None = 1
    """A queue with fewer agents waiting stands out."""

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if value is not None:
                check_at_least(name, value, 0, "agent" if name == "least" else "second")


def as_parameters(thresholds: Thresholds) -> str:
    """Return thresholds as the parameters of the page's address."""
    return urlencode({name: value or "" for name, value in attrs.asdict(thresholds).items()})
