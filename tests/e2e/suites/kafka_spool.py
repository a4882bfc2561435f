"""The outage that one broker's standing still is: 503 in doubt, then the spool, its bound, its drain, and kill -9 in the middle."""

import socket
import time

import kafka
from harness import AGENT, Server, Suite, check, equal

suite = Suite("kafka_spool", "contract section 3: in an outage the spool takes what was never handed to Kafka; it drains, is bounded, survives kill -9")

CLICK = "/api/v1/ads/click"
NOON = 1_753_185_600
OUTAGE_MS = 1000


def _event(number, ad=None):
    return {"event_id": f"sp-{number}", "ad_id": ad or 1 + number % 20, "user_ip": f"198.51.{number >> 8 & 255}.{number & 255}", "agent": AGENT,
            "timestamp": NOON + number % 3600}


def _start(name, **more):
    cluster = kafka.cluster()
    flags = cluster.flags(log__outage_after_ms=OUTAGE_MS, kafka__message_timeout_ms=3000, **more)
    return cluster, Server(flags=flags, name=name).start()


def _fate(server, number):
    event = _event(number)
    return server.get(f"/api/v1/events/{event['event_id']}", {"ad_id": event["ad_id"], "type": "click"}).expect(200).json()["fate"]


def _until_spooled(server, numbers):
    """Posts one event after the other until one is spooled; {number: durability} of those answered 202, numbers answered 503."""
    taken, refused, deadline = {}, [], time.monotonic() + 30
    for number in numbers:
        reply = server.post_json(CLICK, _event(number))
        if reply.status == 503:
            check(reply.header("retry-after"), f"503 without Retry-After: {reply}")
            refused.append(number)
        else:
            answer = reply.expect(202).json()
            taken[number] = answer["durability"]
            if answer["durability"] == "spool":
                equal(answer["position"], None, f"position of {reply}")
                return taken, refused
        check(time.monotonic() < deadline, f"nothing was spooled within 30 s: {len(taken)} answered 202, {len(refused)} 503")
    raise AssertionError("unreachable: the numbers never end")


def _count(server):
    return sum(row["gross_clicks"] for row in server.all_rows().values())


def _counted(rows):
    return {ad: {name: value for name, value in row.items() if name != "duplicates"} for ad, row in rows.items()}


@suite.case("the broker stands still: 503 in doubt, then 202 out of the spool, which drains and counts once each")
def _(t):
    cluster, server = _start("spool")
    for number in range(50):
        server.click(**_event(number))
    numbers = iter(range(100, 1 << 30))
    cluster.freeze(1)
    try:
        started = time.monotonic()
        taken, refused = _until_spooled(server, numbers)
        t.note(f"{len(refused)} answered 503 before the first was spooled, {time.monotonic() - started:.1f} s after the broker stood still")
        check(refused, "no event was in doubt, though one was handed to a broker that stands still")
        equal([n for n, durability in taken.items() if durability == "log"], [], "events answered `in the log` while the broker stood still")
        for number in (next(numbers) for _ in range(300)):
            equal(server.post_json(CLICK, _event(number)).expect(202).json()["durability"], "spool", "durability")
            taken[number] = "spool"
        equal(_fate(server, number), "pending", "fate of an event in the spool")
        kafka.wait_for("/readyz to name the spool", 10, lambda: any("spool" in each for each in server.get("/readyz").expect(200).json()["degraded"]), server)
        kafka.wait_for("adtrack_spool_records", 10, lambda: kafka.total(kafka.metrics(server), "adtrack_spool_records") == len(taken), server)
        equal(server.analytics(limit=1)["is_real_time"], False, "is_real_time with events in the spool")
        for number in list(taken)[:20]:  # a client may repeat what it likes
            equal(server.post_json(CLICK, _event(number)).expect(202).json()["durability"], "spool", "durability of a repeat")
    finally:
        cluster.thaw(1)
    t.note(f"drained and counted {kafka.settled(server):.1f} s after the broker went on")
    for number in refused:  # in doubt: a retry with the same event_id is always safe
        equal(server.post_json(CLICK, _event(number)).expect(202).json()["durability"], "log", "durability of a retry afterwards")
    kafka.settled(server)
    equal({_fate(server, number) for number in taken}, {"counted"}, "fates of what was in the spool")
    rows = server.all_rows()
    equal(sum(row["gross_clicks"] for row in rows.values()), 50 + len(taken) + len(refused), "clicks")
    duplicates = sum(row["duplicates"] for row in rows.values())
    check(20 <= duplicates <= 20 + len(refused) + len(taken), f"{duplicates} duplicates")
    server.restart(hard=True)
    kafka.settled(server)
    # A request that was in doubt, or a drain that was repeated, may still add a duplicate; what counts stays as it was.
    equal(_counted(server.all_rows()), _counted(rows), "rows after kill -9")
    equal(server.stop(), 0, "exit code")


