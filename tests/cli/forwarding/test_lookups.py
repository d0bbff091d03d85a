"""Name lookups of the system."""

from __future__ import annotations

import socket

import pytest

from sipqueue_async.cli.forwarding.lookups import Lookups


async def test_a_name_leads_to_addresses_to_connect_to() -> None:
    lookups = Lookups()
    found = await lookups.resolve("localhost", 80, socket.AF_INET)
    assert {(it["hostname"], it["host"], it["port"], it["family"]) for it in found} == {
        ("localhost", "127.0.0.1", 80, socket.AF_INET)
    }
    await lookups.close()


async def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await Lookups().resolve("127.0.0.1", 80, socket.AF_INET6)
