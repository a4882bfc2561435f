"""Contract section 6: problem documents, request ids, methods; and HTTP itself, where a wrong reading would mix up clients."""

import json
import re

from harness import AGENT, Suite, check, equal, raw_connect, raw_exchange, read_reply

suite = Suite("http_rules", "contract section 6: RFC 9457 problems, X-Request-Id, 404/405/413/415/431; promise 5: no neighbour is lost")

CLICK = "/api/v1/ads/click"
UNSAFE = 'bad"id<>{}'


def _click(event_id, extra=b""):
    body = json.dumps({"event_id": event_id, "ad_id": 9, "user_ip": "198.51.100.9", "agent": AGENT}).encode()
    return (b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\n" + extra
            + b"Content-Length: %d\r\n\r\n" % len(body) + body)


@suite.case("an unknown path is 404 with a problem document")
def _(t):
    for path in ("/nope", "/api/v1/nope", "/api/v1/ads/click/x", "/api/v1/ads/analytics/x/y", "//", "/api/v1/ads/%2e%2e/x"):
        t.server.get(path).expect_problem(404)


@suite.case("X-Request-Id is echoed, in the header and in the problem")
def _(t):
    reply = t.server.post_json(CLICK, {}, {"X-Request-Id": "req-123.A_b"}).expect_problem(400)
    equal(reply.json()["request_id"], "req-123.A_b", "request_id")
    reply = t.server.post_json(CLICK, {"event_id": "rid-1", "ad_id": 9}, {"X-Request-Id": "req-124"}).expect(202)
    equal(reply.header("x-request-id"), "req-124", "X-Request-Id of a 202")
    equal(t.server.get("/healthz", headers={"X-Request-Id": "req-125"}).header("x-request-id"), "req-125", "X-Request-Id of /healthz")


@suite.case("a request without an id gets one of its own")
def _(t):
    ids = {t.server.post_json(CLICK, {}).expect_problem(400).json()["request_id"] for _ in range(20)}
    equal(len(ids), 20, "different ids")


@suite.case("an unsafe X-Request-Id never comes back")
def _(t):
    for unsafe in (UNSAFE, "x" * 5000, "a%0d%0aSet-Cookie: x=1", "a b"):
        reply = t.server.get("/nope", headers={"X-Request-Id": unsafe}).expect_problem(404)
        check(reply.header("set-cookie") is None, f"a header was injected: {reply.headers}")
        check(re.fullmatch(r"[\x21-\x7e]{1,128}", reply.header("x-request-id")), f"id came back: {reply.header('x-request-id')!r}")
        check(UNSAFE not in reply.header("x-request-id"), "the unsafe id came back")


@suite.case("wrong methods are 405 with Allow on every path")
def _(t):
    for path, method, allowed in (("/api/v1/ads", "DELETE", {"GET", "POST"}), ("/api/v1/ads/1", "POST", {"GET", "PUT", "DELETE"}),
                                  ("/api/v1/ads/analytics", "POST", {"GET"}), ("/metrics", "POST", {"GET"}), ("/healthz", "PUT", {"GET"}),
                                  ("/readyz", "DELETE", {"GET"})):
        reply = t.server.request(method, path, b"{}" if method != "DELETE" else None, {"Content-Type": "application/json"}).expect_problem(405)
        listed = set((reply.header("allow") or "").replace(" ", "").split(","))
        check(allowed <= listed and method not in listed, f"Allow of {method} {path}: {reply.header('allow')}")


@suite.case("/healthz and /readyz answer 200")
def _(t):
    t.server.get("/healthz").expect(200)
    t.server.get("/readyz").expect(200)


@suite.case("HEAD answers like GET without a body")
def _(t):
    for path in ("/healthz", "/api/v1/ads?page=1&limit=10", "/api/v1/ads/analytics?ad_id=9"):
        reply = t.server.request("HEAD", path).expect(200)
        equal(reply.body, b"", f"body of HEAD {path}")
    t.server.get("/healthz").expect(200)


