#!/usr/bin/env python3
"""Proves a node's numbers: a second adtrackd reads the node's log over HTTP from its first record and counts it anew in a scratch
directory. Then every shard's digest is compared at one offset, and answers at equal positions. What scripts/replay-verify.sh runs. The
node goes on serving meanwhile, and nothing of it is changed.

To check a copy, a backup say, start an adtrackd on it and name that one. A log that was trimmed cannot be replayed from its first record.
Exit code 0: all are equal; 1: something differs; 2: it could not be found out."""

import sys
import time

from adtrack_client import Bar, Stop, end_of, key_of
from observer import Node, Observer, at_one_position, observer_arguments, settings_of

QUESTIONS = ["", "sort=-click_count&last=24h", "group_by=device", "group_by=country&sort=-gross_clicks"]


def equal_digests(node, replay, shard, tries):
    """(offset, the node's, the replay's), once both can be had at one offset: the node may move on while it is asked."""
    for _ in range(tries):
        here = node.digest(shard)
        there = replay.digest(shard, here["offset"])
        if there:
            return here["offset"], here["digest"], there["digest"]
    raise Stop(f"shard {shard} moves on too fast for its digest to be compared; try at a quieter time")


def without_times(answer):
    return [{name: value for name, value in row.items() if name != "node"} for row in answer["data"]]


def run(options):
    settings = settings_of(options.set)
    key = key_of(options.key_file)
    node = Node(options.url, key, options.patience)
    shards = node.shards()
    ends = {shard: node.log_end(shard) for shard in range(shards)}
    started = time.monotonic()
    with Observer(options, shards, settings) as replay:
        records = replay.catch_up(ends, Bar(sum(ends.values())))
        took = time.monotonic() - started
        print(f"{records:,} records of {shards} shards were counted anew in {took:.1f} s ({records / took:,.0f}/s)")
        differing = 0
        for shard in range(shards):
            offset, here, there = equal_digests(node, replay, shard, options.tries)
            if here != there:
                differing += 1
                print(f"shard {shard} at offset {offset}: {here}, counted anew {there}")
        print(f"digests: {shards - differing} of {shards} shards are equal")
        for question in options.question or QUESTIONS:
            both = at_one_position(node, replay, question, options.tries)
            if both is None:
                print(f"question '{question}': not compared, as the node counted something new each time it was asked")
                continue
            here, there = map(without_times, both)
            same = here == there
            differing += not same
            print(f"question '{question}': " + (f"{len(here):,} rows are equal" if same else "the rows differ"))
            if not same:
                wrong = next(((a, b) for a, b in zip(here, there) if a != b), (len(here), len(there)))
                print(f"  the first that does: {wrong[0]}\n  counted anew:        {wrong[1]}")
    return 1 if differing else 0


def main():
    parser = observer_arguments("replay-verify.sh", __doc__)
    parser.add_argument("--question", action="append", metavar="QUERY",
                        help="a query string of analytics to compare, such as 'ad_id=32&last=24h&granularity=hour'; may be repeated")
    return end_of(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
