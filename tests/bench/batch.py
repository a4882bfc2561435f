#!/usr/bin/env python3
"""Batches of NDJSON over keep-alive connections, unique ids: events a second that are durable when they are answered, and that are
deduplicated and counted, with what an event costs. See README.md for how to read it."""

import argparse
import json
import os
import re
import statistics
import subprocess
import time

import peers


def counted(server):
    """Events that the shards have taken into their numbers, duplicates included."""
    text = server.get("/metrics").expect(200).body.decode()
    return sum(int(value) for value in re.findall(r'^adtrack_events_total\{fate="(?:counted|duplicate)",[^}]*\} (\d+)$', text, re.MULTILINE))


def one_round(peer, options, run, seconds):
    server = peer.server
    before, cpu, started = counted(server), peer.cpu_seconds(), time.monotonic()
    command = ["wrk", f"-t{options.threads}", f"-c{options.connections}", f"-d{seconds}s", "--timeout", "10s", "-s", os.path.join(peers.HERE, "batch.lua"),
               f"http://127.0.0.1:{peer.port}/api/v1/ads/events", "--", run, str(options.events)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in said.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"wrk said no result: {said.stdout}{said.stderr}")
    result = json.loads(lines[0][7:])
    # wrk leaves at its end without the last answers, so that a little more may be counted than it has seen acknowledged.
    acked = (result["requests"] - result["refused"]) * options.events
    done, still_since = counted(server) - before, time.monotonic()
    while time.monotonic() - still_since < 0.5:
        time.sleep(0.05)
        now = counted(server) - before
        if now != done:
            done, still_since = now, time.monotonic()
    if done < acked:
        raise SystemExit(f"{acked} events were acknowledged and {done} counted")
    result["durable"] = acked / result["seconds"]
    result["counted"] = done / (still_since - started)
    result["behind_s"] = max(0.0, still_since - started - result["seconds"])
    result["cpu_us"] = (peer.cpu_seconds() - cpu) * 1e6 / max(1, done)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True, help="on the disk that is to be measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--events", type=int, default=500, help="of a batch")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    print(f"batches of {options.events} events, NDJSON: {options.connections} keep-alive connections, unique ids, {options.rounds} rounds of {options.seconds} s, medians; "
          f"{os.cpu_count()} CPUs shared by wrk and the server", flush=True)
    peer = peers.start_adtrackd(os.path.join(options.dir, "batch"))
    try:
        one_round(peer, options, f"warm-{os.getpid()}", 1)
        rounds = [one_round(peer, options, f"r{os.getpid()}-{number}", options.seconds) for number in range(options.rounds)]
    finally:
        peer.stop()

    def median(what):
        return statistics.median(result[what] for result in rounds)

    def spread(what):
        return f"({min(result[what] for result in rounds):.0f} to {max(result[what] for result in rounds):.0f})"

    print(f"durable   {median('durable'):10.0f} events/s {spread('durable')}; a batch p50 {median('p50_ms'):.1f} ms, p99 {median('p99_ms'):.1f} ms; "
          f"{sum(r['refused'] for r in rounds)} batches refused, {sum(r['errors'] for r in rounds)} errors")
    print(f"counted   {median('counted'):10.0f} events/s {spread('counted')}, the last {median('behind_s'):.1f} s after the load has ended; aim 400000 on 2 CPUs")
    print(f"CPU       {median('cpu_us'):10.2f} us an event, all of the server: reading, log, deduplication, counters")


if __name__ == "__main__":
    main()
