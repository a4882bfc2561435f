#!/usr/bin/env python3
"""One-ad queries with 100,000 ads in the service, at rest and while 5,000 events/s come in. Beside each figure stands what
the same client, in the same moments, gets from nginx's fixed answer: the floor that client and machine set."""

import argparse
import gc
import os
import random
import socket
import subprocess
import sys
import time

import peers
import harness
from load import Events, Ledger, Load


class EveryAd(Events):
    """Event i is of ad i + 1."""

    def ad_of(self, index):
        return self.first_ad + index % self.ads


class Address:
    """Where a load sends to, when another process owns the server."""

    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port

    def log_tail(self, _=0):
        return ""


def feed(options):
    """The load, as a process of its own: events of random ads at the rate until standard input closes."""
    events = Events(f"q{os.getpid()}", options.ads, int(time.time()) - 3600)
    ledger = Ledger(events)
    load = Load(Address(options.feed), ledger, iter(range(1 << 30)), connections=32, depth=2, rate=options.rate).start()
    started = time.monotonic()
    sys.stdin.read()
    took = time.monotonic() - started
    acked = ledger.acked
    load.finish(30)
    print(f"{acked / took:.0f}")


def ask(connection, request):
    started = time.perf_counter()
    connection.sendall(request)
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return (time.perf_counter() - started) * 1000, head, body


def measure(peer, floor, options):
    """Sorted milliseconds of both, asked in turn at a steady pace."""
    ours, theirs = [], []
    connections = []
    for port in (peer.port, floor.port):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
    gc.disable()
    following = time.perf_counter()
    for _ in range(options.queries):
        ad = random.randrange(1, options.ads + 1)
        took, head, body = ask(connections[0], f"GET /api/v1/ads/analytics?ad_id={ad} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        if b" 200 " not in head[:16] or f'"ad_id":{ad},'.encode() not in body:
            raise SystemExit(f"a query for ad {ad} was answered {head!r} {body[:300]!r}")
        ours.append(took)
        theirs.append(ask(connections[1], b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")[0])
        following += 1 / options.pace
        time.sleep(max(0.0, following - time.perf_counter()))
    gc.enable()
    for connection in connections:
        connection.close()
    return sorted(ours), sorted(theirs)


def show(what, ours, theirs):
    def at(values, part):
        return values[min(len(values) - 1, int(len(values) * part))]
    print(f"{what:44}{at(ours, 0.5):8.2f}{at(ours, 0.99):8.2f}{ours[-1]:8.2f}   |{at(theirs, 0.5):8.2f}{at(theirs, 0.99):8.2f}{theirs[-1]:8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir")
    parser.add_argument("--ads", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--pace", type=int, default=200, help="queries a second")
    parser.add_argument("--feed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        feed(options)
        return
    os.makedirs(options.dir, exist_ok=True)
    peer = peers.start_adtrackd(os.path.join(options.dir, "adtrackd-query"))
    floor = peers.start_nginx(os.path.join(options.dir, "nginx-query"))
    try:
        ledger = Ledger(EveryAd("ads", options.ads, int(time.time()) - 7200))
        started = time.monotonic()
        Load(peer.server, ledger, range(options.ads), connections=64, depth=4).start().join(600)
        answer = peer.server.analytics(ledger.barrier(), limit=1)
        harness.equal(answer["total"], options.ads, "ads with events")
        print(f"one-ad query with {options.ads} ads (loaded by {options.ads} clicks in {time.monotonic() - started:.0f} s); {options.queries} queries, "
              f"{options.pace} a second, milliseconds")
        print(f"{'':44}{'p50':>8}{'p99':>8}{'max':>8}   |{'p50':>8}{'p99':>8}{'max':>8}  (nginx's fixed answer)")
        show("at rest", *measure(peer, floor, options))
        feeder = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--feed", str(peer.port), "--ads", str(options.ads), "--rate", str(options.rate)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        cpu, wall = peer.cpu_seconds(), time.monotonic()
        ours, theirs = measure(peer, floor, options)
        share = (peer.cpu_seconds() - cpu) / (time.monotonic() - wall)
        rate = feeder.communicate()[0].strip()
        show(f"while {rate} events/s come in (aim: p99 < 2)", ours, theirs)
        print(f"adtrackd used {share * 100:.0f} % of one CPU meanwhile, and holds {peer.server.rss_kib() / 1024:.0f} MiB")
    finally:
        peer.stop()
        floor.stop()


if __name__ == "__main__":
    main()
