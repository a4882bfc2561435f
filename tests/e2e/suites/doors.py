"""Contract sections 3 and 6: keys and their rotation, the admin listener, rates, CORS, TLS."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

from harness import ADMIN_KEY, AGENT, ROOT, Client, Server, Skip, Suite, check, check_health, equal, raw_connect, read_reply, run_refused, write_key_file

suite = Suite("doors", "contract sections 3 and 6: who may, how often, from where, and over TLS")

SECONDS = 30  # that a change of a file may take on a busy machine


def _until(what, function):
    deadline = time.monotonic() + SECONDS
    while not function():
        check(time.monotonic() < deadline, f"not within {SECONDS} s: {what}")
        time.sleep(0.02)


def _event(name, **more):
    return {"event_id": name, "ad_id": 7, "user_ip": "198.51.100.7", "agent": AGENT, **more}


def _send(server, name, token=None, **headers):
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return server.post_json("/api/v1/ads/click", _event(name), headers)


def _metric(text, series):
    for line in text.splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def _degraded(server):
    return server.get("/readyz").expect(200).json()["degraded"]


def _keyed(name, keys):
    server = Server(name=name, flags={"http.reload_ms": 50})
    path = os.path.join(server.work_dir, "ingest.keys")
    server.flags["ingest.key_file"] = write_key_file(path, keys)
    return server.start(), path


# ---------------------------------------------------------------- keys

@suite.case("keys are rotated without a restart: the new one opens, the removed one no more, nobody else notices")
def _(t):
    server, path = _keyed("rotate", [("acme", "acme-old-token"), ("shop", "shop-token")])
    stop, bad = threading.Event(), []

    def other():
        with contextlib.closing(server.client()) as client:
            body, n = json.dumps(_event("other")).encode(), 0
            while not stop.is_set():
                n += 1
                reply = client.request("POST", "/api/v1/ads/click", body, {"Content-Type": "application/json", "Authorization": "Bearer shop-token"})
                if reply.status != 202:
                    bad.append(str(reply))
    thread = threading.Thread(target=other)
    thread.start()
    try:
        _send(server, "r1", "acme-old-token").expect(202)
        _send(server, "r2", "acme-new-token").expect_problem(401)
        write_key_file(path, [("acme", "acme-old-token"), ("acme", "acme-new-token"), ("shop", "shop-token")])
        _until("the new key opens", lambda: _send(server, "r3", "acme-new-token").status == 202)
        _send(server, "r4", "acme-old-token").expect(202)
        write_key_file(path, [("acme", "acme-new-token"), ("shop", "shop-token")])
        _until("the removed key opens no more", lambda: _send(server, "r5", "acme-old-token").status == 401)
        for _ in range(20):
            _send(server, "r6", "acme-old-token").expect(401)
        _send(server, "r7", "acme-new-token").expect(202)
    finally:
        stop.set()
        thread.join()
    equal(bad, [], "what the other client was answered")
    page = server.get("/metrics").body.decode()
    check(_metric(page, 'adtrack_key_requests_total{door="ingest",key="acme"}') >= 4, "requests of acme")
    check(_metric(page, 'adtrack_key_requests_total{door="ingest",key="shop"}') >= 1, "requests of shop")
    said = server.log_text() + page
    for token in ("acme-old-token", "acme-new-token", "shop-token", ADMIN_KEY):
        check(token not in said, f"{token} stands in the log or the metrics")
    equal(server.stop(), 0, "exit code")


@suite.case("a broken key file keeps the old keys, is logged and degraded, and a right one ends that")
def _(t):
    server, path = _keyed("broken-keys", [("acme", "acme-token")])
    with open(path, "w", encoding="ascii") as file:
        file.write("a-secret-in-plain-text\n")
    _until("/readyz names the file", lambda: any(path in reason for reason in _degraded(server)))
    _send(server, "b1", "acme-token").expect(202)
    _send(server, "b2", "a-secret-in-plain-text").expect(401)
    os.unlink(path)
    _until("/readyz says that it is gone", lambda: any("No such file" in reason for reason in _degraded(server)))
    _send(server, "b3", "acme-token").expect(202)
    write_key_file(path, [("acme", "acme-token-2")])
    _until("the right file is in force", lambda: _send(server, "b4", "acme-token-2").status == 202)
    equal(_degraded(server), [], "degraded")
    check('"event":"keys_not_loaded"' in server.log_text(), "it was not logged")
    check("a-secret-in-plain-text" not in server.log_text(), "the secret stands in the log")
    equal(server.stop(), 0, "exit code")


@suite.case("a key file with plain tokens refuses the start, by its line and without the token")
def _(t):
    server = Server(name="plain-keys")
    path = server.flags["read.key_file"] = os.path.join(server.work_dir, "read.keys")
    with open(path, "w", encoding="ascii") as file:
        file.write("# readers\na-secret-in-plain-text\n")
    code, said = run_refused(server)
    check(code > 0 and f"{path}, line 2" in said and "make-key.sh" in said, f"code {code}: {said[-500:]}")
    check("a-secret" not in said, "the token is shown")


@suite.case("scripts/make-key.sh makes a key that opens")
def _(t):
    made = subprocess.run([os.path.join(ROOT, "scripts", "make-key.sh"), "acme"], capture_output=True, text=True, check=True)
    token = made.stderr.strip().rsplit(" ", 1)[1]
    equal(len(token), 64, "length of the token")
    check(token not in made.stdout, "the line holds the token")
    server = Server(name="made")
    path = server.flags["ingest.key_file"] = os.path.join(server.work_dir, "ingest.keys")
    with open(path, "w", encoding="ascii") as file:
        file.write(made.stdout)
    server.start()
    _send(server, "m", token).expect(202)
    _send(server, "m", token[:-1]).expect(401)
    _send(server, "m", made.stdout.split("sha256:")[1].strip()).expect(401)  # the hash is no token
    equal(server.stop(), 0, "exit code")


# ---------------------------------------------------------------- the admin listener

@suite.case("with an admin listener, admin calls are there only, whatever the main one is told")
def _(t):
    server = Server(name="admin", flags={"admin.host": "127.0.0.1", "admin.port": "0"}).start()
    ready = next(json.loads(line) for line in server.log_text().splitlines() if '"event":"ready"' in line)
    inside = Client("127.0.0.1", int(ready["admin_address"].rpartition(":")[2]))
    key = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    ad = json.dumps({"title": "T", "url": "https://example.com/"}).encode()
    for more in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"REMOTE_ADDR": "127.0.0.1"}, {"X-Forwarded-Host": ready["admin_address"]}):
        server.get("/admin/v1/quarantine", headers={**key, **more}).expect_problem(404)
        reply = server.request("POST", "/api/v1/ads", ad, {**key, **more}).expect_problem(405)
        equal(reply.header("allow"), "GET, HEAD, OPTIONS", "Allow")
    inside.request("GET", "/admin/v1/quarantine", headers=key).expect(200)
    inside.request("GET", "/admin/v1/quarantine").expect_problem(401)
    created = inside.request("POST", "/api/v1/ads", ad, key).expect(201).json()
    server.get(f"/api/v1/ads/{created['id']}").expect(200)
    server.request("DELETE", f"/api/v1/ads/{created['id']}", headers=key).expect_problem(405)
    inside.request("DELETE", f"/api/v1/ads/{created['id']}", headers=key).expect(204)
    for path in ("/metrics", "/healthz", "/readyz"):
        server.get(path).expect(200)
        inside.request("GET", path).expect(200)
    inside.close()
    equal(server.stop(), 0, "exit code")


# ---------------------------------------------------------------- rates

@suite.case("over its rate an address gets 429, and Retry-After is true")
def _(t):
    server = Server(name="rate", flags={"rate.address_per_second": 1, "rate.address_burst": 3, "http.trusted_proxies": "127.0.0.1"}).start()
    who = {"X-Forwarded-For": "203.0.113.1"}
    refused = 0
    for i in range(6):
        reply = _send(server, f"rate-{i}", **who)
        if reply.status == 202:
            continue
        reply.expect_problem(429)
        refused += 1
        wait = int(reply.header("retry-after"))
        check(wait >= 1, f"Retry-After {wait}")
        time.sleep(wait)
        _send(server, f"rate-again-{i}", **who).expect(202)
    check(refused > 0, "nothing was refused")
    _send(server, "rate-other", **{"X-Forwarded-For": "203.0.113.2"}).expect(202)
    check(_metric(server.get("/metrics").body.decode(), 'adtrack_events_rejected_total{reason="rate"}') == refused, "the metric")
    for _ in range(10):
        server.get("/readyz", headers=who).expect(200)
    t.note(f"{refused} refused")
    equal(server.stop(), 0, "exit code")


@suite.case("a key over its rate does not slow down another, and what was refused is not counted")
def _(t):
    server = Server(name="key-rate", flags={"rate.key_per_second": 5, "rate.key_burst": 5})
    server.flags["ingest.key_file"] = write_key_file(os.path.join(server.work_dir, "k"), [("greedy", "greedy-token"), ("modest", "modest-token")])
    server.start()
    statuses, positions = [], []
    for i in range(200):
        reply = _send(server, f"greedy-{i}", "greedy-token")
        statuses.append(reply.status)
        if reply.status == 202:
            positions.append(reply.json()["position"])
        if i % 50 == 0:
            positions.append(_send(server, f"modest-{i}", "modest-token").expect(202).json()["position"])
    check(set(statuses) == {202, 429}, f"statuses {set(statuses)}")
    equal(server.analytics(positions, ad_id=7)["data"][0]["gross_clicks"], len(positions), "counted")
    equal(server.stop(), 0, "exit code")


@suite.case("rates and the log's level change while the server runs, for all its threads, and are as configured after a restart")
def _(t):
    server = Server(name="live", flags={"http.loops": 2}).start()

    def put(name, value):
        return server.admin("PUT", f"/admin/v1/settings/{name}", {"value": value})

    def statuses(name):
        found = set()
        for i in range(8):  # over as many connections: loops take turns
            connection = server.client()
            fields = {"event_id": f"{name}-{i}", "ad_id": 7, "user_ip": "198.51.100.7", "agent": AGENT}
            found.add(connection.request("POST", "/api/v1/ads/click", json.dumps(fields).encode(), {"Content-Type": "application/json"}).status)
            connection.close()
        return found
    equal(statuses("free"), {202}, "before")
    put("rate.address_burst", 3).expect(200)
    equal(put("rate.address_per_second", 1).expect(200).json(), {"name": "rate.address_per_second", "value": 1}, "what was set")
    equal(statuses("limited"), {202, 429}, "with a rate")
    put("rate.address_per_second", 0).expect(200)
    equal(statuses("again"), {202}, "without it")
    for name, value in (("rate.address_per_second", 1_000_001), ("rate.address_per_second", "fast"), ("log.level", "loud"), ("log.level", 3)):
        put(name, value).expect_problem(400)
    put("http.port", 1).expect_problem(404)

    def requests_logged():
        with open(server.log_paths[-1], encoding="utf-8") as file:
            return sum(json.loads(line)["event"] == "request" for line in file)
    equal(requests_logged(), 0, "requests in the log at info")
    put("log.level", "debug").expect(200)
    server.get("/healthz").expect(200)
    check(requests_logged() >= 2, f"at debug {requests_logged()} requests stand in the log")
    put("log.level", "warning").expect(200)
    before = requests_logged()
    server.get("/healthz").expect(200)
    equal(requests_logged(), before, "requests in the log at warning")
    put("rate.address_per_second", 1).expect(200)
    equal(server.stop(), 0, "exit code")
    server.start()
    values = {s["name"]: s["value"] for s in server.admin("GET", "/admin/v1/settings").expect(200).json()["settings"]}
    equal((values["log.level"], values["rate.address_per_second"]), ("info", 0), "after a restart")
    equal(server.stop(), 0, "exit code")


# ---------------------------------------------------------------- CORS

@suite.case("a page of a listed origin may send and read, one of another gets no header")
def _(t):
    server = Server(name="cors", flags={"cors.origins": "https://shop.example, http://localhost:3000", "cors.max_age_secs": 99}).start()
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin in ("https://shop.example", "http://localhost:3000"):
        preflight = server.request("OPTIONS", "/api/v1/ads/click", headers={"Origin": origin, **asks}).expect(204)
        equal(preflight.header("access-control-allow-origin"), origin, "Allow-Origin")
        check("POST" in preflight.header("access-control-allow-methods"), f"{preflight.headers}")
        check("content-type" in preflight.header("access-control-allow-headers").lower(), f"{preflight.headers}")
        equal(preflight.header("access-control-max-age"), "99", "Max-Age")
        for reply in (_send(server, "c", Origin=origin).expect(202), server.get("/nope", headers={"Origin": origin}).expect(404)):
            equal(reply.header("access-control-allow-origin"), origin, f"Allow-Origin of {reply}")
            equal(reply.header("vary"), "Origin", f"Vary of {reply}")
            check(reply.header("access-control-allow-credentials") is None, f"credentials: {reply.headers}")
    for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
        for reply in (server.request("OPTIONS", "/api/v1/ads/click", headers={"Origin": origin, **asks}), _send(server, "c", Origin=origin)):
            check(not [name for name in reply.headers if name.startswith("access-control-")], f"{origin}: {reply.headers}")
    equal(server.stop(), 0, "exit code")
    for bad in ("shop.example", "https://shop.example/", "*, https://shop.example"):
        code, said = run_refused(Server(name="cors-bad", flags={"cors.origins": bad}))
        check(code > 0 and "cors.origins" in said, f"code {code}: {said[-300:]}")


# ---------------------------------------------------------------- TLS

def _make_certificate(directory, name):
    """(certificate, key): self-signed for 127.0.0.1."""
    if shutil.which("openssl") is None:
        raise Skip("this needs the openssl command")
    paths = os.path.join(directory, f"{name}.pem"), os.path.join(directory, f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def _install(server, pair):
    """Both files take the places that the flags name, one after the other."""
    for source, setting in zip(pair, ("tls.certificate_file", "tls.key_file")):
        target = server.flags[setting]
        shutil.copyfile(source, target + ".new")
        os.rename(target + ".new", target)


def _tls_server(name, **flags):
    server = Server(name=name, flags={"http.reload_ms": 50, **flags})
    server.flags["tls.certificate_file"] = os.path.join(server.work_dir, "live.pem")
    server.flags["tls.key_file"] = os.path.join(server.work_dir, "live.key")
    pair = _make_certificate(server.work_dir, "first")
    _install(server, pair)
    return server.start(), pair


def _context(*certificates):
    context = ssl.create_default_context()
    for certificate in certificates:
        context.load_verify_locations(certificate)
    return context


def _served(server):
    """The certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((server.host, server.port), timeout=10) as plain, context.wrap_socket(plain) as wrapped:
        return wrapped.getpeercert(binary_form=True)


