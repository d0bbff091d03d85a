# python docs/recipes/telegram_bot.py
"""A Telegram bot: answers /queues, and posts when a queue has no agent waiting for calls.

Set TELEGRAM_TOKEN to the bot's token and TELEGRAM_CHAT to the chat's id. TELEGRAM_RETRY is the time
in seconds between attempts while Telegram is away (5); TELEGRAM_API is the address of your own Bot
API server, if you run one. Needs aiogram 3.
"""

import asyncio
import os

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.filters import Command
from aiogram.types import Message

from sipqueue_async import AgentState, StatusWatcher, Updates, run

CHAT = os.environ["TELEGRAM_CHAT"]
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
RETRY = float(os.environ.get("TELEGRAM_RETRY", "5"))
MOST = 4096  # characters that Telegram accepts in a message


def shown(name: str) -> str:
    """Return a name on one line; Telegram would refuse a message with a very long one."""
    return " ".join(name.split())[:100]


def fitting(lines: list[str], last: list[str]) -> str:
    """Join lines to a message. Lines that do not fit are counted before the last ones."""
    text, kept = "\n".join([*lines, *last]), len(lines)
    # Telegram counts an emoji as two characters, as UTF-16 does.
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
        lines.append(
            f"{shown(queue)}: {counts[AgentState.WAITING]} waiting,"
            f" {counts[AgentState.TALKING]} talking"
        )
    last = []
    if not watcher.health.up:
        since = watcher.snapshot.observed_at.astimezone()
        last.append(f"As of {since:%H:%M}: the platform is away.")
    return fitting(lines, last) or "Nobody is signed in."


async def say(bot: Bot, text: str) -> None:
    """Post a text; retry while Telegram is away."""
    while True:
        try:
            await bot.send_message(CHAT, text)
        except TelegramRetryAfter as error:
            await asyncio.sleep(error.retry_after)
        except (TelegramNetworkError, TelegramServerError):
            await asyncio.sleep(RETRY)
        except ClientDecodeError as error:
            # The load balancer in front of Telegram answers in HTML while the servers are away.
            if not isinstance(error.data, str):
                raise
            await asyncio.sleep(RETRY)
        else:
            return


async def announce(updates: Updates, bot: Bot) -> None:
    """Post once when a queue's last agent stops waiting, and once when one waits again."""
    deserted: dict[str, bool] = {}
    async for update in updates:
        if update.snapshot is None:
            continue
        # A queue without seats has no agent waiting either.
        for queue in sorted({*deserted, *update.snapshot.queues}):
            empty = update.snapshot.counts(queue)[AgentState.WAITING] == 0
            if empty != deserted.get(queue, False):
                await say(
                    bot,
                    f"{shown(queue)}: no agent is waiting"
                    if empty
                    else f"{shown(queue)}: an agent is waiting again",
                )
            deserted[queue] = empty


async def main() -> None:
    server = TelegramAPIServer.from_base(os.environ.get("TELEGRAM_API", "https://api.telegram.org"))
    bot = Bot(os.environ["TELEGRAM_TOKEN"], session=AiohttpSession(api=server))
    dispatcher = Dispatcher()
    watcher = StatusWatcher.from_env(interval=INTERVAL, initial=True)
    updates = watcher.updates()

    # Anyone can write to a bot, so answer only in this chat.
    @dispatcher.message(Command("queues"), lambda message: str(message.chat.id) == CHAT)
    async def queues(message: Message) -> None:
        await message.answer(describe(watcher))

    async with bot, watcher, asyncio.TaskGroup() as tasks:
        announcing = tasks.create_task(announce(updates, bot))
        # start_polling handles SIGTERM and Ctrl-C itself. Cancelling it instead would leave a
        # task behind.
        await dispatcher.start_polling(bot, close_bot_session=False)
        announcing.cancel()


if __name__ == "__main__":
    run(main())
