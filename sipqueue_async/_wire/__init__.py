"""The protocol without the network: makes the fields of requests, and decodes the bodies of answers.

Each polled service is a module such as `queue_status`, with a `Service`, a function that returns the fields of a
request, and a decoder for the `result` of an answer. The client then needs one method that calls `_fetch` with them.
A service that is not polled, such as `call_records`, has a function that decodes one answer, and `commands` have none.
"""

from sipqueue_async._wire.call_paging import CallPaging
from sipqueue_async._wire.call_records import CALL_RECORDS, CallPage, call_fields, decode_calls
from sipqueue_async._wire.commands import (
    BUSY,
    HANG_UP,
    IDLE,
    SET_STATUS,
    SIGN_IN,
    SIGN_OUT,
    extension_list,
    seat_fields,
)
from sipqueue_async._wire.decoder import SnapshotDecoder
from sipqueue_async._wire.encoding import Body, body_encoding, text_encoding
from sipqueue_async._wire.envelope import decode_data
from sipqueue_async._wire.login import LOGIN, decode_token
from sipqueue_async._wire.queue_list import QUEUE_LIST, REGISTRATIONS, decode_queues, decode_registrations
from sipqueue_async._wire.queue_status import QUEUE_STATUS, status_fields
from sipqueue_async._wire.service import Decoder, Service, Settings

__all__ = [
    "BUSY",
    "CALL_RECORDS",
    "HANG_UP",
    "IDLE",
    "LOGIN",
    "QUEUE_LIST",
    "QUEUE_STATUS",
    "REGISTRATIONS",
    "SET_STATUS",
    "SIGN_IN",
    "SIGN_OUT",
    "Body",
    "CallPage",
    "CallPaging",
    "Decoder",
    "Service",
    "Settings",
    "SnapshotDecoder",
    "body_encoding",
    "call_fields",
    "decode_calls",
    "decode_data",
    "decode_queues",
    "decode_registrations",
    "decode_token",
    "extension_list",
    "seat_fields",
    "status_fields",
    "text_encoding",
]
