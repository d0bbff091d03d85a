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
        ["url", "http://127.0.0.1:9/", f"{file}, line 1"],
        ["appid", "demo", "SIPQUEUE_APPID"],
        ["accesskey", "***", f"{file}, line 2"],
        ["redis", "redis://***@r/0", f"{file}, line 3"],
    ]
    assert paper.lines[-1] == f"settings file: {file}"
    assert SECRET not in paper.text


@pytest.mark.parametrize(
    ("environ", "last", "is_enough"),
    [
        ({}, "no settings file", False),
        ({"HOME": "/nowhere"}, "no settings file; it could be /nowhere/", False),
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
