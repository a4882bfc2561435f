"""The four calls of the original API, as their users know them."""

import re
import time

from harness import AGENT, Suite, equal, check

suite = Suite("original_api", "issue: the original API's four calls; contract sections 3, 4, 5, 6")

AD_FIELDS = {"title": "Summer Sale", "description": "Up to 50% off", "url": "https://example.com/summer"}


def _demo_ads(t, wanted):
    total = t.server.get("/api/v1/ads", {"page": 1, "limit": 1}).expect(200).json()["pagination"]["total"]
    for number in range(total, wanted):
        t.server.admin("POST", "/api/v1/ads", {**AD_FIELDS, "title": f"Ad {number}"}).expect(201)


def _check_list(reply):
    answer = reply.expect(200).json()
    equal(sorted(answer), ["ads", "pagination"], f"members of {reply}")
    equal(answer["pagination"], {"page": 1, "limit": 10, "total": 12, "total_pages": 2}, f"pagination of {reply}")
    equal(len(answer["ads"]), 10, "ads on the page")
    for ad in answer["ads"]:
        for member, kind in (("id", int), ("title", str), ("description", str), ("url", str), ("created_at", str)):
            check(isinstance(ad.get(member), kind), f"ad lacks {member} ({kind.__name__}): {ad}")
    ids = [ad["id"] for ad in answer["ads"]]
    equal(ids, sorted(ids), "order of the ads")
    check((reply.header("content-type") or "").startswith("application/json"), f"content type: {reply.header('content-type')}")


@suite.case("GET /api/v1/ads?page=1&limit=10 lists ads with pagination")
def _(t):
    _demo_ads(t, 12)
    _check_list(t.server.get("/api/v1/ads?page=1&limit=10"))


@suite.case("GET /api/v1/ads/?page=1&limit=10 is the same list")
def _(t):
    _demo_ads(t, 12)
    _check_list(t.server.get("/api/v1/ads/?page=1&limit=10"))


@suite.case("POST /api/v1/ads/click takes the seven fields and the analytics of that ad show it")
def _(t):
    at = 1753200972  # 2025-07-22T16:16:12Z
    reply = t.server.post_json("/api/v1/ads/click", {
        "event_id": "0b2f6a2e-9f0a-4a55-8d39-6f4d1f5b0c11", "ad_id": 32, "user_ip": "192.168.1.100", "agent": AGENT,
        "play_time_secs": 30, "watched_percent": 80, "timestamp": at}).expect(202)
    answer = reply.json()
    equal(answer["status"], "accepted", f"status of {reply}")
    equal(answer["event_id"], "0b2f6a2e-9f0a-4a55-8d39-6f4d1f5b0c11", f"event_id of {reply}")
    equal(answer["durability"], "log", f"durability of {reply}")
    check(re.fullmatch(r"\d+:\d+", answer["position"]), f"position of {reply}")
    rows = t.server.analytics([answer["position"]], ad_id=32, since="2025-07-22T16:00:00Z", until="2025-07-22T17:00:00Z")
    equal(rows["total"], 1, "rows")
    row = rows["data"][0]
    for name, value in (("ad_id", 32), ("click_count", 1), ("unique_clicks", 1), ("avg_playback_time", 30.0), ("avg_watch_percent", 80.0)):
        equal(row[name], value, name)
    check(isinstance(rows["is_real_time"], bool), "is_real_time is a boolean")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["last_updated"]), f"last_updated {row['last_updated']}")


@suite.case("an event of now is in the analytics without any time window")
def _(t):
    position = t.server.click(event_id="now-1", ad_id=33, user_ip="192.168.1.101", agent=AGENT, timestamp=int(time.time()))
    answer = t.server.analytics([position], ad_id=33)
    equal([row["click_count"] for row in answer["data"]], [1], "click counts")
    equal((answer["since"], answer["until"]), (None, None), "window")


@suite.case("GET /metrics is Prometheus text")
def _(t):
    reply = t.server.get("/metrics").expect(200)
    check((reply.header("content-type") or "").startswith("text/plain"), f"content type: {reply.header('content-type')}")
    check(b"# TYPE http_requests_total counter" in reply.body, "http_requests_total is a typed counter")
