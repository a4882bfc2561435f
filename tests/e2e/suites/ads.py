"""Contract section 4: the catalogue."""

import re

from harness import ADMIN_KEY, Server, Suite, check, equal

suite = Suite("ads", "contract section 4: list, get, create, update, delete with the admin key")

ADS = "/api/v1/ads"
FULL = {"title": "Summer Sale", "description": "Up to 50% off \u2013 \u00fcberall", "url": "https://example.com/a?b=c&d=%20", "advertiser": "Acme",
        "campaign": "s25", "metadata": {"size": "300x250", "n": [1, 2, {"x": None}]}}
SMALL = {"title": "T", "url": "http://example.com/"}


def _create(t, **changes):
    return t.server.admin("POST", ADS, {**SMALL, **changes}).expect(201).json()


@suite.case("POST answers 201 with Location, and the ad is readable at once")
def _(t):
    reply = t.server.admin("POST", ADS, FULL).expect(201)
    made = reply.json()
    check(isinstance(made["id"], int) and made["id"] >= 1, f"id of {reply}")
    location = reply.header("location") or ""
    check(location.endswith(f"/api/v1/ads/{made['id']}"), f"Location of {reply}: {location}")
    got = t.server.get(f"{ADS}/{made['id']}").expect(200)
    for name, value in FULL.items():
        equal(got.json()[name], value, name)
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", got.json()["created_at"]), f"created_at of {got}")
    check("updated_at" in got.json(), f"updated_at of {got}")
    check(got.header("etag"), f"no ETag: {got.headers}")
    listed = t.server.get(ADS, {"page": 1, "limit": 100}).expect(200).json()["ads"]
    check(made["id"] in [ad["id"] for ad in listed], "the new ad is not in the list")


@suite.case("the server gives ids and never one twice")
def _(t):
    ids = [_create(t)["id"] for _ in range(20)]
    equal(ids, sorted(set(ids)), "ids")
    own = t.server.admin("POST", ADS, {**SMALL, "id": ids[0]})
    check(own.status == 400 or own.json()["id"] not in ids, f"a client's id was taken: {own}")


