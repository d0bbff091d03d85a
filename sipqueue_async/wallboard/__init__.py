"""A web page that shows queues and agents on a big screen or a phone, fed by a watcher or a relay.

`Wallboard` and the paths that it serves are public; the modules of this package are not.
"""

from sipqueue_async.wallboard.server import Wallboard

__all__ = ["Wallboard"]
