"""The state file: what it keeps, and what it refuses."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from sipqueue_async.cli.exits import FAILED, USAGE, Failure
from sipqueue_async.cli.forwarding import store as module
from sipqueue_async.cli.forwarding.outages import Outage
from sipqueue_async.cli.forwarding.store import Message, Pause, Store
from tests.kit.builders import START, agent, snapshot

KNOWN = snapshot(agent())


def messages(number: int, destination: str = "a") -> list[tuple[str, str, bytes]]:
    return [(destination, f"id-{it}", b"%d" % it) for it in range(number)]


def bodies(store: Store) -> list[tuple[str, int, str]]:
    return [(it.destination, int(it.body), it.reason) for it in store.dead_letters()]


def test_messages_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        assert (store.snapshot(), store.first("a"), store.pending()) == (None, None, 0)
        store.keep(KNOWN, [*messages(3), *messages(1, "b")], 7.0)
        store.keep(None, (), 8.0)
    with Store(tmp_path / "state") as store:
        assert store.snapshot() == KNOWN
        assert (store.pending(), store.pending("a"), store.waiting_for_others(["b"])) == (4, 3, ["a"])
        for number in range(3):
            first = store.first("a")
            assert first == Message(number + 1, f"id-{number}", b"%d" % number, 7.0)
            store.done(first)
        assert store.first("a") is None
        assert store.pending() == 1
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_dead_letters_are_the_chosen_messages_and_the_newest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "state") as store:
        store.keep(None, [*messages(5), *messages(1, "b")], 7.0)
        assert store.surplus("a", 5) is None
        last = store.surplus("a", 3)
        assert last == 2
        assert store.bury("a", "too many", 9.0, until=last, spare=1) == 1
        assert store.bury("a", "too old", 9.0, kept_before=6.9) == 0
        assert store.bury("a", "too old", 9.0, kept_before=7.0, spare=5) == 3
        assert bodies(store) == [("a", 1, "too many"), ("a", 0, "too old"), ("a", 2, "too old"), ("a", 3, "too old")]
        with Store(tmp_path / "state", read_only=True) as reader:
            assert bodies(reader) == bodies(store)
        monkeypatch.setattr(module, "DEAD_KEPT", 2)
        assert store.bury("b", "gone", 9.0) == 1
        assert bodies(store) == [("a", 3, "too old"), ("b", 0, "gone")]


def test_a_destination_that_ended_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        store.end("a", "x")
        assert [store.has_ended(*it) for it in (("a", "x"), ("a", "y"), ("b", "x"))] == [True, False, False]
        store.end("a", "y")
        assert [store.has_ended(*it) for it in (("a", "x"), ("a", "y"))] == [False, True]


def test_a_second_process_is_refused_even_by_another_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state")
    with Store(tmp_path / "state"), pytest.raises(Failure, match=r"link is in use by process \d+: end it, or"):
        Store(tmp_path / "link")
    Store(tmp_path / "link").close()


def test_a_second_name_of_the_file_is_refused_if_the_lock_cannot_know_it(tmp_path: Path) -> None:
    Store(tmp_path / "state").close()
    (tmp_path / "link").hardlink_to(tmp_path / "state")
    for name in ("state", "link"):
        with pytest.raises(Failure, match=f"{name} has a second name, a hard link: delete one of the names"):
            Store(tmp_path / name)
    (tmp_path / "link").unlink()
    Store(tmp_path / "state").close()


def test_a_file_that_others_could_read_becomes_the_owners_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        store.keep(KNOWN, messages(1), 7.0)
        files = [*tmp_path.glob("state*")]
        assert len(files) == 3
        # A killed process leaves the files beside it too.
        for path in files:
            (tmp_path / path.name.replace("state", "copy")).write_bytes(path.read_bytes())
    for path in tmp_path.glob("copy*"):
        path.chmod(0o644)
    with Store(tmp_path / "copy") as store:
        assert store.pending() == 1
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("copy*")} == {0o600}


def test_an_outage_and_a_pause_come_back_after_a_restart(tmp_path: Path) -> None:
    for outage in (Outage(START, 7.0), Outage(None, 8.0), None):
        with Store(tmp_path / "state") as store:
            store.keep(None, (), 9.0, outage)
        with Store(tmp_path / "state") as store:
            assert store.outage() == outage
    with Store(tmp_path / "state") as store:
        store.pause("a", "x", Pause(1, 5.0))
        store.pause("a", "x", Pause(2, 6.0))
    with Store(tmp_path / "state") as store:
        assert [store.paused(*it) for it in (("a", "x"), ("a", "y"), ("b", "x"))] == [Pause(2, 6.0), None, None]
        store.resume("a")
        assert store.paused("a", "x") is None


def test_a_file_without_the_tables_of_this_release_gets_them(tmp_path: Path) -> None:
    Store(tmp_path / "state").close()
    database = sqlite3.connect(tmp_path / "state")
    database.executescript("DROP TABLE outage; DROP TABLE pauses")
    database.close()
    with Store(tmp_path / "state") as store:
        assert (store.outage(), store.paused("a", "x")) == (None, None)


def made_by_another_program(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE things (x)")
    database.close()


def of_a_later_release(path: Path) -> None:
    Store(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()


def damaged(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def with_a_damaged_snapshot(path: Path) -> None:
    with Store(path) as store:
        store.keep(KNOWN, (), 1.0)
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE progress SET snapshot = '{}'")
    database.close()


def with_no_tables(path: Path) -> None:
    Store(path).close()
    database = sqlite3.connect(path)
    with database:
        database.execute("DROP TABLE progress")
    database.close()


@pytest.mark.parametrize(
    ("make", "message", "code"),
    [
        (made_by_another_program, "cannot be used: another program wrote it; choose another path", USAGE),
        (of_a_later_release, "cannot be used: its version is 2, not 1; choose another path", USAGE),
        (damaged, "cannot be used: file is not a database", FAILED),
        (with_a_damaged_snapshot, "cannot be used: this is not a saved snapshot.*; move it away to begin anew", USAGE),
        (with_no_tables, "cannot be read: no such table: progress", FAILED),
        (Path.mkdir, "is not a regular file: choose another path", USAGE),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_left_as_it_is(
    make: object, message: str, code: int, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    assert callable(make)
    make(path)
    with pytest.raises(Failure, match=message) as caught, Store(path) as store:
        store.snapshot()
    assert caught.value.code == code
    assert path.exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="its directory does not exist; create it first"):
        Store(tmp_path / "a" / "state")
    with pytest.raises(Failure, match="there is no state file"):
        Store(tmp_path / "state", read_only=True)
    empty = sqlite3.connect(tmp_path / "state")
    empty.execute("PRAGMA journal_mode = WAL")
    empty.close()
    with pytest.raises(Failure, match="is still empty"):
        Store(tmp_path / "state", read_only=True)
    (tmp_path / ".state.lock").mkdir()
    with pytest.raises(Failure, match="cannot be locked: Is a directory"):
        Store(tmp_path / "state")


def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        store.keep(KNOWN, messages(2), 1.0)
        store._database.execute("CREATE TRIGGER full BEFORE INSERT ON pending BEGIN SELECT RAISE(FAIL, 'no room'); END")
        with pytest.raises(Failure, match="cannot be written: no room"):
            store.keep(snapshot(), messages(1), 2.0)
        store._database.execute("DROP TRIGGER full")
        assert (store.snapshot(), store.pending()) == (KNOWN, 2)
        store.keep(KNOWN, (), 3.0)


def test_a_full_disk_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        store.keep(KNOWN, messages(2), 1.0)
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Failure, match="cannot be written: database or disk is full") as caught:
            store.keep(snapshot(), [("a", "big", b"x" * 100_000)], 2.0)
        assert caught.value.code == FAILED
        assert (store.snapshot(), store.pending()) == (KNOWN, 2)
    with Store(tmp_path / "state") as store:
        store.keep(None, [("a", "big", b"x" * 100_000)], 2.0)
        assert store.pending() == 3