@suite.case("pages: by id, stable, empty past the end")
def _(t):
    while t.server.get(ADS, {"limit": 1}).json()["pagination"]["total"] < 25:
        _create(t)
    total = t.server.get(ADS).expect(200).json()["pagination"]["total"]
    seen = []
    for page in range(1, (total + 9) // 10 + 1):
        answer = t.server.get(ADS, {"page": page, "limit": 10}).expect(200).json()
        equal(answer["pagination"], {"page": page, "limit": 10, "total": total, "total_pages": (total + 9) // 10}, "pagination")
        seen += [ad["id"] for ad in answer["ads"]]
    equal(seen, sorted(set(seen)), "ids over all pages")
    equal(len(seen), total, "ads over all pages")
    past = t.server.get(ADS, {"page": 1000, "limit": 10}).expect(200).json()
    equal(past["ads"], [], "ads past the end")
    equal(past["pagination"]["total"], total, "total past the end")
    equal(len(t.server.get(ADS, {"limit": 100}).expect(200).json()["ads"]), min(total, 100), "limit=100")


for _query in ("page=0", "page=-1", "page=x", "page=1.5", "page=", "limit=0", "limit=101", "limit=x", "limit=-1", "page=1&page=2", "limit=1&limit=1",
               "pge=1", "page=99999999999999999999"):
    suite.add(f"GET ?{_query} is 400", lambda t, q=_query: t.server.get(f"{ADS}?{q}").expect_problem(400))


@suite.case("an unknown ad is 404, an id that is none is 404 or 400")
def _(t):
    t.server.get(f"{ADS}/987654321").expect_problem(404)
    for bad in ("0", "-1", "x", "1.0", "99999999999999999999", "%00"):
        reply = t.server.get(f"{ADS}/{bad}")
        check(reply.status in (400, 404), f"{reply}")
        reply.expect_problem(reply.status)


@suite.case("without a key: 401 with WWW-Authenticate; a wrong key too; reading stays open")
def _(t):
    made = _create(t)
    for key in (None, "Bearer wrong", f"Bearer {ADMIN_KEY}x", f"Basic {ADMIN_KEY}", "Bearer", f"Bearer {ADMIN_KEY[:-1]}"):
        for method, path, body in (("POST", ADS, SMALL), ("PUT", f"{ADS}/{made['id']}", SMALL), ("DELETE", f"{ADS}/{made['id']}", None)):
            reply = t.server.admin(method, path, body, {"Authorization": key}).expect_problem(401)
            check("bearer" in (reply.header("www-authenticate") or "").lower(), f"WWW-Authenticate of {reply}: {reply.headers}")
    t.server.get(f"{ADS}/{made['id']}").expect(200)


@suite.case("without an admin key file admin calls are 403")
def _(t):
    server = Server(admin=False, name="ads-nokey").start()
    server.admin("POST", ADS, SMALL).expect_problem(403)
    server.get(ADS).expect(200)
    equal(server.stop(), 0, "exit code")


def _refused(sentence, field, body):
    suite.add(f"POST with {sentence} is 400", lambda t: t.server.admin("POST", ADS, body).expect_problem(400, field))


_refused("no title", "title", {"url": SMALL["url"]})
_refused("an empty title", "title", {**SMALL, "title": ""})
_refused("a number as title", "title", {**SMALL, "title": 7})
_refused("a title of 60,000 characters", None, {**SMALL, "title": "x" * 60_000})
_refused("no url", "url", {"title": "T"})
for _url in ("", "example.com", "/relative", "ftp://example.com/", "javascript:alert(1)", "https://", "https:///x", "http://exa mple.com/", "http://a/\r\nX: y", 7, None):
    _refused(f"the url {_url!r}", "url", {**SMALL, "url": _url})
_refused("metadata that is no object", "metadata", {**SMALL, "metadata": [1]})
_refused("a broken body", None, b'{"title":')
_refused("an array", None, b"[]")


@suite.case("PUT replaces, 404 for a missing one, and updated_at moves on while created_at stays")
def _(t):
    made = _create(t, description="old")
    put = t.server.admin("PUT", f"{ADS}/{made['id']}", {**SMALL, "title": "New"})
    check(put.status in (200, 204), f"{put}")
    got = t.server.get(f"{ADS}/{made['id']}").expect(200).json()
    equal((got["title"], got["created_at"]), ("New", made["created_at"]), "title and created_at")
    check(not got.get("description"), f"PUT replaces, so the description is gone: {got}")
    check(got["updated_at"] >= made["created_at"], f"updated_at: {got}")
    t.server.admin("PUT", f"{ADS}/987654321", SMALL).expect_problem(404)
    t.server.admin("PUT", f"{ADS}/{made['id']}", {"title": "x"}).expect_problem(400, "url")


@suite.case("If-Match: the current ETag is taken, an old one is 412 and changes nothing")
def _(t):
    path = f"{ADS}/{_create(t)['id']}"
    first = t.server.get(path).expect(200).header("etag")
    check(first and re.fullmatch(r'(W/)?"[^"]+"', first), f"ETag {first!r}")
    t.server.admin("PUT", path, {**SMALL, "title": "second"}, {"If-Match": first})
    second = t.server.get(path).expect(200)
    equal(second.json()["title"], "second", "title after a matching PUT")
    check(second.header("etag") != first, "the ETag did not change")
    t.server.admin("PUT", path, {**SMALL, "title": "third"}, {"If-Match": first}).expect_problem(412)
    t.server.admin("DELETE", path, None, {"If-Match": first}).expect_problem(412)
    equal(t.server.get(path).expect(200).json()["title"], "second", "title after a failed PUT")
    check(t.server.admin("DELETE", path, None, {"If-Match": second.header("etag")}).status in (200, 204), "a matching DELETE")


@suite.case("DELETE takes the ad out, its analytics stay, its id is not given again")
def _(t):
    made = _create(t)
    position = t.server.click(event_id=f"ads-{made['id']}", ad_id=made["id"], user_ip="198.51.100.1", agent="Mozilla/5.0 Firefox/128.0")
    check(t.server.admin("DELETE", f"{ADS}/{made['id']}").status in (200, 204), "DELETE")
    t.server.get(f"{ADS}/{made['id']}").expect_problem(404)
    t.server.admin("DELETE", f"{ADS}/{made['id']}").expect_problem(404)
    equal(t.server.analytics([position], ad_id=made["id"])["data"][0]["gross_clicks"], 1, "clicks of the deleted ad")
    check(_create(t)["id"] != made["id"], "a deleted id was given again")


@suite.case("the catalogue is there again after a stop and after kill -9")
def _(t):
    server = Server(name="ads-restart").start()
    made = server.admin("POST", ADS, FULL).expect(201).json()
    gone = server.admin("POST", ADS, SMALL).expect(201).json()
    server.admin("DELETE", f"{ADS}/{gone['id']}")
    server.admin("PUT", f"{ADS}/{made['id']}", {**FULL, "title": "Changed"})
    before = server.get(f"{ADS}/{made['id']}").expect(200)
    for hard in (False, True):
        server.restart(hard)
        after = server.get(f"{ADS}/{made['id']}").expect(200)
        equal(after.json(), before.json(), f"the ad after a {'kill' if hard else 'stop'}")
        equal(after.header("etag"), before.header("etag"), "its ETag")
        server.get(f"{ADS}/{gone['id']}").expect_problem(404)
        newer = server.admin("POST", ADS, SMALL).expect(201).json()
        check(newer["id"] > gone["id"], f"id {newer['id']} after a restart was given before")
    equal(server.stop(), 0, "exit code")
