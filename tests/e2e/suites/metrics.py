"""Contract section 7: the metrics, in Prometheus' text format 0.0.4."""

import os
import re
import threading
import time

from harness import AGENT, Failure, Suite, check, equal, raw_connect

suite = Suite("metrics", "contract sections 6 and 7: /metrics parses, holds the promised names, and tells the truth")

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def _parse(text):
    """{name: type}, {(name, sorted labels): value}; fails on anything that the format does not allow."""
    types, helps, samples = {}, set(), {}
    check(text.endswith("\n"), "the last line lacks its line feed")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in types, f"two TYPE lines for {name}")
            check(kind in ("counter", "gauge", "histogram", "summary", "untyped"), f"unknown type: {line}")
            types[name] = kind
        elif line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            check(name not in helps, f"two HELP lines for {name}")
            helps.add(name)
        elif line and not line.startswith("#"):
            match = _SAMPLE.match(line)
            check(match, f"not a sample: {line!r}")
            labels, at = [], 0
            for found in _LABEL.finditer(match.group(2) or ""):
                check(found.start() == at, f"labels of {line!r}")
                at = found.end()
                labels.append((found.group(1), found.group(2)))
            check(at == len(match.group(2) or ""), f"labels of {line!r}")
            key = (match.group(1), tuple(sorted(labels)))
            check(key not in samples, f"a series stands twice: {line!r}")
            try:
                samples[key] = float(match.group(3).replace("+Inf", "inf"))
            except ValueError as error:
                raise Failure(f"value of {line!r}") from error
            family = re.sub(r"_(bucket|sum|count)$", "", key[0])
            check(key[0] in types or family in types, f"no TYPE before {line!r}")
    return types, helps, samples


def _read(t):
    return _parse(t.server.get("/metrics").expect(200).body.decode())


def _sum(samples, name, **labels):
    return sum(value for (n, found), value in samples.items() if n == name and set(labels.items()) <= set(found))


def _warm_up(t):
    """Makes every kind of series exist: events, a refusal, a query, an error."""
    position = t.server.click(event_id="m-0", ad_id=1, user_ip="198.51.100.1", agent=AGENT)
    t.server.post_json("/api/v1/ads/click", {}).expect(400)
    t.server.analytics([position], ad_id=1)
    t.server.get("/nope").expect(404)


@suite.case("the text parses, with TYPE and HELP for every family")
def _(t):
    _warm_up(t)
    reply = t.server.get("/metrics").expect(200)
    equal((reply.header("content-type") or "").replace(" ", "").split(";")[:2], ["text/plain", "version=0.0.4"], "content type")
    types, helps, samples = _read(t)
    equal(sorted(set(types) - helps), [], "families without HELP")
    check(len(samples) > 20, f"only {len(samples)} series")


@suite.case("the names that deployments rely on are there, with their types")
def _(t):
    _warm_up(t)
    types, _, _ = _read(t)
    wanted = {"http_request_duration_seconds": "histogram", "http_requests_total": "counter", "http_connections": "gauge", "adtrack_events_total": "counter",
              "adtrack_events_rejected_total": "counter", "adtrack_log_append_seconds": "histogram", "adtrack_shard_lag_records": "gauge",
              "adtrack_shard_lag_seconds": "gauge", "adtrack_shard_apply_seconds": "histogram", "adtrack_query_seconds": "histogram"}
    equal({name: types.get(name) for name in wanted}, wanted, "types")


@suite.case("the labels are the promised ones, and every shard has its lag")
def _(t):
    _warm_up(t)
    _, _, samples = _read(t)
    for name, labels in (("adtrack_events_total", {"type", "fate"}), ("adtrack_events_rejected_total", {"reason"})):
        for (found, pairs) in samples:
            if found == name:
                equal({label for label, _ in pairs}, labels, f"labels of {name}")
    for name in ("adtrack_shard_lag_records", "adtrack_shard_lag_seconds"):
        equal(sorted(int(dict(pairs)["shard"]) for (found, pairs) in samples if found == name), list(range(16)), f"shards of {name}")


@suite.case("histograms are cumulative and +Inf is the count")
def _(t):
    _warm_up(t)
    types, _, samples = _read(t)
    groups = {}
    for (name, pairs), value in samples.items():
        family = name[:-len("_bucket")]
        if name.endswith("_bucket") and types.get(family) == "histogram":
            labels = dict(pairs)
            bound = float(labels.pop("le").replace("+Inf", "inf"))
            groups.setdefault((family, tuple(sorted(labels.items()))), []).append((bound, value))
    check(groups, "no histogram at all")
    for (family, labels), buckets in groups.items():
        buckets.sort()
        values = [value for _, value in buckets]
        equal(values, sorted(values), f"buckets of {family}{labels}")
        equal((buckets[-1][0], buckets[-1][1]), (float("inf"), samples[(family + "_count", labels)]), f"last bucket of {family}{labels}")
        check((family + "_sum", labels) in samples, f"{family}_sum{labels} is missing")


