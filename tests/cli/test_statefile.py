"""The file that a restart goes on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sipqueue_async import Snapshot
from sipqueue_async.cli.exits import FAILED, USAGE, Failure
from sipqueue_async.cli.statefile import StateFile
from tests.kit.builders import agent, snapshot


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """A restart does not go on from where the program was."""
    file = StateFile(tmp_path / "state", Snapshot.from_json)
    assert file.load() is None
    for at in (0, 1):
        file.save(snapshot(agent(calls_answered=at), at=at))
    loaded = file.load()
    assert loaded == snapshot(agent(calls_answered=1))
    assert os.listdir(tmp_path) == ["state"]  # noqa: PTH208  # its names are enough


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Other users can read who works in the call centre."""
    path = tmp_path / "state"
    path.write_text("")
    path.chmod(0o644)
    StateFile(path, Snapshot.from_json).save(snapshot())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    """The link is replaced, and the file that it points to goes stale."""
    (tmp_path / "link").symlink_to(tmp_path / "state")
    StateFile(tmp_path / "link", Snapshot.from_json).save(snapshot())
    assert (tmp_path / "link").is_symlink()
    assert StateFile(tmp_path / "state", Snapshot.from_json).load() == snapshot()


@pytest.mark.parametrize("content", [b"", b"{", b'{"format":"other"}', b"\xff\x1b[31m"])
def test_a_damaged_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    """A damaged file is silently taken for a fresh start, and then overwritten."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(Failure, match="move it away to start afresh") as caught:
        StateFile(path, Snapshot.from_json).load()
    assert caught.value.code == USAGE
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory or a device given as the state file is replaced, or gives a traceback."""
    with pytest.raises(Failure, match="is not a regular file"):
        StateFile(tmp_path, Snapshot.from_json).load()


def test_a_path_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A path that the system refuses gives a traceback."""
    with pytest.raises(Failure, match="cannot be read: "):
        StateFile(tmp_path / ("x" * 300), Snapshot.from_json).load()


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk destroys the state that was saved before, or fills up further with halves."""
    file = StateFile(tmp_path / "state", Snapshot.from_json)
    file.save(snapshot(agent()))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="cannot be written: No space left on device") as caught:
        file.save(snapshot())
    assert caught.value.code == FAILED
    assert file.load() == snapshot(agent())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing directory gives a traceback, or is told only after the first poll."""
    with pytest.raises(Failure, match="its directory does not exist"):
        StateFile(tmp_path / "nowhere" / "state", Snapshot.from_json).load()
    with pytest.raises(Failure, match="cannot be written: No such file"):
        StateFile(tmp_path / "nowhere" / "state", Snapshot.from_json).save(snapshot())
