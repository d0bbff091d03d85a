"""Faults in the content of an answer: its body, its envelope, its records, and its time."""

from __future__ import annotations

import json

from sipqueue_async import ApiError, AuthError, HttpStatusError, MalformedResponse, OperationFailed, TransportError
from tests.faults.server import Exchange, encoded, sound
from tests.faults.ways import (
    GBK_NAME,
    LOST_NAME,
    NAME,
    NESTED,
    NOTICE,
    Fault,
    answering,
    at_login,
    body,
    changing,
    changing_all,
    clock_back,
    counting,
    failed,
    half_body,
    in_turn,
    instead,
    no_token,
    page,
    raw,
    refuse_token_once,
    ret,
    spelling,
    status,
    then,
    without_counters,
)

BODY = [
    Fault(
        name="200 with HTML",
        server="answers with 200 and a page that quotes the request",
        start=answering(body(page, "Content-Type: text/html")),
        error=MalformedResponse,
        says="the URL answered with a web page; check the URL",
        wrong_url=True,
    ),
    Fault(
        name="PHP notice before the JSON",
        server="answers with a PHP notice, and the good body behind it",
        start=answering(body(lambda it: NOTICE + it.good)),
    ),
    Fault(
        name="PHP error without JSON",
        server="answers with a PHP notice that quotes the request, and nothing else",
        start=answering(body(lambda it: NOTICE + it.quote.encode())),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="BOM",
        server="puts a UTF-8 byte order mark before the JSON",
        start=answering(body(lambda it: b"\xef\xbb\xbf" + it.good)),
    ),
    Fault(
        name="BOM and notice",
        server="puts a byte order mark and a PHP notice before the JSON",
        start=answering(body(lambda it: b"\xef\xbb\xbf" + NOTICE + it.good)),
    ),
    Fault(
        name="invalid UTF-8 in a name",
        server="cuts an agent's name inside a character",
        start=spelling(NAME, LOST_NAME),
        loses="name",
    ),
    Fault(
        name="half a surrogate pair in a name",
        server="cuts an emoji in an agent's name in half",
        start=spelling(b'"\xe7\x8e', b'"\\ud83d\xe7\x8e'),
        loses="name",
    ),
    Fault(
        name="half a surrogate pair in a queue's name",
        server="cuts an emoji in a queue's name in half",
        start=spelling(b'"queue-1"', b'"\\ud83d"'),
        error=MalformedResponse,
        says="record of queue '?', extension '100001': queuename has bytes that are not text",
    ),
    Fault(
        name="invalid UTF-8 in a queue's name",
        server="cuts a queue's name inside a character",
        start=spelling(b'"queue-1"', b'"' + LOST_NAME + b'"'),
        error=MalformedResponse,
        says="record of queue '王?', extension '100001': queuename has bytes that are not text",
    ),
    Fault(
        name="GBK, announced",
        server="sends GBK, and its Content-Type says so",
        start=answering(body(lambda it: it.good.decode().encode("gbk"), "Content-Type: application/json; charset=gbk")),
    ),
    Fault(
        name="GBK, known",
        server="sends GBK and does not say so, and the client has encoding='gbk'",
        start=answering(sound),
        encoding="gbk",
    ),
    Fault(name="GBK, not known", server="sends GBK and does not say so", start=spelling(NAME, GBK_NAME), loses="name"),
    Fault(
        name="GBK in a queue's name, not known",
        server="sends GBK and does not say so, and a queue's name is Chinese",
        start=spelling(b'"queue-1"', b'"' + GBK_NAME + b'"'),
        error=MalformedResponse,
        says="queuename has bytes that are not text",
    ),
    Fault(
        name="truncated JSON",
        server="sends half of the JSON, correct as HTTP",
        start=answering(body(half_body)),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="1,000,000 nested arrays",
        server="answers with nothing else",
        start=answering(body(raw(NESTED.encode()))),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="1,000,000 nested arrays in a record",
        server="has them in an unknown field",
        start=spelling(b'{"queuename"', b'{"new": ' + NESTED.encode() + b', "queuename"'),
        error=MalformedResponse,
        says="",
    ),
    Fault(
        name="duplicate keys",
        server="writes a field of a record twice, the right value last",
        start=spelling(b'"callsanswered": 41', b'"callsanswered": 4, "callsanswered": 41'),
    ),
    Fault(
        name="NaN",
        server="has NaN for a counter, which JSON does not have",
        start=counting(b"NaN"),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="NaN in a lesser field",
        server="has NaN for a wrap-up time",
        start=spelling(b'"wrapuptime": 15', b'"wrapuptime": NaN'),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    *(
        Fault(
            name=f"no agents, as {name}",
            server="has this for its records, once",
            start=changing_all(instead(nobody)),
            shows="nobody",
            polls=1,
        )
        for name, nobody in (("`[]`", []), ("`{}`", {}), ('`""`', ""), ("`null`", None))
    ),
    Fault(
        name="no agents, as no `result`",
        server="leaves `result` out, once",
        start=answering(body(lambda it: encoded(200, {"status": 0, "rsptime": it.server.clock}))),
        shows="nobody",
        polls=1,
    ),
    Fault(
        name="`data` is `[]`",
        server="has PHP's empty array for `data`",
        start=answering(body(raw(encoded(200, [])))),
        error=MalformedResponse,
        says="ret is 200, but data is not an object",
    ),
    Fault(
        name="no envelope",
        server="answers with the bare list of records",
        start=answering(body(lambda it: json.dumps(it.server.records).encode())),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="`result` is a text",
        server="has a sentence for its records, which quotes the request",
        start=answering(body(lambda it: it.server.good_envelope(f"none for {it.quote}"))),
        error=MalformedResponse,
        says="data.result is not a list of records",
    ),
    Fault(
        name="`result` is an object",
        server="has PHP's array with gaps for its records",
        start=changing_all(lambda given: {str(number): it for number, it in enumerate(given, 3)}),
    ),
]

ENVELOPE = [
    *(
        Fault(
            name=f"ret {code}",
            server="refuses the request, quoting it",
            start=answering(ret(code)),
            error=ApiError,
            says=says,
            retryable=code >= 500,
        )
        for code, says in ((400, "ret 400: the platform calls the request illegal"), (500, "ret 500: the platform had"))
    ),
    Fault(
        name="ret 600, once",
        server="refuses the token, and accepts the next one",
        start=answering(refuse_token_once),
        logs_in=True,
    ),
    Fault(
        name="ret 600, always",
        server="refuses every token, also one that is fresh from a login",
        start=answering(ret(600)),
        error=AuthError,
        says="the platform refuses a fresh token; the fault is the platform's",
        logs_in=True,
    ),
    Fault(
        name="ret 600 for a ready token",
        server="refuses the token, and the client has no credentials to log in with",
        start=answering(ret(600)),
        error=AuthError,
        says="a ready token cannot be renewed: get a new one, or use AppCredentials",
        retryable=False,
    ),
    *(
        Fault(
            name=f"ret {code}",
            server="refuses the appid, quoting the request",
            start=answering(ret(code)),
            error=AuthError,
            says=says,
            retryable=False,
            logs_in=True,
        )
        for code, says in (
            (601, "this appid is not authorized: ask the platform's operator"),
            (602, "this appid's authorization has expired: ask the platform's operator"),
            (603, "the module is not licensed: ask the platform's operator"),
            (604, "this machine's IP address is not authorized: ask the platform's operator"),
        )
    ),
    Fault(
        name="no ret",
        server="leaves `ret` out",
        start=answering(body(lambda it: it.good.replace(b'"ret": 200, ', b""))),
        error=MalformedResponse,
        says="the envelope's ret is None, not an integer",
    ),
    Fault(name="ret as a string", server='has `"200"` for `ret`', start=spelling(b'"ret": 200', b'"ret": "200"')),
    *(
        Fault(
            name=f"status 1, error {code or 'unnamed'}",
            server="says that the operation failed, quoting the request" if code else "says so without a code",
            start=answering(failed(code)),
            error=OperationFailed,
            says=says,
            retryable=code not in {"1002", "1011", "1012"},
        )
        for code, says in (
            ("1001", "error 1001: the platform could not reach a server of its own"),
            ("1002", "error 1002: abnormal operation"),
            ("1003", "error 1003: the operation failed"),
            ("1010", "error 1010: extension exception"),
            ("1011", "error 1011: the extension is not owned by this company"),
            ("1012", "error 1012: the extension does not exist"),
            ("1013", "error 1013: the extension is disabled"),
            ("1014", "error 1014: the extension is not registered"),
            ("1099", "error 1099: the operation failed"),
            (None, "the operation failed, without an error code"),
        )
    ),
    *(
        Fault(
            name=f"login: {name}",
            server=f"lets the token die, and {does}",
            start=at_login(behaviour),
            error=error,
            says=says,
            retryable=error not in {AuthError, HttpStatusError},
            wrong_url=name == "HTML",
            logs_in=True,
        )
        for name, does, behaviour, error, says in (
            ("refused", "refuses the login with error 1003", failed("1003"), AuthError, "error 1003: the platform"),
            ("ret 400", "refuses the login with ret 400", ret(400), AuthError, "check the appid and the accesskey"),
            ("ret 600", "refuses the login with ret 600", ret(600), AuthError, "check the appid and the accesskey"),
            ("ret 602", "refuses the login with ret 602", ret(602), AuthError, "authorization has expired"),
            ("error 1001", "fails to log in with error 1001", failed("1001"), OperationFailed, "error 1001: the"),
            ("ret 500", "fails to log in with ret 500", ret(500), ApiError, "ret 500: the platform had an internal"),
            ("no token", "answers logins without a token", body(no_token), MalformedResponse, "has no token"),
            ("HTML", "answers logins with a page", body(page), MalformedResponse, "answered with a web page"),
            ("cut", "sends half of a login's answer", body(half_body), MalformedResponse, "not the JSON of the"),
            ("reset", "resets the connection at logins", then(Exchange.reset), TransportError, "closed the connection"),
            ("HTTP 403", "answers logins with HTTP 403", status(403, "Forbidden"), HttpStatusError, "HTTP 403"),
        )
    ),
]

RECORDS = [
    *(
        Fault(
            name=f"{name} counters",
            server=f"{does} the counters of a record",
            start=changing(callsanswered=spelt, noanswercount=spelt),
            blank_counters="first",
        )
        for name, does, spelt in (
            ("no", "leaves out", ...),
            ("null", "has `null` for", None),
            ("empty", 'has `""` for', ""),
        )
    ),
    Fault(
        name="no counters, in another order",
        server="leaves the counters of all records out, and lists them the other way round",
        start=changing_all(lambda given: [without_counters(it) for it in given[::-1]]),
        blank_counters="all",
    ),
    Fault(
        name="no counters, and a name cut in half",
        server="leaves a record's counters out, and cuts an emoji in its name in half",
        start=changing(callsanswered=..., noanswercount=..., seatsname="\ud83d"),
        blank_counters="first",
        loses="name",
    ),
    Fault(
        name="strings for integers",
        server="sends every number of a record as a string",
        start=changing_all(lambda given: [{k: str(v) for k, v in it.items()} for it in given]),
    ),
    *(
        Fault(name=f"{name} for a counter", server=does, start=counting(spelt), error=MalformedResponse, says=says)
        for name, does, spelt, says in (
            ("beyond 64 bits", "has 10^30", b"1" + b"0" * 30, "callsanswered is 1000"),
            ("10,000 digits", "has such a counter", b"9" * 10_000, "a record cannot be read"),
            ("10,000 digits in a string", "has such a counter", b'"' + b"9" * 10_000 + b'"', "beyond 64 bits"),
            ("a fraction", "has 41.5", b"41.5", "callsanswered is 41.5, not an integer"),
            ("below 0", "has -1", b"-1", "callsanswered is -1, and a counter cannot be negative"),
            ("a word", "has a word", b'"many"', "callsanswered is 'many', not an integer"),
            ("a list", "has a list", b"[41]", "callsanswered is [41], not an integer"),
        )
    ),
    Fault(
        name="beyond 64 bits, for a lesser field",
        server="has 10^30 for a wrap-up time",
        start=changing(wrapuptime=10**30),
        loses="wrap_up_time",
    ),
    Fault(
        name="beyond 64 bits, for the clock",
        server="has 10^30 for `rsptime`",
        start=answering(body(lambda it: it.good.replace(b'"rsptime": ', b'"rsptime": 1' + b"0" * 30))),
    ),
    Fault(
        name="no time",
        server="has 31 February for a last answer",
        start=changing(lastanswertime="2026-02-31 08:00:00"),
        loses="last_answered_at",
    ),
    *(
        Fault(name=name, server=does, start=changing(**fields), error=MalformedResponse, says=says)
        for name, does, fields, says in (
            ("no extension", "leaves `extnumber` out", {"extnumber": ...}, "extnumber is missing"),
            ("an empty extension", "has an empty `extnumber`", {"extnumber": ""}, "extnumber is empty"),
            ("no queue", "has `null` for `queuename`", {"queuename": None}, "queuename is None, not a text"),
            ("no state", "leaves `state` out", {"state": ...}, "state is missing"),
            (
                "a state in words",
                "has `waiting` for `state`",
                {"state": "waiting"},
                "state is 'waiting', not an integer",
            ),
        )
    ),
    Fault(
        name="a record that is null",
        server="has `null` among its records",
        start=changing_all(lambda given: [*given, None]),
        error=MalformedResponse,
        says="a record is not an object",
    ),
    Fault(
        name="one seat, twice the same",
        server="sends a record twice",
        start=changing_all(lambda given: [*given, given[0]]),
    ),
    Fault(
        name="one seat, twice and different",
        server="sends two records of a seat that contradict each other",
        start=changing_all(lambda given: [*given, {**given[0], "callsanswered": 40}]),
        error=MalformedResponse,
        says="two different records of queue 'queue-1', extension '100001'",
    ),
    Fault(
        name="another order",
        server="lists the records the other way round",
        start=changing_all(lambda given: given[::-1]),
    ),
    Fault(
        name="unknown fields",
        server="sends more fields than its documentation has",
        start=changing(lunch={"from": "12:00", "menu": [1, 2]}),
    ),
]

TIME = [
    Fault(
        name="clock that steps back",
        server="sets its clock back by an hour, and continues from there",
        start=clock_back(3600),
        polls=4,
        stale=2,
    ),
    Fault(
        name="answers out of order",
        server="gives yesterday's answer to every other poll, as a server that lags behind a balancer",
        start=answering(in_turn),
        polls=4,
        stale=2,
    ),
]
