"""The Lua scripts that Redis runs, each as one atomic step. `docs/relay.md` explains the keys.

Each script is a file in `lua/`. Its header names the keys and arguments, which become local variables, and the other
files that it uses. All keys of a call share a hash tag, so that the scripts run on a cluster too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Final

import attrs

_FOLDER: Final = files("sipqueue_async.redis") / "lua"
_HEADER: Final = re.compile(r"^-- (keys|arguments|uses): (.*)$", re.MULTILINE)

OLD_REDIS: Final = "Redis 7 or later is needed"
# `redis.REDIS_VERSION` exists from Redis 7.0 on, and needs no permission, unlike INFO.
_VERSION_CHECK: Final = f"""
if not redis.REDIS_VERSION then
    return redis.error_reply('ERR {OLD_REDIS}')
end
"""


@attrs.frozen(kw_only=True)
class Script:
    """A script: its text, and the names of its keys and arguments, in order."""

    text: str
    keys: tuple[str, ...]
    arguments: tuple[str, ...]

    @classmethod
    def load(cls, name: str) -> Script:
        """Read a script and the files that it uses."""
        source = _source(name)
        header = {kind: tuple(names.split()) for kind, names in _HEADER.findall(source)}
        keys, arguments = header["keys"], header["arguments"]
        local = [_assignment(keys, "KEYS"), _assignment(arguments, "ARGV")]
        functions = [_source(used) for used in header.get("uses", ())]
        return cls(text="".join([_VERSION_CHECK, *local, *functions, source]), keys=keys, arguments=arguments)

    def ordered(self, arguments: Mapping[str, str | int]) -> list[str | int]:
        """Return the values of the arguments in the script's order.

        Raises:
            TypeError: An argument is missing, or is not one of the script's.
        """
        if arguments.keys() != set(self.arguments):
            raise TypeError(f"the script takes {', '.join(self.arguments)}, not {', '.join(arguments)}")
        return [arguments[name] for name in self.arguments]


def _assignment(names: Iterable[str], array: str) -> str:
    return f"local {', '.join(names)} = unpack({array})\n"


def _source(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


ACQUIRE: Final = Script.load("acquire")
RELEASE: Final = Script.load("release")
RENEW: Final = Script.load("renew")
PUBLISH: Final = Script.load("publish")
READ: Final = Script.load("read")
TAKE: Final = Script.load("take")
DONE: Final = Script.load("done")
TOUCH: Final = Script.load("touch")
BEGIN: Final = Script.load("begin")
LEAVE: Final = Script.load("leave")