def _der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


@suite.case("TLS: curl is answered over 1.2 and 1.3, older versions, plain HTTP and garbage are closed and counted")
def _(t):
    server, (certificate, _) = _tls_server("tls")
    url = f"https://127.0.0.1:{server.port}"
    if shutil.which("curl") is None:
        raise Skip("this needs curl")

    def curl(*more):
        return subprocess.run(["curl", "-sS", "--max-time", "15", "--cacert", certificate, *more], capture_output=True, text=True, check=False)
    for version in ("1.2", "1.3"):
        done = curl(f"--tlsv{version}", "--tls-max", version, "-w", "%{http_code} %{http_version}", "-H", "Content-Type: application/json", "-d",
                    json.dumps(_event(f"curl-{version}")), f"{url}/api/v1/ads/click")
        check(done.returncode == 0 and done.stdout.endswith("202 1.1") and '"durability":"log"' in done.stdout, f"curl {version}: {done}")
    check(curl("--tls-max", "1.1", f"{url}/healthz").returncode != 0, "TLS 1.1 is spoken")
    check(curl(f"http://127.0.0.1:{server.port}/healthz").returncode != 0, "plain HTTP is answered")
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 50_000, b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000, b"\x80\x2e\x01\x00\x02"):
        with contextlib.closing(raw_connect(server)) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            reply, rest = read_reply(connection)
            check(reply is None and b"HTTP/" not in rest, f"{data[:20]!r} is answered: {rest[:100]!r}")
    tls = [f"--{name}={server.flags[name]}" for name in ("tls.certificate_file", "tls.key_file")]
    equal(check_health(server, more=tls), (0, ""), "adtrackd --check-health")
    equal(check_health(server)[0], 1, "adtrackd --check-health without TLS")
    page = curl(f"{url}/metrics").stdout
    for result, least in (("ok", 3), ("plain_http", 1), ("failed", 2)):
        check((_metric(page, f'adtrack_tls_handshakes_total{{result="{result}"}}') or 0) >= least, f"handshakes {result}: {page[-2000:]}")
    check(_metric(page, "adtrack_tls_certificate_expires_seconds") > time.time(), "when the certificate ends")
    equal(server.stop(), 0, "exit code")


