"""GET / in a headless Chromium: what it shows against what the API answers, live, by window and ad, without a connection and with a key."""

import datetime
import json
import os
import shutil
import subprocess
import time
import urllib.parse

from browser import ENTER
from dashboard_page import HOSTILE, LIVE, ads_with_events, close, count_of, open_page, page_shows, percent_of, send, shot, sums_of, the_browser
from harness import AGENT, Server, Suite, check, equal, fresh_dir, write_key_file
from kafka import wait_for

suite = Suite("dashboard", "contract section 6: GET / shows the API's numbers, and nothing from or to anybody else", close=close)


@suite.case("it loads without a word on the console or a request to anybody else, and shows what the API answers")
def _(t):
    ads_with_events(t.server)
    browser = open_page(t)
    answer = t.server.analytics(last="1h", sort="-click_count")
    page_shows(browser, sums_of(answer))
    shown = browser.run("""return [...document.querySelectorAll('#ads-rows tr')].map(row => [new URL(row.querySelector('a').href).searchParams.get('ad'),
                           ...[...row.cells].slice(1).map(cell => cell.textContent)])""")
    expected = [[str(row["ad_id"]), str(row["click_count"]), str(row["impressions"]), percent_of(row["ctr"]), str(row["unique_clicks"]),
                 str(row["gross_clicks"] - row["click_count"])] for row in answer["data"]]
    equal(shown, expected, "the table of ads")
    equal(browser.run("return document.querySelectorAll('#shards li').length"), answer["shards"]["total"], "shards")
    browser.wait("return [...document.querySelectorAll('#shards li')].every(each => each.dataset.state === 'good')", what="all shards are well")
    check("ready" in browser.text("#node"), "the node's state")
    time.sleep(2.5)  # for the questions that are asked again and again
    equal(browser.console(), [], "the console")
    origin = f"http://{t.server.host}:{t.server.port}/"
    asked = [url for url, _ in browser.requests()]
    equal([url for url in asked if not url.startswith((origin, "data:"))], [], "requests to others")
    for part in ("dashboard/dashboard.js", "api/v1/ads/analytics/stream?", "api/v1/ads/analytics?", "readyz", "metrics"):
        check(any(url.startswith(origin + part) for url in asked), f"no request for {part} among {asked}")
    shot(browser, "small")


@suite.case("its policy is in force: what the page is not, does not run in it")
def _(t):
    browser = open_page(t)
    browser.run("""const made = document.createElement('script'); made.textContent = 'window.owned = 1'; document.head.append(made);
                   const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);
                   document.body.setAttribute('onclick', 'window.owned = 2'); document.body.click();""")
    browser.wait("return !('owned' in window)")
    said = browser.console()
    check(len([line for line in said if "Content Security Policy" in line]) >= 3, f"what the console says: {said}")


@suite.case("a click is on the page within two seconds, without a reload")
def _(t):
    ads = ads_with_events(t.server)
    browser = open_page(t, "/?last=15m")
    browser.wait("return document.getElementById('clicks').textContent !== '–'")
    browser.run("window.marked = true")
    took = []
    for n in range(3):
        before = count_of(browser.text("#clicks"))
        t.server.click(event_id=f"live-{n}", ad_id=ads[0], user_ip=f"203.0.113.{n + 1}", agent=AGENT)
        began = time.monotonic()
        browser.wait(f"return document.getElementById('clicks').textContent.replace(/,/g, '') === '{before + 1}'")
        took.append(time.monotonic() - began)
    check(sorted(took)[1] <= 2, f"seconds until a click was shown: {took}")
    check(browser.run("return window.marked"), "the page was loaded again")
    browser.wait("return document.getElementById('rate').textContent !== '–' && document.getElementById('rate').textContent !== '0'", what="a rate")