@suite.case("a header block over the limit is 431 or 400, never silence")
def _(t):
    for block in (b"X-A: " + b"a" * 100_000 + b"\r\n", b"".join(b"X-%d: a\r\n" % i for i in range(5000))):
        reply = raw_exchange(t.server, b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n" + block + b"\r\n")
        check(reply is not None, "closed without a reply")
        reply.expect_problem(431)


@suite.case("a request line over the limit is 414 or 431")
def _(t):
    reply = raw_exchange(t.server, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: e2e\r\n\r\n")
    check(reply is not None and reply.status in (414, 431), f"{reply}")


@suite.case("twenty pipelined clicks are answered in order")
def _(t):
    connection = raw_connect(t.server)
    connection.sendall(b"".join(_click(f"pipe-{i}") for i in range(20)))
    rest = b""
    for i in range(20):
        reply, rest = read_reply(connection, f"pipelined {i}", rest)
        check(reply is not None, f"closed before answer {i}")
        equal(reply.expect(202).json()["event_id"], f"pipe-{i}", f"answer {i}")
    connection.close()


@suite.case("pipelined requests of different kinds keep their order")
def _(t):
    connection = raw_connect(t.server)
    connection.sendall(_click("mix-1") + b"GET /nope HTTP/1.1\r\nHost: e2e\r\n\r\n" + _click("mix-2") + b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n\r\n")
    rest, statuses = b"", []
    for i in range(4):
        reply, rest = read_reply(connection, f"mixed {i}", rest)
        check(reply is not None, f"closed before answer {i}")
        statuses.append(reply.status)
    equal(statuses, [202, 404, 202, 200], "statuses")
    connection.close()


@suite.case("a request that comes byte by byte is answered")
def _(t):
    connection = raw_connect(t.server)
    for byte in _click("drip-1"):
        connection.sendall(bytes([byte]))
    reply, _ = read_reply(connection, "byte by byte")
    check(reply is not None, "closed")
    reply.expect(202)
    connection.close()


@suite.case("Expect: 100-continue is answered before the body is sent, and so is a body that will be refused")
def _(t):
    body = json.dumps({"event_id": "expect-1", "ad_id": 9}).encode()
    head = b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    connection = raw_connect(t.server)
    connection.sendall(head % len(body))
    first, rest = read_reply(connection, "Expect")
    check(first is not None and first.status == 100, f"expected 100: {first}")
    connection.sendall(body)
    read_reply(connection, "Expect", rest)[0].expect(202)
    connection.close()
    reply = raw_exchange(t.server, head % (1 << 30))
    check(reply is not None, "closed without a reply")
    reply.expect_problem(413)


@suite.case("HTTP/1.0 and Connection: close end the connection after the answer")
def _(t):
    for request in (b"GET /healthz HTTP/1.0\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
                    _click("close-1", b"Connection: close\r\n")):
        connection = raw_connect(t.server)
        connection.sendall(request)
        reply, rest = read_reply(connection, repr(request[:60]))
        check(reply is not None and reply.status in (200, 202), f"{reply}")
        equal(read_reply(connection, "after close", rest)[0], None, "a second reply")
        connection.close()


def _framing(sentence, data, statuses=(400,)):
    def function(t):
        # A click behind the broken request must never be read as a request of its own.
        marker = f"smuggled-{abs(hash(sentence))}"
        connection = raw_connect(t.server)
        connection.sendall(data + _click(marker))
        first, rest = read_reply(connection, sentence)
        check(first is not None, "closed without a reply")
        check(first.status in statuses, f"expected one of {statuses}: {first}")
        second, _ = read_reply(connection, sentence, rest)
        check(second is None, f"the connection went on after a framing error: {second}")
        connection.close()
    suite.add(sentence + " ends the connection with " + " or ".join(map(str, statuses)), function)


_POST = b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\n"
_framing("both Content-Length and Transfer-Encoding", _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
_framing("two Content-Lengths", _POST + b"Content-Length: 3\r\nContent-Length: 7\r\n\r\nabc")
_framing("a negative Content-Length", _POST + b"Content-Length: -1\r\n\r\n")
_framing("a Content-Length with a sign", _POST + b"Content-Length: +3\r\n\r\nabc")
_framing("an unknown transfer coding", _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400, 501))
_framing("a bare line feed", b"GET /healthz HTTP/1.1\nHost: e2e\n\n")
_framing("a folded header", b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nX-A: 1\r\n 2\r\n\r\n")
_framing("a space before the colon", b"GET /healthz HTTP/1.1\r\nHost : e2e\r\n\r\n")
_framing("no Host", b"GET /healthz HTTP/1.1\r\nX-A: 1\r\n\r\n")
_framing("two Hosts", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
_framing("a NUL in a header", b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nX-A: a\x00b\r\n\r\n")
_framing("a bad chunk size", _POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n")
_framing("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n")
_framing("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505))
