"""Contract section 3: the click-through redirect and the impression image, signed links, ads.require_known."""

import os
import re
import subprocess
import time
import urllib.parse

from harness import ROOT, Server, Suite, check, equal, fresh_dir

suite = Suite("visits", "contract section 3: redirects and images record, whatever happens the visitor is sent on, signed links, known ads only")

ADS = "/api/v1/ads"
URL = "https://example.com/landing?a=1&b=%20"


def _ad(server, url=URL):
    return server.admin("POST", ADS, {"title": "T", "url": url}).expect(201).json()["id"]


def _visit(server, ad, query="", kind="click", method="GET", agent="Mozilla/5.0 visits"):
    return server.request(method, f"{ADS}/{ad}/{kind}{query}", headers={"User-Agent": agent})


def _row(server, ad):
    rows = server.get(f"{ADS}/analytics", {"ad_id": ad}).expect(200).json()["data"]
    return rows[0] if rows else {"gross_clicks": 0, "impressions": 0, "duplicates": 0, "click_count": 0, "unique_clicks": 0}


def _wait(server, ad, name, value):
    until = time.monotonic() + 10
    while _row(server, ad)[name] != value and time.monotonic() < until:
        time.sleep(0.02)
    equal(_row(server, ad)[name], value, name)


@suite.case("a click link redirects to the ad's url and counts one click; the same link again is a duplicate")
def _(t):
    ad = _ad(t.server)
    for _ in range(3):
        reply = _visit(t.server, ad, "?event_id=click-1&gclid=x&url=https://evil.example/").expect(302)
        equal(reply.header("location"), URL, "Location")
        equal(reply.header("cache-control"), "no-store", "Cache-Control")
        equal(reply.header("x-event-id"), "click-1", "X-Event-Id")
        equal(reply.header("adtrack-recorded"), None, "Adtrack-Recorded")
    _wait(t.server, ad, "duplicates", 2)
    equal(_row(t.server, ad)["click_count"], 1, "clicks")


@suite.case("links without an id count each visit, and two agents are two visitors")
def _(t):
    ad = _ad(t.server)
    ids = {_visit(t.server, ad, agent=f"Mozilla/5.0 number {n % 2}").expect(302).header("x-event-id") for n in range(10)}
    equal(len(ids), 10, "event ids")
    check(all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids), f"UUIDs: {ids}")
    _wait(t.server, ad, "gross_clicks", 10)  # in a moment: but two are repeats
    equal(_row(t.server, ad)["unique_clicks"], 2, "visitors")


@suite.case("the image is a GIF of 43 bytes and counts an impression, of any ad")
def _(t):
    for ad in (_ad(t.server), 987654321):
        reply = _visit(t.server, ad, "?event_id=i-1", "impression.gif").expect(200)
        equal(reply.header("content-type"), "image/gif", "Content-Type")
        equal((len(reply.body), reply.body[:6]), (43, b"GIF89a"), "image")
        _visit(t.server, ad, "?event_id=i-2", "impression.gif").expect(200)
        _wait(t.server, ad, "impressions", 2)


@suite.case("HEAD records nothing, and an unknown ad is 404")
def _(t):
    ad = _ad(t.server)
    equal(_visit(t.server, ad, "?event_id=h", method="HEAD").expect(302).header("location"), URL, "Location")
    equal(_visit(t.server, ad, "", "impression.gif", "HEAD").expect(200).header("content-length"), "43", "Content-Length")
    _visit(t.server, 987654322).expect_problem(404)
    _visit(t.server, ad, "?event_id=a%20b").expect_problem(400, field="event_id")
    _visit(t.server, ad, "?event_id=counted").expect(302)
    _wait(t.server, ad, "click_count", 1)
    equal(_row(t.server, ad)["impressions"], 0, "impressions")
    equal(_row(t.server, 987654322)["gross_clicks"], 0, "clicks of no ad")


