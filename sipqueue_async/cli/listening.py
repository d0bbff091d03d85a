"""What is wrong with an address that a command cannot listen on."""

from __future__ import annotations

import errno
import os
import socket

from sipqueue_async.cli.exits import Failure


def cannot_listen(host: str, port: int, error: OSError | UnicodeError, *, address: str, other: str) -> Failure:
    """Return the failure to listen: what happened, and what to do.

    Args:
        host: The address.
        port: The port.
        error: The error of the system.
        address: The option that has the address.
        other: The words for another port.
    """
    return Failure(f"cannot listen on {host}, port {port}: {_trouble(error, address, other)}")


def _trouble(error: OSError | UnicodeError, address: str, other: str) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name is unknown; give {address} an address of this machine"
    # asyncio's error has no number if it could listen on none of the addresses.
    if error.errno is None or error.errno == errno.EADDRNOTAVAIL:
        return f"it is not an address of this machine; give {address} one that is, or 0.0.0.0 for all"
    # The text of asyncio's error repeats the address, and is of no language but English.
    return f"{os.strerror(error.errno)}; try {other}"
