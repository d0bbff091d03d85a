# python docs/recipes/discord_board.py
"""A board in a Discord channel: one message that lists every queue and stays up to date.

It posts through a webhook, which needs no bot account, gateway connection or permissions. Set
DISCORD_WEBHOOK_ID and DISCORD_WEBHOOK_TOKEN to the last two parts of the webhook's URL. DISCORD_API
overrides the API's base URL, for a rate-limiting proxy for example. Needs discord.py 2.
"""

import asyncio
import os

import aiohttp
import discord
from discord.ext import tasks
from discord.http import Route

from sipqueue_async import AgentState, StatusWatcher, run

EVERY = float(os.environ.get("DISCORD_EVERY", "10"))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
Route.BASE = os.environ.get("DISCORD_API", Route.BASE)
MOST = 2000  # characters that Discord accepts in a message


def fitting(lines: list[str], last: list[str]) -> str:
    """Join lines to a message. Lines that do not fit are counted before the last ones."""
    text, kept = "\n".join([*lines, *last]), len(lines)
    # An emoji counts as two characters, as in UTF-16.
    while len(text.encode("utf-16-le")) > 2 * MOST:
        kept -= 1
        text = "\n".join([*lines[:kept], f"and {len(lines) - kept} more", *last])
    return text


def describe(watcher: StatusWatcher) -> str:
    if watcher.snapshot is None:
        return "The platform has not answered yet."
    lines = []
    for queue in watcher.snapshot.queues:
        counts = watcher.snapshot.counts(queue)
        warning = "" if counts[AgentState.WAITING] else " \N{WARNING SIGN} no agent waiting"
        # Names are untrusted: escape markup; AllowedMentions.none() below stops @everyone.
        name = discord.utils.escape_markdown(" ".join(queue.split())[:100])
        waiting, talking = counts[AgentState.WAITING], counts[AgentState.TALKING]
        lines.append(f"**{name}** {waiting} waiting, {talking} talking{warning}")
    last = []
    if not watcher.health.up:
        since = discord.utils.format_dt(watcher.snapshot.observed_at)
        last.append(f"_as of {since}: the platform is away_")
    return fitting(lines, last) or "Nobody is signed in."


async def keep_board(watcher: StatusWatcher, webhook: discord.Webhook) -> None:
    text = describe(watcher)
    nobody = discord.AllowedMentions.none()
    message = await webhook.send(text, wait=True, silent=True, allowed_mentions=nobody)

    # The loop retries connection errors by itself, and discord.py respects rate limits.
    @tasks.loop(seconds=EVERY)
    async def board() -> None:
        nonlocal text
        if watcher.health.ended:
            await watcher.ready()  # raises the error that ended it
        if (now := describe(watcher)) != text:
            await message.edit(content=now, allowed_mentions=nobody)
            text = now

    # Retry 5xx responses too.
    board.add_exception_type(discord.DiscordServerError)
    running = board.start()
    try:
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def main() -> None:
    async with (
        StatusWatcher.from_env(interval=INTERVAL) as watcher,
        aiohttp.ClientSession() as session,
    ):
        await watcher.ready()
        identity = int(os.environ["DISCORD_WEBHOOK_ID"])
        await keep_board(
            watcher,
            discord.Webhook.partial(identity, os.environ["DISCORD_WEBHOOK_TOKEN"], session=session),
        )


if __name__ == "__main__":
    run(main())