@suite.case("TLS: certificates are changed under load without one failed request, and all that was acknowledged is counted")
def _(t):
    server, first = _tls_server("tls-reload", **{"log.shards": 4})
    pairs = [first] + [_make_certificate(server.work_dir, f"next-{i}") for i in range(4)]
    context = _context(*(certificate for certificate, _ in pairs))
    stop, failed, positions = threading.Event(), [], []

    def load(worker):
        kept = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
        n = 0
        while not stop.is_set():
            n += 1
            fresh = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
            for kind, connection in (("kept", kept), ("fresh", fresh)):
                try:
                    connection.request("POST", "/api/v1/ads/click", json.dumps(_event(f"{worker}-{n}-{kind}")), {"Content-Type": "application/json"})
                    reply = connection.getresponse()
                    body = reply.read()
                    if reply.status == 202:
                        positions.append(json.loads(body)["position"])
                    else:
                        failed.append(f"{kind}: {reply.status} {body[:200]}")
                except (OSError, http.client.HTTPException) as error:
                    failed.append(f"{kind}: {error!r}")
            fresh.close()
        kept.close()
    threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        for certificate, key in pairs[1:]:
            before = len(positions)
            _install(server, (certificate, key))
            _until("the new certificate is served", lambda c=certificate: _served(server) == _der(c))
            _until("and requests go on", lambda b=before: len(positions) > b + 50)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    equal(failed[:3], [], f"failed requests of {len(positions) + len(failed)}")
    client = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
    newest = {}
    for position in positions:
        shard, offset = position.split(":")
        newest[shard] = max(newest.get(shard, -1), int(offset))
    client.request("GET", "/api/v1/ads/analytics?ad_id=7&" + "&".join(f"min_position={s}:{o}" for s, o in newest.items()))
    equal(json.loads(client.getresponse().read())["data"][0]["gross_clicks"], len(positions), "counted")
    t.note(f"{len(positions)} requests over {len(pairs)} certificates")
    client.close()
    equal(server.stop(), 0, "exit code")


