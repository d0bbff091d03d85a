"""The wallboard's thresholds: options, then the settings file, then the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async.cli import app
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.thresholds import demonstration_thresholds, thresholds_of
from sipqueue_async.wallboard import Thresholds
from sipqueue_async.wallboard.thresholds import as_parameters


def test_an_option_overrides_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[wallboard]\ntalk = 300\nring = 0\npause = 900\nleast = 2\n")
    given = {"talk": 90.0, "wait": 120.0, "least": None}
    expected = Thresholds(talk=90, ring=0, wait=120, pause=900, least=2)
    assert thresholds_of(given, file, {}) == expected
    assert as_parameters(expected) == "talk=90&ring=&wait=120&idle=&pause=900&least=2"
    assert thresholds_of({}, None, {}) == Thresholds()
    with pytest.raises(Failure, match="cannot be read"):
        thresholds_of({}, tmp_path / "nowhere", {})


def test_a_demonstration_has_thresholds_of_its_own() -> None:
    assert demonstration_thresholds({"least": 1}, speed=5.0) == Thresholds(talk=20, ring=2, pause=15, least=1)


def test_a_threshold_below_0_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="least must be at least 0 agents, not -1"):
        Thresholds(least=-1)
    assert app.run(["wallboard", "--demo", "--idle", "-1"]) == 2
    assert "--idle" in capsys.readouterr().err
