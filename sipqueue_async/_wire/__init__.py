"""The protocol without the network: request fields out; an answer's bytes in, a `Snapshot` or an error out."""

from sipqueue_async._wire.decoder import SnapshotDecoder
from sipqueue_async._wire.encoding import Body, body_encoding, text_encoding
from sipqueue_async._wire.envelope import decode_data, decode_token
from sipqueue_async._wire.request import LOGIN, QUEUE_STATUS, status_fields

__all__ = [
    "LOGIN",
    "QUEUE_STATUS",
    "Body",
    "SnapshotDecoder",
    "body_encoding",
    "decode_data",
    "decode_token",
    "status_fields",
    "text_encoding",
]