@suite.case("TLS: a broken new pair keeps the old certificate, is degraded, and a right one ends that")
def _(t):
    server, first = _tls_server("tls-broken")
    second = _make_certificate(server.work_dir, "second")
    context = _context(first[0], second[0])

    def ask(path):
        client = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=15)
        client.request("GET", path)
        reply = client.getresponse()
        body = reply.read()
        client.close()
        return reply.status, json.loads(body)
    _install(server, (second[0], first[1]))  # a certificate and another one's key
    _until("/readyz names it", lambda: any("does not belong" in reason for reason in ask("/readyz")[1]["degraded"]))
    equal(_served(server), _der(first[0]), "the certificate that is served")
    _install(server, second)
    _until("the right pair is served", lambda: _served(server) == _der(second[0]))
    equal(ask("/readyz"), (200, {"status": "ready", "degraded": []}), "/readyz")
    check('"event":"certificate_not_loaded"' in server.log_text(), "it was not logged")
    check("PRIVATE KEY" not in server.log_text(), "the key stands in the log")
    equal(server.stop(), 0, "exit code")
    _install(server, (second[0], first[1]))
    code, said = run_refused(server)
    check(code > 0 and "does not belong" in said, f"code {code}: {said[-300:]}")


@suite.case("TLS: the admin listener lets in only clients with a certificate")
def _(t):
    server = Server(name="mutual")
    pair = _make_certificate(server.work_dir, "server")
    me = _make_certificate(server.work_dir, "operator")
    server.flags.update({"tls.certificate_file": pair[0], "tls.key_file": pair[1], "tls.client_ca_file": me[0], "admin.host": "127.0.0.1", "admin.port": "0"})
    server.start()
    ready = next(json.loads(line) for line in server.log_text().splitlines() if '"event":"ready"' in line)
    port = int(ready["admin_address"].rpartition(":")[2])

    def ask(context, to):
        client = http.client.HTTPSConnection("127.0.0.1", to, context=context, timeout=15)
        try:
            client.request("GET", "/admin/v1/quarantine", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
            return client.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            client.close()
    equal(ask(_context(pair[0]), port), None, "without a certificate")
    known = _context(pair[0])
    known.load_cert_chain(*me)
    equal(ask(known, port), 200, "with one")
    stranger = _context(pair[0])
    stranger.load_cert_chain(*_make_certificate(server.work_dir, "stranger"))
    equal(ask(stranger, port), None, "with a stranger's")
    equal(ask(_context(pair[0]), server.port), 404, "on the main listener, which asks for none")
    equal(server.stop(), 0, "exit code")
