# python docs/recipes/daily_report.py
"""A daily report by mail or as a file: talking time, and calls answered and missed.

REPORT_AT is the local time of the report, such as 18:00; REPORT_EVERY, if set, an interval in
seconds instead. With SMTP_HOST the report is mailed from MAIL_FROM to MAIL_TO (see SMTP_PORT,
SMTP_USER and SMTP_PASSWORD; STARTTLS if the server offers it); without, it is written to
REPORT_DIR. Mail needs aiosmtplib.
"""

import asyncio
import contextlib
import csv
import io
import os
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

from sipqueue_async import AgentState, StatusWatcher, Updates, run
from sipqueue_async.tally import Tally

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
DIRECTORY = Path(os.environ.get("REPORT_DIR", "."))
SMTP_HOST = os.environ.get("SMTP_HOST")
# Read at the start, so that a missing setting fails now and not in the evening.
MAIL_FROM, MAIL_TO = (os.environ["MAIL_FROM"], os.environ["MAIL_TO"]) if SMTP_HOST else ("", "")


def next_report(now: datetime) -> datetime:
    if every := os.environ.get("REPORT_EVERY"):
        return now + timedelta(seconds=float(every))
    hour, minute = map(int, os.environ.get("REPORT_AT", "18:00").split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    due = today if today > now else today + timedelta(days=1)
    # The UTC offset of that day: it differs from today's if daylight saving time starts or ends in
    # between.
    return due.replace(tzinfo=None).astimezone()


def summary(tally: Tally) -> str:
    total = tally.total
    return "\n".join(
        f"{name}: {group.calls_answered} answered, {group.calls_missed} missed, "
        f"{timedelta(seconds=round(group.seconds()[AgentState.TALKING]))} talking"
        for name, group in [*tally.queues.items(), ("all", total)]
    )


def harmless(name: str) -> str:
    """Escape a name that a spreadsheet would run as a formula; names are untrusted input."""
    # After each semicolon too: it separates cells in locales with a decimal comma.
    parts = name.split(";")
    return ";".join(
        f"'{it}" if it.lstrip(' "\t\r\n')[:1] in set("=+-@＝＋－＠") else it for it in parts
    )


def table(tally: Tally) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(
        ["queue", "extension", "answered", "missed", "talking_seconds", "signed_in_seconds"]
    )
    for (queue, extension), seat in sorted(tally.seats.items()):
        names, calls = (
            [harmless(queue), harmless(extension)],
            [seat.calls_answered, seat.calls_missed],
        )
        rows.writerow(
            [*names, *calls, round(seat.seconds()[AgentState.TALKING]), round(seat.signed_in())]
        )
    return text.getvalue()


def is_final(error: aiosmtplib.SMTPException) -> bool:
    """Return whether the mail server refused permanently, with a 5xx code."""
    refusals = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
    return any(
        isinstance(it, aiosmtplib.SMTPResponseException) and it.code >= 500 for it in refusals
    )


async def send(mail: EmailMessage) -> None:
    server = aiosmtplib.SMTP(
        hostname=SMTP_HOST,
        port=int(os.environ.get("SMTP_PORT", "587")),
        username=os.environ.get("SMTP_USER"),
        password=os.environ.get("SMTP_PASSWORD"),
    )
    try:
        await server.connect()
        await server.send_message(mail)
        # The mail is sent; an error here must not send it again.
        with contextlib.suppress(aiosmtplib.SMTPException):
            await server.quit()
    finally:
        # Close without QUIT: after Ctrl-C in the middle of a mail, QUIT would become part of the
        # mail.
        server.close()
        # Before Python 3.12, asyncio.wait_for (used by aiosmtplib) drops a cancellation that
        # coincides with a reply.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError


async def deliver(tally: Tally, name: str) -> None:
    if SMTP_HOST is None:
        path = DIRECTORY / f"{name}.csv"
        await asyncio.to_thread(path.write_text, table(tally), encoding="utf-8", newline="")
        print(f"wrote {path}", flush=True)
        return
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = MAIL_FROM, MAIL_TO, f"Call centre, {name}"
    mail.set_content(summary(tally))
    mail.add_attachment(table(tally), subtype="csv", filename=f"{name}.csv")
    while True:
        try:
            await send(mail)
        except aiosmtplib.SMTPException as error:
            if is_final(error):
                raise
            print(f"not sent, retrying in a minute: {error!r}", flush=True)
            await asyncio.sleep(60)
        else:
            print(f"sent {name} to {MAIL_TO}", flush=True)
            return


async def report_forever(watcher: StatusWatcher, updates: Updates) -> None:
    tally = Tally(await watcher.ready())
    due = datetime.now().astimezone()
    while True:
        # If the clock was set back a little, the same report is not due twice.
        due = next_report(max(due, datetime.now().astimezone()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((due - datetime.now().astimezone()).total_seconds()):
                async for update in updates:
                    tally.update(update)
        while (last := updates.get_nowait()) is not None:
            tally.update(last)
        if watcher.health.last_good_at is not None:
            tally.advance(watcher.health.last_good_at)
        await deliver(tally, f"{due:%Y-%m-%d %H.%M.%S}")
        # The next day starts at the snapshot where this one ended.
        tally = Tally(tally.snapshot)


async def main() -> None:
    watcher = StatusWatcher.from_env(interval=INTERVAL)
    updates = watcher.updates()
    async with watcher:
        await report_forever(watcher, updates)


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    run(main())
