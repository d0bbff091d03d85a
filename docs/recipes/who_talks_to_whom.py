# python docs/recipes/who_talks_to_whom.py
"""Who talks to whom: events joined with another service of the platform's API.

The status of the queues tells that an agent talks, not to whom. `GetSipCallStatus` does, for the extensions that are
asked for. Needs nothing but the library.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable

from sipqueue_async import (
    AgentState,
    AppCredentials,
    SipQueueClient,
    SipQueueError,
    StateChanged,
    StatusWatcher,
    Update,
)

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
IN_A_CALL = 1204


async def other_parties(client: SipQueueClient, extensions: Iterable[str]) -> dict[str, str]:
    """Return the number that each of these extensions is in a call with; who is in none is left out."""
    data = await client.call("App.Sip_Status.GetSipCallStatus", extnumber=",".join(sorted(set(extensions))))
    parties = {}
    # PHP has several ways to spell that there are none.
    for record in data.get("result") or []:
        other = record["callee"] if record["direction"] == "callout" else record["caller"]
        if int(record["status"]) == IN_A_CALL and other:
            parties[record["extnumber"]] = other
    return parties


async def tell(client: SipQueueClient, update: Update) -> None:
    begun = [it for it in update.events if isinstance(it, StateChanged) and it.after is AgentState.TALKING]
    if not begun:
        return
    # One request for all calls that an update tells of. Updates that come meanwhile wait, and coalesce.
    try:
        parties = await other_parties(client, (event.extension for event in begun))
    except SipQueueError as error:
        if not error.retryable:
            raise
        parties = {}
    for event in begun:
        # The call may have ended since, or the request failed.
        other = parties.get(event.extension, "somebody unknown")
        who = event.agent.name or "somebody without a name"
        print(f"{event.queue} {event.extension} {who} talks to {other}", flush=True)


async def main() -> None:
    auth = AppCredentials(os.environ["SIPQUEUE_APPID"], os.environ["SIPQUEUE_ACCESSKEY"])
    async with (
        SipQueueClient(os.environ["SIPQUEUE_URL"], auth) as client,
        StatusWatcher(client, interval=INTERVAL) as watcher,
    ):
        async for update in watcher.updates():
            await tell(client, update)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        # So that SIGTERM ends the program as Ctrl-C does: by cancelling `main`.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        asyncio.run(main())
