"""Contract section 3: batches of events, and what becomes of them when the process is killed."""

import contextlib
import gzip
import http.client
import json
import random
import threading
import time

from harness import AGENT, Failure, Server, Suite, check, equal, raw_connect, read_reply

suite = Suite("batch", "contract section 3: valid items are accepted whatever the others are, 202 only when all of them are durable")

EVENTS = "/api/v1/ads/events"
NDJSON = {"Content-Type": "application/x-ndjson"}
_run = random.randrange(1 << 40)
_numbers = iter(range(1, 1 << 30))
_ads = iter(range(700_001, 800_000))


def _item(ad, **changes):
    """A valid click with an identity and a visitor of its own; a change to `...` takes the field out."""
    number = next(_numbers)
    fields = {"type": "click", "event_id": f"batch-{_run}-{number}", "ad_id": ad, "user_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
              "agent": AGENT, "timestamp": int(time.time()) - 60}
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def _lines(items):
    return b"\n".join(json.dumps(item).encode() for item in items)


def _positions(reply):
    return [f"{shard}:{offset}" for shard, offset in reply.json()["positions"].items()]


def _row(t, ad, positions):
    rows = t.server.analytics(positions, ad_id=ad)["data"]
    return rows[0] if rows else {"gross_clicks": 0, "click_count": 0, "impressions": 0, "duplicates": 0, "conflicts": 0}


@suite.case("an array of all types with bad items between: the good ones count, the bad ones are named")
def _(t):
    ad = next(_ads)
    items = [_item(ad), _item(ad, ad_id="7"), _item(ad, type="impression"), 5, _item(ad, type="playback"), _item(ad, type="playback", progress="start"),
             _item(ad, type="view"), _item(ad)]
    reply = t.server.post_json(EVENTS, items).expect(202)
    answer = reply.json()
    equal(answer["accepted"], 4, "accepted")
    equal([(r["index"], [e["field"] for e in r["errors"]]) for r in answer["rejected"]], [(1, ["ad_id"]), (3, [""]), (4, ["progress"]), (6, ["type"])], "rejected")
    equal((answer["rejected_count"], answer["durability"], len(answer["positions"])), (4, "log", 1), f"the rest of {reply}")
    row = _row(t, ad, _positions(reply))
    equal((row["click_count"], row["impressions"], row["gross_clicks"]), (2, 1, 2), f"counts of {row}")


@suite.case("lines, with CR LF and blank ones: a line that is no JSON rejects itself, blank lines are not counted")
def _(t):
    ad = next(_ads)
    body = b"\r\n" + json.dumps(_item(ad)).encode() + b"\r\n\r\n{broken\r\n  \n" + json.dumps(_item(ad)).encode() + b"\n\xff\n" + json.dumps(_item(ad)).encode()
    reply = t.server.request("POST", EVENTS, body, NDJSON).expect(202)
    equal(reply.json()["accepted"], 3, "accepted")
    equal([r["index"] for r in reply.json()["rejected"]], [1, 3], "rejected")
    equal(_row(t, ad, _positions(reply))["gross_clicks"], 3, "clicks")


@suite.case("the position of each shard is the highest: with all of them every event of the batch is read back")
def _(t):
    ads = [next(_ads) for _ in range(200)]
    reply = t.server.request("POST", EVENTS, _lines(_item(ad) for ad in ads for _ in range(5)), NDJSON).expect(202)
    answer = reply.json()
    equal(answer["accepted"], 1000, "accepted")
    check(len(answer["positions"]) > 8, f"1,000 events of 200 ads are in {len(answer['positions'])} shards only")
    rows, page = {}, 1
    while len(rows) < len(ads):
        data = t.server.analytics(_positions(reply), ad_id=ads[(page - 1) * 50:page * 50], limit=1000)["data"]
        check(data, f"{len(rows)} of {len(ads)} ads were read back")
        rows.update({row["ad_id"]: row["click_count"] for row in data})
        page += 1
    equal(rows, {ad: 5 for ad in ads}, "clicks by ad")