@suite.case("events, duplicates, refusals and requests are counted as they happen")
def _(t):
    _warm_up(t)
    _, _, before = _read(t)
    positions = [t.server.click(event_id=f"m-{i}", ad_id=2, user_ip=f"198.51.100.{i}", agent=AGENT) for i in range(30)]
    positions += [t.server.click(event_id="m-7", ad_id=2, user_ip="198.51.100.7", agent=AGENT) for _ in range(5)]
    for _ in range(4):
        t.server.post_json("/api/v1/ads/click", {"event_id": "x", "ad_id": 0}).expect(400)
    t.server.analytics(positions, ad_id=2)
    _, _, after = _read(t)

    def grown(name, **labels):
        return _sum(after, name, **labels) - _sum(before, name, **labels)
    equal(grown("adtrack_events_total", type="click", fate="accepted"), 35, "accepted clicks")
    equal(grown("adtrack_events_total", fate="duplicate"), 5, "duplicates")
    equal(grown("adtrack_events_total", type="click", fate="duplicate"), 5, "duplicate clicks")
    equal(grown("adtrack_events_rejected_total"), 4, "refused events")
    check(grown("http_requests_total") >= 40, f"requests grew by {grown('http_requests_total')}")
    check(grown("adtrack_log_append_seconds_count") >= 1, "appends")
    check(grown("adtrack_query_seconds_count") >= 1, "queries")
    check(_sum(after, "http_connections") >= 1, "this very connection is counted")
    deadline = time.monotonic() + 5  # the lag is measured once a second
    while _sum(after, "adtrack_shard_lag_records") != 0 and time.monotonic() < deadline:
        time.sleep(0.2)
        _, _, after = _read(t)
    equal(_sum(after, "adtrack_shard_lag_records"), 0, "lag when everything is applied")


@suite.case("paths that clients invent do not make series")
def _(t):
    _warm_up(t)
    before = len(_read(t)[2])
    for i in range(200):
        t.server.get(f"/nope/{i}")
        t.server.get(f"/api/v1/ads/{1_000_000 + i}")
        t.server.request("BREW" if i % 2 else f"X{i}", "/healthz")
    after = len(_read(t)[2])
    check(after - before < 150, f"600 invented requests made {after - before} series")


def _until(t, what, holds):
    """Reads until it holds: levels are taken once a second."""
    deadline = time.monotonic() + 5
    while True:
        samples = _read(t)[2]
        if holds(samples):
            return samples
        check(time.monotonic() < deadline, f"not within 5 s: {what}")
        time.sleep(0.05)


@suite.case("a request that waits is in flight, and no longer when it is answered")
def _(t):
    shard = t.server.click(event_id="in-flight", ad_id=1, user_ip="198.51.100.1", agent=AGENT).split(":")[0]
    answers = []
    path = f"/api/v1/ads/analytics?ad_id=1&min_position={shard}:1000000&timeout_ms=1500"
    waiting = threading.Thread(target=lambda: answers.append(t.server.client().request("GET", path).status))
    _until(t, "nothing in flight before", lambda s: _sum(s, "http_requests_in_flight") == 0)
    waiting.start()
    _until(t, "a question in flight", lambda s: _sum(s, "http_requests_in_flight") == 1)
    waiting.join()
    equal(answers, [504], "answers to the question that waited")
    _until(t, "nothing in flight after", lambda s: _sum(s, "http_requests_in_flight") == 0)
    gone = raw_connect(t.server)
    gone.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    _until(t, "a question in flight again", lambda s: _sum(s, "http_requests_in_flight") == 1)
    gone.close()
    _until(t, "nothing in flight once its client has gone", lambda s: _sum(s, "http_requests_in_flight") == 0)


@suite.case("events of long ago are counted as late, others are not")
def _(t):
    before = _read(t)[2]
    now = int(time.time())
    positions = [t.server.click(event_id=f"late-{age}", ad_id=3, user_ip="198.51.100.9", agent=AGENT, timestamp=now - age) for age in (0, 1_800, 4_000, 90_000)]
    t.server.analytics(positions, ad_id=3)
    after = _read(t)[2]
    equal(_sum(after, "adtrack_events_late_total", type="click") - _sum(before, "adtrack_events_late_total", type="click"), 2, "late clicks")


@suite.case("ready, the disk and the databases are as they are")
def _(t):
    _warm_up(t)
    samples = _until(t, "a size of the disk", lambda s: _sum(s, "adtrack_disk_size_bytes") > 0)
    equal(_sum(samples, "adtrack_ready"), 1, "ready")
    disk = os.statvfs(t.server.data_dir)
    equal(_sum(samples, "adtrack_disk_size_bytes"), disk.f_blocks * disk.f_frsize, "size of the disk")
    check(abs(_sum(samples, "adtrack_disk_free_bytes") - disk.f_bavail * disk.f_frsize) < 1 << 30, "free bytes of the disk")
    embedded = t.server.flags.get("log.backend", "embedded") == "embedded"
    for name in ("log", "shards") if embedded else ("shards",):
        check(_sum(samples, "adtrack_rocksdb_memory_bytes", db=name, kind="memtables") > 0, f"memory of the database {name}")
        equal(_sum(samples, "adtrack_rocksdb_write_stopped", db=name), 0, f"writes of the database {name}")
        for metric in ("size_bytes", "pending_compaction_bytes", "running_compactions"):
            check((f"adtrack_rocksdb_{metric}", (("db", name),)) in samples, f"adtrack_rocksdb_{metric} of {name}")
    if embedded:
        t.server.click(event_id="synced", ad_id=1, user_ip="198.51.100.1", agent=AGENT)
        after = _read(t)[2]
        equal(_sum(after, "adtrack_log_sync_seconds_count") - _sum(samples, "adtrack_log_sync_seconds_count"), 1, "syncs of one event's append")
