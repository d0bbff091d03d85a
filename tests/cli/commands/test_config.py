"""``sipqueue config``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async import Settings
from sipqueue_async.cli.commands.config import config
from sipqueue_async.cli.exits import USAGE, Failure
from tests.kit.cli import Paper

SECRET = "a-secret-that-must-not-be-shown"


async def test_every_setting_is_shown_with_its_origin_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'url = "http://127.0.0.1:9/"\naccesskey = "{SECRET}"\nredis = "redis://:{SECRET}@r/0"\n')
    environ = {"SIPQUEUE_APPID": "demo"}
    paper = Paper()
    await config(Settings.load(file, environ), paper.output(), environ)
    assert [line.split(maxsplit=2) for line in paper.lines[1:5]] == [
        ["url", "http://127.0.0.1:9/", "the file, line 1"],
        ["appid", "demo", "SIPQUEUE_APPID"],
        ["accesskey", "***", "the file, line 2"],
        ["redis", "redis://***@r/0", "the file, line 3"],
    ]
    assert paper.lines[-1] == f"settings file: {file}"
    assert SECRET not in paper.text


@pytest.mark.parametrize(
    ("path", "url", "expected"),
    [
        (
            ".config/settings.toml",
            "http://h",
            [
                "setting  value     from",
                "url      http://h  the file, line 1",
                "settings file: ~/.config/settings.toml",
            ],
        ),
        (
            f"{'long-name/' * 9}settings.toml",
            f"http://{'h' * 60}",
            [
                f"url  http://{'h' * 60}",
                "  from the file, line 1",
                "settings file:",
                f"~/{'long-name/' * 9}settings.toml",
            ],
        ),
    ],
)
async def test_on_a_terminal_every_origin_stays_and_no_path_is_broken(
    tmp_path: Path, path: str, url: str, expected: list[str]
) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(f'url = "{url}"\ntoken = "{SECRET}"\n')
    environ = {"HOME": str(tmp_path)}
    paper = Paper(terminal=True)
    await config(Settings.load(file, environ), paper.output(NO_COLOR="1"), environ)
    assert [line for line in paper.lines if line and "token" not in line and "line 2" not in line] == expected


@pytest.mark.parametrize(
    ("environ", "last", "is_enough"),
    [
        ({}, "no settings file", False),
        ({"HOME": "/nowhere"}, "no settings file; it could be ~/", False),
        ({"SIPQUEUE_URL": "http://h"}, "no settings file", False),
        ({"SIPQUEUE_REDIS_URL": "redis://r"}, "no settings file", True),
    ],
)
async def test_settings_that_cannot_work_are_named_after_the_table(
    environ: dict[str, str], last: str, is_enough: bool
) -> None:
    paper = Paper()
    code = 0
    try:
        await config(Settings.load(None, environ), paper.output(), environ)
    except Failure as error:
        code = error.code
    assert (paper.lines[-1].startswith(last), code) == (True, 0 if is_enough else USAGE)