@suite.case("kill -9 with a full hand in the spool: it waits for Kafka, then drains and counts once each")
def _(t):
    cluster, server = _start("spool-kill")
    numbers = iter(range(1 << 30))
    cluster.freeze(1)
    thawed = False
    try:
        taken, refused = _until_spooled(server, numbers)
        for number in (next(numbers) for _ in range(500)):
            equal(server.post_json(CLICK, _event(number)).expect(202).json()["durability"], "spool", "durability")
            taken[number] = "spool"
        for _ in range(2):  # the second one while it waits for Kafka
            server.kill()
            server.spawn()
            kafka.wait_for("a word that Kafka is away", 60, lambda: '"kafka_away"' in server.log_text(), server)
        check('"ready"' not in server.log_text(), "it says that it is ready without having seen Kafka")
        started = time.monotonic()
        cluster.thaw(1)
        thawed = True
        server.wait_ready(60)
        t.note(f"started without Kafka it waits and does not listen; ready {time.monotonic() - started:.1f} s after the broker went on")
    finally:
        if not thawed:
            cluster.thaw(1)
    kafka.settled(server)
    equal(_count(server), len(taken) + len([n for n in refused if _was_kept(server, n)]), "clicks")
    for number in list(taken) + refused:
        server.post_json(CLICK, _event(number)).expect(202)
    kafka.settled(server)
    equal(_count(server), len(taken) + len(refused), "clicks after all were sent again")
    equal(server.stop(), 0, "exit code")


@suite.case("SIGTERM ends it while it looks for brokers that do not answer")
def _(t):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        flags = {"log.backend": "kafka", "kafka.brokers": f"127.0.0.1:{silent.getsockname()[1]}"}
        server = Server(flags=flags, name="spool-search").spawn()
        kafka.wait_for("a word that Kafka is away", 60, lambda: '"kafka_away"' in server.log_text(), server)
        time.sleep(2.5)  # it looks again
        started = time.monotonic()
        equal(server.stop(), 0, "exit code")
        took = time.monotonic() - started
        check(took < 3, f"it took {took:.1f} s")
        check('"stopping"' in server.log_text(), "it does not say that it stops")


def _was_kept(server, number):
    """Whether an event that was answered 503 reached the log all the same: in doubt means that it may."""
    event = _event(number)
    before = {ad: row["gross_clicks"] for ad, row in server.all_rows().items()}
    server.click(**event)
    kafka.settled(server)
    return {ad: row["gross_clicks"] for ad, row in server.all_rows().items()} == before


@suite.case("SIGTERM with events in the spool: exit 0, and they drain after the next start")
def _(t):
    cluster, server = _start("spool-term")
    numbers = iter(range(1 << 30))
    cluster.freeze(1)
    try:
        taken, refused = _until_spooled(server, numbers)
        for number in (next(numbers) for _ in range(100)):
            equal(server.post_json(CLICK, _event(number)).expect(202).json()["durability"], "spool", "durability")
            taken[number] = "spool"
        started = time.monotonic()
        equal(server.stop(), 0, "exit code")
        t.note(f"stopped in {time.monotonic() - started:.1f} s with {len(taken)} events in the spool")
    finally:
        cluster.thaw(1)
    server.start()
    kafka.settled(server)
    counted = _count(server)
    check(len(taken) <= counted <= len(taken) + len(refused), f"{counted} counted of {len(taken)} acknowledged and {len(refused)} in doubt")
    equal(server.stop(), 0, "exit code")


