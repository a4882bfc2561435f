#!/usr/bin/env python3
"""Counts a node's log anew under other rules, another list of bots or another repeat window say, and prints what would become of each
ad's numbers: what scripts/restate.sh runs. Nothing of the node is changed: switching is for the operator, who sets the same settings there;
they hold for what comes in from then on.

  restate.sh --set rules.bots_file=/etc/adtrack/bots.txt --set traffic.repeat_click_secs=10 --query last=7d

A setting that is not named is this computer's default, so name all that the node has. Each event is judged by its agent and its masked
address: a network narrower than a /24 (IPv4) or /48 (IPv6) in a list is not seen. A prefetch stays one.
Exit code 0: the difference was printed, if any; 2: it could not be found out."""

import csv
import sys

from adtrack_client import Bar, Stop, end_of, key_of
from observer import Node, Observer, at_one_position, observer_arguments, settings_of

NUMBERS = ("click_count", "unique_clicks", "impressions", "gross_clicks", "duplicates")


def differences(here, there):
    """By ad, the largest first: (ad, {number: (before, after)}) of what differs, the clicks always among them."""
    before, after = ({row["ad_id"]: row for row in answer["data"]} for answer in (here, there))
    out = []
    for ad in before.keys() | after.keys():
        rows = [rows.get(ad, {}) for rows in (before, after)]
        found = {name: tuple(row.get(name, 0) for row in rows) for name in NUMBERS}
        for reason in sorted({reason for row in rows for reason in row.get("invalid_clicks", {})}):
            found[f"invalid_{reason}"] = tuple(row.get("invalid_clicks", {}).get(reason, 0) for row in rows)
        changed = {name: pair for name, pair in found.items() if pair[0] != pair[1] or name == "click_count"}
        if any(pair[0] != pair[1] for pair in changed.values()):
            out.append((ad, changed))
    out.sort(key=lambda one: (-abs(one[1]["click_count"][1] - one[1]["click_count"][0]), one[0]))
    return out, sum(row["click_count"] for row in before.values()), sum(row["click_count"] for row in after.values())


def show(found, form):
    if form == "csv":
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(["ad_id", "number", "before", "after", "change"])
        for ad, changed in found:
            for name, (before, after) in changed.items():
                out.writerow([ad, name, before, after, after - before])
        return
    for ad, changed in found:
        print(f"ad {ad}: " + ", ".join(f"{name} {before:,} -> {after:,}" for name, (before, after) in changed.items()))


def run(options):
    settings = {**settings_of(options.set), "remote.judge_again": "true"}
    node = Node(options.url, key_of(options.key_file), options.patience)
    shards = node.shards()
    ends = {shard: node.log_end(shard) for shard in range(shards)}
    with Observer(options, shards, settings) as restated:
        restated.catch_up(ends, Bar(sum(ends.values())))
        both = at_one_position(node, restated, options.query, options.tries)
    if both is None:
        raise Stop("the node counted something new each time it was asked; ask for a window that has passed, or at a quieter time")
    found, before, after = differences(*both)
    show(found, options.format)
    share = f" ({(after - before) / before:+.2%})" if before else ""
    print(f"{len(found):,} of {len(both[0]['data']):,} ads differ; valid clicks {before:,} -> {after:,}{share}", file=sys.stderr)
    return 0


def main():
    parser = observer_arguments("restate.sh", __doc__)
    parser.add_argument("--query", default="",
                        help="a query string of analytics that says of what, such as 'since=2025-08-01&until=2025-09-01' (all of it)")
    parser.add_argument("--format", choices=["text", "csv"], default="text")
    return end_of(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
