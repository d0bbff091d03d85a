"""Local stand-ins for the HTTP APIs of Telegram, Slack and Discord: the parts that the recipes' libraries use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


class Service:
    """An HTTP service on a free port that records the posted texts."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        """The posted texts, in order."""
        self.failures = 0
        """The number of further posts to refuse."""
        self.refusal: tuple[int, dict[str, Any] | str] = (500, {"ok": False, "error_code": 500, "description": "away"})
        """The answer to a refused post: status and body."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._server = TestServer(app)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Accept a text message in the format of WeCom's and DingTalk's group robots."""
        message = await request.json()
        return self.post(message["text"]["content"], {"errcode": 0, "errmsg": "ok"})

    def post(self, text: str, answer: Any) -> web.Response:
        """Record a text, or refuse it."""
        if self.failures:
            self.failures -= 1
            return self.refuse()
        self.posts.append(text)
        return web.json_response(answer)

    def refuse(self) -> web.Response:
        """Return the refusal."""
        status, body = self.refusal
        return (
            web.json_response(body, status=status) if isinstance(body, dict) else web.Response(text=body, status=status)
        )

    @property
    def url(self) -> str:
        return str(self._server.make_url("/")).rstrip("/")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        await self._server.start_server()
        try:
            yield
        finally:
            await self._server.close()


class Telegram(Service):
    """The Bot API: long polling and posting."""

    CHAT = -1001

    def __init__(self) -> None:
        super().__init__()
        self._updates: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.token = ""
        self.chats: list[str] = []
        """The ids of the chats that received a message."""

    def send(self, text: str, chat_id: int = CHAT) -> None:
        """Queue a message for the bot."""
        chat = {"id": chat_id, "type": "group", "title": "wallboard"}
        command = {"type": "bot_command", "offset": 0, "length": len(text)}
        message = {"message_id": 7, "date": 1767600000, "chat": chat, "text": text, "entities": [command]}
        self._updates.put_nowait({"update_id": 1, "message": message})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        bot, method = request.path.strip("/").split("/")
        self.token = bot.removeprefix("bot")
        fields = await request.post()
        if method == "getMe":
            me = {"id": 1, "is_bot": True, "first_name": "Queues", "username": "queues_bot"}
            return web.json_response({"ok": True, "result": me})
        if method == "getUpdates":
            return web.json_response({"ok": True, "result": await self._next_updates()})
        assert method == "sendMessage"
        self.chats.append(str(fields["chat_id"]))
        message = {"message_id": 8, "date": 1767600000, "chat": {"id": self.CHAT, "type": "group"}}
        return self.post(str(fields["text"]), {"ok": True, "result": message})

    async def _next_updates(self) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(0.3):
                return [await self._updates.get()]
        except TimeoutError:
            return []


class Slack(Service):
    """The Web API, and Socket Mode."""

    CHANNEL = "C0123"

    def __init__(self) -> None:
        super().__init__()
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        """The replies to slash commands."""
        self._socket: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()

    async def send(self, command: str) -> None:
        """Send a slash command."""
        payload = {"type": "slash_commands", "command": command, "text": "", "user_id": "U1", "channel_id": "C1"}
        payload |= {"team_id": "T1", "response_url": f"{self.url}/later", "trigger_id": "1"}
        envelope = {"type": "slash_commands", "envelope_id": "e1", "payload": payload, "accepts_response_payload": True}
        await (await self._socket).send_str(json.dumps(envelope))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.path.removeprefix("/api/").strip("/")
        if method == "link":
            return await self._link(request)
        if method == "apps.connections.open":
            assert request.headers["Authorization"] == "Bearer xapp-1"
            return web.json_response({"ok": True, "url": f"{self.url.replace('http', 'ws')}/link"})
        assert request.headers["Authorization"] == "Bearer xoxb-1"
        if method == "auth.test":
            return web.json_response({"ok": True, "team_id": "T1", "user_id": "U0", "bot_id": "B1"})
        fields = await request.json() if request.content_type == "application/json" else await request.post()
        assert (method, fields["channel"]) == ("chat.postMessage", self.CHANNEL)
        return self.post(str(fields["text"]), {"ok": True, "ts": "1"})

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello"}))
        self._socket.set_result(socket)
        async for message in socket:
            self.answers.put_nowait(message.json()["payload"]["text"])
        return socket


class Discord(Service):
    """A webhook: posting a message, and editing it."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.path.startswith("/webhooks/42/hook-token")
        fields = await request.json()
        assert fields["allowed_mentions"] == {"parse": []}
        author = {"id": "42", "username": "Board", "avatar": None, "discriminator": "0000", "bot": True}
        message = {"id": "77", "channel_id": "9", "content": fields["content"], "author": author, "type": 0}
        message |= {"timestamp": "2026-01-05T08:00:00+00:00", "edited_timestamp": None, "webhook_id": "42"}
        message |= {"tts": False, "mention_everyone": False, "pinned": False, "flags": 0, "components": []}
        message |= {"mentions": [], "mention_roles": [], "attachments": [], "embeds": []}
        answer = self.post(f"{request.method} {fields['content']}", message)
        answer.headers["Content-Type"] = "application/json"  # discord.py expects it without a charset
        return answer
