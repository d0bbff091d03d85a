# python docs/recipes/slack_app.py
"""A Slack app: answers /queues, and posts when a queue has no agent waiting for calls.

It uses Socket Mode, so it needs no public address. Set SLACK_BOT_TOKEN (xoxb-...), SLACK_APP_TOKEN
(xapp-..., with connections:write) and SLACK_CHANNEL. SLACK_RETRY is the time in seconds between
attempts while Slack is away (5); SLACK_API overrides the Web API's base URL. Needs slack-bolt and
aiohttp.
"""

import asyncio
import html
import os

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sipqueue_async import AgentState, StatusWatcher, Updates, run

CHANNEL = os.environ["SLACK_CHANNEL"]
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
RETRY = float(os.environ.get("SLACK_RETRY", "5"))


def escaped(name: str) -> str:
    """Escape a name: Slack would read `<!channel>` in it as a mention of the whole channel."""
    return html.escape(" ".join(name.split()), quote=False)


def describe(watcher: StatusWatcher) -> str:
    if watcher.snapshot is None:
        return "The platform has not answered yet."
    lines = []
    for queue in watcher.snapshot.queues:
        counts = watcher.snapshot.counts(queue)
        waiting, talking = counts[AgentState.WAITING], counts[AgentState.TALKING]
        lines.append(f"*{escaped(queue)}*: {waiting} waiting, {talking} talking")
    if not watcher.health.up:
        lines.append(
            f"_As of {watcher.snapshot.observed_at.astimezone():%H:%M}: the platform is away._"
        )
    return "\n".join(lines) or "Nobody is signed in."


async def say(slack: AsyncWebClient, text: str) -> None:
    """Post a text; retry while Slack is away."""
    while True:
        try:
            await slack.chat_postMessage(channel=CHANNEL, text=text)
        except SlackApiError as error:
            if error.response.status_code < 500 and error.response.status_code != 429:
                raise
            await asyncio.sleep(float(error.response.headers.get("Retry-After", RETRY)))
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(RETRY)
        else:
            return


async def announce(updates: Updates, slack: AsyncWebClient) -> None:
    """Post once when a queue's last agent stops waiting, and once when one waits again."""
    deserted: dict[str, bool] = {}
    async for update in updates:
        if update.snapshot is None:
            continue
        # A queue without seats has no agent waiting either.
        for queue in sorted({*deserted, *update.snapshot.queues}):
            empty = update.snapshot.counts(queue)[AgentState.WAITING] == 0
            if empty != deserted.get(queue, False):
                sign = (
                    ":warning: *{}*: no agent is waiting"
                    if empty
                    else "*{}*: an agent is waiting again"
                )
                await say(slack, sign.format(escaped(queue)))
            deserted[queue] = empty


async def main() -> None:
    base = os.environ.get("SLACK_API", AsyncWebClient.BASE_URL)
    app = AsyncApp(token=os.environ["SLACK_BOT_TOKEN"])
    app.client.base_url = base
    watcher = StatusWatcher.from_env(interval=INTERVAL, initial=True)
    updates = watcher.updates()

    @app.command("/queues")
    async def queues(ack: AsyncAck) -> None:
        await ack(describe(watcher))

    socket = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
    async with watcher:
        try:
            await socket.connect_async()
            await announce(updates, app.client)
        finally:
            await socket.close_async()


if __name__ == "__main__":
    run(main())
