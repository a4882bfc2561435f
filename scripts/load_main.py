#!/usr/bin/env python3
"""Loads adtrack and says whether it is honest. What scripts/load.sh runs.

Open loop: requests leave on a schedule whatever the answers do, and latency counts from the scheduled time to the 202, with all retries in
it. The events are like real ones: few ads have most of them (Zipf), some clicks are a crawler's or a visitor's double click, some events are
late, some come twice. In the end each ad's analytics, hour by hour, is held against what was acknowledged: lost, doubled, counted but never
sent, wrong reason, wrong duplicates. Sends whose answer is unknown (503, time-out, connection lost) and that no retry cleared up are
undecided: they may be counted or not.

A run's ads are of its own, 1,048,576 ids from 2^52 + a hash of the run's name, so that other traffic of the server does not disturb the
verdict. With --first-ad the ads are yours (as for ads.require_known); then nobody else may send events of them meanwhile. The visitors'
addresses are of the ranges for documentation (RFC 5737, 3849). The verdict expects traffic.repeat_click_secs of at least 1 (else say
--repeats 0) and no list of datacenters with these ranges.

  load.sh http://adtrack:8080                                        1,000 events/s for 10 s
  load.sh --rate 50000 --batch 500 --seconds 60 http://a:8080 http://b:8080
  load.sh --ledger today.ledger http://a:8080; load.sh verify today.ledger http://b:8080      again later, as after a failover

Exit code 0: all is counted rightly; 1: it is not; 2: it could not run, or nothing was acknowledged."""

import argparse
import collections
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.parse

from adtrack_client import Stop, end_of, key_of
from load_ledger import Ledger, Writer
from load_report import Report
from load_sender import Sender
from load_stream import LANES, OWN_ADS, Stream, own_first_ad
from load_verdict import verify


