"""Templates for the sentences of alerts, with named values in braces, such as ``{who} has talked for {time}``."""

from __future__ import annotations

from string import Formatter
from typing import Final

import attrs

from sipqueue_async.alerts.events import Alert, AlertRaised
from sipqueue_async.alerts.sentences import describe

_NAMES: Final = ("who", "time", "since", "text", "rule", "queue", "extension", "agent", "value")


@attrs.frozen(kw_only=True)
class Texts:
    """A rule's own templates; None for the default sentence. `cleared` is for conditions that are over."""

    raised: str | None = None
    cleared: str | None = None

    def text(self, alert: Alert, language: str) -> str:
        """Return the text for an alert. Values are not templates: braces in a name stay as they are."""
        template = self.raised if isinstance(alert, AlertRaised) else self.cleared if alert.reason == "ended" else None
        text = alert.text(language)
        if template is None:
            return text
        who, time = describe(alert, language)
        return template.format(
            who=who,
            time=time,
            since=f"{alert.since.astimezone():%H:%M}",
            text=text,
            rule=alert.rule.name,
            queue=alert.queue or "",
            extension=alert.extension or "",
            agent=alert.agent or "",
            value=f"{alert.value:g}",
        )


def checked_template(template: str) -> str:
    """Return a template that has known values only.

    Raises:
        ValueError: A brace has no partner, or a value in braces is unknown.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("a brace has no partner; write {{ or }} for a brace itself") from None
    for _, name, form, conversion in parts:
        if name in _NAMES and (form or conversion):
            raise ValueError(f"a value is written without a format: {{{name}}}")
        if name is not None and name not in _NAMES:
            raise ValueError(f"there is no value {{{name}}}; there are {', '.join(f'{{{it}}}' for it in _NAMES)}")
    return template
