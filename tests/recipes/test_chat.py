"""The recipes for chat services, each with the service's own library, against a local stand-in of the service."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sipqueue_async import AgentState
from tests.kit.chat_services import Discord, Service, Slack, Telegram
from tests.kit.preloaded import Preloaded
from tests.kit.recipes import Recipe, load, preloaded, stage
from tests.kit.waiting import PATIENCE

pytestmark = [pytest.mark.one_python, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def python() -> Iterator[Preloaded]:
    with preloaded(
        "aiogram", "slack_bolt.async_app", "slack_bolt.adapter.socket_mode.aiohttp", "discord.ext.tasks"
    ) as it:
        yield it


async def test_the_telegram_bot_answers_its_chat_and_posts_each_change_once(python: Preloaded) -> None:
    telegram = Telegram()
    async with stage() as it, telegram.running():
        settings = {"TELEGRAM_TOKEN": "1:secret", "TELEGRAM_CHAT": str(telegram.CHAT), "TELEGRAM_API": telegram.url}
        settings["TELEGRAM_RETRY"] = "0.1"
        async with Recipe(python, "telegram_bot.py", it.variables | settings) as recipe:
            await recipe.polls(it.server)
            telegram.send("/queues", chat_id=12345)  # from an unknown chat
            telegram.send("/queues")
            await recipe.wait_for(lambda: telegram.posts)
            telegram.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: len(telegram.posts) == 2)
            it.floor.put(AgentState.PAUSED)  # still none waiting: no further post
            await recipe.polls(it.server)
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
    assert posts == ["queue-1: no agent is waiting", "queue-1: an agent is waiting again"]
    assert telegram.token == "1:secret"
    assert set(telegram.chats) == {str(telegram.CHAT)}


async def test_the_slack_app_answers_and_posts_each_change_once(python: Preloaded) -> None:
    slack = Slack()
    queue, shown = "<!channel>\nR&D", "*&lt;!channel&gt; R&amp;D*"
    async with stage() as it, slack.running():
        it.floor.put(AgentState.WAITING, queue=queue)
        settings = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_CHANNEL": slack.CHANNEL}
        settings |= {"SLACK_API": f"{slack.url}/api/", "SLACK_RETRY": "0.1"}
        async with Recipe(python, "slack_app.py", it.variables | settings, end=signal.SIGINT) as recipe:
            await recipe.polls(it.server)
            async with asyncio.timeout(PATIENCE):
                await slack.send("/queues")
                answer = await slack.answers.get()
            slack.failures = 1
            it.floor.put(AgentState.TALKING, queue=queue)
            await recipe.wait_for(lambda: slack.posts)
            it.floor.put(AgentState.PAUSED, queue=queue)  # still none waiting: no further post
            await recipe.polls(it.server)
            it.floor.put(AgentState.WAITING, queue=queue)
            await recipe.wait_for(lambda: len(slack.posts) == 2)
            it.server.refuse(500, times=None)
            await recipe.until("a poll failed")
            async with asyncio.timeout(PATIENCE):
                await slack.send("/queues")
                stale = await slack.answers.get()
    others = "*queue-1*: 1 waiting, 0 talking\n*queue-2*: 1 waiting, 0 talking"
    assert answer == f"{shown}: 1 waiting, 0 talking\n{others}"
    assert re.fullmatch(r"_As of \d\d:\d\d: the platform is away\._", stale.removeprefix(f"{answer}\n"))
    assert slack.posts == [f":warning: {shown}: no agent is waiting", f"{shown}: an agent is waiting again"]


async def test_the_discord_board_is_one_message_that_is_edited(python: Preloaded) -> None:
    discord = Discord()
    async with stage() as it, discord.running():
        it.floor.put(AgentState.WAITING, queue="*sales*\n@everyone")
        settings = {"DISCORD_WEBHOOK_ID": "42", "DISCORD_WEBHOOK_TOKEN": "hook-token"}
        settings |= {"DISCORD_API": discord.url, "DISCORD_EVERY": "0.1"}
        async with Recipe(python, "discord_board.py", it.variables | settings) as recipe:
            await recipe.wait_for(lambda: discord.posts)
            discord.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: len(discord.posts) == 2)
    assert discord.failures == 0
    name = r"**\*sales\* @everyone**"
    deserted = "**queue-1** 0 waiting, 1 talking \N{WARNING SIGN} no agent waiting"
    assert discord.posts == [
        f"POST {name} 1 waiting, 0 talking\n**queue-1** 1 waiting, 0 talking\n**queue-2** 1 waiting, 0 talking",
        f"PATCH {name} 1 waiting, 0 talking\n{deserted}\n**queue-2** 1 waiting, 0 talking",
    ]


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")  # discord.py imports it
@pytest.mark.parametrize(("recipe", "most"), [("telegram_bot.py", 4096), ("discord_board.py", 2000)])
def test_a_message_counts_the_queues_that_do_not_fit(recipe: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_CHAT", "1")
    fitting = load(recipe).fitting
    lines = [f"queue-{number:03}: 1 waiting \N{TELEPHONE RECEIVER}" for number in range(500)]
    *shown, more, away = fitting(lines, ["away"]).splitlines()
    assert shown == lines[: len(shown)]
    assert (more, away) == (f"and {500 - len(shown)} more", "away")
    used = len("\n".join([*shown, more, away]).encode("utf-16-le")) / 2
    assert most - len(lines[0]) - 2 <= used <= most
    assert fitting(lines[:3], ["away"]) == "\n".join([*lines[:3], "away"])


async def test_the_alert_is_posted_once_when_it_begins_and_once_when_it_ends(python: Preloaded) -> None:
    """Refused posts are repeated; the robot's key is not printed."""
    robot = Service()
    async with stage() as it, robot.running():
        settings = {"ALERT_URL": f"{robot.url}/send?key=hidden", "ALERT_AFTER": "0.1", "ALERT_CLEAR_AFTER": "0.1"}
        settings["ALERT_RETRY"] = "0.1"
        async with Recipe(python, "alert.py", it.variables | settings, end=signal.SIGINT) as recipe:
            await recipe.polls(it.server)
            robot.failures = 1
            it.floor.put(AgentState.TALKING)
            await recipe.wait_for(lambda: robot.posts)
            robot.failures, robot.refusal = 1, (200, {"errcode": 45009, "errmsg": "api freq out of limit"})
            it.floor.put(AgentState.WAITING)
            it.floor.put(AgentState.WAITING, "100002")
            await recipe.wait_for(lambda: len(robot.posts) == 2)
        printed = "\n".join([*recipe.lines, *recipe.errors])
        assert "not posted, retrying in 0.1 s: ClientResponseError" in printed
        assert "not posted, retrying in 0.1 s: 45009 'api freq out of limit'" in printed
        assert "hidden" not in printed
    assert robot.posts == ["queue-1: only 0 waiting", "queue-1: again 2 waiting"]


def test_the_alert_does_not_flap() -> None:
    alarm, start = load("alert.py").Alarm(), datetime(2026, 1, 5, 8, tzinfo=UTC)
    changes = [
        (seconds, alarm.on)
        for seconds, waiting in [
            *((0, 0), (29, 0), (29, 1), (30, 0)),  # short of agents, but not for 30 s without interruption
            *((59, 0), (60, 0), (61, 0)),
            *((62, 2), (121, 2), (121, 1), (122, 2)),  # enough agents, but not for 60 s without interruption
            *((181, 3), (182, 2), (183, 2)),
        ]
        if alarm.changes(waiting, start + timedelta(seconds=seconds))
    ]
    assert changes == [(60, True), (182, False)]


async def test_the_alert_is_printed_without_a_robot(python: Preloaded) -> None:
    async with stage() as it, Recipe(python, "alert.py", it.variables | {"ALERT_AFTER": "0.1"}) as recipe:
        await recipe.polls(it.server)
        it.floor.put(AgentState.TALKING)
        await recipe.until("queue-1: only 0 waiting")
