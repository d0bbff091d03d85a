"""The recipes for chat services, each with its service's own library, against a local stand-in of the service."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest

from sipqueue_async import AgentState
from tests.kit.chat_services import Discord, Service, Slack, Telegram
from tests.kit.recipes import PATIENCE, Recipe, stage

pytestmark = pytest.mark.one_python


async def test_the_telegram_bot_answers_and_posts_each_change_once() -> None:
    """A desertion is told never or twice, a refused post is lost, or /queues tells strangers, nobody, or old as new."""
    telegram = Telegram()
    async with stage() as it, telegram.running():
        settings = {"TELEGRAM_TOKEN": "1:secret", "TELEGRAM_CHAT": str(telegram.CHAT), "TELEGRAM_API": telegram.url}
        # On CPython 3.12.1, aiogram alone makes the interpreter crash at its end under the debugging allocator.
        settings["PYTHONMALLOC"] = "default"
        async with Recipe("telegram_bot.py", it.variables | settings) as recipe:
            await recipe.wait_for(lambda: it.server.requests > 3)
            telegram.send("/queues", chat_id=12345)  # a stranger
            telegram.send("/queues")
            await recipe.wait_for(lambda: telegram.posts)
            telegram.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: len(telegram.posts) == 2)
            it.floor.put(AgentState.PAUSED)  # still nobody: nothing new
            await asyncio.sleep(0.3)
            telegram.failures, telegram.refusal = 1, (502, "<html>Bad Gateway</html>")
            it.floor.put(AgentState.WAITING)
            await recipe.wait_for(lambda: len(telegram.posts) == 3)
            it.server.refuse(500, times=None)
            await recipe.until("a poll failed")
            telegram.send("/queues")
            await recipe.wait_for(lambda: len(telegram.posts) == 4)
    answer, *posts, stale = telegram.posts
    assert answer == "queue-1: 1 waiting, 0 talking\nqueue-2: 1 waiting, 0 talking"
    assert re.fullmatch(r"As of \d\d:\d\d: the platform is away\.", stale.removeprefix(f"{answer}\n"))
    assert posts == ["queue-1: nobody is waiting for calls", "queue-1: somebody waits again"]
    assert telegram.token == "1:secret"
    assert set(telegram.chats) == {str(telegram.CHAT)}


async def test_the_slack_app_answers_and_posts_each_change_once() -> None:
    """A desertion is told never or twice, a refused post is lost, or /queues has no answer, or an old one as if new."""
    slack = Slack()
    async with stage() as it, slack.running():
        settings = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_CHANNEL": slack.CHANNEL}
        settings["SLACK_API"] = f"{slack.url}/api/"
        async with Recipe("slack_app.py", it.variables | settings, end=signal.SIGINT) as recipe:
            await recipe.wait_for(lambda: it.server.requests > 3)
            async with asyncio.timeout(PATIENCE):
                await slack.send("/queues")
                answer = await slack.answers.get()
            slack.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: slack.posts)
            it.floor.put(AgentState.PAUSED)  # still nobody: nothing new
            await asyncio.sleep(0.3)
            it.floor.put(AgentState.WAITING)
            await recipe.wait_for(lambda: len(slack.posts) == 2)
            it.server.refuse(500, times=None)
            await recipe.until("a poll failed")
            async with asyncio.timeout(PATIENCE):
                await slack.send("/queues")
                stale = await slack.answers.get()
    assert answer == "*queue-1*: 1 waiting, 0 talking\n*queue-2*: 1 waiting, 0 talking"
    assert re.fullmatch(r"_As of \d\d:\d\d: the platform is away\._", stale.removeprefix(f"{answer}\n"))
    assert slack.posts == [":warning: *queue-1*: nobody is waiting for calls", "*queue-1*: somebody waits again"]


async def test_slack_shows_names_and_does_not_read_them() -> None:
    """The name of a queue calls everybody in the channel, or reads as a line of its own."""
    slack = Slack()
    async with stage() as it, slack.running():
        it.floor.put(AgentState.TALKING, queue="<!channel>\nR&D")
        settings = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_CHANNEL": slack.CHANNEL}
        async with Recipe("slack_app.py", it.variables | settings | {"SLACK_API": f"{slack.url}/api/"}) as recipe:
            await recipe.wait_for(lambda: slack.posts)
    assert slack.posts == [":warning: *&lt;!channel&gt; R&amp;D*: nobody is waiting for calls"]


async def test_the_discord_board_is_one_message_that_is_edited() -> None:
    """The board is posted again and again, or stands still; a refused edit ends it; a name is read as markup."""
    discord = Discord()
    async with stage() as it, discord.running():
        it.floor.put(AgentState.WAITING, queue="*sales*\n@everyone")
        settings = {"DISCORD_WEBHOOK_ID": "42", "DISCORD_WEBHOOK_TOKEN": "hook-token"}
        settings |= {"DISCORD_API": discord.url, "DISCORD_EVERY": "0.1"}
        async with Recipe("discord_board.py", it.variables | settings) as recipe:
            await recipe.wait_for(lambda: discord.posts)
            discord.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: len(discord.posts) == 2)
    assert discord.failures == 0
    name = r"**\*sales\* @everyone**"
    deserted = "**queue-1** 0 waiting, 1 talking \N{WARNING SIGN} nobody waits"
    assert discord.posts == [
        f"POST {name} 1 waiting, 0 talking\n**queue-1** 1 waiting, 0 talking\n**queue-2** 1 waiting, 0 talking",
        f"PATCH {name} 1 waiting, 0 talking\n{deserted}\n**queue-2** 1 waiting, 0 talking",
    ]


async def test_the_alert_does_not_flap() -> None:
    """A queue that is short for a moment alarms, one agent back ends it, a refused post is lost, or the key printed."""
    robot = Service()
    async with stage() as it, robot.running():
        settings = {"ALERT_URL": f"{robot.url}/send?key=hidden", "ALERT_AFTER": "1.0", "ALERT_CLEAR_AFTER": "0.3"}
        async with Recipe("alert.py", it.variables | settings, end=signal.SIGINT) as recipe:
            await recipe.wait_for(lambda: it.server.requests > 3)
            it.floor.put(AgentState.TALKING)
            await asyncio.sleep(0.2)
            it.floor.put(AgentState.WAITING)
            await asyncio.sleep(1.2)  # longer than it takes: the moment before must not have counted
            assert robot.posts == []
            robot.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: robot.posts)
            it.floor.put(AgentState.WAITING)  # one is not enough for the end
            await asyncio.sleep(0.6)
            robot.failures, robot.refusal = 1, (200, {"errcode": 45009, "errmsg": "api freq out of limit"})
            it.floor.put(AgentState.WAITING, "100002")
            await recipe.wait_for(lambda: len(robot.posts) == 2)
        said = "\n".join([*recipe.lines, *recipe.errors])
        assert "not posted, another try in 5 s: ClientResponseError" in said
        assert "not posted, another try in 5 s: 45009 'api freq out of limit'" in said
        assert "hidden" not in said
    assert robot.posts == ["queue-1: only 0 waiting", "queue-1: again 2 waiting"]


async def test_the_alert_can_be_tried_without_a_robot() -> None:
    """Whoever tries the recipe without a robot sees nothing, or a traceback at the first alert."""
    async with stage() as it, Recipe("alert.py", it.variables | {"ALERT_AFTER": "0.1"}) as recipe:
        await recipe.wait_for(lambda: it.server.requests > 3)
        it.floor.put(AgentState.TALKING)
        await recipe.until("queue-1: only 0 waiting")