@suite.case("window and ad are chosen on the page, stand in its address, and Back returns")
def _(t):
    ads = ads_with_events(t.server)
    browser = open_page(t)

    def address():
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browser.run("return location.href")).query))

    hour, days = sums_of(t.server.analytics(last="1h")), sums_of(t.server.analytics(last="7d"))
    check(hour["clicks"] != days["clicks"], "the windows do not differ")
    page_shows(browser, hour)
    browser.click("input[value='7d']")
    page_shows(browser, days)
    equal(address(), {"last": "7d"}, "address")
    browser.click(f"#ads-rows a[href*='ad={ads[0]}&']")
    one = sums_of(t.server.analytics(last="7d", ad_id=ads[0]))
    page_shows(browser, one)
    for metric, name in (("impressions", "Impressions"), ("ctr", "Click-through rate"), ("playbacks", "Playbacks"), ("clicks", "Clicks")):
        browser.click(f"input[value='{metric}']")
        browser.wait(f"return document.getElementById('chart').getAttribute('aria-label') === '{name} by hour'")
        equal(browser.run("return document.querySelectorAll('#chart .column').length"), 3, f"columns of {name}")
    equal(address(), {"ad": str(ads[0]), "last": "7d"}, "address")
    equal(browser.text("h1"), "Spring sale", "the heading")
    browser.wait("return document.querySelectorAll('#groups-rows tr').length > 0", what="groups")
    # Groups are by whole hours; that of days ago may begin earlier than the window.
    groups = t.server.analytics(last="7d", ad_id=ads[0], group_by="device", sort="-click_count")["data"]
    equal(browser.run("return [...document.querySelectorAll('#groups-rows tr')].map(row => [row.cells[0].textContent, Number(row.cells[1].textContent)])"),
          [[row["group"], row["click_count"]] for row in groups], "groups by device")
    browser.run("location.reload()")
    browser.wait(LIVE)
    page_shows(browser, one)
    browser.back()
    page_shows(browser, days)
    equal(address(), {"last": "7d"}, "address after Back")
    browser.back()
    page_shows(browser, hour)
    browser.click("input[value='custom']")
    since = datetime.datetime.fromtimestamp(time.time() - 400_000, datetime.timezone.utc).replace(second=0, microsecond=0)
    until = since + datetime.timedelta(seconds=300_000)
    local = browser.run("""return arguments.length && [...arguments].map(text => { const at = new Date(text);
        return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16); })""", since.isoformat(), until.isoformat())
    for name, value in zip(("since", "until"), local):
        browser.run("document.getElementById(arguments[0]).value = arguments[1]", name, value)
    browser.click("#custom button")
    own = sums_of(t.server.analytics(since=since.isoformat(), until=until.isoformat()))
    check(own["clicks"] not in (hour["clicks"], days["clicks"]), "the chosen window is none of its own")
    page_shows(browser, own)
    equal(address(), {"since": since.isoformat().replace("+00:00", "Z"), "until": until.isoformat().replace("+00:00", "Z")}, "address")
    browser.run("for (const [id, at] of [['since', '2026-02-02T00:00'], ['until', '2026-02-01T00:00']]) document.getElementById(id).value = at")
    browser.click("#custom button")
    check("before it ends" in browser.text("#custom-error"), "an inverted window is not refused")
    page_shows(browser, own)
    equal(browser.console(), [], "the console")


@suite.case("a name is text, whatever it says")
def _(t):
    ads = ads_with_events(t.server)
    browser = open_page(t)
    browser.wait(f"return [...document.querySelectorAll('#ads-rows a')].some(each => each.textContent === {json.dumps(HOSTILE)})",
                 what="the name, as it is")
    browser.click(f"#ads-rows a[href*='ad={ads[1]}&']")
    browser.wait(f"return document.querySelector('h1').textContent === {json.dumps(HOSTILE)}")
    check(HOSTILE in browser.run("return document.title"), "the title")
    time.sleep(0.5)  # for what a script would have done
    equal(browser.run("return ['owned' in window, document.querySelectorAll('main img, main script').length]"), [False, 0], "what the name became")
    equal(browser.console(), [], "the console")


