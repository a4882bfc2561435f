#!/usr/bin/env python3
"""The same events and the same questions in adtrackd and in PostgreSQL, asked in turn while events come in to both: clicks, visitors, impressions and
CTR of one ad over some hours, and the first 100 ads by clicks of 24 hours. PostgreSQL has its events indexed, and a table by ad and hour which each
batch's transaction keeps up to date, with visitors as HyperLogLog. Prints both, and what events and ads cost adtrackd in bytes."""

import argparse
import gc
import io
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import psycopg2

import peers
import harness
from query import ask

HOUR, DAY = 3600, 86_400
BINARIES = "/usr/lib/postgresql/15/bin"
CLICK, IMPRESSION = 0, 1
AGENTS = [text % version for version in range(100, 140) for text in (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%d.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36")]

# As a server of its own with some memory would be set, and for many short questions.
SETTINGS = {"listen_addresses": "", "shared_buffers": "1GB", "effective_cache_size": "4GB", "work_mem": "64MB", "maintenance_work_mem": "256MB",
            "max_wal_size": "4GB", "wal_compression": "lz4", "random_page_cost": "1.1", "jit": "off", "synchronous_commit": "on"}

TABLES = """
CREATE EXTENSION hll;
CREATE TABLE events (type smallint NOT NULL, ad_id bigint NOT NULL, event_id text NOT NULL, time timestamptz NOT NULL, visitor bigint NOT NULL,
                     PRIMARY KEY (ad_id, type, event_id));
CREATE INDEX ON events (ad_id, time);
CREATE TABLE by_hour (ad_id bigint, hour timestamptz, clicks bigint NOT NULL, impressions bigint NOT NULL, visitors hll NOT NULL,
                      PRIMARY KEY (ad_id, hour)) WITH (fillfactor = 80);
CREATE INDEX ON by_hour (hour);
"""

INCOMING = "CREATE TEMP TABLE incoming (LIKE events) ON COMMIT DELETE ROWS"

# A row that is there already is a duplicate and adds nothing. In the order of the key, so that two writers would not wait for each other.
ADD = """
WITH fresh AS (INSERT INTO events SELECT * FROM incoming ON CONFLICT DO NOTHING RETURNING type, ad_id, time, visitor)
INSERT INTO by_hour AS known (ad_id, hour, clicks, impressions, visitors)
SELECT ad_id, date_trunc('hour', time, 'UTC'), count(*) FILTER (WHERE type = 0), count(*) FILTER (WHERE type = 1),
       coalesce(hll_add_agg(hll_hash_bigint(visitor), 14, 5, -1, 1) FILTER (WHERE type = 0), hll_empty(14, 5, -1, 1))
FROM fresh GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (ad_id, hour) DO UPDATE SET clicks = known.clicks + excluded.clicks, impressions = known.impressions + excluded.impressions,
                                        visitors = known.visitors || excluded.visitors
"""

QUESTIONS = """
PREPARE one_ad (bigint, timestamptz, timestamptz) AS
SELECT $1, sum(clicks), sum(impressions), sum(clicks)::float8 / nullif(sum(impressions), 0), hll_cardinality(hll_union_agg(visitors))
FROM by_hour WHERE ad_id = $1 AND hour >= $2 AND hour < $3;
PREPARE top_ads (timestamptz, timestamptz) AS
WITH top AS (SELECT ad_id, sum(clicks) AS clicks, sum(impressions) AS impressions FROM by_hour WHERE hour >= $1 AND hour < $2
             GROUP BY ad_id ORDER BY 2 DESC, 1 LIMIT 100)
SELECT ad_id, top.clicks, top.impressions, top.clicks::float8 / nullif(top.impressions, 0),
       (SELECT hll_cardinality(hll_union_agg(visitors)) FROM by_hour WHERE by_hour.ad_id = top.ad_id AND hour >= $1 AND hour < $2)
FROM top ORDER BY 2 DESC, 1;
"""


def random_ad(rng, ads):
    """Ad k has a share that falls as 1 / k."""
    return min(ads, int(ads ** rng.random()))


def events(seed, ads, count, since, seconds):
    """(type, ad, id, time, visitor) of random events."""
    rng = random.Random(seed)
    for _ in range(count):
        kind, ad = CLICK if rng.random() < 0.3 else IMPRESSION, random_ad(rng, ads)
        yield kind, ad, f"{rng.getrandbits(128):032x}", since + int(rng.random() * seconds), rng.randrange(1_000_000)


def portions(source, size):
    part = []
    for each in source:
        part.append(each)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def rfc3339(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


class Adtrack:
    name = "adtrackd"

    def __init__(self, port):
        self.client = harness.Client("127.0.0.1", port, 60)
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incomplete = 0  # answers that lack shards which were late

    def add(self, part):
        lines = [f'{{"type":"{"click" if kind == CLICK else "impression"}","event_id":"{event}","ad_id":{ad},"timestamp":{at},'
                 f'"user_ip":"10.{visitor >> 16}.{visitor >> 8 & 255}.{visitor & 255}","agent":"{AGENTS[visitor % len(AGENTS)]}"}}'
                 for kind, ad, event, at, visitor in part]
        reply = self.client.request("POST", "/api/v1/ads/events", "\n".join(lines).encode(), {"Content-Type": "application/x-ndjson"})
        return reply.expect(202).json()

    def _rows(self, query, window):
        request = f"GET /api/v1/ads/analytics?{query}&since={rfc3339(window[0])}&until={rfc3339(window[1])} HTTP/1.1\r\nHost: bench\r\n\r\n"
        took, head, body = ask(self.connection, request.encode())
        if b" 200 " not in head[:16]:
            raise SystemExit(f"adtrackd answered {head!r} {body[:300]!r}")
        answer = json.loads(body)
        self.incomplete += not answer["complete"]
        return took, [(row["ad_id"], row["click_count"], row["impressions"], row["unique_clicks"]) for row in answer["data"]]

    def one_ad(self, ad, window):
        return self._rows(f"ad_id={ad}", window)

    def top_ads(self, window):
        return self._rows("sort=-click_count&limit=100", window)


class Postgres:
    name = "PostgreSQL 15"

    def __init__(self, directory):
        self.connection = psycopg2.connect(host=directory, user="postgres", dbname="postgres")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def run(self, text):
        self.cursor.execute(text)
        return self

    def add(self, part):
        lines = "".join(f"{kind}\t{ad}\t{event}\t{rfc3339(at)}\t{visitor}\n" for kind, ad, event, at, visitor in part)
        self.cursor.execute("BEGIN")
        self.cursor.copy_expert("COPY incoming FROM STDIN", io.StringIO(lines))
        self.cursor.execute(ADD)
        self.cursor.execute("COMMIT")

    def _rows(self, text, values):
        started = time.perf_counter()
        self.cursor.execute(text, values)
        rows = self.cursor.fetchall()
        took = (time.perf_counter() - started) * 1000
        return took, [(ad, clicks, impressions, round(visitors or 0)) for ad, clicks, impressions, _, visitors in rows if clicks is not None]

    def one_ad(self, ad, window):
        return self._rows("EXECUTE one_ad (%s, %s, %s)", (ad, *map(rfc3339, window)))

    def top_ads(self, window):
        return self._rows("EXECUTE top_ads (%s, %s)", tuple(map(rfc3339, window)))


def start_postgres(directory):
    """A server of our own on a socket in the directory; as the user postgres where we are root, which PostgreSQL refuses to run as."""
    as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    os.makedirs(directory)
    if as_user:
        shutil.chown(directory, "postgres", "postgres")
        os.chmod(os.path.dirname(directory), 0o711)
    data = os.path.join(directory, "data")
    subprocess.run([f"{BINARIES}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"], check=True, stdout=subprocess.DEVNULL,
                   cwd=directory, **as_user)
    options = [f"--{name}={value}" for name, value in {**SETTINGS, "unix_socket_directories": directory}.items()]
    with open(os.path.join(os.path.dirname(directory), "postgres.log"), "wb") as log:
        process = subprocess.Popen([f"{BINARIES}/postgres", "-D", data, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, **as_user)
    peer = peers.Peer(Postgres.name, process, 0)
    for _ in range(600):
        try:
            Postgres(directory)
            return peer
        except psycopg2.OperationalError as error:
            if process.poll() is not None:
                raise SystemExit(f"PostgreSQL ended with {process.returncode}: {log.name}") from error
            time.sleep(0.05)
    raise SystemExit(f"PostgreSQL does not answer: {log.name}")


def feed(options):
    """Events of the last minute at the rate, in batches of a tenth of a second's, until standard input closes; prints the rate that came in."""
    to = Adtrack(int(options.to)) if options.to.isdigit() else Postgres(options.to).run(INCOMING)
    size, number, started = options.rate // 10, 0, time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, started + number / 10 - time.monotonic()))[0]:
        to.add(list(events(f"live{number}", options.ads, size, int(time.time()) - 60, 60)))
        number += 1
    print(f"{number * size / (time.monotonic() - started):.0f}")


def same_answers(ours, theirs, options, day):
    """What is compared must answer the same: exactly, but for visitors beyond what either counts exactly."""
    asked = [lambda peer: peer.top_ads(day)] + [lambda peer, ad=ad: peer.one_ad(ad, day) for ad in (1, 2, 77, options.ads)]
    for question in asked:
        a, b = question(ours)[1], question(theirs)[1]
        harness.equal([row[:3] for row in a], [row[:3] for row in b], "rows of both")
        for mine, other in zip(a, b):
            harness.check(abs(mine[3] - other[3]) <= 0.06 * other[3], f"visitors of ad {mine[0]}: {mine[3]} and {other[3]}")


def measure(peer_a, peer_b, count, pace, question):
    """Sorted milliseconds of both, which are asked the same in turn at a steady pace."""
    took = [], []
    gc.disable()
    following = time.perf_counter()
    for _ in range(count):
        asked = question()
        for peer, out in zip((peer_a, peer_b), took):
            out.append(asked(peer)[0])
        following += 1 / pace
        time.sleep(max(0.0, following - time.perf_counter()))
    gc.enable()
    return sorted(took[0]), sorted(took[1])


def show(what, ours, theirs):
    def at(values, part):
        return values[min(len(values) - 1, int(len(values) * part))]
    parts = [f"{at(values, 0.5):9.2f}{at(values, 0.99):9.2f}{values[-1]:9.2f}" for values in (ours, theirs)]
    print(f"{what:46}{parts[0]}  |{parts[1]}  |{at(theirs, 0.5) / at(ours, 0.5):8.2f}{at(theirs, 0.99) / at(ours, 0.99):8.2f}", flush=True)


def all_questions(ours, theirs, options, day, when):
    rng = random.Random(1)

    def hours():
        since = day[0] + rng.randrange(20) * HOUR
        return since, since + rng.randrange(1, 13) * HOUR

    def busy_ad():
        ad, window = random_ad(rng, options.ads), hours()
        return lambda peer: peer.one_ad(ad, window)

    def any_ad():
        ad, window = rng.randrange(1, options.ads + 1), hours()
        return lambda peer: peer.one_ad(ad, window)

    show(f"one ad, as busy as events are, {when}", *measure(ours, theirs, options.queries, options.pace, busy_ad))
    show(f"one ad, any, {when}", *measure(ours, theirs, options.queries, options.pace, any_ad))
    show(f"first 100 ads, 24 h, {when}", *measure(ours, theirs, max(20, options.queries // 40), 4, lambda: lambda peer: peer.top_ads(day)))


def disk_bytes(path):
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk(path) for name in names)


def load(ours, theirs, options, day):
    """All events into both; the positions that hold them."""
    positions = {}
    for part in portions(events(0, options.ads, options.events, day[0], time.time() - day[0]), 5_000):
        positions.update(ours.add(part)["positions"])
        theirs.add(part)
    theirs.run("VACUUM ANALYZE").run("CHECKPOINT")
    return [f"{shard}:{offset}" for shard, offset in positions.items()]


def show_bytes(server, theirs, options):
    """After a stop and a start, so that all is in its place."""
    memory = server.rss_kib() / 1024
    server.restart()
    with_events = server.analytics(limit=1)["total"]
    log, shards = (disk_bytes(os.path.join(server.data_dir, name)) for name in ("log", "shards"))
    print(f"adtrackd: {log / options.events:.0f} bytes an event in the log, {shards / options.events:.0f} in the shards ({shards / with_events:.0f} an ad, "
          f"of {with_events} with events); {memory:.0f} MiB of memory after the load")
    theirs.run("SELECT pg_total_relation_size('events'), pg_total_relation_size('by_hour')")
    table, by_hour = (size / options.events for size in theirs.cursor.fetchone())
    print(f"PostgreSQL: {table:.0f} bytes an event in its table and indexes, {by_hour:.0f} in the table by hour", flush=True)


def under_load(ours, theirs, peers_by_name, options, day):
    feeders = [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--feed", "--to", to, "--ads", str(options.ads), "--rate", str(options.rate)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for to in options.to]
    time.sleep(3)
    cpu, wall = [peer.cpu_seconds() for peer in peers_by_name], time.monotonic()
    all_questions(ours, theirs, options, day, "events coming in")
    wall = time.monotonic() - wall
    shares = [(peer.cpu_seconds() - before) / wall * 100 for peer, before in zip(peers_by_name, cpu)]
    rates = [feeder.communicate()[0].strip() for feeder in feeders]
    print(f"meanwhile {rates[0]} and {rates[1]} events/s came in (aim {options.rate}); CPU {shares[0]:.0f} and {shares[1]:.0f} % of one", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir")
    parser.add_argument("--ads", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--queries", type=int, default=2_000, help="of one ad, twice; a fortieth of the first ads")
    parser.add_argument("--pace", type=int, default=100, help="queries of one ad a second")
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--to", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        feed(options)
        return
    os.makedirs(options.dir, exist_ok=True)
    directory = os.path.join(os.path.abspath(options.dir), "postgres")
    database = start_postgres(directory)
    peer = peers.start_adtrackd(os.path.join(options.dir, "adtrackd-postgres"))
    try:
        theirs = Postgres(directory).run(TABLES).run(INCOMING)
        now = int(time.time()) // HOUR * HOUR
        day = now - 23 * HOUR, now + HOUR
        started = time.monotonic()
        positions = load(Adtrack(peer.port), theirs, options, day)
        peer.server.analytics(positions, limit=1)
        print(f"{options.events} events over {options.ads} ads and 24 hours, loaded into both in {time.monotonic() - started:.0f} s; "
              f"{os.cpu_count()} CPUs shared by both and the client")
        show_bytes(peer.server, theirs, options)
        ours = Adtrack(peer.server.port)
        peer.process, peer.port = peer.server.process, peer.server.port
        theirs.run(QUESTIONS)
        same_answers(ours, theirs, options, day)
        print(f"{'milliseconds':46}{'adtrackd':>9}{'p99':>9}{'max':>9}  |{'PostgreSQL':>10}{'p99':>8}{'max':>9}  |{'ratio':>8}{'p99':>8}")
        measure(ours, theirs, 100, 1_000, lambda: lambda each: each.one_ad(random.randrange(1, options.ads), day))  # warm
        all_questions(ours, theirs, options, day, "at rest")
        options.to = [str(peer.port), directory]
        under_load(ours, theirs, (peer, database), options, day)
        print(f"{ours.incomplete} of adtrackd's answers lacked shards that were late")
    finally:
        peer.stop()
        database.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown; a terminate would wait for clients
        database.stop()


if __name__ == "__main__":
    main()
