"""Contract section 7: analytics are current within 100 ms of the ack on an idle machine."""

import statistics
import time

from harness import AGENT, Suite, check

suite = Suite("freshness", "contract section 7: current within 100 ms of the ack (a figure; it fails above 2 s only)")


@suite.case("the time from a 202 to the count")
def _(t):
    server, taken = t.server, []
    for i in range(100):
        server.click(event_id=f"f-{i}", ad_id=77, user_ip=f"198.51.100.{i}", agent=AGENT)
        acked = time.monotonic()
        while True:
            rows = server.analytics(ad_id=77)["data"]
            if rows and rows[0]["gross_clicks"] == i + 1:
                break
            check(time.monotonic() - acked < 2, f"2 s after the ack {rows[0]['gross_clicks'] if rows else 0} of {i + 1} clicks are counted")
        taken.append((time.monotonic() - acked) * 1000)
    taken.sort()
    t.note(f"from 202 to counted: median {statistics.median(taken):.1f} ms, p99 {taken[98]:.1f} ms, worst {taken[-1]:.1f} ms")
