#!/usr/bin/env python3
"""On one real Kafka broker, single-event POST: the Go peer on franz-go and adtrackd, alternating in one run, for each number of
connections; and a load in batches. Prints medians of the rounds, the CPU of server and broker, and adtrackd's ratios. See README.md."""

import argparse
import json
import os
import statistics
import subprocess
import sys

import front
import peers
import harness
from kafka import Cluster  # of the end-to-end suites: harness put their folder first
from rdkafka import Admin

TOPIC = "go-peer"


class Broker:
    """The broker, looked at through /proc."""

    def __init__(self, cluster):
        self.peer = peers.Peer("broker", type("Process", (), {"pid": cluster.pid(1)}), cluster.port)

    def cpu_seconds(self):
        return self.peer.cpu_seconds()


def start_go(binary, cluster, counts):
    process = subprocess.Popen([binary, "-brokers", cluster.brokers, "-topic", TOPIC, f"-count={str(counts).lower()}"], stdout=subprocess.PIPE, text=True)
    word, _, port = process.stdout.readline().strip().partition(" ")
    if word != "ready":
        raise SystemExit("the Go peer did not start")
    return peers.Peer("Go net/http, franz-go", process, int(port))


def start_adtrackd(directory, cluster, shards):
    server = harness.Server(data_dir=directory, name="bench", flags={**cluster.flags("bench"), "log.shards": shards}).start()
    peer = peers.Peer("adtrackd", server.process, server.port)
    peer.server = server
    return peer


def compare(running, broker, options, connections):
    options.connections = connections
    results = {peer.name: [] for peer in running}
    for peer in running:
        front.one_round(peer, options, f"warm-{os.getpid()}-{connections}", 2)
    for number in range(options.rounds):
        for peer in running:
            before = broker.cpu_seconds()
            result = front.one_round(peer, options, f"r{os.getpid()}-{connections}-{number:03d}", options.seconds)
            result["broker_us"] = (broker.cpu_seconds() - before) * 1e6 / max(1, result["requests"])
            results[peer.name].append(result)
    for name, rounds in results.items():
        def median(what, of=rounds):
            return statistics.median(result[what] for result in of)
        print(f"{connections:6} {name:24}{median('rate'):12.0f}{median('p50_ms'):9.2f}{median('p99_ms'):9.2f}{median('cpu_us'):16.1f}"
              f"{median('broker_us'):16.1f}{sum(result['errors'] for result in rounds):8}", flush=True)
    go, ours = results.values()

    def ratio(what):
        return statistics.median(a[what] / b[what] for a, b in zip(ours, go))
    print(f"{connections:6} adtrackd / Go: {ratio('rate'):.2f} x requests/s, {ratio('p99_ms'):.2f} x p99, {ratio('cpu_us'):.2f} x server CPU, "
          f"{ratio('broker_us'):.2f} x broker CPU", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--go-peer", required=True)
    parser.add_argument("--load", help="bench_kafka, for the load in batches")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", default="64,256,1024")
    parser.add_argument("--partitions", type=int, default=16, help="of both topics; adtrackd's log.shards")
    parser.add_argument("--peer-writes-only", action="store_true", help="the Go peer does not read back, deduplicate and count")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    cluster = Cluster(1)
    running = []
    try:
        with Admin(cluster.brokers) as admin:
            admin.create_topic(TOPIC, options.partitions)
        running.append(start_go(options.go_peer, cluster, not options.peer_writes_only))
        running.append(start_adtrackd(os.path.join(options.dir, "adtrackd-kafka"), cluster, options.partitions))
        print(f"single-event POST on one broker that does not sync: {options.partitions} partitions, unique ids, {options.rounds} alternating rounds of {options.seconds} s, medians; "
              f"{os.cpu_count()} CPUs shared by wrk, server and broker")
        print(f"{'':31}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/request':>16}{'broker CPU us':>16}{'errors':>8}")
        broker = Broker(cluster)
        for connections in json.loads(f"[{options.connections}]"):
            compare(running, broker, options, connections)
        while running:
            running.pop().stop()
        if options.load:
            print(f"\nload in batches of 1,000 on the same broker, {options.rounds} alternating rounds", flush=True)
            subprocess.run([options.load, "--brokers", cluster.brokers, "--dir", options.dir, "--rounds", str(options.rounds)], check=True)
    finally:
        for peer in running:
            peer.stop()
        cluster.end()


if __name__ == "__main__":
    sys.exit(main())