@suite.case("an empty server says how to send a click, and what it says works")
def _(t):
    server = Server().start()
    browser = open_page(t, server=server)
    command = browser.wait("return document.getElementById('empty').checkVisibility() && document.getElementById('empty-curl').textContent")
    equal(browser.text("#clicks"), "0", "clicks")
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    equal(json.loads(run.stdout)["status"], "accepted", f"what the command said: {run.stdout} {run.stderr}")
    browser.wait("return document.getElementById('clicks').textContent === '1' && !document.getElementById('empty').checkVisibility()")
    equal(browser.console(), [], "the console")
    equal(server.stop(), 0, "exit code")


@suite.case("a time zone that the server does not know is said, and the hours are those of UTC")
def _(t):
    server = Server(env={"TZDIR": fresh_dir("zones")}).start()
    server.get("/api/v1/ads/analytics", {"tz": "Europe/Paris"}).expect_problem(400, "tz")
    server.click(event_id="one", ad_id=5, user_ip="203.0.113.5", agent=AGENT)
    browser = open_page(t, server=server)
    browser.wait("return document.getElementById('clicks').textContent === '1'")
    check("UTC" in browser.text("#foot"), "nothing says whose hours they are")
    browser.wait("return document.querySelectorAll('#series-rows tr').length > 0", what="a chart")
    equal(server.stop(), 0, "exit code")


@suite.case("of more ads than one answer holds, the page says that its totals are not over all")
def _(t):
    server = Server().start()
    now = int(time.time())
    events = [{"type": "click", "event_id": "e", "ad_id": ad, "user_ip": "203.0.113.5", "agent": AGENT, "timestamp": now}
              for ad in range(1, 1202)]
    send(server, events)
    browser = open_page(t, "/?last=1h", server=server)
    browser.wait("return document.getElementById('notices').textContent.includes('1,000 of 1,201 ads')", what="over how many ads the totals are")
    equal(browser.text("#clicks"), "1,000", "clicks")
    browser.wait("return /the first [0-9]+ of 1201 ads/.test(document.getElementById('series-note').textContent)", what="of how many ads the chart is")
    equal(browser.console(), [], "the console")
    equal(server.stop(), 0, "exit code")


@suite.case("pages that were left hold no stream: the ninth is as live as the first")
def _(t):
    ads_with_events(t.server)
    browser = open_page(t)
    for number in range(8):
        browser.go(f"http://{t.server.host}:{t.server.port}/?ad={number + 1}")
        browser.wait(LIVE, what=f"page {number + 2} is live")
    for number in range(4):
        browser.back()
        browser.wait(LIVE, what=f"page {8 - number} is live again")


@suite.case("a server that is gone is said, with the age of what is shown; when it is back, so are the numbers")
def _(t):
    server = Server().start()
    server.click(event_id="before", ad_id=5, user_ip="203.0.113.5", agent=AGENT)
    browser = open_page(t, server=server)
    browser.wait("return document.getElementById('clicks').textContent === '1'")
    server.flags["http.port"] = str(server.port)
    server.kill()
    browser.wait("return document.getElementById('connection').textContent === 'Connection lost'")
    browser.wait("return /numbers from \\d\\d:\\d\\d:\\d\\d, [2-9] s old/.test(document.getElementById('connection-detail').textContent)",
                 what="how old the numbers are")
    equal(browser.text("#clicks"), "1", "clicks, as they were")
    browser.wait("return document.getElementById('rate').textContent === '–'", what="no rate")
    browser.wait("return document.getElementById('health-more').textContent === 'not known now'", what="the health is not known")
    check(browser.run("return document.getElementById('health').classList.contains('stale')"), "the shards stand there as if they were known to be well")
    shot(browser, "lost")
    browser.requests()
    server.start()
    server.click(event_id="after", ad_id=5, user_ip="203.0.113.6", agent=AGENT)
    browser.wait(LIVE + " && document.getElementById('clicks').textContent === '2'", 30, "live again, with the new click")
    equal(browser.text("#connection-detail"), "", "what is said of the age")
    streams = [headers for url, headers in browser.requests() if "/stream?" in url]
    check(streams and all(headers.get("Last-Event-ID") for headers in streams), f"the stream goes on where it was: {streams}")
    browser.wait("return document.getElementById('health-more').textContent.startsWith('as of')", what="the health is known")
    equal(server.stop(), 0, "exit code")
    browser.click("input[value='7d']")
    browser.wait("return document.getElementById('clicks').textContent === '–'", what="a question that has no answer shows no numbers")


