"""Contract section 3: every rule for the events, over HTTP."""

import json
import random
import re
import time

from harness import AGENT, Failure, Suite, check, equal

suite = Suite("ingest", "contract section 3: strict events, one problem document for whatever breaks a rule")

CLICK = "/api/v1/ads/click"
IMPRESSION = "/api/v1/ads/impression"
PLAYBACK = "/api/v1/ads/playback"
_run = random.randrange(1 << 40)
_numbers = iter(range(1, 1 << 30))


def _fields(**changes):
    """A valid click with an identity of its own; a change to `...` takes the field out."""
    fields = {"event_id": f"ingest-{_run}-{next(_numbers)}", "ad_id": 7, "user_ip": "198.51.100.4", "agent": AGENT,
              "play_time_secs": 30, "watched_percent": 80, "timestamp": int(time.time()) - 60}
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def _accepts(sentence, path=CLICK, **changes):
    def function(t):
        fields = _fields(**changes)
        reply = t.server.post_json(path, fields).expect(202)
        equal(reply.json()["event_id"], fields["event_id"], f"event_id of {reply}")
    suite.add(sentence, function)


def _refuses(sentence, field, text=None, path=CLICK, **changes):
    def function(t):
        t.server.post_json(path, _fields(**changes)).expect_problem(400, field, text)
    suite.add(sentence, function)


def _refuses_raw(sentence, make, field=None, status=400, path=CLICK):
    def function(t):
        t.server.post_json(path, make()).expect_problem(status, field)
    suite.add(sentence, function)


def _with_literal(name, literal):
    """The valid click with `name` written as this JSON text."""
    fields = _fields(**{name: ...})
    return (json.dumps(fields)[:-1] + f', "{name}": {literal}}}').encode()


# ---- each field

for _name in ("event_id", "ad_id"):
    _refuses(f"{_name} is required", _name, **{_name: ...})
_accepts("everything else may be absent", user_ip=..., agent=..., play_time_secs=..., watched_percent=..., timestamp=...)
_accepts("an impression is taken", path=IMPRESSION, play_time_secs=..., watched_percent=...)
_refuses("an impression is checked like a click", "ad_id", path=IMPRESSION, ad_id=0)
for _value in ("start", "first_quartile", "midpoint", "third_quartile", "complete"):
    _accepts(f"a playback with progress {_value}", path=PLAYBACK, progress=_value)
_refuses("a playback without progress", "progress", path=PLAYBACK)
for _value in ("none", "Start", "", "50", 50, None, ["start"]):
    _refuses(f"a playback with progress {_value!r}", "progress", path=PLAYBACK, progress=_value)
_refuses("a playback is checked like a click", "watched_percent", path=PLAYBACK, progress="start", watched_percent=101)
_accepts("progress is an unknown field of a click", progress=7)
_accepts("progress is an unknown field of an impression", path=IMPRESSION, progress="nonsense")


@suite.case("playbacks of one ad are counted apart from its clicks, and by type in the metrics")
def _(t):
    ad = 990_001
    positions = []
    for progress in ("start", "midpoint", "complete"):
        fields = _fields(ad_id=ad, progress=progress, watched_percent=50)
        for _ in range(2):  # the second is a duplicate
            positions.append(t.server.post_json(PLAYBACK, fields).expect(202).json()["position"])
    positions.append(t.server.post_json(CLICK, _fields(ad_id=ad, watched_percent=10)).expect(202).json()["position"])
    (row,) = t.server.analytics(positions, ad_id=ad)["data"]
    equal((row["click_count"], row["gross_clicks"], row["impressions"], row["duplicates"], row["conflicts"]), (1, 1, 0, 3, 0), f"counts of {row}")
    equal(row["avg_watch_percent"], 10.0, "averages are over clicks")
    text = t.server.get("/metrics").expect(200).body.decode()
    for fate, least in (("accepted", 6), ("counted", 3), ("duplicate", 3)):
        found = re.search(rf'^adtrack_events_total{{fate="{fate}",type="playback"}} (\d+)$', text, re.MULTILINE)
        check(found and int(found.group(1)) >= least, f"{fate} playbacks in the metrics: {found and found.group(0)}")



_accepts("event_id may be one character", event_id="~")
_accepts("event_id may have 128 characters", event_id="!" * 100 + f"{_run:028d}")
_refuses("event_id of 129 characters", "event_id", event_id="x" * 129)
for _label, _value in (("empty", ""), ("with a space", "a b"), ("with a control character", "a\x1fb"), ("with NUL", "a\x00b"), ("with DEL", "a\x7fb"),
                       ("that is not ASCII", "caf\u00e9")):
    _refuses(f"event_id {_label}", "event_id", event_id=_value)
