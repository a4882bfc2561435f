#!/usr/bin/env python3
"""What idle keep-alive connections cost: the memory of each, and the latency of 64 active ones beside them and without them, alternating in one
run; and what the first connection beyond http.max_connections is told. See README.md for how to read it."""

import argparse
import itertools
import os
import resource
import socket
import statistics

import front
import harness
import peers

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"


calls = itertools.count(1)


def open_idle(server, count):
    """Connections that were answered once and stay. From local addresses of their own: one has too few ports, and closed ones rest."""
    idle, call = [], next(calls)
    for number in range(count):
        connection = socket.socket()
        connection.bind((f"127.1.{call}.{1 + number // 10_000}", 0))
        connection.connect((server.host, server.port))
        connection.sendall(REQUEST)
        idle.append(connection)
    for connection in idle:
        answer = connection.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"an idle connection was told {answer[:100]!r}")
    return idle


def close_all(idle):
    for connection in idle:
        connection.close()
    idle.clear()


def one_too_many(directory, limit):
    """Fills a server of its own up to http.max_connections; what the next one gets, and whether those inside are still answered."""
    server = harness.Server(data_dir=directory, name="bench", flags={"http.max_connections": limit}).start()
    try:
        server.close_client()
        idle = open_idle(server, limit)
        with socket.create_connection((server.host, server.port), 10) as late:
            late.sendall(REQUEST)
            told = b""
            while piece := late.recv(4096):
                told += piece
        idle[0].sendall(REQUEST)
        inside = idle[0].recv(4096)
        close_all(idle)
        return told.split(b"\r\n", 1)[0].decode(), b"retry-after" in told.lower(), inside.startswith(b"HTTP/1.1 200")
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--limit", type=int, default=20_000, help="http.max_connections of the last part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.makedirs(options.dir, exist_ok=True)
    peer = peers.start_adtrackd(os.path.join(options.dir, "idle"))
    without, beside, memory = [], [], []
    try:
        front.one_round(peer, options, f"warm-{os.getpid()}", 2)
        for number in range(options.rounds):
            without.append(front.one_round(peer, options, f"w{os.getpid()}-{number:03d}", options.seconds))
            before = peer.server.rss_kib()
            idle = open_idle(peer.server, options.idle)
            memory.append((peer.server.rss_kib() - before) / options.idle)
            beside.append(front.one_round(peer, options, f"b{os.getpid()}-{number:03d}", options.seconds))
            close_all(idle)
    finally:
        peer.stop()

    def median(rounds, what):
        return statistics.median(result[what] for result in rounds)

    print(f"{options.connections} active connections, single-event POST, {options.rounds} alternating rounds of {options.seconds} s, medians")
    for name, rounds in (("alone", without), (f"beside {options.idle} idle", beside)):
        print(f"{name:20}{median(rounds, 'rate'):10.0f} requests/s, p50 {median(rounds, 'p50_ms'):.2f} ms, p99 {median(rounds, 'p99_ms'):.2f} ms, "
              f"{median(rounds, 'cpu_us'):.1f} us CPU a request")
    ratios = sorted(b["p99_ms"] / a["p99_ms"] for a, b in zip(without, beside))
    print(f"p99 beside / alone: {statistics.median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f} over the rounds; aim 1.5 x)")
    print(f"memory: {max(memory):.1f} KiB a connection in the first round's growth, aim 20 (the kernel's own buffers are not in it)")
    options.limit = min(options.limit, hard - 500)  # what one process may have open, here and in the server
    if options.limit > 0:
        said, retry, inside = one_too_many(os.path.join(options.dir, "limit"), options.limit)
        print(f"connection {options.limit + 1}: {said}, {'with' if retry else 'without'} Retry-After; those inside are {'' if inside else 'not '}answered")


if __name__ == "__main__":
    main()
