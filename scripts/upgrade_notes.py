#!/usr/bin/env python3
"""What upgrade.sh compares: `note` writes to a file what a node whose log is at rest says of its shards and its ads, `compare` holds a
node against such a file. Digests are compared at equal offsets. Where a shard stands at another offset, as it does when another version
wrote its rules into the log at its start, the rows of the largest ads, which are always compared, stand in for its digest.
Exit code 0: done, or equal; 1: something differs; 2: it could not be found out."""

import json
import sys
import time

from adtrack_client import Stop, arguments, end_of, key_of
from observer import ROWS, Node

LARGEST = f"sort=-gross_clicks&limit={ROWS}"


def at_the_end(node, shard, patience):
    """The shard's digest once it has applied its whole log."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        end, digest = node.log_end(shard), node.digest(shard)
        if digest and digest["offset"] >= end:
            return digest
        time.sleep(0.05)
    raise Stop(f"shard {shard} has not applied its log within {patience:.0f} s")


def notes_of(node, patience):
    digests = [at_the_end(node, shard, patience) for shard in range(node.shards())]
    status, _, body = node.adtrack.ask("GET", f"/api/v1/ads/analytics?{LARGEST}")
    if status != 200:
        raise Stop(f"adtrack answered {status} when it was asked for its ads: {body[:300].decode(errors='replace')}")
    answer = json.loads(body)
    return {"digests": digests, "ads": answer["total"], "rows": {str(row["ad_id"]): row for row in answer["data"]}}


def differences(before, after):
    """Sentences; and at how many shards the digests could be compared."""
    found, compared = [], 0
    if len(before["digests"]) != len(after["digests"]):
        found.append(f"there were {len(before['digests'])} shards and now there are {len(after['digests'])}")
    for old, new in zip(before["digests"], after["digests"]):
        if old["offset"] > new["offset"]:
            found.append(f"shard {old['shard']} was at offset {old['offset']} and now is at {new['offset']}")
        elif old["offset"] == new["offset"]:
            compared += 1
            if old["digest"] != new["digest"]:
                found.append(f"shard {old['shard']} at offset {old['offset']}: {old['digest']} before, {new['digest']} now")
    if before["ads"] != after["ads"]:
        found.append(f"{before['ads']} ads had events and now {after['ads']} have")
    for ad, row in before["rows"].items():
        now = after["rows"].get(ad, {})
        if any(now.get(name) != value for name, value in row.items()):  # a newer version may say more, but nothing else
            found.append(f"ad {ad}: {row} before, {now or 'nothing'} now")
    return found, compared


def run(options):
    node = Node(options.url, key_of(options.key_file), options.patience)
    notes = notes_of(node, options.patience)
    if options.action == "note":
        with open(options.file, "w", encoding="utf-8") as file:
            json.dump(notes, file)
        return 0
    with open(options.file, encoding="utf-8") as file:
        before = json.load(file)
    found, compared = differences(before, notes)
    for sentence in found[:10]:
        print(sentence)
    if not found:
        moved = len(notes["digests"]) - compared
        print(f"{compared} digests and the rows of {len(before['rows']):,} ads are equal"
              + (f"; {moved} shards have written rules of their own" if moved else ""))
    return 1 if found else 0


def main():
    parser = arguments("upgrade_notes.py", __doc__, "admin", (60, "to wait for the node"))
    parser.add_argument("action", choices=["note", "compare"])
    parser.add_argument("file")
    return end_of(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