@suite.case("gzip, also of several members; damaged or followed by something else is 400")
def _(t):
    ad = next(_ads)
    coded = {**NDJSON, "Content-Encoding": "gzip"}
    packed = gzip.compress(_lines([_item(ad), _item(ad)]) + b"\n") + gzip.compress(_lines([_item(ad)]))
    reply = t.server.request("POST", EVENTS, packed, coded).expect(202)
    equal(reply.json()["accepted"], 3, "accepted")
    array = gzip.compress(json.dumps([_item(ad)]).encode())
    reply = t.server.request("POST", EVENTS, array, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}).expect(202)
    for bad in (array + b"x", array[:-1], array[:-8] + b"\0" * 8, b"", b"[]"):
        t.server.request("POST", EVENTS, bad, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}).expect_problem(400)
    for coding in ("deflate", "br", "gzip, gzip"):
        t.server.request("POST", EVENTS, array, {"Content-Type": "text/plain", "Content-Encoding": coding}).expect_problem(415)
    equal(_row(t, ad, _positions(reply))["gross_clicks"], 4, "clicks")


@suite.case("an event within a batch that stands there twice, and a batch that is sent twice, count once")
def _(t):
    ad = next(_ads)
    items = [_item(ad) for _ in range(50)]
    twice = items + items[:10] + [{**items[0], "timestamp": items[0]["timestamp"] - 1}]
    first = t.server.post_json(EVENTS, twice).expect(202)
    second = t.server.post_json(EVENTS, twice).expect(202)
    equal((first.json()["accepted"], second.json()["accepted"]), (61, 61), "accepted")
    row = _row(t, ad, _positions(first) + _positions(second))
    equal((row["gross_clicks"], row["duplicates"], row["conflicts"]), (50, 72, 2), f"counts of {row}")


@suite.case("10,000 events are taken, 10,001 are 413, and nothing of these is counted")
def _(t):
    ad, other = next(_ads), next(_ads)
    t.server.request("POST", EVENTS, _lines(_item(other, agent=...) for _ in range(10_001)), NDJSON).expect_problem(413)
    reply = t.server.request("POST", EVENTS, _lines(_item(ad, agent=...) for _ in range(10_000)), NDJSON).expect(202)
    equal(reply.json()["accepted"], 10_000, "accepted")
    equal(_row(t, ad, _positions(reply))["gross_clicks"], 10_000, "clicks")
    equal(_row(t, other, _positions(reply))["gross_clicks"], 0, "clicks of the refused batch")


