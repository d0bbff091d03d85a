"""For the tests of programs that watch: agents and snapshots made up, a source that plays a script, and `collect`.

What is here needs nothing but the library. The extra ``testing`` adds what pytest's fixtures of this package need:
``sipqueue_simulator``, ``sipqueue_client`` and ``scripted_source``, which pytest finds by itself.
"""

from sipqueue_async.testing.builders import START, AgentFields, make_agent, make_snapshot
from sipqueue_async.testing.collecting import collect
from sipqueue_async.testing.script import ScriptedSource

__all__ = ["START", "AgentFields", "ScriptedSource", "collect", "make_agent", "make_snapshot"]