def number(kind, low, high):
    def parse(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be from {low:,} to {high:,}")
        return value
    parse.__name__ = "number"
    return parse


def weights(text):
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if name not in ("click", "impression", "playback") or not share.isdigit():
            raise argparse.ArgumentTypeError("must be like click=30,impression=60,playback=10")
        shares[name] = int(share)
    if not any(shares.values()):
        raise argparse.ArgumentTypeError("must have a share over 0")
    return shares


def options_of_run():
    parser = argparse.ArgumentParser(prog="load.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    percent = number(float, 0, 100)
    parser.add_argument("url", nargs="+", help="of adtrack's nodes, such as http://127.0.0.1:8080; they are used in turn")
    parser.add_argument("--rate", type=number(float, 0.1, 1e7), default=1000, help="events a second (%(default)s)")
    parser.add_argument("--seconds", type=number(float, 0.1, 1e6), default=10, help="(%(default)s)")
    parser.add_argument("--arrivals", choices=["poisson", "even"], default="poisson", help="how requests are spread in time (%(default)s)")
    parser.add_argument("--batch", type=number(int, 1, 10_000), default=1, help="events a request; 1: each alone, by its type's call (%(default)s)")
    parser.add_argument("--connections", type=number(int, 1, 20_000), default=64, help="kept alive, of all processes together (%(default)s)")
    parser.add_argument("--processes", type=number(int, 1, LANES), help="that send; as many as the rate wants and there are CPUs when left out")
    parser.add_argument("--ads", type=number(int, 1, OWN_ADS), default=1000, help="(%(default)s)")
    parser.add_argument("--first-ad", type=number(int, 1, 2**53 - 1), help="the first one's id; of the run's own range when left out")
    parser.add_argument("--zipf", type=number(float, 0, 10), default=1.0, help="ad k has a share as 1/k^S; 0: all the same (%(default)s)")
    parser.add_argument("--types", type=weights, default="click=30,impression=60,playback=10", help="shares (%(default)s)")
    parser.add_argument("--bots", type=percent, default=3, help="percent of the clicks that are a crawler's (%(default)s)")
    parser.add_argument("--repeats", type=percent, default=2, help="percent of the clicks that repeat another in the same second (%(default)s)")
    parser.add_argument("--late", type=percent, default=5, help="percent of the events that are late (%(default)s)")
    parser.add_argument("--late-max", type=number(int, 1, 10**8), default=86_400, help="seconds that they are late at most, log-uniform (%(default)s)")
    parser.add_argument("--duplicates", type=percent, default=3, help="percent of the sends that are an earlier event again (%(default)s)")
    parser.add_argument("--timeout", type=number(float, 0.1, 3600), default=10, help="seconds to wait for an answer (%(default)s)")
    parser.add_argument("--retry-seconds", type=number(float, 0, 86_400), default=30,
                        help="in which an event that was not acknowledged is sent again (%(default)s)")
    parser.add_argument("--token-file", help="a file with the token of an ingest key")
    parser.add_argument("--ledger", help="a file to keep for `load.sh verify`; it must not exist yet")
    parser.add_argument("--seed", type=int, help="of everything random: the same one, the same stream; printed")
    parser.add_argument("--run-id", help="what event_ids and the range of ads are made of: of no other run within the dedupe window; made when left out")
    for_verdict(parser)
    options = parser.parse_args()
    if options.first_ad is not None and options.first_ad + options.ads > 2**53:
        parser.error("--first-ad and --ads go beyond 2^53-1")
    if options.rate * options.seconds < options.batch:
        parser.error("--rate times --seconds is less than one --batch")
    return options


def for_verdict(parser):
    parser.add_argument("--read-token-file", help="a file with the token of a read key")
    parser.add_argument("--each", action="store_true",
                        help="ask for each event too, some thousands a second: sums can hide one that is lost behind one that is doubled")
    parser.add_argument("--patience", type=number(float, 1, 86_400), default=60, help="seconds to wait until what was acknowledged is counted (%(default)s)")


def options_of_verify():
    parser = argparse.ArgumentParser(prog="load.sh verify", description="Holds what is counted now against a run's ledger. Exit codes as of load.sh.")
    parser.add_argument("ledger")
    parser.add_argument("url", nargs="+", help="of adtrack's nodes; the first that answers is asked")
    for_verdict(parser)
    return parser.parse_args(sys.argv[2:])


def target_of(url):
    """What a sender needs to know of a node."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise Stop(f"{url} is not a url such as http://127.0.0.1:8080 (events are sent over plain HTTP only)")
    try:
        family, _, _, _, address = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)[0]
    except OSError as why:
        raise Stop(f"{url}: {why}") from why
    return family, address, parts.netloc.rpartition("@")[2], parts.path.rstrip("/")


def plan_of(options):
    run = options.run_id or os.urandom(8).hex()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
    names = ("rate", "seconds", "arrivals", "batch", "ads", "zipf", "types", "bots", "repeats", "late", "late_max", "duplicates")
    return {"run": run, "seed": seed, "started": int(time.time()), "first_ad": own_first_ad(run) if options.first_ad is None else options.first_ad,
            **{name: getattr(options, name) for name in names}}


def processes_of(options):
    if options.processes:
        return min(options.processes, options.connections)
    wanted = max(math.ceil(options.rate / options.batch / 3000), math.ceil(options.rate / 40_000))
    return max(1, min(wanted, os.cpu_count() or 1, options.connections, LANES))


# ------------------------------------------------------------------ the processes that send

def sending(stream, lanes, targets, settings, begin, pipe, stop):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    try:
        Sender(stream, lanes, targets, settings, begin).run(pipe, stop)
    except BrokenPipeError:
        os._exit(1)  # nobody is there any more


def send_all(options, plan, ledger):
    stream, targets, token = Stream(plan), [target_of(url) for url in options.url], key_of(options.token_file)
    count = processes_of(options)
    stop, begin = multiprocessing.Event(), time.monotonic() + 0.3
    pipes, workers = [], []
    for place in range(count):
        receiving, giving = multiprocessing.Pipe(duplex=False)
        settings = {"token": token, "timeout": options.timeout, "patience": options.retry_seconds,
                    "connections": options.connections // count + (place < options.connections % count)}
        worker = multiprocessing.Process(target=sending, args=(stream, range(place, LANES, count), targets, settings, begin, giving, stop), daemon=True)
        worker.start()
        giving.close()
        pipes.append(receiving)
        workers.append(worker)
    report, positions = Report(plan, begin, count), collections.defaultdict(lambda: -1)
    while pipes:
        try:
            for pipe in multiprocessing.connection.wait(pipes, 0.2):
                said = receive(pipe)
                if said is None:
                    pipes.remove(pipe)
                    continue
                for shard, offset in said["positions"].items():
                    if positions[shard] < offset:
                        positions[shard] = offset
                        said["text"] += f"p {shard} {offset}\n"
                ledger.write(said["text"])
                report.add(pipe, said)
            report.progress(time.monotonic())
        except KeyboardInterrupt:
            if stop.is_set():
                raise
            print("\nno more requests leave; waiting for answers (once more to give up)", file=sys.stderr)
            stop.set()
    for worker in workers:
        worker.join()
    return report


def receive(pipe):
    try:
        return pipe.recv()
    except EOFError as error:
        raise Stop("a process that sends has ended before it was done") from error


def run(options):
    plan = plan_of(options)
    path = options.ledger or os.path.join(tempfile.mkdtemp(prefix="adtrack-load-"), "ledger")
    ledger = Writer(path, plan)
    try:
        print(f"run {plan['run']}, seed {plan['seed']}: {plan['rate']:,g} events/s for {plan['seconds']:g} s, {plan['batch']} a request, "
              f"{plan['arrivals']} arrivals, {plan['ads']:,} ads from {plan['first_ad']}, {options.connections} connections "
              f"of {processes_of(options)} processes", flush=True)
        report = send_all(options, plan, ledger)
        ledger.end()
        report.print()
        return verify(Ledger(path), options.url, key_of(options.read_token_file), options.patience, options.each)
    finally:
        if not options.ledger:
            os.remove(path)
            os.rmdir(os.path.dirname(path))


def main():
    if sys.argv[1:2] == ["verify"]:
        options = options_of_verify()
        return end_of(lambda o: verify(Ledger(o.ledger), o.url, key_of(o.read_token_file), o.patience, o.each), options)
    return end_of(run, options_of_run(), "broken off; a ledger that was named can be verified")


if __name__ == "__main__":
    sys.exit(main())
