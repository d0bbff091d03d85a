"""The protocol without the network: fields of requests out, bodies of answers in.

A service that is polled is a module with a `Service`, a function for the fields of its request, and a decoder for the
`result` of its answers, like `queue_status`. The client then needs one method that calls `_fetch` with them.
"""

from sipqueue_async._wire.decoder import SnapshotDecoder
from sipqueue_async._wire.encoding import Body, body_encoding, text_encoding
from sipqueue_async._wire.envelope import decode_data
from sipqueue_async._wire.login import LOGIN, decode_token
from sipqueue_async._wire.queue_status import QUEUE_STATUS, status_fields
from sipqueue_async._wire.service import Decoder, Service, Settings

__all__ = [
    "LOGIN",
    "QUEUE_STATUS",
    "Body",
    "Decoder",
    "Service",
    "Settings",
    "SnapshotDecoder",
    "body_encoding",
    "decode_data",
    "decode_token",
    "status_fields",
    "text_encoding",
]
