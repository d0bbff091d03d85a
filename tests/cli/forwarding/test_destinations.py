"""The file with the destinations: each key, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async import AgentState, SeatFilter, TransportError, diff
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.forwarding.destinations import Webhook, read_webhooks, targets_of
from sipqueue_async.events import FeedDown
from tests.kit.builders import agent, snapshot
from tests.kit.forwarding import SECRET

BEGIN = '[destinations.crm]\nurl_from = "CRM_URL"\nsecret_from = "CRM_SECRET"\n'
ENVIRON = {"CRM_URL": "https://crm.example/s3cr3t", "CRM_SECRET": SECRET}


def read(folder: Path, text: str) -> tuple[Webhook, ...]:
    (folder / "forward.toml").write_text(text, encoding="utf-8")
    return read_webhooks(folder / "forward.toml")


def test_every_key_is_read(tmp_path: Path) -> None:
    text = f"""\
{BEGIN}
[destinations.erp]
url = "http://127.0.0.1:1/"
secret_file = "erp.secret"
queues = "queue-1"
extensions = ["1", "2"]
events = ["call-missed", "feed-down"]
retry_for = "2 h"
timeout = "5 s"
max_pending = 7
allow_private = true
"""
    assert read(tmp_path, text) == (
        Webhook(name="crm", url_from="CRM_URL", secret_from="CRM_SECRET"),
        Webhook(
            name="erp",
            url="http://127.0.0.1:1/",
            secret_file=tmp_path / "erp.secret",
            seats=SeatFilter("queue-1", ["1", "2"]),
            events=frozenset({"call-missed", "feed-down"}),
            retry_for=7200.0,
            timeout=5.0,
            max_pending=7,
            allow_private=True,
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no destinations: write at least one table such as [destinations.crm], with its url"),
        ("[rules.a]", "rules: there is no such key here; there are destinations"),
        ("destinations = 1", "destinations: write each as a table of its own, such as [destinations.first]"),
        ("[destinations.a]", "[destinations.a] needs either url or url_from, the environment variable with the URL"),
        ('[destinations.a]\nurl = "x"', "needs either secret_file or secret_from, the environment variable with the"),
        (BEGIN + 'secret = "whsec_x"', "[destinations.crm] secret: keep it out of this file: write secret_from or"),
        (
            BEGIN + "retry = 1",
            "[destinations.crm] retry: there is no such key here; there are url, url_from, secret_from",
        ),
        (BEGIN + 'events = "call"', "[destinations.crm] events: write some of agent-joined, "),
        (
            BEGIN + "events = 1",
            "[destinations.crm] events: write a text, or a list of texts, none of them empty, not 1",
        ),
        (BEGIN + "queues = []", "[destinations.crm] queues: write a text, or a list"),
        (BEGIN + "retry_for = 3", "[destinations.crm] retry_for: write a time with its unit"),
        (BEGIN + 'timeout = "0 s"', "[destinations.crm] timeout: write a time above 0, not '0 s'"),
        (BEGIN + "max_pending = 0", "[destinations.crm] max_pending: write a number from 1 to 100000, not 0"),
        (BEGIN + "max_pending = true", "[destinations.crm] max_pending: write a whole number, not True"),
        (BEGIN + "allow_private = 1", "[destinations.crm] allow_private: write true or false, not 1"),
        (
            '[destinations.a]\nurl_from = "https://s"\nsecret_from = "X"',
            "[destinations.a] url_from: write the name of an env",
        ),
        (
            '[destinations.a]\nurl = "https://s"\nsecret_from = "whsec_+"',
            "secret_from: write the name of an environment v",
        ),
        (
            '[destinations.a]\nurl = "https://s"\nsecret_from = "whsec_a"',
            "secret_from: write the name of an environment v",
        ),
        (
            '[destinations.a]\nurl = "https://s"\nsecret_file = "whsec_a"',
            "secret_file: write the path of a file",
        ),
        ("a = ", "is not valid TOML: Invalid value (at end of document)"),
        (BEGIN + "a = ?", "is not valid TOML: Invalid value (at line 4, column 5)"),
    ],
)
def test_an_error_names_the_place_and_says_what_to_write(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "forward.toml") in str(caught.value)
    assert message in str(caught.value)
    assert "https://s" not in str(caught.value)
    assert "whsec_+" not in str(caught.value)


def test_a_destination_gets_events_of_its_seats_and_kinds_and_of_the_feed(tmp_path: Path) -> None:
    (webhook,) = read(tmp_path, BEGIN + 'queues = "queue-1"\nevents = ["state-changed", "feed-down"]')
    before = snapshot(agent(), agent(queue="queue-2"))
    after = snapshot(agent(state=AgentState.PAUSED, calls_answered=5), agent(queue="queue-2", state=AgentState.PAUSED))
    events = [*diff(before, after), FeedDown(error=TransportError("away"), since=None)]
    assert [(it.kind, it.queue) for it in events if webhook.wants(it)] == [
        ("state-changed", "queue-1"),
        ("feed-down", None),
    ]


def test_urls_and_secrets_come_from_the_environment_and_no_repr_shows_them(tmp_path: Path) -> None:
    (target,) = targets_of(read(tmp_path, BEGIN), ENVIRON)
    assert str(target.url) == ENVIRON["CRM_URL"]
    assert "s3cr3t" not in repr(target)
    assert "MfKQ" not in repr(target)
    (other,) = targets_of(read(tmp_path, BEGIN), ENVIRON | {"CRM_URL": "https://crm.example/other"})
    assert (target.name, target.fingerprint == other.fingerprint) == ("crm", False)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CRM_URL": ""}, "the destination 'crm' has no URL: set CRM_URL"),
        ({"CRM_URL": "ftp://s3cr3t/"}, "is not valid: it must begin with https:// and a host's name"),
        ({"CRM_URL": "https://s3cr3t..example/"}, "is not valid: it must begin with https:// and a host's name"),
        ({"CRM_URL": "https:///s3cr3t"}, "the URL of the destination 'crm' is not valid"),
        ({"CRM_URL": "https://s3cr3t:99999/"}, "the URL of the destination 'crm' is not valid"),
        ({"CRM_URL": "https://[s3cr3t/"}, "the URL of the destination 'crm' is not valid"),
        ({"CRM_URL": "http://s3cr3t.example/"}, "is not encrypted: use https, or in your own network write allow_priv"),
        ({"CRM_URL": "https://10.0.0.1/s3cr3t"}, "has an address that is not public: write allow_private = true"),
        ({"CRM_URL": "https://[::1]/s3cr3t"}, "has an address that is not public: write allow_private = true"),
        ({"CRM_SECRET": ""}, "the secret of the destination 'crm' is missing: the variable CRM_SECRET is empty or not"),
        (
            {"CRM_SECRET": "s3cr3t"},
            "the secret of the destination 'crm' in the variable CRM_SECRET is not valid: write w",
        ),
    ],
)
def test_an_invalid_url_or_secret_is_refused_and_not_quoted(
    environ: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Failure) as caught:
        targets_of(read(tmp_path, BEGIN), ENVIRON | environ)
    assert message in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_public_address_may_be_written_as_such(tmp_path: Path) -> None:
    assert targets_of(read(tmp_path, BEGIN), ENVIRON | {"CRM_URL": "https://8.8.8.8/"})


def test_a_secret_file_is_read_and_must_be_private_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[destinations.crm]\nurl = "https://crm.example/"\nsecret_file = "crm.secret"\n'
    file = tmp_path / "crm.secret"
    with pytest.raises(Failure, match=r"'crm' cannot be read from .*crm.secret: No such file"):
        targets_of(read(tmp_path, text), {})
    file.write_bytes(b"\xff")
    with pytest.raises(Failure, match=r"'crm' in the file .*crm.secret is not text"):
        targets_of(read(tmp_path, text), {})
    file.write_text(" \n", encoding="utf-8")
    with pytest.raises(Failure, match=r"'crm' is missing: the file .*crm.secret is empty"):
        targets_of(read(tmp_path, text), {})
    file.write_text(SECRET + "\n", encoding="utf-8")
    file.chmod(0o600)
    (tmp_path / "forward.toml").chmod(0o600)
    capsys.readouterr()
    assert targets_of(read(tmp_path, text), {})
    assert not capsys.readouterr().err
    file.chmod(0o644)
    (tmp_path / "forward.toml").chmod(0o644)
    assert targets_of(read(tmp_path, text), {})
    assert [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "sipqueue: warning: other users can read the URLs of the destinations",
        "sipqueue: warning: other users can read the secret of the destination 'crm'",
    ]
