"""A web page that shows queues and agents on a big screen or a phone, fed by a watcher or a relay.

`Wallboard`, `Thresholds` and the paths that it serves are public; the modules of this package are not.
"""

from sipqueue_async.wallboard.server import Wallboard
from sipqueue_async.wallboard.thresholds import Thresholds

__all__ = ["Thresholds", "Wallboard"]
