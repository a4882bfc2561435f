"""The dashboard as its suites see it: a browser with the page of a server in it, events to look at, and what the page must show of an
answer of the API."""

import json
import os
import time

from browser import Browser
from harness import AGENT, equal

HOSTILE = """<img src=x onerror="window.owned=1"><script>window.owned=1</script>"""
LONG = "Werbung" * 28
BOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"
SHOTS = os.environ.get("DASHBOARD_SHOTS")
LIVE = "return document.querySelector('.connection').dataset.state === 'live'"

kept = {}  # the browser, and the ads of the suite's server


def close():
    if "browser" in kept:
        kept.pop("browser").close()
    kept.clear()


def the_browser():
    if "browser" not in kept:
        kept["browser"] = Browser()
    return kept["browser"]


def shot(browser, name):
    if SHOTS:
        browser.screenshot(os.path.join(SHOTS, f"{name}.png"))


def send(server, events):
    """As one batch; they are counted when this returns."""
    reply = server.request("POST", "/api/v1/ads/events", json.dumps(events).encode(), {"Content-Type": "application/json"}).expect(202)
    server.analytics([f"{shard}:{offset}" for shard, offset in reply.json()["positions"].items()])


def ads_with_events(server):
    """Four ads, one with a hostile and one with a long name, and their events of the last minutes, hours and days."""
    if "ads" in kept:
        return kept["ads"]
    ads = [server.admin("POST", "/api/v1/ads", {"title": title, "url": "https://example.com/"}).expect(201).json()["id"]
           for title in ("Spring sale", HOSTILE, LONG, "Radio")]
    now = int(time.time())
    events = []
    for number, ad in enumerate([*ads, 4711]):  # the last one is in no catalogue
        for age, times in ((100, 3), (7_000, 2), (300_000, 4), (2_000_000, 1)):
            for n in range(times * (number + 1)):
                common = {"ad_id": ad, "user_ip": f"198.51.{number}.{n + 1}", "agent": AGENT, "timestamp": now - age}
                name = f"{ad}-{age}-{n}"
                events.append({"type": "click", "event_id": f"c{name}", **common})
                events.append({"type": "click", "event_id": f"c{name}", **common})  # a duplicate
                events.append({"type": "click", "event_id": f"b{name}", **common, "agent": BOT})
                events += [{"type": "impression", "event_id": f"i{name}-{i}", **common} for i in range(7 + number)]
                events += [{"type": "playback", "event_id": f"p{name}-{step}", "progress": step, **common}
                           for step in ("start", "first_quartile", "midpoint", "third_quartile", "complete")[:1 + n % 5]]
    send(server, events)
    kept["ads"] = ads
    return ads


def open_page(t, path="/", server=None):
    server = server or t.server
    browser = the_browser()
    browser.size(1280, 900)
    browser.scheme("light")
    browser.go("about:blank")
    browser.console(), browser.requests()
    browser.go(f"http://{server.host}:{server.port}{path}")
    browser.wait(LIVE, what="the page is live")
    return browser


def count_of(text):
    return int(text.replace(",", ""))


def percent_of(value):
    return f"{value * 100:.2f}%"


def sums_of(answer):
    rows = answer["data"]
    invalid = {}
    for row in rows:
        for reason, n in row["invalid_clicks"].items():
            invalid[reason] = invalid.get(reason, 0) + n
    clicks, impressions = sum(row["click_count"] for row in rows), sum(row["impressions"] for row in rows)
    return {"clicks": clicks, "impressions": impressions, "ctr": percent_of(clicks / impressions),
            "visitors": sum(row["unique_clicks"] for row in rows),
            "playbacks": sum(row["playbacks"]["start"] for row in rows), "invalid": sum(row["gross_clicks"] - row["click_count"] for row in rows),
            "duplicates": sum(row["duplicates"] for row in rows), "reasons": invalid,
            "funnel": [sum(row["playbacks"][step] for row in rows) for step in ("start", "first_quartile", "midpoint", "third_quartile", "complete")]}


def page_shows(browser, sums):
    """Waits until the page shows these numbers, then holds every other number of it against them."""
    browser.wait(f"return document.getElementById('clicks').textContent.replace(/,/g, '') === '{sums['clicks']}'", what=f"{sums['clicks']} clicks")
    for name in ("impressions", "visitors", "playbacks"):
        equal(count_of(browser.text(f"#{name}")), sums[name], name)
    equal(browser.text("#ctr"), sums["ctr"], "click-through rate")
    equal(browser.text("#clicks-more"), f"besides {sums['invalid']}\u00a0invalid, {sums['duplicates']}\u00a0duplicates", "below the clicks")
    bars = "return [...document.querySelectorAll(arguments[0] + ' .bar-value')].map(each => parseInt(each.firstChild.data.replace(/,/g, '')))"
    equal(browser.run(bars, "#funnel"), sums["funnel"], "the funnel")
    equal(browser.run(bars, "#invalid"), sorted(sums["reasons"].values(), reverse=True), "invalid clicks by reason")
    table = """return [...document.querySelectorAll('#series-rows tr')].reduce((sum, row) => [0, 1, 3, 4].map((at, n) =>
               sum[n] + Number(row.cells[at + 1].textContent.replace(/,/g, ''))), [0, 0, 0, 0])"""
    wanted = [sums["clicks"], sums["impressions"], sums["playbacks"], sums["invalid"]]
    browser.wait(f"return JSON.stringify((() => {{ {table} }})()) === '{json.dumps(wanted, separators=(',', ':'))}'", what=f"a chart that adds up to {wanted}")