@suite.case("a changed ad leads to its new url at once, a deleted one nowhere")
def _(t):
    ad = _ad(t.server)
    t.server.admin("PUT", f"{ADS}/{ad}", {"title": "T", "url": "http://other.example/"}).expect(200)
    equal(_visit(t.server, ad).expect(302).header("location"), "http://other.example/", "Location")
    t.server.admin("DELETE", f"{ADS}/{ad}").expect(204)
    _visit(t.server, ad).expect_problem(404)


@suite.case("links are the same after a restart, and nothing recorded is lost by kill -9")
def _(t):
    server = Server().start()
    ad = _ad(server)
    for n in range(200):
        _visit(server, ad, f"?event_id=k-{n}").expect(302)
    server.kill()
    server.start()
    equal(_visit(server, ad, "?event_id=k-0").expect(302).header("location"), URL, "Location")
    _wait(server, ad, "duplicates", 1)
    equal(_row(server, ad)["gross_clicks"], 200, "clicks")
    server.stop()


@suite.case("links of make-link.sh are followed; forged, expired and unsigned ones are 403; keys are rotated while it runs")
def _(t):
    directory = fresh_dir("links")
    keys = os.path.join(directory, "link.keys")

    def script(*arguments):
        return subprocess.run([os.path.join(ROOT, "scripts", "make-link.sh"), *arguments], check=True, capture_output=True, text=True).stdout.strip()

    with open(keys, "w", encoding="ascii") as file:
        file.write(script("key", "k1") + "\n")
    server = Server(flags={"redirect.key_file": keys, "redirect.require_signature": "true", "http.reload_ms": "100"}).start()
    ad = _ad(server)

    def link(*more):
        parts = urllib.parse.urlsplit(script("link", "--keys", keys, *more, str(ad)))
        return f"{parts.path}?{parts.query}"

    good = link("--event-id", "a/b&c=%")
    equal(server.get(good).expect(302).header("x-event-id"), "a/b&c=%", "X-Event-Id")
    server.get(good.replace("event_id=a", "event_id=b")).expect_problem(403)
    server.get(good.replace(f"/{ad}/", f"/{_ad(server)}/")).expect_problem(403)
    _visit(server, ad, "?event_id=unsigned").expect_problem(403)
    short = link("--valid", "1")
    time.sleep(1.1)
    server.get(short).expect_problem(403, text="expired")
    with open(keys, "w", encoding="ascii") as file:
        file.write(script("key", "k2") + "\n")
    until = time.monotonic() + 10
    while server.get(good).status == 302 and time.monotonic() < until:
        time.sleep(0.05)
    server.get(good).expect_problem(403)
    server.get(link()).expect(302)
    with open(keys, "w", encoding="ascii") as file:
        file.write("rubbish\n")
    while not server.get("/readyz").expect(200).json()["degraded"] and time.monotonic() < until + 10:
        time.sleep(0.05)
    check("link" in str(server.get("/readyz").json()["degraded"]) or "key file" in str(server.get("/readyz").json()["degraded"]),
          "the broken file is not shown")
    _wait(server, ad, "gross_clicks", 2)
    server.stop()


@suite.case("ads.require_known: events of other ads are refused, of known ones counted")
def _(t):
    server = Server(flags={"ads.require_known": "true"}).start()
    ad = _ad(server)
    server.post_json("/api/v1/ads/click", {"event_id": "e1", "ad_id": ad}).expect(202)
    server.post_json("/api/v1/ads/click", {"event_id": "e1", "ad_id": ad + 1}).expect_problem(400)
    _visit(server, ad + 1, "", "impression.gif").expect_problem(400)
    server.admin("DELETE", f"{ADS}/{ad}").expect(204)
    server.post_json("/api/v1/ads/click", {"event_id": "e2", "ad_id": ad}).expect_problem(400)
    _wait(server, ad, "gross_clicks", 1)
    equal(_row(server, ad + 1)["gross_clicks"], 0, "clicks of no ad")
    server.stop()
