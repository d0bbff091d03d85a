"""The language of the command line: how it is chosen, and help and errors in Chinese."""

from __future__ import annotations

import gettext
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from sipqueue_async._language import language, speaking
from sipqueue_async.cli import app, exits
from sipqueue_async.cli.breaking import cells
from sipqueue_async.cli.language import chosen_language, in_force, system_names
from sipqueue_async.cli.rules import demo_rules

UTF8 = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
LATIN = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
CHINESE = {"LANG": "zh_CN.UTF-8"}
SUBCOMMANDS = ("events", "calls", "report", "timeline", "export", "prune")
COMMANDS = [*([name] for name in app.COMMANDS), *(["history", name] for name in SUBCOMMANDS)]


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("status", {}, "en"),
        ("status", CHINESE, "zh"),
        ("--language en status", CHINESE, "en"),
        ("--language=zh status", {}, "zh"),
        ("--language zh --help", {"LC_ALL": "C"}, "zh"),
        ("--version --language zh", {}, "zh"),
        ("wallboard --language zh", {}, "en"),
        ("--language zh status", {"SIPQUEUE_LANGUAGE": "en"}, "zh"),
        ("status", {"SIPQUEUE_LANGUAGE": "zh"}, "zh"),
        ("status", {"SIPQUEUE_LANGUAGE": "xx", **CHINESE}, "zh"),
        ("--language", CHINESE, "zh"),
        ("--log-format json status", CHINESE, "en"),
        ("--log-format text status", {"SIPQUEUE_LOG_FORMAT": "json", **CHINESE}, "zh"),
        ("status", {"SIPQUEUE_LOG_FORMAT": "json", **CHINESE}, "en"),
    ],
)
def test_an_option_comes_before_the_environment_and_that_before_the_system(
    line: str, environ: Mapping[str, str], expected: str
) -> None:
    assert chosen_language(line.split(), environ, UTF8) == expected


@pytest.mark.parametrize("stream", [LATIN, None])
def test_an_output_without_chinese_characters_gets_english(stream: io.TextIOWrapper | None) -> None:
    assert chosen_language(["--language", "zh"], CHINESE, stream) == "en"


@pytest.mark.parametrize(
    ("text", "expected"),
    [('language = "zh"', "zh"), ("language = 1", "en"), ('url = "http://h"', "en"), ("language =", "en")],
)
def test_the_settings_file_comes_before_the_system(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "sipqueue" / "settings.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    english = {"LANG": "en_GB.UTF-8"}
    assert chosen_language([], {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/", **english}, UTF8) == expected
    assert chosen_language([], {"SIPQUEUE_CONFIG": str(path), **english}, UTF8) == expected
    assert chosen_language(["status", "--config", str(path)], english, UTF8) == expected
    assert chosen_language(["status", f"--config={path}"], english, UTF8) == expected
    assert chosen_language(["status", "--config"], english, UTF8) == "en"
    other = {"SIPQUEUE_LANGUAGE": "en"}
    assert chosen_language(["status", "--config", str(path)], {**CHINESE, **other}, UTF8) == "en"


def test_a_settings_file_that_cannot_be_read_is_reported_later(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"language = '\xff'")
    assert chosen_language(["--config", str(path)], {}, UTF8) == "en"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh"}, []),
        ({"LANGUAGE": "zh"}, []),
        ({"LANG": "zh_CN"}, ["zh_CN"]),
        ({"LANG": "zh_CN", "LC_MESSAGES": "en_US"}, ["en_US"]),
        ({"LANG": "zh_CN", "LC_MESSAGES": "en_US", "LC_ALL": "de_DE"}, ["de_DE"]),
        ({"LANG": "en_US", "LC_ALL": "", "LANGUAGE": "zh:en"}, ["zh", "en", "en_US"]),
    ],
)
def test_the_systems_languages_are_those_of_gettext(environ: Mapping[str, str], expected: list[str]) -> None:
    assert system_names(environ, platform="linux") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("zh_CN", ["zh_CN"]), ("Chinese (Simplified)_China", ["zh_ (Simplified)_China"]), (None, [])],
)
def test_on_windows_the_users_locale_tells_the_language(name: str | None, expected: list[str]) -> None:
    assert system_names({}, platform="win32", windows_name=lambda: name) == expected
    assert chosen_language([], {"LANG": "zh_CN"}, UTF8) == "zh"
    assert isinstance(system_names({}, platform="win32"), list)


def test_a_language_is_in_force_for_click_too_and_only_in_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    domain = gettext.textdomain()
    with in_force("zh"):
        assert (language(), gettext.gettext("Options")) == ("zh", "选项")
    assert (language(), gettext.gettext("Options"), gettext.textdomain()) == ("en", "Options", domain)
    assert "LANGUAGE" not in os.environ
    monkeypatch.setenv("LANGUAGE", "fr")
    with in_force("zh"):
        assert gettext.gettext("Options") == "选项"
    assert os.environ["LANGUAGE"] == "fr"


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_the_help_of_each_command_fits_the_terminal_in_both_languages(
    command: list[str], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    # In turn, since what one language left in the process must not show in the other.
    texts: dict[str, str] = {}
    for chosen in ("en", "zh"):
        assert app.run(["--language", chosen, *command, "--help"]) == 0
        texts[chosen] = capsys.readouterr().out
        # Commands that users copy, names of options and lists of values stay on one line.
        too_long = [line for line in texts[chosen].splitlines() if cells(line) > columns]
        assert [
            line for line in too_long if not re.match(r"  (sipqueue |SIPQUEUE_|--|\d)", line.replace("    ", "  "))
        ] == []
    assert "Show this message and exit." in " ".join(texts["en"].split())
    assert texts["zh"].startswith("用法：sipqueue")
    english = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}")
    assert [line for line in texts["zh"].splitlines() if english.search(line) and "sipqueue" not in line] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stat", "没有命令 'stat'（您是指 status 吗？）；详见 sipqueue --help"),
        ("status --nope", "没有选项 '--nope'；详见 sipqueue status --help"),
        ("watch --interval 0", "'--interval' 的值无效：必须大于 0，而不是 0；详见 sipqueue watch --help"),
        ("report --bom", "--bom 需要 --csv；详见 sipqueue report --help"),
        ("status a b", "多余的参数（a b）；详见 sipqueue status --help"),
        ("status --url http://h --config /nope/x", "无法读取设置文件 /nope/x：没有那个文件或目录"),
    ],
)
def test_errors_are_chinese(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--language", "zh", *line.split()]) == exits.USAGE
    # Older versions of click write the option without quotes.
    assert capsys.readouterr().err.replace(" --nope；", " '--nope'；") == f"sipqueue: {said}\n"


def test_a_missing_argument_is_one_chinese_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--language", "zh", "agent"]) == exits.USAGE
    said = capsys.readouterr().err
    assert said.startswith("sipqueue: 缺少参数 ")
    assert "。可选：sign-in, " in said


def test_an_unknown_language_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--language", "fr", "status"]) == exits.USAGE
    assert "'--language': 'fr' is not one of 'en', 'zh'" in capsys.readouterr().err


def test_the_alerts_of_built_in_rules_are_in_the_language() -> None:
    assert demo_rules().language == "en"
    with speaking("zh"):
        assert demo_rules().language == "zh"


def test_completion_explains_commands_in_the_language() -> None:
    with speaking("zh"):
        found = app.cli.shell_complete(click.Context(app.cli), "st")
    assert [(it.value, it.help) for it in found] == [("status", "显示各坐席此刻的状态。")]