for _label, _value in (("a number", 11), ("true", True), ("null", None), ("an array", ["x"]), ("an object", {"x": 1})):
    _refuses(f"event_id as {_label}", "event_id", event_id=_value)
    _refuses(f"user_ip as {_label}", "user_ip", user_ip=_value)
    _refuses(f"agent as {_label}", "agent", agent=_value)

_accepts("ad_id 1", ad_id=1)
_accepts("ad_id 2^53-1", ad_id=2**53 - 1)
for _value in (0, 2**53, 2**63, 2**64, 2**64 + 1, 10**40):
    _refuses(f"ad_id {_value}", "ad_id", ad_id=_value)
_refuses("the message for ad_id says the range", "ad_id", text="9007199254740991", ad_id=0)

_LIMITS = {"play_time_secs": (0, 86_400), "watched_percent": (0, 100)}
for _name, (_low, _high) in _LIMITS.items():
    _accepts(f"{_name} {_low}", **{_name: _low})
    _accepts(f"{_name} {_high}", **{_name: _high})
    _refuses(f"{_name} {_high + 1}", _name, **{_name: _high + 1})

for _name in ("ad_id", "play_time_secs", "watched_percent", "timestamp"):
    for _literal in ("1.0", '"11"', "true", "false", "null", "1e3", "-1", "[1]", "{}", '""'):
        _refuses_raw(f"{_name} written as {_literal}", lambda n=_name, l=_literal: _with_literal(n, l), _name)
    for _literal in ("011", "+1", "0x10", "NaN", "1.", ".5", ""):
        _refuses_raw(f"{_name} written as {_literal or 'nothing'}, which is not JSON", lambda n=_name, l=_literal: _with_literal(n, l))

for _value in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::1", "255.255.255.255"):
    _accepts(f"user_ip {_value}", user_ip=_value)
