"""Contract section 6: no full address reaches any disk."""

import ipaddress
import itertools
import os

import harness
from harness import AGENT, Suite, check, equal

suite = Suite("privacy", "contract section 6: privacy.ip = mask before the log; nothing full in data.dir or in the logs")

V4 = "203.0.113.217"
V6 = "2001:db8:1234:5678:9abc:def0:1357:2468"
# Clicks that stay in the write-ahead log, and enough others that memory tables reach their files too.
FILLERS = 2000


def _needles():
    packed = ipaddress.IPv6Address(V6).packed
    return {V4.encode(): "the IPv4 address", V6.encode(): "the IPv6 address", V6.upper().encode(): "the IPv6 address", b"9abc:def0:1357:2468": "its second half",
            packed: "the IPv6 address in binary", packed[8:]: "its second half in binary", packed[::-1]: "the IPv6 address in binary, reversed"}


def _files(*roots):
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        yield path, file.read()


def _search(t):
    server, masked = t.server, 0
    places = _files(server.work_dir)  # the data directory is in it
    for path, data in itertools.chain(places, harness.backend.logged(server) if harness.backend else ()):
        masked += data.count(b"203.0.113.0")
        for needle, what in _needles().items():
            check(needle not in data, f"{what} stands in {path}")
    return masked


@suite.case("neither text nor bytes of an address are found, while running, after kill -9 and after a stop")
def _(t):
    server = t.server
    for i in range(FILLERS):
        server.click(event_id=f"p-{i}", ad_id=1 + i % 50, user_ip=V4 if i % 2 else V6, agent=AGENT)
    for path in ("/api/v1/ads/click", "/api/v1/ads/impression"):
        server.post_json(path, {"event_id": "dup", "ad_id": 1, "user_ip": V4}).expect(202)
        # Refused events carry addresses too, and errors are logged.
        server.post_json(path, {"event_id": "", "ad_id": 0, "user_ip": V6}).expect_problem(400)
        server.post_json(path, {"event_id": "x", "ad_id": 1, "user_ip": V4 + "0"}).expect_problem(400)
        server.post_json(path, {"event_id": "fwd", "ad_id": 2}, {"X-Forwarded-For": V4, "Forwarded": f"for={V4}", "X-Real-IP": V4}).expect(202)
    check(_search(t) > 0, "the masked address is found nowhere, so this search would not find a full one either")
    server.restart(hard=True)
    _search(t)
    equal(server.stop(), 0, "exit code")
    _search(t)
    server.start()


@suite.case("the visitor key is a file of the owner alone")
def _(t):
    keys = [path for path, _ in _files(t.server.data_dir) if "key" in os.path.basename(path)]
    check(keys, f"no key file in {t.server.data_dir}")
    for path in keys:
        equal(os.stat(path).st_mode & 0o077, 0, f"rights of others on {os.path.basename(path)}")


@suite.case("masking is after the visitor is made: two addresses of one network are two visitors")
def _(t):
    positions = [t.server.click(event_id=f"v-{i}", ad_id=900, user_ip=f"192.0.2.{i}", agent=AGENT, timestamp=1_753_185_600) for i in range(5)]
    equal(t.server.analytics(positions, ad_id=900)["data"][0]["unique_clicks"], 5, "visitors")
