"""Helpers for the tests of programs that use the library: agents and snapshots, a scripted source, and `collect`.

These need no extra. The extra ``testing`` adds the dependencies of the package's pytest fixtures, which pytest finds by
itself: ``sipqueue_simulator``, ``sipqueue_client`` and ``scripted_source``.
"""

from importlib import import_module

# Type checkers assume that this name is true, as in the package itself.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sipqueue_async.testing.builders import START, AgentFields, make_agent, make_snapshot
    from sipqueue_async.testing.collecting import collect
    from sipqueue_async.testing.script import ScriptedSource

__all__ = ["START", "AgentFields", "ScriptedSource", "collect", "make_agent", "make_snapshot"]

# Imported lazily: pytest imports this package, with the plugin, in every project of the environment.
_MODULES = {
    "START": "builders",
    "AgentFields": "builders",
    "ScriptedSource": "script",
    "collect": "collecting",
    "make_agent": "builders",
    "make_snapshot": "builders",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
