"""``sipqueue queues``: the settings of the queues, as a table or as JSON."""

from __future__ import annotations

import os
from functools import partial
from typing import Final, Unpack

import click

from sipqueue_async import QueueInfo, QueueStrategy, SipQueueClient
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._language import label_word
from sipqueue_async._language.codes import STRATEGY
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import _


@click.command("queues", epilog=options.examples("sipqueue queues", "sipqueue queues --json | jq '.queues[].name'"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.server
def command(*, as_json: bool, **server: Unpack[ServerOptions]) -> Work:
    """Show the queues, with their strategies and limits."""
    client = client_of(settings_of(server, os.environ))
    return partial(queues, client, standard_output(), as_json=as_json)


async def queues(client: SipQueueClient, output: Output, *, as_json: bool = False) -> None:
    """Print the queues."""
    async with client:
        found = await client.queues()
    if as_json:
        output.line(json_line({"v": FORMAT_VERSION, "queues": [queue.to_dict() for queue in found]}))
    elif found:
        output.lines(table_lines(_COLUMNS, map(_cells, found), output.width, other_forms="--json"))
    else:
        output.line(_("no queues"))


_COLUMNS: Final = (
    TableColumn("queue"),
    TableColumn("strategy"),
    TableColumn("longest wait", rank=1, right=True),
    TableColumn("without agents", rank=2, right=True),
    TableColumn("remark", rank=3),
)


def _cells(queue: QueueInfo) -> list[Cell]:
    strategy = f"code {queue.strategy_code}" if queue.strategy is QueueStrategy.UNKNOWN else queue.strategy.value
    return [
        (harmless(queue.name), ""),
        (label_word(STRATEGY, strategy), ""),
        (_seconds(queue.max_wait), ""),
        (_seconds(queue.max_wait_without_agent), ""),
        (harmless(queue.remark or ""), ""),
    ]


def _seconds(number: int | None) -> str:
    return "" if number is None else _("{number} s").format(number=number)