@suite.case("8 MiB are taken, a byte more is 413 before it is sent, and so is what inflates to more")
def _(t):
    ad, limit = next(_ads), 8 << 20
    body = json.dumps([_item(ad)]).encode()
    reply = t.server.post_json(EVENTS, body + b" " * (limit - len(body))).expect(202)
    with contextlib.closing(raw_connect(t.server)) as connection:
        connection.sendall(b"POST /api/v1/ads/events HTTP/1.1\r\nHost: e2e\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (limit + 1))
        equal(read_reply(connection)[0].status, 413, "status before any of the body was sent")
    bomb = gzip.compress(body + b" " * (100 << 20))
    check(len(bomb) < 200_000, "the bomb is not one")
    before = t.server.rss_kib()
    for _ in range(10):
        t.server.post_json(EVENTS, bomb, {"Content-Encoding": "gzip"}).expect_problem(413)
    grown = t.server.rss_kib() - before
    check(grown < 64 << 10, f"ten bombs of 100 MiB made it grow by {grown >> 10} MiB")
    equal(_row(t, ad, _positions(reply))["gross_clicks"], 1, "clicks")


@suite.case("a broken array appends nothing, none valid is 400, an empty batch is taken")
def _(t):
    ad = next(_ads)
    good = json.dumps(_item(ad)).encode()
    for bad in (b"[" + good, b"[" + good + b",]", b"[" + good + b"]]", b"[" + good + b',{"x":}]', good, b"", b"\xef\xbb\xbf[" + good + b"]"):
        t.server.post_json(EVENTS, bad).expect_problem(400)
    reply = t.server.post_json(EVENTS, [_item(ad, ad_id=0), {}]).expect_problem(400, "[0].ad_id")
    check("[1].type" in [e["field"] for e in reply.json()["errors"]], f"no error names the second item: {reply}")
    for headers, empty in (({}, b"[]"), (NDJSON, b""), (NDJSON, b"\r\n")):
        answer = t.server.post_json(EVENTS, empty, headers).expect(202).json()
        equal((answer["accepted"], answer["rejected"], answer["positions"]), (0, [], {}), "the answer to nothing")
    reply = t.server.post_json(EVENTS, [_item(ad)]).expect(202)
    equal(_row(t, ad, _positions(reply))["gross_clicks"], 1, "clicks")


@suite.case("rejected events are in the metrics by reason, accepted ones by type")
def _(t):
    def count(name, **labels):
        text = t.server.get("/metrics").expect(200).body.decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{") and all(w in line for w in wanted))
    before = [count("adtrack_events_rejected_total", reason=reason) for reason in ("syntax", "validation")]
    accepted = count("adtrack_events_total", type="impression", fate="accepted")
    ad = next(_ads)
    t.server.request("POST", EVENTS, _lines([_item(ad, type="impression")] * 3 + [{}] * 4) + b"\nx\ny", NDJSON).expect(202)
    after = [count("adtrack_events_rejected_total", reason=reason) for reason in ("syntax", "validation")]
    equal([b - a for a, b in zip(before, after)], [2, 4], "rejected by syntax and by validation")
    equal(count("adtrack_events_total", type="impression", fate="accepted") - accepted, 3, "accepted impressions")


class _Sender(threading.Thread):
    """Sends its own batches one after the other, each again and again until it is answered 202."""

    BATCH = 300

    def __init__(self, server, number, ads, seed):
        super().__init__(daemon=True)
        self.server, self.number, self.ads = server, number, ads
        self.random = random.Random(seed * 1000 + number)
        self.stopping = threading.Event()
        self.by_ad = {}
        self.acked = self.repeats = 0
        self.newest = {}
        self.error = None

    def run(self):
        try:
            batch = 0
            while not self.stopping.is_set():
                self._send(batch)
                batch += 1
        except Exception as error:  # told by the test
            self.error = error

    def _send(self, batch):
        items, bad = [], set()
        for i in range(self.BATCH):
            ad = self.random.choice(self.ads)
            items.append({"type": "click", "event_id": f"k{self.number}-{batch}-{i}", "ad_id": ad, "agent": AGENT, "timestamp": 1_753_200_000 + i,
                          "user_ip": f"10.{self.number}.{batch & 255}.{i & 255}"})
            if self.random.random() < 0.01:
                bad.add(i)
                items[i]["ad_id"] = 0
            else:
                self.by_ad[ad] = self.by_ad.get(ad, 0) + 1
        body, headers = _lines(items), dict(NDJSON)
        if batch % 3 == 0:
            body, headers = json.dumps(items).encode(), {"Content-Type": "application/json"}
        if batch % 2 == 0:
            body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
        first = True
        while True:
            self.repeats += not first
            first = False
            connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=15)
            try:
                connection.request("POST", EVENTS, body, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
                continue
            finally:
                connection.close()
            if response.status == 503:
                time.sleep(0.05)
                continue
            if response.status != 202:
                raise Failure(f"a batch was answered {response.status}: {answer[:300]!r}")
            answer = json.loads(answer)
            equal(answer["accepted"], self.BATCH - len(bad), "accepted")
            equal([r["index"] for r in answer["rejected"]], sorted(bad), "rejected")
            for shard, offset in answer["positions"].items():
                self.newest[shard] = max(self.newest.get(shard, -1), offset)
            self.acked += answer["accepted"]
            return


@suite.case("kill -9 under a load of batches that are sent until they are acknowledged: every event counts exactly once")
def _(t):
    generator = random.Random(t.options.seed)
    server = Server(name="batch-kill", flags={"traffic.repeat_click_secs": 0}).start()
    senders = [_Sender(server, number, list(range(1, 301)), t.options.seed) for number in range(6)]
    for sender in senders:
        sender.start()
    for _ in range(t.options.kills):
        time.sleep(generator.uniform(0.3, 1.2))
        server.restart(hard=True)
    time.sleep(0.5)
    for sender in senders:
        sender.stopping.set()
    newest, wanted = {}, {}
    for sender in senders:
        sender.join(60)
        check(not sender.is_alive(), lambda: f"a batch was not acknowledged within 60 s; {server.log_tail(400)}")
        if sender.error is not None:
            raise sender.error
        for shard, offset in sender.newest.items():
            newest[shard] = max(newest.get(shard, -1), offset)
        for ad, count in sender.by_ad.items():
            wanted[ad] = wanted.get(ad, 0) + count
    rows = server.all_rows([f"{shard}:{offset}" for shard, offset in newest.items()])
    duplicates = sum(row["duplicates"] for row in rows.values())
    t.note(f"{sum(s.acked for s in senders)} events in batches of {_Sender.BATCH}, {t.options.kills} kills, {sum(s.repeats for s in senders)} batches sent again, "
           f"{duplicates} duplicates")
    equal({ad: row["gross_clicks"] for ad, row in rows.items()}, wanted, "clicks by ad")
    check(sum(s.repeats for s in senders) > 0, "no batch was ever sent again: nothing was tested")
    equal(server.stop(), 0, "exit code")