@suite.case("a log that is not what it was is said on the page")
def _(t):
    server = Server(flags={"log.shards": "2"}).start()
    server.click(event_id="one", ad_id=5, user_ip="203.0.113.5", agent=AGENT)
    equal(server.stop(), 0, "exit code")
    older = os.path.join(server.work_dir, "older")
    shutil.copytree(os.path.join(server.data_dir, "log"), older)
    server.start()
    for n in range(5):
        position = server.click(event_id=f"two-{n}", ad_id=5, user_ip=f"203.0.113.{n + 9}", agent=AGENT)
    server.analytics([position])  # the shard has counted what will be gone
    equal(server.stop(), 0, "exit code")
    shutil.rmtree(os.path.join(server.data_dir, "log"))
    shutil.copytree(older, os.path.join(server.data_dir, "log"))
    server.start()
    faults = wait_for("the log to be read again", 10, lambda: server.analytics().get("log_faults"), server)
    equal([fault["kind"] for fault in faults], ["fork"], "faults that the API names")
    browser = open_page(t, server=server)
    said = browser.wait("""const all = document.getElementById('notices');
                           return all.checkVisibility() && all.textContent.includes('fork') && all.textContent""")
    check("not complete: the log of shard" in said and "not real time" in said, f"what is said: {said}")
    browser.wait(f"return document.querySelectorAll('#shards li')[{faults[0]['shard']}].dataset.state === 'bad'", what="the shard's place")
    browser.wait("return document.getElementById('series-note').textContent === 'The chart is not complete.'", what="the same of the chart")
    browser.wait("return document.getElementById('degraded').checkVisibility()", what="what is degraded")
    shot(browser, "fault")
    server.stop()


@suite.case("with a read key the page is open, asks for the token, keeps it in its tab, and works with it")
def _(t):
    server = Server(name="keys")
    server.flags["read.key_file"] = write_key_file(os.path.join(server.work_dir, "read.keys"), [("reader", "a-read-token")])
    server.start()
    server.click(event_id="one", ad_id=5, user_ip="203.0.113.5", agent=AGENT)
    browser = the_browser()
    browser.go(f"http://{server.host}:{server.port}/?last=15m")
    browser.wait("return document.getElementById('token-form').checkVisibility() && document.activeElement.id === 'token'", what="the page asks")
    shot(browser, "token")
    browser.keys(*"wrong", ENTER)
    browser.wait("return document.getElementById('token-why').textContent.includes('does not know') && document.activeElement.id === 'token'",
                 what="a wrong token is said")
    equal(browser.text("#clicks"), "–", "clicks, before the token")
    browser.keys(*"a-read-token", ENTER)
    browser.wait(LIVE + " && document.getElementById('clicks').textContent === '1' && !document.getElementById('token-form').checkVisibility()")
    browser.wait("return document.querySelectorAll('#shards li').length > 0", what="the shards")
    server.click(event_id="two", ad_id=5, user_ip="203.0.113.6", agent=AGENT)
    browser.wait("return document.getElementById('clicks').textContent === '2'")
    browser.run("location.reload()")
    browser.wait(LIVE + " && document.getElementById('clicks').textContent === '2'")
    equal(browser.run("return [location.search, localStorage.length, document.cookie, JSON.stringify(sessionStorage)]"),
          ["?last=15m", 0, "", '{"adtrack.token":"a-read-token"}'], "where the token is")
    browser.run("sessionStorage.clear()")
    equal(server.stop(), 0, "exit code")
