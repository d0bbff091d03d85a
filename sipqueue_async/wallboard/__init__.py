"""A page that shows who is doing what, for a big screen on the wall or a phone, fed by a watcher or a relay.

`Wallboard` serves it; what it serves, and to whom, is the contract here, and the modules behind it are not.
"""

from sipqueue_async.wallboard.server import Wallboard

__all__ = ["Wallboard"]
