"""For the tests of programs that watch: made-up agents and snapshots, a source that plays a script, and `collect`.

Nothing here needs more than the library. The extra ``testing`` adds what the package's pytest fixtures need:
``sipqueue_simulator``, ``sipqueue_client`` and ``scripted_source``, which pytest finds by itself.
"""

from importlib import import_module

# Type checkers take it for true, as in the package itself.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sipqueue_async.testing.builders import START, AgentFields, make_agent, make_snapshot
    from sipqueue_async.testing.collecting import collect
    from sipqueue_async.testing.script import ScriptedSource

__all__ = ["START", "AgentFields", "ScriptedSource", "collect", "make_agent", "make_snapshot"]

# Imported when first used: pytest imports this package with the plugin, in every project of the environment.
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
