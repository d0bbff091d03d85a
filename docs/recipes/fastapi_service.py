# python docs/recipes/fastapi_service.py
"""A FastAPI service: the queues as JSON, every event on WebSockets, and a health check.

HOST and PORT are the address to listen on (127.0.0.1 and 8000). Needs fastapi, uvicorn and
websockets.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Response, WebSocket, WebSocketDisconnect
from fastapi.requests import HTTPConnection

from sipqueue_async import AgentState, SipQueueError, StatusWatcher, run

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
FRESH = timedelta(seconds=max(30.0, 5 * INTERVAL))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Run the watcher as long as the service runs."""
    async with StatusWatcher.from_env(interval=INTERVAL) as watcher:
        app.state.watcher = watcher
        yield


def get_watcher(connection: HTTPConnection) -> StatusWatcher:
    watcher: StatusWatcher = connection.app.state.watcher
    return watcher


app = FastAPI(lifespan=lifespan)
Watcher = Annotated[StatusWatcher, Depends(get_watcher)]


@app.get("/health")
async def health(watcher: Watcher, response: Response) -> dict[str, str | None]:
    """Answer 503 if the last successful poll is too old or the watcher has ended."""
    known = watcher.health
    fresh = (
        known.last_good_at is not None
        and datetime.now(UTC) - known.last_good_at < FRESH
        and not known.ended
    )
    response.status_code = 200 if fresh else 503
    last_good_at = None if known.last_good_at is None else known.last_good_at.isoformat()
    return {"status": "fresh" if fresh else "stale", "last_good_at": last_good_at}


@app.get("/queues")
async def queues(watcher: Watcher) -> dict[str, dict[AgentState, int]]:
    """Count the agents of each queue by state."""
    snapshot = watcher.snapshot
    return {} if snapshot is None else {queue: snapshot.counts(queue) for queue in snapshot.queues}


@app.websocket("/events")
async def events(socket: WebSocket, watcher: Watcher) -> None:
    """Send every event to one client. A slow client gets coalesced updates and delays no other."""
    updates = watcher.updates()
    await socket.accept()

    async def send() -> None:
        # A permanent error, such as refused credentials, ends the watcher; /health then answers
        # 503.
        with suppress(SipQueueError):
            async for update in updates:
                for event in update.events:
                    await socket.send_json({**event.to_dict(), "text": str(event)})
        await socket.close(1011)

    async def listen() -> None:
        while True:
            await socket.receive_text()

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            tasks.create_task(listen())
    except* WebSocketDisconnect:
        pass


if __name__ == "__main__":
    config = uvicorn.Config(
        app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000"))
    )
    # Uvicorn shuts down cleanly on SIGTERM and Ctrl-C, then raises the signal again; `run` turns it
    # into exit code 0.
    run(uvicorn.Server(config).serve())
