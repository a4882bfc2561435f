"""Contract section 6: problem documents, request ids, methods; and HTTP itself, where a wrong reading would mix up clients."""

import gzip
import http.client
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


def _browser(connection, method, path, body=None, more=()):
    """A request with the headers that a browser sends from a page of another site."""
    headers = {"Host": "track.example", "User-Agent": AGENT, "Accept": "*/*", "Accept-Language": "fr-FR,fr;q=0.8,en;q=0.5",
               "Accept-Encoding": "gzip, deflate, br", "Referer": "https://shop.example/", "Origin": "https://shop.example",
               "DNT": "1", "Connection": "keep-alive", "Cookie": "_ga=GA1.2.3; consent=yes", "Sec-Fetch-Dest": "empty",
               "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site", "Priority": "u=6", **dict(more)}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    data = response.read()
    encoding = response.getheader("Content-Encoding", "identity")
    check(encoding in ("identity", "gzip"), f"{method} {path}: Content-Encoding {encoding}")
    return response, gzip.decompress(data) if encoding == "gzip" else data


@suite.case("a browser keeps its six connections, sends beacons as text/plain and asks again with If-None-Match")
def _(t):
    ad = t.server.admin("POST", "/api/v1/ads", {"title": "T", "url": "http://example.com/"}).expect(201).json()
    connections = [http.client.HTTPConnection(t.server.host, t.server.port, timeout=15) for _ in range(6)]
    sockets, tag = [], None
    for number in range(60):
        connection = connections[number % 6]
        beacon = json.dumps({"event_id": f"beacon-{number}", "ad_id": 4711}).encode()
        response, _ = _browser(connection, "POST", CLICK, beacon, {"Content-Type": "text/plain;charset=UTF-8"}.items())
        equal(response.status, 202, f"beacon {number}")
        response, data = _browser(connection, "GET", f"/api/v1/ads/{ad['id']}", more={"If-None-Match": tag}.items() if tag else ())
        if tag is None:
            equal((response.status, json.loads(data)["id"]), (200, ad["id"]), "the ad")
            tag = response.getheader("ETag")
            check(tag, "no ETag")
        else:
            equal((response.status, data, response.getheader("ETag")), (304, b"", tag), "the ad, asked for again")
        response, data = _browser(connection, "GET", "/api/v1/ads/analytics?ad_id=4711", more={"Cache-Control": "no-cache"}.items())
        equal((response.status, "data" in json.loads(data)), (200, True), "analytics")
        sockets.append((number % 6, connection.sock))
    equal(len(set(sockets)), 6, "connections that it took")
    for connection in connections:
        connection.close()
    reply = t.server.post_json(CLICK, {"event_id": "beacon-last", "ad_id": 4711}).expect(202)
    row = t.server.analytics([reply.json()["position"]], ad_id=4711)["data"][0]
    equal(row["gross_clicks"], 61, "beacons counted")


@suite.case("an HTTP/1.0 client is answered, with keep-alive and without")
def _(t):
    body = b'{"event_id":"ten-%d","ad_id":1010}'
    head = b"POST /api/v1/ads/click HTTP/1.0\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
    kept = raw_connect(t.server)
    for number in range(10):
        stays = number < 9
        sent = body % number
        for request, status in ((head % (b"Connection: keep-alive\r\n" if stays else b"", len(sent)) + sent, 202),
                                (b"GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200)):
            kept.sendall(request)
            reply, rest = read_reply(kept, f"HTTP/1.0, {number}")
            check(reply is not None, f"the connection was closed before answer {number}")
            reply.expect(status)
            equal(reply.header("connection"), "keep-alive" if stays else "close", f"Connection of {reply}")
            check(reply.header("transfer-encoding") is None and reply.header("content-length"), f"HTTP/1.0 knows a length only: {reply.headers}")
            if not stays:
                break
    equal((rest, kept.recv(10)), (b"", b""), "what follows the last answer")
    kept.close()
    for request, status in ((b"GET /healthz HTTP/1.0\r\n\r\n", 200), (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200), (b"GET /nope HTTP/1.0\r\n\r\n", 404),
                            (head % (b"", 2) + b"{}", 400), (b"POST /api/v1/ads/click HTTP/1.0\r\n\r\n", 415)):
        connection = raw_connect(t.server)
        connection.sendall(request)
        data = b""
        while piece := connection.recv(65536):  # such a client reads to the end
            data += piece
        check(data.startswith(b"HTTP/1.1 %d " % status) and b"\r\nConnection: close\r\n" in data, f"{request!r} -> {data!r}")
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