for _value in ("", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/24", "1.2.3.4 ", "1.2.3.4:80", "example.com", "2001:db8::1::2", "12345::", "[::1]", "1.2.3.-4"):
    _refuses(f"user_ip {_value!r}", "user_ip", user_ip=_value)

_accepts("agent of 1,024 bytes", agent="a" * 1024)
_refuses("agent of 1,025 bytes", "agent", agent="a" * 1025)
_refuses_raw("agent is measured in bytes, not in characters",
             lambda: json.dumps(_fields(agent="\u00e9" * 513), ensure_ascii=False).encode(), "agent")
_accepts("agent of 1,024 bytes in two-byte characters", agent="\u00e9" * 512)

_accepts("timestamp 1", timestamp=1)
_refuses("timestamp 0", "timestamp", timestamp=0)


@suite.case("timestamp 290 s ahead is taken, 400 s ahead is not")
def _(t):
    t.server.post_json(CLICK, _fields(timestamp=int(time.time()) + 290)).expect(202)
    t.server.post_json(CLICK, _fields(timestamp=int(time.time()) + 400)).expect_problem(400, "timestamp")


@suite.case("a timestamp in milliseconds gets an error that says so")
def _(t):
    t.server.post_json(CLICK, _fields(timestamp=int(time.time() * 1000))).expect_problem(400, "timestamp", "milliseconds")


@suite.case("all broken fields are named at once")
def _(t):
    reply = t.server.post_json(CLICK, _fields(ad_id=0, event_id="", watched_percent=101)).expect_problem(400)
    equal(sorted(e["field"] for e in reply.json()["errors"]), ["ad_id", "event_id", "watched_percent"], f"fields of {reply}")


# ---- the body as JSON

def _valid():
    return json.dumps(_fields()).encode()


_refuses_raw("a duplicate key", lambda: _with_literal("ad_id", '1, "ad_id": 2'))
_refuses_raw("a duplicate key that an escape hides", lambda: _with_literal("ad_id", '1, "ad\\u005fid": 1'))
_refuses_raw("a duplicate unknown key", lambda: _with_literal("x", '1, "x": 1'))
_refuses_raw("bytes after the object", lambda: _valid() + b"x")
_refuses_raw("a second object", lambda: _valid() + _valid())
_refuses_raw("a NUL after the object", lambda: _valid() + b"\x00")
_refuses_raw("a byte order mark", lambda: b"\xef\xbb\xbf" + _valid())
_refuses_raw("an empty body", lambda: b"")
_refuses_raw("an empty object", lambda: b"{}", "ad_id")
for _literal in ("[]", "null", "1", '"x"', "true", "[{}]"):
    _refuses_raw(f"a body of {_literal}", lambda l=_literal: l.encode())
_refuses_raw("a truncated object", lambda: _valid()[:-1])
_refuses_raw("single quotes", lambda: _valid().replace(b'"', b"'"))
_refuses_raw("a trailing comma", lambda: _valid()[:-1] + b",}")
_refuses_raw("a comment", lambda: b"/* x */" + _valid())
_refuses_raw("a raw NUL in a string", lambda: _valid().replace(b"Mozilla", b"Moz\x00illa"))
_refuses_raw("a raw newline in a string", lambda: _valid().replace(b"Mozilla", b"Moz\nilla"))
for _label, _bytes in (("a lone continuation byte", b"\x80"), ("an overlong slash", b"\xc0\xaf"), ("an encoded surrogate", b"\xed\xa0\x80"),
                       ("beyond U+10FFFF", b"\xf4\x90\x80\x80"), ("a cut sequence", b"\xe2\x82")):
    _refuses_raw(f"invalid UTF-8: {_label}", lambda b=_bytes: _valid().replace(b"Mozilla", b"Moz" + b + b"illa"))
_refuses_raw("invalid UTF-8 in a field that is ignored", lambda: _with_literal("x", '"?"').replace(b'"?"', b'"\xff"'))
_refuses_raw("an escaped lone surrogate", lambda: _with_literal("agent", '"\\ud800"'))

_accepts("unknown fields are ignored", x=1, campaign={"a": [1, 2, {"b": None}]}, Ad_Id="y")
_accepts("nesting of 8 is taken", x=[[[[[[[]]]]]]])
_refuses_raw("nesting of 9 is not", lambda: json.dumps(_fields(x=[[[[[[[[]]]]]]]])).encode())
_refuses_raw("nesting of 20,000 is refused, not a stack overflow", lambda: _with_literal("x", "[" * 20_000 + "]" * 20_000))
_accepts("white space around the object", **{})


@suite.case("escapes in keys and strings mean what JSON says")
def _(t):
    reply = t.server.post_json(CLICK, b' \r\n\t{"event\\u005fid" : "esc-\\u0061%d" , "ad_id":7}\n ' % _run).expect(202)
    equal(reply.json()["event_id"], f"esc-a{_run}", f"event_id of {reply}")


@suite.case("an event_id that needs escaping comes back intact")
def _(t):
    event_id = f'a"b\\c/<d>&{_run}'
    equal(t.server.post_json(CLICK, _fields(event_id=event_id)).expect(202).json()["event_id"], event_id, "event_id")


def _padded(size):
    fields = _fields(pad="")
    return json.dumps({**fields, "pad": "x" * (size - len(json.dumps(fields)))}).encode()


@suite.case("a body of 64 KiB is taken, one byte more is 413")
def _(t):
    equal(len(_padded(65_536)), 65_536, "the test's own arithmetic")
    t.server.post_json(CLICK, _padded(65_536)).expect(202)
    t.server.post_json(CLICK, _padded(65_537)).expect_problem(413)


@suite.case("a chunked body of 64 KiB + 1 is 413, a small one is taken")
def _(t):
    def chunked(body):
        # The head is sent with the body, so that the reply is there before the connection closes.
        head = f"POST {CLICK} HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        pieces = [body[i:i + 4096] for i in range(0, len(body), 4096)]
        return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    from harness import raw_exchange
    small = raw_exchange(t.server, chunked(_valid()))
    check(small is not None, "no reply to a small chunked body")
    small.expect(202)
    large = raw_exchange(t.server, chunked(_padded(65_537)))
    check(large is not None, "no reply to a chunked body of 64 KiB + 1")
    large.expect_problem(413)


# ---- content types, methods, paths

for _kind in ("application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain", "text/plain;charset=UTF-8"):
    suite.add(f"content type {_kind} is taken",
              lambda t, k=_kind: t.server.request("POST", CLICK, _valid(), {"Content-Type": k}).expect(202))
for _kind in (None, "", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "application/jsonx",
              "application/x-ndjson", "json", "*/*"):
    suite.add(f"content type {_kind!r} is 415",
              lambda t, k=_kind: t.server.request("POST", CLICK, _valid(), {"Content-Type": k}).expect_problem(415))

for _method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
    def _wrong_method(t, method=_method):
        for path in (CLICK, IMPRESSION):
            reply = t.server.request(method, path, _valid() if method in ("PUT", "PATCH") else None, {"Content-Type": "application/json"})
            equal(reply.status, 405, f"status of {reply}")
            check("POST" in (reply.header("allow") or "").replace(" ", "").split(","), f"Allow lacks POST: {reply.headers}")
            if method != "HEAD":
                reply.expect_problem(405)
    suite.add(f"{_method} on the ingest paths is 405 with Allow", _wrong_method)


def _visitors(t, ad, headers):
    positions = [t.server.post_json(CLICK, _fields(ad_id=ad, user_ip=..., agent=..., timestamp=1_753_185_600 + 60 * i), extra).expect(202).json()["position"]
                 for i, extra in enumerate(headers)]
    return t.server.analytics(positions, ad_id=ad)["data"][0]["unique_clicks"]


@suite.case("an absent agent is the User-Agent header, an absent user_ip is the peer")
def _(t):
    equal(_visitors(t, 500_000_000_002, [{"User-Agent": "A/1.0"}, {"User-Agent": "B/1.0"}, {"User-Agent": "A/1.0"}]), 2, "visitors by User-Agent")


@suite.case("X-Forwarded-For of a peer that is no trusted proxy makes no visitor")
def _(t):
    equal(_visitors(t, 500_000_000_003, [{"User-Agent": "A/1.0", "X-Forwarded-For": f"203.0.113.{i}"} for i in range(3)]), 1, "visitors")


@suite.case("a User-Agent header that is long or not UTF-8 is no reason to refuse the event")
def _(t):
    for agent in ("a" * 4000, "caf\u00e9"):
        t.server.post_json(CLICK, _fields(agent=...), {"User-Agent": agent}).expect(202)


@suite.case("nothing that was refused is counted")
def _(t):
    ad = 500_000_000_001
    before = t.server.analytics(ad_id=ad)["total"]
    for changes in ({"event_id": ""}, {"watched_percent": 101}, {"timestamp": 0}, {"user_ip": "x"}):
        t.server.post_json(CLICK, _fields(ad_id=ad, **changes)).expect_problem(400)
    position = t.server.click(**_fields(ad_id=ad))
    answer = t.server.analytics([position], ad_id=ad)
    equal((before, answer["data"][0]["gross_clicks"], answer["data"][0]["duplicates"]), (0, 1, 0), "before, clicks, duplicates")


@suite.case("the position's shard is murmur2 of the decimal ad_id, as Kafka's Java client has it")
def _(t):
    def murmur2(data):
        # Kafka's org.apache.kafka.common.utils.Utils.murmur2, as published: 32-bit MurmurHash2 with seed 0x9747b28c.
        m, mask = 0x5BD1E995, 0xFFFFFFFF
        h = 0x9747B28C ^ len(data)
        for i in range(0, len(data) - 3, 4):
            k = int.from_bytes(data[i:i + 4], "little") * m & mask
            k = (k ^ k >> 24) * m & mask
            h = h * m & mask ^ k
        tail = data[len(data) & ~3:]
        if tail:
            h = (h ^ int.from_bytes(tail, "little")) * m & mask
        h = (h ^ h >> 13) * m & mask
        return h ^ h >> 15
    equal(murmur2(b"21"), -973932308 & 0xFFFFFFFF, "the test's own murmur2 of 21")
    equal(murmur2(b"foobar"), -790332482 & 0xFFFFFFFF, "the test's own murmur2 of foobar")
    for ad in (1, 12, 123, 1234, 12345, 123456, 1234567, 2**53 - 1):
        position = t.server.click(**_fields(ad_id=ad))
        equal(int(position.split(":")[0]), (murmur2(str(ad).encode()) & 0x7FFFFFFF) % 16, f"shard of ad {ad}")


@suite.case("one client's garbage does not disturb its neighbour")
def _(t):
    from harness import raw_connect
    neighbours = [raw_connect(t.server) for _ in range(20)]
    generator = random.Random(t.options.seed)
    for connection in neighbours:
        try:
            connection.sendall(bytes(generator.randrange(256) for _ in range(2000)))
        except ConnectionError:
            pass  # closed already: fine
    for _ in range(50):
        t.server.post_json(CLICK, _fields()).expect(202)
    for connection in neighbours:
        connection.close()
    if not t.server.alive():
        raise Failure("the server died of garbage")
