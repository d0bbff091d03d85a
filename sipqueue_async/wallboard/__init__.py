"""A page that shows who is doing what, for a big screen on the wall or a phone, fed by a watcher.

Needs the extra ``wallboard``. `Wallboard` serves it; what it serves, and to whom, is the contract here, and the modules
behind it are not.
"""

try:
    from sipqueue_async.wallboard.server import Wallboard
except ModuleNotFoundError as error:
    if error.name != "aiohttp_sse":
        raise
    remedy = "pip install 'sipqueue_async[wallboard]'"
    raise ModuleNotFoundError(
        f"the wallboard needs aiohttp-sse, which is not installed: {remedy}", name=error.name
    ) from None

__all__ = ["Wallboard"]
