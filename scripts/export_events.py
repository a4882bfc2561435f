#!/usr/bin/env python3
"""Writes the events of adtrack's log to a file, one a line as POST /api/v1/ads/events takes them: what `scripts/export.sh` runs and
what `scripts/import.sh` reads. FILE.gz is packed; `-` is standard output.

All records are written, those that were duplicates too, shard by shard in the order of the log: imported elsewhere they give the same
counts. Addresses are masked in the log, so visitors of one network with the same agent become one there; what only the request knew (a
prefetch, the whole address in a data center's network) is not written. Events that come in while it runs are not waited for.
Exit code 0: all that was there is in the file; 2: it could not go on, and there is no file."""

import gzip
import json
import os
import sys

from adtrack_client import Bar, Client, Stop, arguments, end_of, key_of

FIELDS = ("type", "event_id", "ad_id", "timestamp", "user_ip", "agent", "play_time_secs", "watched_percent", "progress")
STAMPED = ("type", "event_id", "ad_id", "timestamp", "fields")


def event_of(line):
    """The event in a line of the log as a line of the file; None when the record is none."""
    record = json.loads(line).get("record")
    if not record or record.get("kind") != "event" or any(field not in record for field in STAMPED):
        return None  # also one that another program put there, which adtrack has in its quarantine
    event = {field: record[field] for field in FIELDS if field in record}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def page(adtrack, shard, start, most):
    """(lines, begin, end, next, how many shards) from `start` on; from the first record that is kept when that is None."""
    query = f"?max={most}" + (f"&from={start}" if start is not None else "")
    status, headers, body = adtrack.ask("GET", f"/admin/v1/log/{shard}{query}")
    if status != 200:
        raise Stop(f"adtrack answered {status} when it was asked for the log of shard {shard}: {body[:300].decode(errors='replace')}")
    begin, end, after, shards = (int(headers[f"Adtrack-Log-{name}"]) for name in ("Begin", "End", "Next", "Shards"))
    return body.splitlines(), begin, end, after, shards


def pages(adtrack, shard, start, end, most):
    """Each page's lines below `end`."""
    in_vain = 0
    while start < end:
        lines, _, _, after, _ = page(adtrack, shard, start, most)
        in_vain = in_vain + 1 if after == start else 0  # a log that fetches from brokers may have nothing yet
        if in_vain > 20:
            raise Stop(f"the log of shard {shard} gives nothing from offset {start} on, though it ends at {end}")
        if after > end:
            lines = [line for line in lines if json.loads(line)["offset"] < end]
        yield lines
        start = after


def export(options, out):
    adtrack = Client(options.url, key_of(options.key_file), options.patience)
    shards = page(adtrack, 0, None, 0)[4]
    wanted = options.shard or range(shards)
    # Where each begins and ends now: what comes later is another export's.
    spans = [(shard, *page(adtrack, shard, None, 0)[1:3]) for shard in wanted]
    bar, done, events = Bar(sum(end - begin for _, begin, end in spans)), 0, 0
    for shard, begin, end in spans:
        for lines in pages(adtrack, shard, begin, end, options.page):
            for line in lines:
                event = event_of(line)
                if event:
                    out.write(event)
                    events += 1
            done += len(lines)
            bar.show(done, events)
    bar.show(done, events, last=True)
    return events, len(spans)


def run(options):
    if options.file == "-":
        events, shards = export(options, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        print(f"{events:,} events of {shards} shards", file=sys.stderr)
        return 0
    unfinished = f"{options.file}.unfinished"
    try:
        with open(unfinished, "wb") as raw:
            if options.file.endswith(".gz"):
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as out:
                    events, shards = export(options, out)
            else:
                events, shards = export(options, raw)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(unfinished, options.file)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)
    print(f"{events:,} events of {shards} shards are in {options.file}")
    return 0


def main():
    parser = arguments("export.sh", __doc__, "admin", (300, "for which a refused request is tried again"),
                       "of adtrack, its admin listener where it has one")
    parser.add_argument("file", help="where to; packed when it ends in .gz; - is standard output")
    parser.add_argument("--shard", type=int, action="append", help="only this one; may be repeated")
    parser.add_argument("--page", type=int, default=10_000, help="records a request, 1 to 100000 (%(default)s)")
    options = parser.parse_args()
    if not 1 <= options.page <= 100_000:
        parser.error("--page is 1 to 100000")
    return end_of(run, options)


if __name__ == "__main__":
    sys.exit(main())
