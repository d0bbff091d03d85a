# python docs/recipes/telegram_bot.py
"""A Telegram bot: in one chat, answers /queues and posts when a queue has nobody waiting and has somebody again.

Set TELEGRAM_TOKEN to the bot's token, TELEGRAM_CHAT to the id of the chat to post to and, only if you run a Bot API
server of your own, TELEGRAM_API to its address. Needs aiogram 3.
"""

import asyncio
import contextlib
import os
import signal

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError, TelegramRetryAfter, TelegramServerError
from aiogram.filters import Command
from aiogram.types import Message

from sipqueue_async import AgentState, AppCredentials, SipQueueClient, StatusWatcher, Updates

CHAT = os.environ["TELEGRAM_CHAT"]
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))


def describe(watcher: StatusWatcher) -> str:
    if watcher.snapshot is None:
        return "The platform has not answered yet."
    lines = []
    for queue in watcher.snapshot.queues:
        counts = watcher.snapshot.counts(queue)
        lines.append(f"{queue}: {counts[AgentState.WAITING]} waiting, {counts[AgentState.TALKING]} talking")
    if not watcher.health.up:
        lines.append(f"As of {watcher.snapshot.observed_at.astimezone():%H:%M}: the platform is away.")
    return "\n".join(lines) or "Nobody is signed in."


async def say(bot: Bot, text: str) -> None:
    """Post a text, however long Telegram is away."""
    while True:
        try:
            await bot.send_message(CHAT, text)
        except TelegramRetryAfter as error:
            await asyncio.sleep(error.retry_after)
        except (TelegramNetworkError, TelegramServerError):
            await asyncio.sleep(5)
        except ClientDecodeError as error:
            # What stands before Telegram's servers answers in HTML when they are away.
            if not isinstance(error.data, str):
                raise
            await asyncio.sleep(5)
        else:
            return


async def announce(updates: Updates, bot: Bot) -> None:
    """Post each change between "nobody waits" and "somebody waits", once."""
    deserted: dict[str, bool] = {}
    async for update in updates:
        if update.snapshot is None:
            continue
        # A queue that has no seats any more has nobody waiting either.
        for queue in sorted({*deserted, *update.snapshot.queues}):
            empty = update.snapshot.counts(queue)[AgentState.WAITING] == 0
            if empty != deserted.get(queue, False):
                await say(bot, f"{queue}: nobody is waiting for calls" if empty else f"{queue}: somebody waits again")
            deserted[queue] = empty


async def main() -> None:
    server = TelegramAPIServer.from_base(os.environ.get("TELEGRAM_API", "https://api.telegram.org"))
    bot = Bot(os.environ["TELEGRAM_TOKEN"], session=AiohttpSession(api=server))
    dispatcher = Dispatcher()
    auth = AppCredentials(os.environ["SIPQUEUE_APPID"], os.environ["SIPQUEUE_ACCESSKEY"])
    async with SipQueueClient(os.environ["SIPQUEUE_URL"], auth) as client:
        watcher = StatusWatcher(client, interval=INTERVAL, initial=True)
        updates = watcher.updates()

        # Anybody can find a bot and write to it: what goes on here is told to this chat alone.
        @dispatcher.message(Command("queues"), lambda message: str(message.chat.id) == CHAT)
        async def queues(message: Message) -> None:
            await message.answer(describe(watcher))

        async with bot, watcher, asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(announce(updates, bot))
            # It ends on SIGTERM and Ctrl-C by itself. It does not like to be cancelled: that leaves a task behind.
            await dispatcher.start_polling(bot, close_bot_session=False)
            announcing.cancel()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        # So that SIGTERM ends the program as Ctrl-C does, also before the polling has begun.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        asyncio.run(main())
