"""The file that a restart resumes from."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sipqueue_async import Snapshot
from sipqueue_async.cli.exits import FAILED, USAGE, Failure
from sipqueue_async.cli.statefile import StateFile
from tests.kit.builders import agent, snapshot


def state_file(path: Path) -> StateFile[Snapshot]:
    """Return a state file for snapshots."""
    return StateFile(path, Snapshot.from_json)


def test_the_saved_value_is_loaded(tmp_path: Path) -> None:
    file = state_file(tmp_path / "state")
    assert file.load() is None
    for at in (0, 1):
        file.save(snapshot(agent(calls_answered=at), at=at))
    assert file.load() == snapshot(agent(calls_answered=1))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("")
    path.chmod(0o644)
    state_file(path).save(snapshot())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state")
    state_file(tmp_path / "link").save(snapshot())
    assert (tmp_path / "link").is_symlink()
    assert state_file(tmp_path / "state").load() == snapshot()


@pytest.mark.parametrize("content", [b"", b"{", b'{"format":"other"}', b"\xff\x1b[31m"])
def test_a_damaged_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(Failure, match="move it away to start afresh") as caught:
        state_file(path).load()
    assert caught.value.code == USAGE
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """The path is refused before the first poll, with the reason."""
    for path, reason in (
        (tmp_path, "is not a regular file"),
        (tmp_path / ("x" * 300), "cannot be read: "),
        (tmp_path / "nowhere" / "state", "its directory does not exist; create it first"),
    ):
        with pytest.raises(Failure, match=reason):
            state_file(path).load()
    with pytest.raises(Failure, match="cannot be written: No such file"):
        state_file(tmp_path / "nowhere" / "state").save(snapshot())


def test_a_file_has_one_user_at_a_time(tmp_path: Path) -> None:
    for _ in range(2):
        with state_file(tmp_path / "state").locked():
            state_file(tmp_path / "state").save(snapshot())
            with pytest.raises(Failure, match=rf"in use by process {os.getpid()}: end it, or choose another file"):
                ExitStack().enter_context(state_file(tmp_path / "state").locked())
    with pytest.raises(Failure, match="cannot be locked: File name too long"):
        ExitStack().enter_context(state_file(tmp_path / ("x" * 300)).locked())


def test_a_full_disk_that_has_no_room_for_the_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / ".state.lock").symlink_to("/dev/full")
    told = f"the state file {tmp_path / 'state'} cannot be locked: No space left on device"
    with pytest.raises(Failure, match=told) as caught:
        ExitStack().enter_context(state_file(tmp_path / "state").locked())
    assert caught.value.code == FAILED


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = state_file(tmp_path / "state")
    file.save(snapshot(agent()))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="cannot be written: No space left on device") as caught:
        file.save(snapshot())
    assert caught.value.code == FAILED
    assert file.load() == snapshot(agent())
    assert len(list(tmp_path.iterdir())) == 1


def test_temporary_files_that_killed_runs_left_are_removed(tmp_path: Path) -> None:
    """Only old files of saves of the same state file are removed, not those of other files, users or running saves."""
    yesterday = time.time() - 86_400
    left = tmp_path / ".state.abcd_123"
    kept = {
        ".state.new_one_": (0o600, time.time()),
        ".state.readable": (0o644, yesterday),
        ".state.longer_name": (0o600, yesterday),
        ".state.Capitals": (0o600, yesterday),
        ".other.abcd_123": (0o600, yesterday),
    }
    for name, (mode, modified) in {left.name: (0o600, yesterday), **kept}.items():
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
        os.utime(tmp_path / name, (modified, modified))
    (tmp_path / ".state.a_symlin").symlink_to(left)
    state_file(tmp_path / "state").save(snapshot())
    assert {path.name for path in tmp_path.iterdir()} == {"state", ".state.a_symlin", *kept}


def test_a_temporary_file_of_a_run_killed_just_before_is_removed_by_a_later_save(tmp_path: Path) -> None:
    """A long run removes it, without a restart."""
    now = [time.time()]
    file = StateFile(tmp_path / "state", Snapshot.from_json, clock=lambda: now[0])
    left = tmp_path / ".state.abcd_123"
    left.touch(0o600)
    file.save(snapshot())
    assert left.exists()
    now[0] += 700
    file.save(snapshot())
    assert not left.exists()
