# python docs/recipes/who_talks_to_whom.py
"""Who talks to whom: events joined with another service of the platform's API.

Queue status shows that an agent is talking, but not to whom. `GetSipCallStatus` shows it for the
extensions you ask for. Needs only this library.
"""

import os
from collections.abc import Iterable

from sipqueue_async import (
    AgentState,
    SipQueueClient,
    SipQueueError,
    StateChanged,
    StatusWatcher,
    Update,
    run,
)

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
IN_A_CALL = 1204


async def other_parties(client: SipQueueClient, extensions: Iterable[str]) -> dict[str, str]:
    """Map each of these extensions that is in a call to the other party's number."""
    data = await client.call(
        "App.Sip_Status.GetSipCallStatus", extnumber=",".join(sorted(set(extensions)))
    )
    parties = {}
    # PHP spells an empty list in several ways.
    for record in data.get("result") or []:
        other = record["callee"] if record["direction"] == "callout" else record["caller"]
        if int(record["status"]) == IN_A_CALL and other:
            parties[record["extnumber"]] = other
    return parties


async def tell(client: SipQueueClient, update: Update) -> None:
    begun = [
        it
        for it in update.events
        if isinstance(it, StateChanged) and it.after is AgentState.TALKING
    ]
    if not begun:
        return
    # One request for all calls of an update. Updates that arrive meanwhile wait, and may coalesce.
    try:
        parties = await other_parties(client, (event.extension for event in begun))
    except SipQueueError as error:
        if not error.retryable:
            raise
        parties = {}
    for event in begun:
        # The call may have ended since, or the request may have failed.
        other = parties.get(event.extension, "an unknown number")
        who = event.agent.name or "an agent without a name"
        print(f"{event.queue} {event.extension} {who} talks to {other}", flush=True)


async def main() -> None:
    async with (
        SipQueueClient.from_env() as client,
        StatusWatcher(client, interval=INTERVAL) as watcher,
    ):
        async for update in watcher.updates():
            await tell(client, update)


if __name__ == "__main__":
    run(main())