@suite.case("a full spool answers 503 with Retry-After and loses nothing of what it took")
def _(t):
    cluster, server = _start("spool-full", spool__max_mb=1)
    numbers = iter(range(1 << 30))
    cluster.freeze(1)
    try:
        taken, refused = _until_spooled(server, numbers)
        full = 0
        for number in (next(numbers) for _ in range(20_000)):
            reply = server.post_json(CLICK, _event(number))
            if reply.status == 503:
                check(reply.header("retry-after"), f"503 without Retry-After: {reply}")
                full += 1
                if full == 20:
                    break
                continue
            equal(reply.expect(202).json()["durability"], "spool", "durability")
            taken[number] = "spool"
        equal(full, 20, f"answers 503 of a spool of 1 MiB after {len(taken)} events")
        kafka.wait_for("/readyz to say 503", 10, lambda: server.get("/readyz").status == 503, server)
        equal(server.get("/healthz").status, 200, "/healthz")
        t.note(f"1 MiB of spool took {len(taken)} events")
    finally:
        cluster.thaw(1)
    kafka.settled(server)
    counted = _count(server)
    check(len(taken) <= counted <= len(taken) + len(refused), f"{counted} counted of {len(taken)} acknowledged and {len(refused)} in doubt")
    equal(server.post_json(CLICK, _event(999_999)).expect(202).json()["durability"], "log", "durability afterwards")
    equal(server.stop(), 0, "exit code")


@suite.case("log.outage = reject answers 503 throughout and spools nothing")
def _(t):
    cluster, server = _start("spool-reject", log__outage="reject")
    cluster.freeze(1)
    try:
        for number in range(200):
            server.post_json(CLICK, _event(number)).expect(503)
        equal(kafka.total(kafka.metrics(server), "adtrack_spool_records"), 0, "spooled")
    finally:
        cluster.thaw(1)
    kafka.wait_for("a 202 after the broker went on", 30, lambda: server.post_json(CLICK, _event(1)).status == 202, server)
    equal(server.stop(), 0, "exit code")


@suite.case("while Kafka takes nothing, who follows a link or sees an image is sent on within redirect.max_wait_ms, and told")
def _(t):
    cluster, server = _start("spool-visits", log__outage="reject", redirect__max_wait_ms=300)
    ad = server.admin("POST", "/api/v1/ads", {"title": "T", "url": "https://example.com/x"}).expect(201).json()["id"]

    def visit(name):
        return server.get(f"/api/v1/ads/{ad}/click", {"event_id": name}).expect(302)

    equal(visit("before").header("adtrack-recorded"), None, "Adtrack-Recorded before")
    cluster.freeze(1)
    try:
        began = time.monotonic()
        reply = visit("dark")
        took = time.monotonic() - began
        equal((reply.header("location"), reply.header("adtrack-recorded")), ("https://example.com/x", "no"), "what the visitor sees")
        check(took < 2, f"the visitor waited {took:.1f} s")
        image = server.get(f"/api/v1/ads/{ad}/impression.gif").expect(200)
        equal((len(image.body), image.header("adtrack-recorded")), (43, "no"), "the image")
    finally:
        cluster.thaw(1)
    kafka.wait_for("a recorded visit after the broker went on", 30, lambda: visit("after").header("adtrack-recorded") is None, server)
    kafka.settled(server)
    check(_count(server) in (2, 3), f"{_count(server)} clicks: those before and after are sure, the one between is in doubt")
    check(kafka.total(kafka.metrics(server), "adtrack_visits_total") >= 4, "the visits are not in the metrics")
    equal(server.stop(), 0, "exit code")
